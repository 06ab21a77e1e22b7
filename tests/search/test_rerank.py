"""The reranker, against a real server that plays one in both dialects."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import pytest

from backend.search.rerank import Reranker, RerankerUnavailable
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

KEY = "rk-very-secret"
TEXTS = ("about cats", "about ferries", "about dogs")


def scores_of(texts: list[str]) -> list[float]:
    return [0.9 if "ferr" in text else 0.1 for text in texts]


def as_cohere(request: Request) -> Reply:
    """Best first, as they do it."""
    body = json.loads(request.body)
    rows = [{"index": n, "relevance_score": s} for n, s in enumerate(scores_of(body["documents"]))]
    return json_reply({"results": sorted(rows, key=lambda row: -row["relevance_score"])})


def as_tei(request: Request) -> Reply:
    body = json.loads(request.body)
    if "texts" not in body:
        return json_reply({"error": "missing field `texts`"}, 422)
    return json_reply([{"index": n, "score": s} for n, s in enumerate(scores_of(body["texts"]))])


@contextmanager
def reranker_at(answer: Callable[[Request], Reply]) -> Iterator[tuple[Reranker, ScriptedServer]]:
    with scripted_server(answer) as server, httpx2.Client() as client:
        yield Reranker(f"{server.base_url}/v1/", "m", KEY, client), server


@pytest.mark.parametrize("dialect", [as_cohere, as_tei])
def test_texts_are_rated_in_both_dialects(dialect: Callable[[Request], Reply]) -> None:
    with reranker_at(dialect) as (reranker, server):
        assert reranker.rate("When does the ferry leave?", TEXTS) == [0.1, 0.9, 0.1]

    assert {request.path for request in server.requests} == {"/v1/rerank"}
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(server.requests[0].body)["model"] == "m"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503),
        Reply(401, KEY.encode()),
        Reply(422),
        Reply(200, b"no JSON"),
        json_reply({}),
        json_reply({"results": [{"index": 0, "relevance_score": 1}]}),
        json_reply({"results": [{"index": n, "relevance_score": "much"} for n in range(3)]}),
        json_reply([{"index": n, "score": None} for n in range(3)]),
        Reply(200, b'[{"index":0,"score":NaN},{"index":1,"score":1},{"index":2,"score":1}]'),
        json_reply([1, 2, 3]),
        json_reply(7),
        Reply(200, b"[", missing_bytes=9),
    ],
)
def test_every_failure_is_unavailability(reply: Reply) -> None:
    with reranker_at(lambda _: reply) as (reranker, _), pytest.raises(RerankerUnavailable) as caught:
        reranker.rate("q", TEXTS)

    assert KEY not in f"{caught.value} {reranker!r}"

"""Embeddings over HTTP, against a real server that answers well, badly, late or not at all."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import numpy as np
import pytest
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from backend.embeddings.providers.contract import Embedder, EmbeddingFailed, EmbeddingRefused, NotEmbeddable
from backend.embeddings.providers.openai import OpenAIEmbedder
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[tuple[OpenAIEmbedder, ScriptedServer]]:
    """An embedder of three dimensions and the server it asks."""
    with scripted_server(answer) as server, httpx2.Client() as client:
        yield (
            OpenAIEmbedder(
                base_url=f"{server.base_url}/v1/", model="m", dimensions=3, api_key=KEY, client=client
            ),
            server,
        )


def embed_lengths(request: Request) -> Reply:
    """For each text a vector that tells its length, in the wrong order."""
    texts = json.loads(request.body)["input"]
    rows = [{"index": place, "embedding": [len(text), 1, 0]} for place, text in enumerate(texts)]
    return json_reply({"data": rows[::-1]})


def test_embed_orders_rows_by_index_and_scales_them() -> None:
    with serving(embed_lengths) as (embedder, server):
        promised: Embedder = embedder
        vectors = promised.embed(["a", "bb", "ccc"])

    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/embeddings")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(request.body) == {"model": "m", "input": ["a", "bb", "ccc"], "encoding_format": "float"}


def test_embed_sends_no_header_without_a_key() -> None:
    with scripted_server(embed_lengths) as server, httpx2.Client() as client:
        OpenAIEmbedder(base_url=server.base_url, model="m", dimensions=3, client=client).embed(["a"])

    assert "authorization" not in server.requests[0].headers


def test_embed_sends_long_lists_in_batches() -> None:
    with serving(embed_lengths) as (embedder, server):
        vectors = embedder.embed([f"{'x' * (number % 7 + 1)}" for number in range(300)])

    assert [len(json.loads(request.body)["input"]) for request in server.requests] == [128, 128, 44]
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], [n % 7 + 1 for n in range(300)], rtol=1e-5)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_embed_asks_a_busy_server_again(status: int) -> None:
    replies = iter([Reply(status), Reply(status)])
    with serving(lambda request: next(replies, None) or embed_lengths(request)) as (embedder, server):
        assert embedder.embed(["a"]).shape == (1, 3)

    assert len(server.requests) == 3


def test_embed_waits_as_long_as_it_is_told_to() -> None:
    waits: list[float] = []

    def remember(details: RetryDetails) -> None:
        waits.append(details.wait_for)

    replies = iter([Reply(429, headers={"Retry-After": "0.25"})])
    set_on_retry_hooks([remember])
    try:
        with (
            stamina.set_testing(False),
            serving(lambda request: next(replies, None) or embed_lengths(request)) as (embedder, _),
        ):
            embedder.embed(["a"])
    finally:
        set_on_retry_hooks(None)

    assert waits == [0.25]


def test_embed_gives_up_on_a_server_that_stays_busy() -> None:
    with serving(lambda _: Reply(503)) as (embedder, server), pytest.raises(EmbeddingFailed):
        embedder.embed(["a"])

    assert len(server.requests) == 4


def test_embed_fails_when_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"

    with pytest.raises(EmbeddingFailed):
        OpenAIEmbedder(base_url=address, model="m", dimensions=3).embed(["a"])


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 422])
def test_embed_does_not_repeat_what_was_refused(status: int) -> None:
    refusal = Reply(status, f"your key {KEY} is bad".encode(), {"Location": "http://127.0.0.1:1/"})
    with serving(lambda _: refusal) as (embedder, server), pytest.raises(EmbeddingFailed) as caught:
        embedder.embed(["a"])

    assert len(server.requests) == 1
    assert str(status) in caught.value.message
    assert KEY not in caught.value.message
    # Whether it is for these texts or for everybody.
    assert isinstance(caught.value, EmbeddingRefused) == (status in (400, 413, 422))


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'{"data": []}',
        b'{"data": null}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}, {"index": 0, "embedding": [1, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}, {"index": 2, "embedding": [1, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0]}, {"index": 1, "embedding": [1, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}, {"index": 1, "embedding": "AAAA"}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}, {"index": 1, "embedding": [null, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}, {"index": 1, "embedding": [0, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}, {"index": 1}]}',
        b'{"data": [{"index": 0, "embedding": [1, 0, 0]}, {"index": 1, "embedding": [NaN, 0, 0]}]}',
    ],
)
def test_embed_refuses_malformed_answers(body: bytes) -> None:
    with serving(lambda _: Reply(200, body)) as (embedder, _), pytest.raises(EmbeddingFailed):
        embedder.embed(["a", "b"])


def test_embed_refuses_an_answer_cut_short() -> None:
    def cut_short(_: Request) -> Reply:
        return Reply(200, b'{"data"', missing_bytes=100)

    with serving(cut_short) as (embedder, _), pytest.raises(EmbeddingFailed):
        embedder.embed(["a"])


def test_embed_sends_nothing_for_blank_text() -> None:
    with serving(embed_lengths) as (embedder, server), pytest.raises(NotEmbeddable):
        embedder.embed(["a", " "])

    assert server.requests == []


def test_embed_of_nothing_asks_nobody() -> None:
    with serving(embed_lengths) as (embedder, server):
        assert embedder.embed([]).shape == (0, 3)

    assert server.requests == []


def test_repr_does_not_show_the_key() -> None:
    embedder = OpenAIEmbedder(base_url="http://user:word@host", model="m", dimensions=3, api_key=KEY)

    assert KEY not in repr(embedder)
    assert "word" not in repr(embedder)

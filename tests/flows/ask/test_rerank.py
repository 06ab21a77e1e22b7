"""A configured reranker orders the sources; while it is away the search's own order stands."""

import json
from collections.abc import Iterator

import pytest

from tests.conftest import TestDatabase
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server
from tests.flows.ask.conftest import StoreTexts
from tests.tenants.instances import Instance, web_instance

TEXTS = {f"note{n}": f"The ferry number {n} leaves at noon." for n in range(4)}
QUESTION = {"query": "When does the ferry leave?"}


class Opinion:
    """What the reranker says, and how often it was asked."""

    def __init__(self) -> None:
        self.is_away = False
        self.open_transactions: list[int] = []


@pytest.fixture(scope="module")
def opinion() -> Opinion:
    return Opinion()


@pytest.fixture(scope="module")
def reranker(opinion: Opinion, database: TestDatabase) -> Iterator[ScriptedServer]:
    def answer(request: Request) -> Reply:
        with database.admin() as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reranks' AND state <> 'idle'"
            ).fetchone()
        opinion.open_transactions.append(int(str(row[0] if row else -1)))
        texts = json.loads(request.body)["documents"]
        rows = [{"index": n, "relevance_score": 5.0 if "number 3" in t else 1.0} for n, t in enumerate(texts)]
        return Reply(503) if opinion.is_away else json_reply({"results": rows})

    with scripted_server(answer) as server:
        yield server


@pytest.fixture(scope="module")
def reranking(database: TestDatabase, reranker: ScriptedServer) -> Iterator[Instance]:
    settings = {"RERANK_BASE_URL": reranker.base_url, "RERANK_MODEL": "m", "RATE_LIMITS": "search=off"}
    with web_instance(database, "reranks", **settings) as instance:
        yield instance


def test_reranker_decides_the_order_outside_any_transaction(
    reranking: Instance, plain_web: Instance, opinion: Opinion, store_texts: StoreTexts
) -> None:
    person = store_texts(**TEXTS)
    plain = plain_web.ok("POST", "/api/search", person, json=QUESTION)
    answer = reranking.ok("POST", "/api/search", person, json=QUESTION)
    assert answer["sources"][0]["title"] == "note3"
    assert answer["sources"][0]["rerank_score"] == 5.0
    assert answer["features_used"]["reranker"] is True
    # Among equals the search's own order stands.
    others = [s["title"] for s in plain["sources"] if s["title"] != "note3"]
    assert [s["title"] for s in answer["sources"][1:]] == others
    assert answer["answer"].startswith("The ferry number 3 leaves at noon. [Source 1]")
    one = reranking.ok("POST", "/api/search", person, json={**QUESTION, "top_k": 1})
    assert [s["title"] for s in one["sources"]] == ["note3"]
    assert set(opinion.open_transactions) == {0}


def test_reranker_that_is_away_changes_nothing(
    reranking: Instance, plain_web: Instance, opinion: Opinion, store_texts: StoreTexts
) -> None:
    person = store_texts(**TEXTS)
    opinion.is_away = True
    plain = plain_web.ok("POST", "/api/search", person, json=QUESTION)
    answer = reranking.ok("POST", "/api/search", person, json=QUESTION)
    opinion.is_away = False
    assert answer["sources"] == plain["sources"]
    assert answer["features_used"]["reranker"] is False

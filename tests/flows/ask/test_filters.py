"""POST /api/search with filters: who may answer, and what is said about a filter that is none."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from backend.flows.ingest_document.store import store_all
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.tenants.instances import Instance, Person, problem, web_instance


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1", RATE_LIMITS="search=off,changes=off") as instance:
        yield instance


@pytest.fixture
def person(web: Instance, make_document: MakeDocument) -> Person:
    """Somebody with a note and a mail about the same thing."""
    made = web.sign_in()
    note = make_document("note", "The ferry leaves at noon.", title="note")
    mail = replace(
        make_document("mail", "The ferry leaves at four.", title="mail"),
        source_type="email",
        author="Grace",
        source_updated_at=datetime(2020, 5, 1, tzinfo=UTC),
    )
    with web.services.db.transaction(made.tenant_id) as session:
        store_all(session, made.tenant_id, None, [note, mail])
    return made


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        (None, {"note", "mail"}),
        ({}, {"note", "mail"}),
        ({"source_types": ["email"]}, {"mail"}),
        ({"authors": ["grace"], "until": "2020-05-02T00:00:00Z"}, {"mail"}),
        ({"since": "2020-05-02T00:00:00+02:00"}, {"note"}),
        ({"labels": ["none of them"]}, set()),
    ],
)
def test_filters_say_which_documents_may_answer(
    web: Instance, person: Person, filters: dict[str, Any] | None, titles: set[str]
) -> None:
    body = {"query": "When does the ferry leave?", "filters": filters}
    answer = web.ok("POST", "/api/search", person, json=body)
    assert {source["title"] for source in answer["sources"]} == titles
    assert answer["query_type"] == ("basic_rag" if titles else "no_results")


@pytest.mark.parametrize(
    "filters", [{"since": "yesterday"}, {"since": "2020-05-02T00:00:00"}, {"labels": "x"}]
)
def test_filter_that_is_none_is_refused(web: Instance, person: Person, filters: dict[str, Any]) -> None:
    refused = web.call("POST", "/api/search", person, json={"query": "ferry", "filters": filters})
    assert "filters." in problem(refused, 400, "VALIDATION_ERROR")["detail"]


def test_answer_says_how_the_words_were_read(web: Instance, person: Person) -> None:
    def ask(query: str) -> dict[str, Any]:
        answer: dict[str, Any] = web.ok("POST", "/api/search", person, json={"query": query})
        return answer

    plain = ask("When does the ferry leave?")
    names = ("phrase", "phrase_relaxed", "excluded", "corrected", "completed")
    assert not any(plain["features_used"][name] for name in names)
    assert plain["corrections"] == []
    quoted = ask('"leaves at noon" -four')
    assert [source["title"] for source in quoted["sources"]] == ["note"]
    assert quoted["features_used"]["phrase"]
    assert quoted["features_used"]["excluded"]
    assert (quoted["query"], quoted["expanded_query"]) == ('"leaves at noon" -four', "leaves at noon")
    relaxed = ask('"noon ferry"')
    assert relaxed["features_used"]["phrase_relaxed"]
    assert not relaxed["features_used"]["phrase"]
    assert relaxed["sources"][0]["title"] == "note"
    mended = ask("When does the fery leave?")
    assert mended["corrections"] == [{"from": "fery", "to": "ferry"}]
    assert mended["expanded_query"] == "When does the ferry leave?"
    assert mended["features_used"]["corrected"]
    assert ask("leaves at noo")["features_used"]["completed"]
    for query in ('"\x00" -\x00', '"' * 4000, "- & | ! <-> :*"):
        assert ask(query)["query_type"] == "no_results"

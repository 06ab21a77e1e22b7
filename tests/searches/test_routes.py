"""The log of searches: what was asked, opened and liked; turned off and purged by the workspace."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from backend.flows.ingest_document.store import store_all
from backend.searches.repository import SearchLogRepository, purge_old
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.tenants.instances import Instance, Person, problem, web_instance

QUESTION = "When does the zeppelin leave?"


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1", RATE_LIMITS="search=off,changes=off") as instance:
        yield instance


@pytest.fixture
def person(web: Instance, make_document: MakeDocument) -> Person:
    """Somebody whose workspace knows when the zeppelin leaves."""
    made = web.sign_in()
    with web.services.db.transaction(made.tenant_id) as session:
        store_all(
            session, made.tenant_id, None, [make_document("a", "The zeppelin leaves at nine in the morning.")]
        )
    return made


def ask(web: Instance, person: Person, question: str = QUESTION, **more: Any) -> dict[str, Any]:
    return web.ok("POST", "/api/search", person, json={"query": question, **more})


def log(web: Instance, person: Person, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = web.ok("GET", f"/api/admin/searches{query}", person)["searches"]
    return found


def test_search_is_written_down_with_what_it_found(web: Instance, person: Person) -> None:
    answer = ask(web, person)
    (entry,) = log(web, person)
    assert (entry["id"], entry["query"], entry["outcome"]) == (answer["search_id"], QUESTION, "extractive")
    assert entry["user_id"] == str(person.user_id)
    assert entry["results"][0]["document_id"] == answer["sources"][0]["doc_id"]
    assert entry["result_count"] == 1


def test_question_with_a_nul_is_written_down_without_it(web: Instance, person: Person) -> None:
    answer = ask(web, person, "zeppelin\0 morning")
    (entry,) = log(web, person)
    assert (entry["id"], entry["query"]) == (answer["search_id"], "zeppelin  morning")


@pytest.mark.parametrize("body", ["{", "[1]", ""])
def test_body_that_is_no_object_is_refused_plainly(web: Instance, person: Person, body: str) -> None:
    refused = web.call("POST", "/api/search", person, data=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 400
    assert refused.json is not None
    assert refused.json["error"] == "body: This must be a JSON object, sent as application/json."


def test_what_is_not_answered_can_be_listed(web: Instance, person: Person) -> None:
    ask(web, person)
    ask(web, person, "xylophone quartz jubilee?")
    assert [e["query"] for e in log(web, person, "?outcome=no_results")] == ["xylophone quartz jubilee?"]
    newest, oldest = log(web, person)
    assert log(web, person, f"?before={newest['id']}") == [oldest]


def test_follow_up_is_searched_for_with_what_it_is_about(web: Instance, person: Person) -> None:
    history = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "At nine."}]
    answer = ask(web, person, "And why?", conversation_history=history)
    assert answer["query"] == "And why?"
    assert answer["expanded_query"] == "And why? zeppelin leave"
    assert "nine" in answer["answer"]
    assert log(web, person)[0]["searched"] == "And why? zeppelin leave"


def test_source_opens_the_document_at_the_passage(web: Instance, person: Person) -> None:
    url = ask(web, person)["sources"][0]["view_url"]
    assert url.endswith("#passage")
    page = web.call("GET", url.removeprefix("http://localhost:5003"), person)
    assert '<mark id="passage">The zeppelin leaves at nine in the morning.' in page.text


def test_click_counts_once_and_only_for_what_was_shown_to_that_person(web: Instance, person: Person) -> None:
    answer = ask(web, person)
    shown = answer["sources"][0]["doc_id"]
    path = f"/api/search/{answer['search_id']}/click"
    for document in (shown, shown, str(uuid4())):
        web.ok("POST", path, person, json={"doc_id": document})
    assert log(web, person)[0]["clicked_document_ids"] == [shown]
    for other in (web.colleague(person, role="admin"), web.sign_in()):
        problem(web.call("POST", path, other, json={"doc_id": shown}), 404, "SEARCH_NOT_FOUND")


def test_feedback_finds_its_search_by_id_or_by_its_words(web: Instance, person: Person) -> None:
    first, second = ask(web, person), ask(web, person)
    sent = {"query": QUESTION, "answer": "At nine. [[SOURCE:a:1]]", "rating": "up", "source_ids": ["x", None]}
    assert web.ok("POST", "/api/feedback", person, json=sent)["feedback_id"]
    web.ok("POST", "/api/feedback", person, json={"rating": "down", "search_id": first["search_id"]})
    counted = {e["id"]: (e["liked"], e["disliked"]) for e in log(web, person)}
    assert counted == {second["search_id"]: (1, 0), first["search_id"]: (0, 1)}


def test_feedback_is_kept_without_a_search_and_for_nobody_elses(web: Instance, person: Person) -> None:
    theirs = ask(web, person)["search_id"]
    other = web.colleague(person, role="viewer")
    web.ok("POST", "/api/feedback", other, json={"query": "", "answer": "", "rating": "up", "source_ids": []})
    web.ok("POST", "/api/feedback", other, json={"rating": "down", "search_id": theirs})
    assert [(e["liked"], e["disliked"]) for e in log(web, person)] == [(0, 0)]
    problem(web.call("POST", "/api/feedback", other, json={"rating": "maybe"}), 400, "VALIDATION_ERROR")
    with web.database.admin() as connection:
        rows = connection.execute(
            "SELECT count(*) FROM feedback WHERE tenant_id = %s", (person.tenant_id,)
        ).fetchone()
    assert rows == (2,)


def test_workspace_turns_the_log_off_and_purges_it(web: Instance, person: Person) -> None:
    ask(web, person)
    web.ok("POST", "/api/feedback", person, json={"rating": "up", "query": QUESTION})
    web.ok(
        "PUT",
        "/api/admin/config/search_log",
        person,
        json={"settings": {"is_on": False}},
        headers={"If-Match": "*"},
    )
    assert ask(web, person)["search_id"] is None
    assert len(log(web, person)) == 1
    member = web.colleague(person, role="member")
    problem(web.call("DELETE", "/api/admin/searches", member), 403, "ADMINISTRATORS_ONLY")
    problem(web.call("GET", "/api/admin/searches", member), 403, "ADMINISTRATORS_ONLY")
    neighbour = web.sign_in()
    ask(web, neighbour)
    purged = web.ok("DELETE", "/api/admin/searches", person)
    assert (purged["searches"], purged["feedback"]) == (1, 1)
    assert (log(web, person), len(log(web, neighbour))) == ([], 1)


def test_answer_stands_when_the_log_cannot_be_written(
    web: Instance, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(SearchLogRepository, "add", fail)
    answer = ask(web, person)
    assert answer["search_id"] is None
    assert "nine" in answer["answer"]


def test_old_searches_are_purged(own_database: TestDatabase) -> None:
    account = own_database.make_tenant()
    with own_database.db.transaction(account.tenant_id) as session:
        SearchLogRepository(session).add(
            account.tenant_id,
            account.user_id,
            query="q",
            searched="q",
            outcome="no_results",
            confidence=0.0,
            results=[],
            seconds=0.1,
        )
    for days, count in ((1, 0), (0, 1)):
        with own_database.db.operator_transaction() as session:
            assert purge_old(session, older_than=timedelta(days=days)) == count

"""/api/documents: filters, cursors, statistics, review and deletion, over HTTP; and what they mean for search."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.documents.review.repository import ReviewRepository
from backend.flows.ingest_document.store import store_all
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.tenants.instances import Instance, Person, problem, web_instance

QUESTION = "When does the zeppelin leave?"


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1", RATE_LIMITS="search=off,changes=off") as instance:
        yield instance


@pytest.fixture
def person(web: Instance) -> Person:
    return web.sign_in()


@pytest.fixture
def store(web: Instance, person: Person, make_document: MakeDocument) -> Callable[..., str]:
    """Stores a document of the person's workspace and returns its id."""

    def make(name: str, **changes: Any) -> str:
        document = replace(make_document(name, f"The zeppelin leaves at nine, says {name}."), **changes)
        with web.services.db.transaction(person.tenant_id) as session:
            store_all(session, person.tenant_id, None, [document])
        with web.database.admin() as connection:
            row = connection.execute(
                "SELECT id FROM documents WHERE tenant_id = %s AND external_id = %s", (person.tenant_id, name)
            ).fetchone()
        assert row is not None
        return str(row[0])

    return make


def listed(web: Instance, person: Person, query: str = "") -> list[str]:
    return [d["title"] for d in web.ok("GET", f"/api/documents{query}", person)["documents"]]


def found(web: Instance, person: Person) -> set[str]:
    sources = web.ok("POST", "/api/search", person, json={"query": QUESTION})["sources"]
    return {s["doc_id"] for s in sources}


def mail(name: str, label: str) -> dict[str, Any]:
    return {"source_type": "email", "author": "ada@engines.example", "metadata": {"labels": [label]}}


def test_list_filters_by_everything_it_says(web: Instance, person: Person, store: Callable[..., str]) -> None:
    store("plan_100%.md")
    store("junk", **mail("junk", "SPAM"))
    private = store("private", **mail("private", "Private"))
    store("doubtful", **mail("doubtful", "INBOX"))
    assert listed(web, person) == ["doubtful", "private", "junk", "plan_100%.md"]
    assert listed(web, person, "?classification=spam") == ["junk"]
    assert listed(web, person, "?source_type=email&classification=personal") == ["private"]
    assert listed(web, person, "?needs_review=true") == ["doubtful"]
    assert listed(web, person, "?search=N_100%25") == ["plan_100%.md"]
    assert listed(web, person, "?search=ADA@") == ["doubtful", "private", "junk"]
    assert listed(web, person, "?search=%25_%25") == []
    assert listed(web, person, "?status=confirmed") == []
    web.ok("POST", f"/api/documents/{private}/confirm", person, json={})
    assert listed(web, person, "?status=confirmed") == ["private"]
    body = web.ok("GET", "/api/documents?classification=spam", person)
    assert body["pagination"]["total"] == 1
    assert "content" not in body["documents"][0]
    assert body["documents"][0]["summary"].startswith("The zeppelin leaves at nine")
    for wrong in ("sort=tenant_id", "status=deleted", "limit=0", "order=up"):
        problem(web.call("GET", f"/api/documents?{wrong}", person), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "sort", ["created_at", "updated_at", "source_created_at", "title", "byte_size", "confidence"]
)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_cursor_shows_every_document_once_in_any_order(
    web: Instance, person: Person, store: Callable[..., str], sort: str, order: str
) -> None:
    for number in range(5):
        # Two and two the same, so that ties matter.
        store(f"{number}", title=f"Title {number // 2}", byte_size=number // 2)
    seen: list[str] = []
    query = f"?limit=2&sort={sort}&order={order}"
    page = web.ok("GET", f"/api/documents{query}", person)
    while True:
        seen += [d["external_id"] for d in page["documents"]]
        cursor = page["pagination"]["next_cursor"]
        if cursor is None:
            break
        page = web.ok("GET", f"/api/documents{query}&cursor={cursor}", person)
    assert sorted(seen) == ["0", "1", "2", "3", "4"]
    if sort == "title":
        assert seen[0] in (("0", "1") if order == "asc" else ("4",))
    other = "title" if sort != "title" else "created_at"
    first = web.ok("GET", f"/api/documents{query}", person)["pagination"]["next_cursor"]
    problem(web.call("GET", f"/api/documents?sort={other}&cursor={first}", person), 400, "CURSOR_INVALID")


@pytest.mark.parametrize("cursor", ["x", "bnVsbA==", "WyJjcmVhdGVkX2F0IiwiZGVzYyIsMSwyXQ==", "W10="])
def test_cursor_of_somebody_else_is_refused(web: Instance, person: Person, cursor: str) -> None:
    problem(web.call("GET", f"/api/documents?cursor={cursor}", person), 400, "CURSOR_INVALID")


def test_personal_spam_and_rejected_are_out_of_search_at_once_and_come_back(
    web: Instance, person: Person, store: Callable[..., str]
) -> None:
    plan, junk = store("plan"), store("junk", **mail("junk", "SPAM"))
    assert found(web, person) == {plan}
    web.ok("PUT", f"/api/documents/{junk}/classify", person, json={"classification": "work"})
    assert found(web, person) == {plan, junk}
    for hidden in ("personal", "spam"):
        web.ok("POST", f"/api/documents/{plan}/reclassify", person, json={"classification": hidden})
        assert found(web, person) == {junk}
    web.ok("POST", f"/api/documents/{plan}/confirm", person, json={"classification": "work"})
    web.ok("POST", f"/api/documents/{junk}/reject", person, json={"reason": "Not ours."})
    assert found(web, person) == {plan}
    document = web.ok("GET", f"/api/documents/{junk}", person)["document"]
    assert (document["status"], document["review_note"]) == ("rejected", "Not ours.")


def test_decision_of_a_person_outlives_a_new_version_of_the_document(
    web: Instance, person: Person, store: Callable[..., str]
) -> None:
    plan, note = store("plan"), store("note")
    web.ok("POST", f"/api/documents/{plan}/reject", person, json={})
    web.ok("PUT", f"/api/documents/{note}/classify", person, json={"classification": "personal"})
    assert (store("plan", title="New plan"), store("note", title="New note")) == (plan, note)
    assert found(web, person) == set()
    assert listed(web, person, "?status=rejected") == ["New plan"]


def test_review_shows_the_most_doubtful_first_and_bulk_decides(
    web: Instance, person: Person, store: Callable[..., str]
) -> None:
    store("plan")
    advertising = store("advertising", **mail("advertising", "CATEGORY_PROMOTIONS"))
    letter = store("letter", **mail("letter", "INBOX"))
    body = web.ok("GET", "/api/documents/review", person)
    assert [d["id"] for d in body["documents"]] == [advertising, letter]
    stats = web.ok("GET", "/api/documents/stats", person)["stats"]
    assert (stats["total_documents"], stats["needs_review"]) == (3, 2)
    assert stats["by_classification"] == {"work": 1, "unknown": 2}
    assert 0 < stats["average_confidence"] < 1
    ids = [advertising, letter, str(uuid4())]
    results = web.ok("POST", "/api/documents/bulk/confirm", person, json={"document_ids": ids})["results"]
    assert results == {"confirmed": 2, "not_found": 1, "errors": []}
    results = web.ok("POST", "/api/documents/bulk/reject", person, json={"document_ids": ids[:1]})["results"]
    assert results["rejected"] == 1
    sent = {"document_ids": ids, "classification": "spam"}
    assert web.ok("POST", "/api/documents/bulk/classify", person, json=sent)["updated_count"] == 2
    assert web.ok("GET", "/api/documents/review", person)["documents"] == []


def test_rules_find_out_again_but_never_against_a_person(
    web: Instance, person: Person, store: Callable[..., str]
) -> None:
    junk = store("junk", **mail("junk", "SPAM"))
    with web.database.admin() as connection:
        connection.execute("UPDATE documents SET classification = 'unknown' WHERE id = %s", (junk,))
    body = web.ok("POST", f"/api/documents/{junk}/classify", person)
    assert body["document"]["classification"] == body["classification"]["classification"] == "spam"
    web.ok("PUT", f"/api/documents/{junk}/classify", person, json={"classification": "work"})
    body = web.ok("POST", f"/api/documents/{junk}/classify", person)
    assert (body["document"]["classification"], body["classification"]["classification"]) == ("work", "spam")
    letter = store("letter", **mail("letter", "SPAM"))
    with web.database.admin() as connection:
        connection.execute("UPDATE documents SET classification = 'unknown' WHERE id = %s", (letter,))
    results = web.ok("POST", "/api/documents/classify", person, json={"auto_confirm_threshold": 0.9})[
        "results"
    ]
    assert (results["total"], results["spam"], results["auto_confirmed"]) == (1, 1, 1)
    assert web.ok("GET", f"/api/documents/{letter}", person)["document"]["user_confirmed"] is True


def test_deleting_takes_out_of_search_at_once_and_says_who_did_it(
    web: Instance, person: Person, store: Callable[..., str]
) -> None:
    ids = [store(str(number)) for number in range(4)]
    body = web.ok("DELETE", f"/api/documents/{ids[0]}", person)
    assert (body["hard_deleted"], body["embeddings_deleted"]) == (False, 1)
    problem(web.call("DELETE", f"/api/documents/{ids[0]}", person), 404, "DOCUMENT_NOT_FOUND")
    web.ok("DELETE", f"/api/documents/{ids[1]}?hard=true", person)
    body = web.ok("POST", "/api/documents/bulk/delete", person, json={"document_ids": ids[:3]})
    assert body["results"] == {
        "deleted": 1, "not_found": 2, "tracked": 1, "embeddings_deleted": 1, "errors": [],
    }  # fmt: skip
    assert found(web, person) == {ids[3]}
    with web.database.admin() as connection:
        rows = connection.execute(
            "SELECT title, deleted_by FROM documents WHERE tenant_id = %s AND deleted_at IS NOT NULL ORDER BY external_id",
            (person.tenant_id,),
        ).fetchall()
    assert rows == [("0", person.user_id), ("(deleted)", person.user_id), ("2", person.user_id)]


def test_all_are_deleted_by_an_administrator_only(
    web: Instance, person: Person, store: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.flows.delete_documents.routes._BATCH", 2)
    for number in range(5):
        store(str(number))
    member = web.colleague(person, role="member")
    problem(web.call("DELETE", "/api/documents/all", member), 403, "ADMINISTRATORS_ONLY")
    assert web.ok("DELETE", "/api/documents/all", person)["deleted_count"] == 5
    assert (found(web, person), listed(web, person)) == (set(), [])


def test_viewer_reads_and_changes_nothing(web: Instance, person: Person, store: Callable[..., str]) -> None:
    plan = store("plan")
    viewer = web.colleague(person, role="viewer")
    assert listed(web, viewer) == ["plan"]
    many = {"document_ids": [plan], "classification": "spam"}
    for method, path, sent in (
        ("DELETE", f"/api/documents/{plan}", None),
        ("POST", "/api/documents/bulk/delete", many),
        ("PUT", f"/api/documents/{plan}/classify", {"classification": "spam"}),
        ("POST", f"/api/documents/{plan}/confirm", {}),
        ("POST", f"/api/documents/{plan}/reject", {}),
        ("POST", f"/api/documents/{plan}/classify", None),
        ("POST", "/api/documents/bulk/classify", many),
        ("POST", "/api/documents/bulk/reject", many),
        ("POST", "/api/documents/classify", {}),
    ):
        problem(web.call(method, path, viewer, json=sent), 403, "VIEWERS_ONLY_LOOK")
    assert found(web, person) == {plan}


def test_stranger_reaches_nothing(web: Instance, person: Person, store: Callable[..., str]) -> None:
    plan = store("plan")
    stranger = web.sign_in()
    for method, path, sent in (
        ("GET", f"/api/documents/{plan}", None),
        ("GET", f"/api/document/{plan}/view", None),
        ("DELETE", f"/api/documents/{plan}", None),
        ("PUT", f"/api/documents/{plan}/classify", {"classification": "spam"}),
        ("POST", f"/api/documents/{plan}/reject", {}),
        ("POST", f"/api/documents/{plan}/classify", None),
    ):
        problem(web.call(method, path, stranger, json=sent), 404, "DOCUMENT_NOT_FOUND")
    many = {"document_ids": [plan]}
    assert web.ok("POST", "/api/documents/bulk/delete", stranger, json=many)["results"]["not_found"] == 1
    assert found(web, person) == {plan}
    with web.services.db.transaction(stranger.tenant_id) as session:
        # And if the filter were forgotten, row level security would not be.
        assert not ReviewRepository(session).reject(person.tenant_id, [UUID(plan)], by=stranger.user_id)


def test_view_is_escaped_runs_nothing_and_marks_the_passage(
    web: Instance, person: Person, store: Callable[..., str]
) -> None:
    text = "Before.\n<script>alert(1)</script>\nAfter & on."
    plan = store("plan", title="<b>Plan</b>", content=text, url="javascript:alert(1)")
    start = text.index("After")
    browser = web.browser()
    browser.set_cookie("secondbrain_session", person.access_token, path="/api")
    answer = browser.get(f"/api/document/{plan}/view?start={start}&end={start + 7}")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script>" not in answer.text
    assert "javascript:" not in answer.text
    assert "&lt;b&gt;Plan" in answer.text
    assert '<mark id="passage">After &amp;</mark> on.' in answer.text
    for nonsense in ("?start=5", "?start=9&end=3", "?start=0&end=999999"):
        assert "<mark" not in browser.get(f"/api/document/{plan}/view{nonsense}").text


def test_list_survives_metadata_of_any_shape(
    web: Instance, person: Person, store: Callable[..., str]
) -> None:
    odd = {
        "description": ["a"],
        "folder_path": 7,
        "file_type": None,
        "recipients": "ada",
        "sender": {},
        "x": [1],
    }
    store("odd", metadata=odd, kind="code")
    (document,) = web.ok("GET", "/api/documents", person)["documents"]
    assert (document["metadata"]["description"], document["metadata"]["folder_path"]) == (None, None)
    assert document["metadata"]["file_type"] == "code"
    assert (document["recipients"], document["sender"]) == (None, None)

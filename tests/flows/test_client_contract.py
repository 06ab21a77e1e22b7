"""What existing clients read of searches, documents and conversations, call by call, of one running application."""

import io
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from backend.flows.ingest_document.store import store_all
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.tenants.instances import Instance, Person, web_instance

TEXT: Final = "# Ferries\n\nThe ferry to Zürich leaves at noon. Tickets cost 12 francs.\n"
DOCUMENT_LIST_TEXTS: Final = ("title", "summary", "source_type", "classification")
HTML: Final = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(
        database, "contract", RATE_LIMITS="search=off,changes=off", MAX_REQUEST_BYTES="200000"
    ) as made:
        yield made


@pytest.fixture
def person(web: Instance, make_document: MakeDocument) -> Person:
    made = web.sign_in()
    documents = [
        make_document("ferry", TEXT, title="Ferries: [2024] (draft)/v1"),
        make_document("bikes", "Bikes are kept in the cellar of the house.", title="Bikes"),
    ]
    with web.services.db.transaction(made.tenant_id) as session:
        store_all(session, made.tenant_id, None, documents)
    return made


def failure(
    web: Instance, person: Person | None, status: int, method: str, path: str, **more: Any
) -> dict[str, Any]:
    """The body of a refusal, whose `error` a client shows as it is."""
    answer = web.call(method, path, person, **more)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.get_json()
    assert body["success"] is False
    assert isinstance(body["error"], str)
    assert re.fullmatch(r"[A-Z_]+", body["error_code"])
    return body


def is_moment(value: object) -> bool:
    """Whether it is a time with its offset."""
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


def first_document(web: Instance, person: Person) -> dict[str, Any]:
    found: dict[str, Any] = web.ok("GET", "/api/documents?limit=100", person)["documents"][0]
    return found


# -- search


def test_search_answers_what_the_chat_page_reads(web: Instance, person: Person) -> None:
    history = [
        {"role": "user", "content": "When does the ferry leave?"},
        {"role": "assistant", "content": "At noon [[SOURCE:Ferries 2024:d1]]."},
    ]
    body = {
        "query": "When does the ferry to Zürich leave?",
        "conversation_history": history,
        "top_k": 15,
        "include_sources": True,
        "enhanced": True,
    }
    answer = web.ok("POST", "/api/search", person, json=body, headers={"X-Tenant": ""})
    assert isinstance(answer["answer"], str)
    assert re.search(r"noon\. \[Source \d+\]", answer["answer"])
    assert answer["source_count"] == len(answer["sources"]) > 0
    assert answer["query_type"] in ("enhanced_rag", "basic_rag")
    for source in answer["sources"]:
        for name in ("doc_id", "chunk_id", "title", "content", "content_preview"):
            assert isinstance(source[name], str), name
            assert source[name]
        for name in ("score", "rerank_score"):
            assert isinstance(source[name], float)
        assert source["content"].startswith(source["content_preview"])
        for name in ("file_name", "project"):
            assert isinstance(source["metadata"][name], str)
            assert source["metadata"][name]
        # A link's label and target in the client's own notation.
        assert not re.search(r"[:\[\]/]", source["metadata"]["file_name"])
        assert "]" not in source["doc_id"]
    for name in ("query", "expanded_query", "confidence", "search_time", "features_used", "context_chars"):
        assert name in answer


def test_search_that_finds_nothing_is_an_answer_too(web: Instance, person: Person) -> None:
    nothing = web.ok("POST", "/api/search", person, json={"query": "boiling point of tungsten"})
    assert (nothing["query_type"], nothing["citations"]) == ("no_results", [])
    assert nothing["answer"]
    empty = web.ok("POST", "/api/search", web.sign_in(), json={"query": "ferry"})
    assert (empty["query_type"], empty["sources"], empty["is_empty_knowledge_base"]) == (
        "onboarding",
        [],
        True,
    )


def test_search_refuses_in_words(web: Instance, person: Person) -> None:
    failure(web, person, 400, "POST", "/api/search", json={"query": "  "})
    failure(web, person, 400, "POST", "/api/search", json={})
    failure(web, person, 400, "POST", "/api/search", data="no JSON", content_type="application/json")
    failure(web, None, 401, "POST", "/api/search", json={"query": "ferry"})
    for header in ("", "Bearer", "Bearer "):
        answer = web.call("POST", "/api/search", json={"query": "x"}, headers={"Authorization": header})
        assert (answer.status_code, answer.get_json()["success"]) == (401, False)


# -- document view


def test_every_id_that_search_gives_opens(web: Instance, person: Person) -> None:
    answer = web.ok("POST", "/api/search", person, json={"query": "When does the ferry leave?"})
    browser = web.browser()
    browser.set_cookie("secondbrain_session", person.access_token, path="/api")
    for source in answer["sources"]:
        page = browser.get(f"/api/document/{quote(source['doc_id'], safe='')}/view", headers=HTML)
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert "script" not in page.headers["Content-Security-Policy"]
    for citation in answer["citations"]:
        page = browser.get(citation["view_url"].partition("localhost:5003")[2], headers=HTML)
        assert '<mark id="passage">' in page.text
    stranger = web.browser()
    stranger.set_cookie("secondbrain_session", web.sign_in().access_token, path="/api")
    for address in (answer["sources"][0]["doc_id"], str(uuid4()), "Ferries 2024"):
        page = stranger.get(f"/api/document/{quote(address)}/view", headers=HTML)
        assert (page.status_code, page.mimetype) == (404, "text/html")


def test_deleted_document_is_neither_cited_nor_shown(web: Instance, person: Person) -> None:
    listed = web.ok("GET", "/api/documents", person)["documents"]
    doc_id = next(one["id"] for one in listed if one["title"].startswith("Ferries"))
    deleted = web.ok("DELETE", f"/api/documents/{doc_id}", person)
    assert isinstance(deleted["hard_deleted"], bool)
    assert isinstance(deleted["embeddings_deleted"], int)
    browser = web.browser()
    browser.set_cookie("secondbrain_session", person.access_token, path="/api")
    assert browser.get(f"/api/document/{doc_id}/view", headers=HTML).status_code == 404
    failure(web, person, 404, "GET", f"/api/documents/{doc_id}")
    failure(web, person, 404, "DELETE", f"/api/documents/{doc_id}")
    answer = web.ok("POST", "/api/search", person, json={"query": "When does the ferry leave?"})
    assert doc_id not in {source["doc_id"] for source in answer["sources"]}


# -- documents


def test_document_list_has_what_the_page_sorts_by(web: Instance, person: Person) -> None:
    body = web.ok("GET", "/api/documents?limit=100", person)
    assert body["pagination"]["total"] == len(body["documents"]) == 2
    assert {"total", "limit", "offset", "has_more"} <= set(body["pagination"])
    for document in body["documents"]:
        for name in DOCUMENT_LIST_TEXTS:
            assert document[name] is None or isinstance(document[name], str), name
        assert UUID(document["id"])
        assert is_moment(document["created_at"])
        assert document["source_created_at"] is None or is_moment(document["source_created_at"])
        for name in ("folder_path", "file_type", "description", "url", "source_url"):
            assert document["metadata"][name] is None or isinstance(document["metadata"][name], str)
        assert "content" not in document
        for name in (
            *("tenant_id", "connector_id", "external_id", "sender", "sender_email", "recipients", "status"),
            *("classification_confidence", "classification_reason", "user_confirmed", "project_id"),
            *("is_deleted", "has_structured_summary", "structured_summary"),
        ):
            assert name in document, name


def test_document_is_shown_whole(web: Instance, person: Person) -> None:
    one = first_document(web, person)
    document = web.ok("GET", f"/api/documents/{one['id']}", person)["document"]
    assert isinstance(document["content"], str)
    assert document["content_html"] is None
    assert document["recipients"] is None or isinstance(document["recipients"], list)
    assert document["summary"] is None or isinstance(document["summary"], str)
    failure(web, person, 404, "GET", f"/api/documents/{uuid4()}")


def test_uploads_are_taken_together_and_refused_in_words(web: Instance, person: Person) -> None:
    files = [(io.BytesIO(b"Plan of the year."), "plan.txt"), (io.BytesIO(b"a,b\n1,2\n"), "table.csv")]
    # No worker runs here, so they are only taken in; what cannot be read is refused where one does.
    body = web.ok("POST", "/api/documents/upload?wait=0", person, data={"files": files})
    assert body["count"] == len(body["documents"]) == 2
    assert all({"id", "title", "status"} <= set(one) for one in body["documents"])
    failure(web, person, 400, "POST", "/api/documents/upload")
    large = {"files": [(io.BytesIO(b"x" * 300_000), "large.txt")]}
    failure(web, person, 413, "POST", "/api/documents/upload", data=large)


def test_classification_routes_answer_as_described(web: Instance, person: Person) -> None:
    doc_id = first_document(web, person)["id"]
    base = f"/api/documents/{doc_id}"
    found = web.ok("POST", f"{base}/classify", person)
    assert {"classification", "confidence", "reason", "key_indicators", "is_borderline"} <= set(
        found["classification"]
    )
    assert found["document"]["id"] == doc_id
    for method, path in (("PUT", "classify"), ("POST", "reclassify")):
        changed = web.ok(method, f"{base}/{path}", person, json={"classification": "personal"})["document"]
        assert (changed["classification"], changed["user_confirmed"]) == ("personal", True)
        assert changed["classification_confidence"] == 1.0
        failure(web, person, 400, method, f"{base}/{path}", json={"classification": "nonsense"})
    assert web.ok("POST", f"{base}/confirm", person, json={"classification": "work"})["document"]
    web.ok("POST", f"{base}/confirm", person, json={})
    web.ok("POST", f"{base}/reject", person, json={"reason": "old"})
    results = web.ok("POST", "/api/documents/classify", person, json={"limit": 10})["results"]
    assert {
        "total",
        "work",
        "personal",
        "spam",
        "unknown",
        "auto_confirmed",
        "needs_review",
        "errors",
    } <= set(results)
    many = {"document_ids": [doc_id, str(uuid4())]}
    changed = web.ok("POST", "/api/documents/bulk/classify", person, json={**many, "classification": "work"})
    assert (changed["updated_count"], changed["classification"]) == (1, "work")
    for path, name in (("confirm", "confirmed"), ("reject", "rejected"), ("delete", "deleted")):
        results = web.ok("POST", f"/api/documents/bulk/{path}", person, json=many)["results"]
        assert (results[name], results["not_found"]) == (1, 1), results
        assert results["errors"] == []


def test_review_and_statistics(web: Instance, person: Person) -> None:
    review = web.ok("GET", "/api/documents/review?limit=20&offset=0", person)
    assert isinstance(review["documents"], list)
    stats = web.ok("GET", "/api/documents/stats", person)["stats"]
    assert stats["total_documents"] == 2
    assert {"by_status", "by_classification", "needs_review", "average_confidence"} <= set(stats)


def test_all_documents_go_for_administrators_only(web: Instance, person: Person) -> None:
    failure(web, web.colleague(person, role="member"), 403, "DELETE", "/api/documents/all")
    assert web.ok("DELETE", "/api/documents/all", person)["deleted_count"] == 2


@pytest.mark.parametrize("path", ["/api/documents/debug/tenant-info", "/api/documents/migrate"])
def test_what_must_not_exist_does_not(web: Instance, person: Person, path: str) -> None:
    for method in ("GET", "POST"):
        assert web.call(method, path, person, json={}).status_code in (400, 404, 405)


# -- conversations


def test_conversations_from_the_first_to_the_last_call(web: Instance, person: Person) -> None:
    chats = "/api/chat/conversations"
    started = web.call("POST", chats, person, json={})
    assert started.status_code == 201
    chat = started.get_json()["conversation"]
    assert UUID(chat["id"])
    assert is_moment(chat["last_message_at"])
    # Nothing is said in it yet: it is not listed, and takes messages.
    assert web.ok("GET", chats, person)["conversations"] == []
    said = "When does the ferry to the other side of the lake leave, and is it far?"
    source = {"doc_id": "d", "subject": "s", "project": "p", "score": 0.5, "content": "c"}
    for role, content, sources in (
        ("user", said, []),
        ("assistant", "At noon [[SOURCE:Ferries:d]].", [source]),
    ):
        body = {"role": role, "content": content, "sources": sources}
        answer = web.call("POST", f"{chats}/{chat['id']}/messages", person, json=body)
        assert answer.status_code == 201
        assert answer.get_json()["message"]["content"] == content
    listed = web.ok("GET", chats, person)
    assert (listed["total"], listed["limit"], listed["offset"]) == (1, 50, 0)
    (shown,) = listed["conversations"]
    assert shown["title"].endswith("...")
    assert len(shown["title"]) <= 50
    assert said.startswith(shown["title"].removesuffix("..."))
    assert shown["message_count"] == 2
    for name in ("last_message_at", "created_at", "updated_at"):
        assert is_moment(shown[name])
    assert {"is_archived", "is_pinned", "tenant_id", "user_id"} <= set(shown)
    messages = web.ok("GET", f"{chats}/{chat['id']}", person)["conversation"]["messages"]
    assert [(one["role"], one["content"]) for one in messages] == [
        ("user", said),
        ("assistant", "At noon [[SOURCE:Ferries:d]]."),
    ]
    assert messages[1]["sources"] == [source]
    assert all({"id", "metadata", "created_at", "conversation_id"} <= set(one) for one in messages)
    assert web.ok("DELETE", f"{chats}/{chat['id']}", person)["success"] is True
    failure(web, person, 404, "GET", f"{chats}/{chat['id']}")
    failure(web, person, 404, "DELETE", f"{chats}/{chat['id']}")


@pytest.mark.parametrize(
    "body",
    [
        {"role": "user", "content": ""},
        {"role": "system", "content": "x"},
        {"role": "user"},
        {"role": "user", "content": "x" * 50_001},
        {"role": "user", "content": None},
    ],
)
def test_bad_messages_are_refused_in_words(web: Instance, person: Person, body: dict[str, Any]) -> None:
    chat_id = web.ok("POST", "/api/chat/conversations", person, json={})["conversation"]["id"]
    failure(web, person, 400, "POST", f"/api/chat/conversations/{chat_id}/messages", json=body)
    failure(
        web,
        person,
        404,
        "POST",
        f"/api/chat/conversations/{uuid4()}/messages",
        json={"role": "user", "content": "x"},
    )


def test_conversations_are_changed_found_archived_and_deleted(web: Instance, person: Person) -> None:
    chats = "/api/chat/conversations"
    ids = [
        web.ok("POST", chats, person, json={"title": f"Ferry {n}"})["conversation"]["id"] for n in range(2)
    ]
    for chat_id in ids:
        web.ok("POST", f"{chats}/{chat_id}/messages", person, json={"role": "user", "content": "Hello there"})
    changed = web.ok("PUT", f"{chats}/{ids[0]}", person, json={"title": "New", "is_pinned": True})
    assert (changed["conversation"]["title"], changed["conversation"]["is_pinned"]) == ("New", True)
    assert web.ok("GET", chats, person)["conversations"][0]["id"] == ids[0]
    found = web.ok("GET", "/api/chat/search?q=hello&limit=50", person)["conversations"]
    assert {one["id"] for one in found} == set(ids)
    page = web.ok("GET", f"{chats}/{ids[0]}/messages?limit=500", person)["messages"]
    assert len(page) == 1
    assert (
        web.ok("POST", f"{chats}/bulk-archive", person, json={"conversation_ids": ids})["archived_count"] == 2
    )
    assert web.ok("GET", chats, person)["conversations"] == []
    assert web.ok("GET", f"{chats}?include_archived=true", person)["total"] == 2
    assert (
        web.ok("POST", f"{chats}/bulk-delete", person, json={"conversation_ids": ids})["deleted_count"] == 2
    )


def test_feedback_is_kept_whatever_is_known_of_it(web: Instance, person: Person) -> None:
    for query, ids in (("", [None, "unknown"]), ("When?", [])):
        body = {"query": query, "answer": "At noon [[SOURCE:a:b]]", "rating": "up", "source_ids": ids}
        assert web.ok("POST", "/api/feedback", person, json=body)["feedback_id"]
    failure(web, person, 400, "POST", "/api/feedback", json={"answer": "x", "rating": "sideways"})

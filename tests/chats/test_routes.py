"""/api/chat: kept word for word, for one person, in the order in which it was said."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.chats.repository import ChatRepository, purge_empty, title_of
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, Person, problem, web_instance


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1", RATE_LIMITS="changes=off") as instance:
        yield instance


@pytest.fixture
def person(web: Instance) -> Person:
    return web.sign_in()


def start(web: Instance, person: Person, **sent: Any) -> str:
    chat: dict[str, Any] = web.ok("POST", "/api/chat/conversations", person, json=sent)["conversation"]
    return str(chat["id"])


def say(
    web: Instance, person: Person, chat: str, content: str, role: str = "user", **more: Any
) -> dict[str, Any]:
    sent = {"role": role, "content": content, **more}
    message: dict[str, Any] = web.ok("POST", f"/api/chat/conversations/{chat}/messages", person, json=sent)[
        "message"
    ]
    return message


def listed(web: Instance, person: Person, query: str = "") -> list[str]:
    body = web.ok("GET", f"/api/chat/conversations{query}", person)
    return [chat["id"] for chat in body["conversations"]]


def test_messages_come_back_word_for_word_in_their_order(web: Instance, person: Person) -> None:
    chat = start(web, person)
    answer = "Nightly, at two. [[SOURCE:backup.md:0199]]"
    sources = [{"doc_id": "0199", "subject": "backup.md", "project": "ops", "score": 0.9, "content": "…"}]
    say(web, person, chat, "  When do backups run?\n")
    say(web, person, chat, answer, "assistant", sources=sources, metadata={"k": [1]})
    whole = web.ok("GET", f"/api/chat/conversations/{chat}", person)["conversation"]
    assert [m["content"] for m in whole["messages"]] == ["  When do backups run?\n", answer]
    assert [m["sources"] for m in whole["messages"]] == [None, sources]
    assert whole["messages"][1]["metadata"] == {"k": [1]}
    assert (whole["title"], whole["message_count"]) == ("When do backups run?", 2)
    assert whole["last_message_at"].endswith("+00:00")


def test_empty_conversation_is_not_listed_but_takes_messages(web: Instance, person: Person) -> None:
    chat = start(web, person)
    assert listed(web, person) == []
    assert web.ok("GET", f"/api/chat/conversations/{chat}", person)["conversation"]["messages"] == []
    say(web, person, chat, "Hello")
    assert listed(web, person) == [chat]


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Short", "Short"),
        ("  Two\n lines ", "Two lines"),
        (
            "What is the restore time objective of the main database?",
            "What is the restore time objective of the main...",
        ),
        ("x" * 60, "x" * 47 + "..."),
        (" \n", None),
    ],
)
def test_title_is_the_beginning_of_the_first_question(content: str, title: str | None) -> None:
    assert title_of(content) == title
    assert len(title or "") <= 50


def test_given_title_stays(web: Instance, person: Person) -> None:
    chat = start(web, person, title="Mine")
    say(web, person, chat, "Hello")
    assert web.ok("GET", f"/api/chat/conversations/{chat}", person)["conversation"]["title"] == "Mine"


def test_pinned_come_first_then_the_newest_and_archived_are_left_out(web: Instance, person: Person) -> None:
    old, middle, new = (start(web, person) for _ in range(3))
    for chat in (old, middle, new):
        say(web, person, chat, "Hello")
    say(web, person, middle, "Again")
    assert listed(web, person) == [middle, new, old]
    changed = web.ok(
        "PUT", f"/api/chat/conversations/{old}", person, json={"is_pinned": True, "title": "Old"}
    )
    assert changed["conversation"]["title"] == "Old"
    assert listed(web, person) == [old, middle, new]
    assert listed(web, person, "?limit=1&offset=1") == [middle]
    body = web.ok(
        "POST", "/api/chat/conversations/bulk-archive", person, json={"conversation_ids": [new, str(uuid4())]}
    )
    assert body["archived_count"] == 1
    assert listed(web, person) == [old, middle]
    assert listed(web, person, "?include_archived=true") == [old, middle, new]
    body = web.ok(
        "POST", "/api/chat/conversations/bulk-delete", person, json={"conversation_ids": [old, new]}
    )
    assert body["deleted_count"] == 2
    web.ok("DELETE", f"/api/chat/conversations/{middle}", person)
    assert listed(web, person, "?include_archived=true") == []


def test_messages_page_from_the_end_to_the_beginning(web: Instance, person: Person) -> None:
    chat = start(web, person)
    for number in range(7):
        say(web, person, chat, str(number))
    seen: list[str] = []
    query = "?limit=3"
    while True:
        page = web.ok("GET", f"/api/chat/conversations/{chat}/messages{query}", person)
        seen = [m["content"] for m in page["messages"]] + seen
        if not page["has_more"]:
            break
        query = f"?limit=3&before_id={page['messages'][0]['id']}"
    assert seen == [str(number) for number in range(7)]


def test_messages_said_at_the_same_moment_are_all_counted(web: Instance, person: Person) -> None:
    chat = start(web, person)
    barrier = threading.Barrier(8)

    def send(number: int) -> None:
        barrier.wait()
        say(web, person, chat, str(number))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = web.ok("GET", f"/api/chat/conversations/{chat}", person)["conversation"]
    assert whole["message_count"] == len(whole["messages"]) == 8
    ids = [UUID(m["id"]) for m in whole["messages"]]
    assert ids == sorted(ids)
    assert whole["title"] == whole["messages"][0]["content"]


def test_search_finds_words_of_titles_and_messages_as_they_are(web: Instance, person: Person) -> None:
    one, two = start(web, person), start(web, person)
    say(web, person, one, "Is the discount 50% or 5_0?")
    say(web, person, two, "Hello")
    found = web.ok("GET", "/api/chat/search?q=50%25", person)["conversations"]
    assert [chat["id"] for chat in found] == [one]
    assert web.ok("GET", "/api/chat/search?q=%25%25", person)["conversations"] == []
    problem(web.call("GET", "/api/chat/search?q=a", person), 400, "VALIDATION_ERROR")


def test_nobody_else_reaches_a_conversation_not_even_a_colleague(web: Instance, person: Person) -> None:
    chat = start(web, person)
    say(web, person, chat, "A secret")
    colleague = web.colleague(person, role="admin")
    for other in (colleague, web.sign_in()):
        assert listed(web, other, "?include_archived=true") == []
        assert web.ok("GET", "/api/chat/search?q=secret", other)["conversations"] == []
        many = {"conversation_ids": [chat]}
        assert web.ok("POST", "/api/chat/conversations/bulk-delete", other, json=many)["deleted_count"] == 0
        for method, path, sent in (
            ("GET", "", None),
            ("GET", "/messages", None),
            ("PUT", "", {"title": "x"}),
            ("DELETE", "", None),
            ("POST", "/messages", {"role": "user", "content": "x"}),
        ):
            call = web.call(method, f"/api/chat/conversations/{chat}{path}", other, json=sent)
            problem(call, 404, "CHAT_NOT_FOUND")
    assert listed(web, person) == [chat]


def test_what_is_no_message_is_refused(web: Instance, person: Person) -> None:
    chat = start(web, person)
    path = f"/api/chat/conversations/{chat}/messages"
    for sent in (
        {"role": "system", "content": "x"},
        {"role": "user", "content": ""},
        {"role": "user", "content": "x" * 50_001},
        {"role": "user", "content": "a\x00b"},
        {"content": "x"},
    ):
        problem(web.call("POST", path, person, json=sent), 400, "VALIDATION_ERROR")
    assert listed(web, person) == []


def test_conversation_that_stays_empty_is_purged(own_database: TestDatabase) -> None:
    account = own_database.make_tenant()
    with own_database.db.transaction(account.tenant_id) as session:
        chats = ChatRepository(session, account.tenant_id, account.user_id)
        empty, kept = chats.start(), chats.start()
        chats.say(kept.id, role="user", content="Hello")
    with own_database.db.operator_transaction() as session:
        assert purge_empty(session, older_than=timedelta(days=1)) == 0
    with own_database.db.operator_transaction() as session:
        assert purge_empty(session, older_than=timedelta(0)) == 1
    with own_database.admin() as connection:
        assert connection.execute("SELECT id FROM chats").fetchall() == [(kept.id,)]
    assert empty.id != kept.id

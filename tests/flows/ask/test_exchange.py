"""The first question and its answer get into the conversation they belong to, once."""

import json
from typing import Any

import pytest

from tests.emulators.scripted import Reply, Request
from tests.flows.ask.conftest import Model, StoreTexts, completion, streamed
from tests.flows.ask.test_answers import LEAVE, QUESTION
from tests.tenants.instances import Instance, Person, problem

CHATS = "/api/chat/conversations"


@pytest.fixture
def person(store_texts: StoreTexts) -> Person:
    return store_texts(leave=LEAVE)


def start(web: Instance, person: Person) -> str:
    chat_id = web.ok("POST", CHATS, person, json={})["conversation"]["id"]
    assert isinstance(chat_id, str)
    return chat_id


def messages(web: Instance, person: Person, chat_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = web.ok("GET", f"{CHATS}/{chat_id}", person)["conversation"]["messages"]
    return found


def ask(web: Instance, person: Person, is_streamed: bool = False, **more: Any) -> dict[str, Any]:
    body = {"query": QUESTION, **more}
    if not is_streamed:
        return web.ok("POST", "/api/search", person, json=body)
    done: dict[str, Any] = streamed(web, person, **body)[-1][1]
    return done


@pytest.mark.parametrize("is_streamed", [False, True])
def test_first_exchange_is_kept_as_the_client_would(
    plain_web: Instance, person: Person, is_streamed: bool
) -> None:
    older, chat_id = start(plain_web, person), start(plain_web, person)
    history = [{"role": "user", "content": QUESTION}] if is_streamed else []
    answer = ask(plain_web, person, is_streamed, conversation_history=history)
    assert answer["conversation_id"] == chat_id
    asked, answered = messages(plain_web, person, chat_id)
    assert (asked["role"], asked["content"]) == ("user", QUESTION)
    assert answered["role"] == "assistant"
    doc_id = answer["sources"][0]["doc_id"]
    assert f"25 days of annual leave a year. [[SOURCE:leave:{doc_id}]]" in answered["content"]
    assert "[Source " not in answered["content"]
    assert set(answered["sources"][0]) == {"doc_id", "subject", "project", "score", "content"}
    listed = plain_web.ok("GET", CHATS, person)
    assert [(one["id"], one["title"]) for one in listed["conversations"]] == [(chat_id, QUESTION)]
    assert messages(plain_web, person, older) == []


def test_client_that_keeps_them_itself_does_not_double_them(plain_web: Instance, person: Person) -> None:
    chat_id = start(plain_web, person)
    answer = ask(plain_web, person)
    doc_id = answer["sources"][0]["doc_id"]
    theirs = answer["answer"].replace("[Source 1]", f"[[SOURCE:leave:{doc_id}]]")
    for role, content, sources in (("user", QUESTION, None), ("assistant", theirs, [{"doc_id": doc_id}])):
        body = {"role": role, "content": content, "sources": sources, "metadata": {"client": 1}}
        assert plain_web.call("POST", f"{CHATS}/{chat_id}/messages", person, json=body).status_code == 201
    kept = messages(plain_web, person, chat_id)
    assert [(one["role"], one["content"], one["metadata"]) for one in kept] == [
        ("user", QUESTION, {"client": 1}),
        ("assistant", theirs, {"client": 1}),
    ]
    assert kept[1]["sources"] == [{"doc_id": doc_id}]
    # Said again on purpose, it is a message of its own.
    again = {"role": "user", "content": QUESTION}
    assert plain_web.call("POST", f"{CHATS}/{chat_id}/messages", person, json=again).status_code == 201
    assert len(messages(plain_web, person, chat_id)) == 3
    assert plain_web.ok("GET", CHATS, person)["conversations"][0]["message_count"] == 3


def test_only_a_first_question_of_the_same_person_is_kept(plain_web: Instance, person: Person) -> None:
    chat_id = start(plain_web, person)
    later = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert ask(plain_web, person, conversation_history=later)["conversation_id"] is None
    colleague = plain_web.colleague(person, role="member")
    assert ask(plain_web, colleague)["conversation_id"] is None
    # A program with a key of the same person is not that person's browser.
    key = plain_web.ok(
        "POST", "/api/auth/api-keys", person, json={"name": "program", "scopes": ["read", "write"]}
    )
    headers = {"Authorization": f"Bearer {key['key']}"}
    by_key = plain_web.ok("POST", "/api/search", json={"query": QUESTION}, headers=headers)
    assert by_key["conversation_id"] is None
    with plain_web.database.admin() as connection:
        connection.execute(
            "UPDATE chats SET created_at = now() - interval '3 minutes' WHERE id = %s", (chat_id,)
        )
    assert ask(plain_web, person)["conversation_id"] is None
    assert messages(plain_web, person, chat_id) == []
    assert plain_web.ok("GET", CHATS, person)["conversations"] == []


def test_conversation_with_messages_is_left_alone(plain_web: Instance, person: Person) -> None:
    chat_id = start(plain_web, person)
    body = {"role": "user", "content": "Mine"}
    plain_web.call("POST", f"{CHATS}/{chat_id}/messages", person, json=body)
    assert ask(plain_web, person)["conversation_id"] is None
    assert [one["content"] for one in messages(plain_web, person, chat_id)] == ["Mine"]


def test_conversation_started_after_the_question_is_another_ones(
    web: Instance, model: Model, person: Person
) -> None:
    chats = [start(web, person)]

    def answer(request: Request) -> Reply:
        # Meanwhile, in another tab.
        chats.append(start(web, person))
        return completion("Everybody gets 25 days of leave [Source 1].")

    model.answer = answer
    assert ask(web, person)["conversation_id"] == chats[0]
    assert messages(web, person, chats[1]) == []


@pytest.mark.parametrize("is_streamed", [False, True])
def test_named_conversation_keeps_every_exchange(
    plain_web: Instance, person: Person, is_streamed: bool
) -> None:
    chat_id = start(plain_web, person)
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    for _ in range(2):
        answer = ask(plain_web, person, is_streamed, conversation_id=chat_id, conversation_history=history)
        assert answer["conversation_id"] == chat_id
    assert [one["role"] for one in messages(plain_web, person, chat_id)] == ["user", "assistant"] * 2


def test_named_conversation_must_be_ones_own_and_a_key_must_be_able_to_write(
    plain_web: Instance, person: Person
) -> None:
    chat_id = start(plain_web, person)
    colleague = plain_web.colleague(person, role="admin")
    body = {"query": QUESTION, "conversation_id": chat_id}
    problem(plain_web.call("POST", "/api/search", colleague, json=body), 404, "CHAT_NOT_FOUND")
    key = plain_web.ok("POST", "/api/auth/api-keys", person, json={"name": "program", "scopes": ["read"]})
    headers = {"Authorization": f"Bearer {key['key']}"}
    for path in ("/api/search", "/api/search/stream"):
        refused = plain_web.call("POST", path, json=body, headers=headers)
        problem(refused, 403, "KEEPING_NEEDS_WRITE")
    assert messages(plain_web, person, chat_id) == []
    assert json.loads(plain_web.call("POST", "/api/search", person, json=body).text)["success"]

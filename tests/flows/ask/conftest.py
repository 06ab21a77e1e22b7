"""A web instance with a scripted language model, and somebody whose workspace has documents."""

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from backend.flows.ingest_document.store import store_all
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server
from tests.tenants.instances import Instance, Person, web_instance

StoreTexts = Callable[..., Person]


def completion(text: object) -> Reply:
    """What a server answers that does not stream."""
    return json_reply({"choices": [{"message": {"role": "assistant", "content": text}}]})


def events(*pieces: str, end: bytes = b"data: [DONE]\n\n") -> Reply:
    """What one answers that does, one piece of text for each event."""

    def frames() -> Generator[bytes, None, None]:
        for piece in pieces:
            yield f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n".encode()
        yield end

    return Reply(headers={"content-type": "text/event-stream"}, pieces=frames())


def in_both_ways(text: str) -> Callable[[Request], Reply]:
    """A server that says `text`, at once or in pieces of seven characters as it is asked to."""

    def answer(request: Request) -> Reply:
        if json.loads(request.body).get("stream"):
            return events(*(text[start : start + 7] for start in range(0, len(text), 7)))
        return completion(text)

    return answer


class Model:
    """The scripted language model; `answer` may be changed at any time."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], Reply] = in_both_ways("")
        self.server: ScriptedServer

    def says(self, text: str) -> None:
        """From now on it says this, and has been asked nothing."""
        self.answer = in_both_ways(text)
        self.server.requests.clear()


@contextmanager
def scripted_model() -> Iterator[Model]:
    """A running one."""
    model = Model()
    with scripted_server(lambda request: model.answer(request)) as server:
        model.server = server
        yield model


@pytest.fixture(scope="package")
def model() -> Iterator[Model]:
    with scripted_model() as made:
        yield made


@pytest.fixture(scope="package")
def web(database: TestDatabase, model: Model) -> Iterator[Instance]:
    """An instance that asks the scripted model."""
    settings = {"LLM_BASE_URL": f"{model.server.base_url}/v1", "LLM_MODEL": "scripted"}
    with web_instance(database, "asks", RATE_LIMITS="search=off,changes=off", **settings) as instance:
        yield instance


@pytest.fixture(scope="package")
def plain_web(database: TestDatabase) -> Iterator[Instance]:
    """An instance without a model."""
    with web_instance(database, "extracts", RATE_LIMITS="search=off,changes=off") as instance:
        yield instance


@pytest.fixture
def store_texts(web: Instance, make_document: MakeDocument) -> StoreTexts:
    """Stores texts by title in a workspace of its own; who is signed in there."""

    def store(**texts: str) -> Person:
        person = web.sign_in()
        documents = [make_document(title, text, title=title) for title, text in texts.items()]
        with web.services.db.transaction(person.tenant_id) as session:
            store_all(session, person.tenant_id, None, documents)
        return person

    return store


def streamed(web: Instance, person: Person, **body: Any) -> list[tuple[str, Any]]:
    """The events of a streamed answer: (name, data); comments are left out."""
    answer = web.call("POST", "/api/search/stream", person, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/event-stream"
    frames = [frame.split("\n") for frame in answer.text.split("\n\n") if frame]
    return [
        (frame[0].removeprefix("event: "), json.loads(frame[1].removeprefix("data: ")))
        for frame in frames
        if not frame[0].startswith(":")
    ]

"""Streamed answers through a real web process: as they are written, and not for somebody who has gone."""

import json
import threading
import time
from collections.abc import Generator, Iterator
from functools import partial

import httpx2
import pytest

from backend.db.embedded import EmbeddedPostgres
from backend.flows.ingest_document.store import store_all
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.e2e.conftest import Client, Fleet, eventually, running_fleet
from tests.emulators.github_seed import Seed
from tests.emulators.scripted import Reply, Request, scripted_server
from tests.flows.ask.conftest import Model

QUESTION = {"query": "How many days of annual leave does everybody get?"}
TEXT = "\n\n".join(
    f"Team number {number} gets {20 + number} days of annual leave." for number in range(1, 16)
)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    made = Model()
    with scripted_server(lambda request: made.answer(request)) as server:
        made.server = server
        yield made


@pytest.fixture(scope="module")
def fleet(server: EmbeddedPostgres, model: Model) -> Iterator[Fleet]:
    settings = {"LLM_BASE_URL": f"{model.server.base_url}/v1", "LLM_MODEL": "scripted"}
    with running_fleet(server, Seed(()), instances=1, **settings) as made:
        yield made


@pytest.fixture(scope="module")
def client(fleet: Fleet, make_document: MakeDocument) -> Client:
    made = fleet.sign_up()
    with fleet.database.db.transaction(made.tenant_id) as session:
        store_all(session, made.tenant_id, None, [make_document("leave", TEXT, title="leave")])
    return made


def sentence(number: int) -> bytes:
    """An event with a whole sentence; its source is named by whoever asks."""
    words = f"Team number {number} gets {20 + number} days of annual leave. [Source 1]\n"
    return f"data: {json.dumps({'choices': [{'delta': {'content': words}}]})}\n\n".encode()


def streaming(pieces: Generator[bytes, None, None]) -> Reply:
    return Reply(headers={"content-type": "text/event-stream"}, pieces=pieces)


def test_sentences_arrive_while_the_model_still_writes(client: Client, model: Model) -> None:
    go_on = threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        yield sentence(1)
        # Nothing more until the first sentence has come through.
        assert go_on.wait(30)
        yield sentence(2)
        yield b"data: [DONE]\n\n"

    def answer(request: Request) -> Reply:
        return streaming(pieces())

    model.answer = answer
    url = f"{client.fleet.web[0]}/api/search/stream"
    heard: list[str] = []
    with httpx2.stream("POST", url, json=QUESTION, headers=client.headers, timeout=30) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for event in httpx2.EventSource(response):
            heard.append(event.event)
            if event.event == "sentence":
                go_on.set()
    assert heard == ["sources", "sentence", "citation", "sentence", "citation", "done"]


def test_model_is_hung_up_on_when_its_reader_goes_away(client: Client, model: Model) -> None:
    hung_up = threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        try:
            number = 0
            while True:
                number += 1
                yield sentence(1 + number % 15)
                time.sleep(0.02)
        finally:
            hung_up.set()

    model.answer = lambda _: streaming(pieces())
    url = f"{client.fleet.web[0]}/api/search/stream"
    with httpx2.stream("POST", url, json=QUESTION, headers=client.headers, timeout=30) as response:
        assert next(iter(httpx2.EventSource(response))).event == "sources"
    assert hung_up.wait(30)
    eventually(partial(_nothing_open, client), "the stream to be closed")
    # And the process serves on.
    assert client.ok("GET", "/api/auth/me")["success"]


def test_silent_model_holds_up_nobody_else(client: Client, model: Model) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def answer(request: Request) -> Reply:
        asked.set()
        go_on.wait(30)
        return Reply(401)

    model.answer = answer
    url = f"{client.fleet.web[0]}/api/search/stream"
    with httpx2.stream("POST", url, json=QUESTION, headers=client.headers, timeout=30) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: sources"
        assert asked.wait(30)
        assert client.ok("GET", "/api/auth/me")["success"]
        with client.fleet.database.admin() as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'web1'"
                " AND state IN ('active', 'idle in transaction')"
            ).fetchone()
        assert row == (0,)
        # A heartbeat comes while nothing else does.
        assert any(line.startswith(": ") for line in lines if line.startswith((": ", "event: done")))
        go_on.set()
        assert "event: done" in list(lines)


def _nothing_open(client: Client) -> bool:
    metrics = httpx2.get(f"{client.fleet.web[0]}/metrics", timeout=10).text
    return "secondbrain_open_answer_streams 0.0" in metrics

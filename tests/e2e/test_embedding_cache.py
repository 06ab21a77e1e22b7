"""A remote embedding server and three web instances: a question is paid for once, wherever it is asked."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from tests.e2e.conftest import Client, Fleet, free_ports
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

DIMENSIONS: Final = 16


def vectors(request: Request) -> Reply:
    """One vector per text, as OpenAI's interface gives them."""
    texts = json.loads(request.body)["input"]
    rows = [np.random.default_rng(abs(hash(text))).standard_normal(DIMENSIONS).tolist() for text in texts]
    return json_reply({"data": [{"index": place, "embedding": row} for place, row in enumerate(rows)]})


@pytest.fixture
def embedding_server() -> Iterator[ScriptedServer]:
    with scripted_server(vectors) as server:
        yield server


@pytest.fixture
def remote_fleet(fleet: Fleet, embedding_server: ScriptedServer) -> Iterator[Fleet]:
    """Three more instances on the fleet's database, which embed at `embedding_server`."""
    shared, *own = free_ports(4)
    env = {
        **fleet.env,
        "PORT": str(shared),
        "PUBLIC_URL": f"http://localhost:{shared}",
        "EMBEDDING_BASE_URL": embedding_server.base_url,
        "EMBEDDING_MODEL": "scripted",
        "EMBEDDING_DIMENSIONS": str(DIMENSIONS),
    }
    web = [f"http://127.0.0.1:{port}" for port in own]
    made = replace(fleet, env=env, web=web, web_processes=[], workers=[], shared=env["PUBLIC_URL"])
    try:
        for number in range(3):
            made.start_web(number)
        made.wait_until_ready()
        yield made
    finally:
        made.stop()


def texts_of(server: ScriptedServer) -> list[str]:
    """Every text the server was sent."""
    return [text for request in server.requests for text in json.loads(request.body)["input"]]


def ask(client: Client, question: str, at: int) -> None:
    client.ok("POST", "/api/search", at=at, json={"query": question})


def test_question_asked_at_three_instances_is_embedded_once(
    remote_fleet: Fleet, embedding_server: ScriptedServer
) -> None:
    client = remote_fleet.sign_up()
    for at in (0, 1, 2, 0):
        ask(client, "How long did the drill take?", at)
    assert texts_of(embedding_server) == ["How long did the drill take?"]

    at_once = [
        threading.Thread(target=ask, args=(client, "Which node was first?", number % 3))
        for number in range(12)
    ]
    for thread in at_once:
        thread.start()
    for thread in at_once:
        thread.join()
    assert texts_of(embedding_server)[1:] == ["Which node was first?"]

    ask(remote_fleet.sign_up(), "Which node was first?", 1)
    assert len(texts_of(embedding_server)) == 3, "another workspace pays for its own"
    metrics = client.call("GET", "/metrics", at=0).text
    assert 'secondbrain_embedding_cache_lookups_total{outcome="memory"}' in metrics

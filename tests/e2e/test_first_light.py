"""The main job, across three instances and a worker: connect, sync, follow, ask."""

import threading
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Client, Fleet, eventually
from tests.e2e.events import events
from tests.e2e.steps import CONNECTED, error_in, follow, status_of, stored_ids, wait_until_completed


@pytest.fixture
def client(fleet: Fleet) -> Client:
    return fleet.sign_up()


@pytest.fixture(scope="module")
def worker(fleet: Fleet) -> None:
    fleet.start_worker()


@pytest.mark.usefixtures("worker")
def test_connect_on_three_instances_sync_follow_and_ask(fleet: Fleet, client: Client) -> None:
    assert client.connect_github(auth_at=0, begin_at=1, callback_at=2) == CONNECTED

    started = client.ok("POST", "/api/integrations/github/sync", at=1)
    seen = follow(client, started["sync_id"], at=2, headers=client.headers)

    assert [event.id for event in seen] == sorted(event.id for event in seen)
    assert seen[0].name == "current_state"
    assert seen[-1].name == "complete", seen[-1]
    assert seen[-1].data["percent_complete"] == 100
    assert seen[-1].data["failed_items"] == 0

    assert sorted(stored_ids(client)) == sorted(fleet.seed.external_ids())
    status = wait_until_completed(client, at=0)
    assert status["documents_embedded"] == len(fleet.seed.external_ids())

    for external_id, sentence in list(fleet.seed.sentences().items())[::7]:
        answer = client.ok("POST", "/api/search", at=0, json={"query": sentence})
        for citation in answer["citations"]:
            source = answer["sources"][citation["source"] - 1]
            assert citation["chunk_id"] == source["chunk_id"]
            assert folded(citation["sentence"]) in folded(source["content"])
            assert f"[Source {citation['source']}]" in answer["answer"]
        best = answer["citations"][0]
        assert sentence in folded(answer["sources"][best["source"] - 1]["content"]), (external_id, answer)
        document = client.ok("GET", f"/api/documents/{best['doc_id']}", at=1)["document"]
        assert document["external_id"] == external_id


@pytest.mark.usefixtures("worker")
def test_sync_fills_the_graph_and_deleting_takes_back(fleet: Fleet, client: Client) -> None:
    client.connect_github()
    fleet.start_worker()
    client.ok("POST", "/api/integrations/github/sync")
    wait_until_completed(client)

    def entities(kind: str, *, at: int) -> dict[str, str]:
        found = client.ok("GET", f"/api/knowledge/entities?kind={kind}&limit=200", at=at)["entities"]
        return {entity["external_key"]: entity["id"] for entity in found}

    documents = entities("document", at=0)
    assert documents.keys() == set(fleet.seed.external_ids())
    repositories = entities("repository", at=1)
    assert repositories.keys() == {repository.full_name for repository in fleet.seed.repositories}
    people = entities("person", at=2)
    assert people

    shown = {d["external_id"]: d for d in client.ok("GET", "/api/documents?limit=200", at=1)["documents"]}
    assert people.keys() == {d["sender"] for d in shown.values() if d["sender"]}
    for name, repository in repositories.items():
        path = f"/api/knowledge/graph/neighbours?entity={repository}&limit=500"
        around = client.ok("GET", path, at=2)
        assert {n["external_key"] for n in around["neighbours"]} == {
            external_id for external_id, d in shown.items() if d["metadata"]["repository"] == name
        }

    gone = next(external_id for external_id, d in shown.items() if d["sender"])
    client.ok("DELETE", f"/api/documents/{shown[gone]['id']}", at=0)
    assert entities("document", at=1).keys() == documents.keys() - {gone}


@pytest.mark.usefixtures("worker")
def test_sync_again_stores_nothing_and_stays_connected(fleet: Fleet, client: Client) -> None:
    client.connect_github()
    fleet.start_worker()
    client.ok("POST", "/api/integrations/github/sync")
    first = wait_until_completed(client)
    client.ok("POST", "/api/integrations/github/sync", at=1)
    again = wait_until_completed(client, at=2)
    assert again["run_id"] != first["run_id"]
    # The second one asks for changes: no file has changed, and threads of the last minutes are as they were.
    assert again["documents_found"] <= sum(":file:" not in one for one in fleet.seed.external_ids())
    assert again["documents_skipped"] == again["documents_found"]
    assert again["chunks_created"] == 0
    github = next(
        i for i in client.ok("GET", "/api/integrations", at=2)["integrations"] if i["type"] == "github"
    )
    assert (github["status"], github["account"]) == ("connected", "octocat")
    assert "token" not in str(github).lower()


def test_start_twice_at_once_joins_one_run(fleet: Fleet, client: Client) -> None:
    client.connect_github()
    fleet.gate.close_on("/")
    try:
        answers: list[dict[str, Any]] = []
        threads = [
            threading.Thread(
                target=lambda at=at: answers.append(client.ok("POST", "/api/integrations/github/sync", at=at))
            )
            for at in (0, 1, 2, 0, 1, 2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({a["run_id"] for a in answers}) == 1
        assert sorted(a["already_running"] for a in answers) == [False] + [True] * 5
        with fleet.database.admin() as connection:
            jobs = connection.execute(
                "SELECT count(*) FROM jobs WHERE tenant_id = %s", (client.tenant_id,)
            ).fetchone()
        assert jobs == (1,)
    finally:
        client.ok("POST", "/api/integrations/github/sync/cancel", at=2)
        fleet.gate.open()
    eventually(lambda: status_of(client)["status"] == "error", "the sync to be cancelled")
    assert status_of(client, at=1)["error"] == "Sync cancelled"


@pytest.mark.usefixtures("worker")
def test_follow_by_name_alone_resumes_and_shows_no_titles(fleet: Fleet, client: Client) -> None:
    client.connect_github()
    fleet.start_worker()
    fleet.gate.close_on("/repos/octocat/handbook/issues?")
    name = client.ok("POST", "/api/integrations/github/sync")["sync_id"]
    assert fleet.gate.somebody_waits.wait(30)
    url = f"{fleet.web[1]}/api/sync-progress/{name}/stream"
    with httpx2.stream("GET", url, timeout=30) as response:
        first = next(events(response))
    assert first.name == "current_state"
    assert first.data["current_item"] is None
    fleet.gate.open()

    seen = follow(client, name, at=2, headers={"Last-Event-ID": str(first.id)})
    assert seen[-1].name == "complete"
    assert seen[-1].id > first.id
    assert all(event.data["current_item"] is None for event in seen)

    # A browser that comes back after the last event is told not to.
    again = httpx2.get(url, headers={"Last-Event-ID": str(seen[-1].id)})
    assert again.status_code == 204
    # One that missed it gets it again.
    late = follow(client, name, at=0)
    assert [event.name for event in late] == ["current_state", "complete"]


def test_follow_refuses_other_tenants_and_invented_names(fleet: Fleet, client: Client) -> None:
    client.connect_github()
    fleet.gate.close_on("/")
    started = client.ok("POST", "/api/integrations/github/sync")
    stranger = fleet.sign_up(1)
    for name in (started["sync_id"], started["run_id"]):
        answer = stranger.call("GET", f"/api/sync-progress/{name}/stream", at=2)
        assert answer.status_code == 404
        assert answer.json()["error"]
        assert stranger.call("GET", f"/api/sync-progress/{name}").status_code == 404
    # Without signing in, the plain id opens nothing, and neither does an altered name.
    name = started["sync_id"]
    forged = name[:-2] + ("A" if name[-2] != "A" else "B") + name[-1]
    for invented in (started["run_id"], forged, "nothing"):
        url = f"{fleet.web[0]}/api/sync-progress/{invented}/stream"
        assert httpx2.get(url).status_code == 404
    client.ok("POST", "/api/integrations/github/sync/cancel")
    fleet.gate.open()


def test_logout_ends_the_token_on_every_instance(fleet: Fleet) -> None:
    client = fleet.sign_up(0)
    assert client.call("GET", "/api/auth/me", at=1).status_code == 200
    client.ok("POST", "/api/auth/logout", at=2)
    for at in range(3):
        answer = client.call("GET", "/api/auth/me", at=at)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "SESSION_REVOKED")


def test_callback_refuses_replay_and_other_browsers(fleet: Fleet, client: Client) -> None:
    with httpx2.Client(timeout=30) as browser, httpx2.Client(timeout=30) as other:
        callback = client.authorize(browser)
        stolen = other.get(client.at(callback, 2)).headers["location"]
        assert error_in(stolen) == "This connection attempt was started in another browser."
        assert browser.get(client.at(callback, 0)).headers["location"] == CONNECTED
        for at in range(3):
            replayed = browser.get(client.at(callback, at)).headers["location"]
            assert error_in(replayed) == "This connection attempt was already used; start again."


def test_shared_port_is_served_by_several_instances(fleet: Fleet) -> None:
    answered = {httpx2.get(f"{fleet.shared}/api/health").json()["instance"] for _ in range(60)}
    assert len(answered) > 1


def folded(text: str) -> str:
    """The text with its white space folded."""
    return " ".join(text.split())

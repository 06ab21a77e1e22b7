"""What syncs did, and what cannot be taken now, as people see it."""

from collections.abc import Iterator
from typing import Any

import pytest

from backend.connectors.providers.contract import ItemUnreadable
from backend.keyring import Keyring
from backend.sync.repository import SyncRunRepository
from tests.conftest import TestDatabase
from tests.flows.sync_connector.scene import CountingEmbedder, Scene, Shown, item
from tests.tenants.instances import Instance, Person, problem, web_instance

GITHUB = "/api/integrations/github"


@pytest.fixture(scope="module")
def database(module_database: TestDatabase) -> TestDatabase:
    return module_database


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1") as instance:
        yield instance


@pytest.fixture
def scene(database: TestDatabase, keyring: Keyring) -> Scene:
    with database.admin() as connection:
        connection.execute("DELETE FROM jobs")
        connection.execute("DELETE FROM tenants")
    return Scene(database, keyring, CountingEmbedder())


@pytest.fixture
def person(web: Instance, scene: Scene) -> Person:
    return web.sign_in(scene.account)


def bad(number: int) -> Shown:
    return (f"bad-{number:02}", ItemUnreadable("It is encrypted."))


def paged(web: Instance, person: Person, path: str, what: str, limit: int) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        body = web.ok("GET", f"{path}?limit={limit}&cursor={cursor}", person)
        assert len(body[what]) <= limit
        found += body[what]
        cursor = body["next_cursor"]
        if cursor is None:
            return found


def test_runs_are_listed_page_by_page_with_who_when_why(scene: Scene, web: Instance, person: Person) -> None:
    made = [str(scene.sync([item(number)]).id) for number in range(5)]
    shown = paged(web, person, f"{GITHUB}/sync/runs", "runs", 2)
    assert [run["id"] for run in shown] == made[::-1]
    newest = shown[0]
    assert (newest["state"], newest["trigger"], newest["stored"]) == ("completed", "user", 1)
    assert (newest["requested_by"], newest["requested_by_name"]) == (str(person.user_id), "Test User")
    assert newest["created_at"] <= newest["started_at"] <= newest["finished_at"]
    stranger = web.sign_in()
    problem(web.call("GET", f"{GITHUB}/sync/runs", stranger), 404, "NOT_CONNECTED")
    problem(web.call("GET", f"{GITHUB}/sync/runs/{made[0]}", stranger), 404, "SYNC_RUN_NOT_FOUND")
    problem(web.call("GET", f"/api/integrations/box/sync/runs/{made[0]}", person), 404, "SYNC_RUN_NOT_FOUND")


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%FF", "MjAyNi0wMS0wMSB4", "AA=="])
def test_cursor_that_is_not_ours_is_refused(scene: Scene, web: Instance, person: Person, cursor: str) -> None:
    problem(web.call("GET", f"{GITHUB}/sync/runs?cursor={cursor}", person), 400, "CURSOR_INVALID")


def test_run_tells_how_it_came_to_its_state_and_what_it_could_not_take(
    scene: Scene, web: Instance, person: Person
) -> None:
    run = scene.sync([item(1), *(bad(number) for number in range(5))])
    path = f"{GITHUB}/sync/runs/{run.id}"
    body = web.ok("GET", path, person)
    assert [t["state"] for t in body["transitions"]] == ["queued", "running", "completed_with_errors"]
    assert body["transitions"][0]["actor"] == f"user {person.user_id}"
    assert body["transitions"][1]["actor"].startswith("worker ")
    failures = paged(web, person, path, "failures", 2)
    assert [f["external_id"] for f in failures] == [f"bad-{n:02}" for n in range(5)]
    assert (failures[0]["stage"], failures[0]["reason"]) == ("fetch", "It is encrypted.")


def test_failing_items_are_listed_and_made_due(scene: Scene, web: Instance, person: Person) -> None:
    scene.sync([item(1), *(bad(number) for number in range(5))])
    assert web.ok("GET", f"{GITHUB}/sync/status", person)["status"]["failing_count"] == 5
    items = paged(web, person, f"{GITHUB}/items/failing", "items", 2)
    assert [one["external_id"] for one in items] == [f"bad-{n:02}" for n in range(5)]
    assert (items[0]["title"], items[0]["stage"], items[0]["attempts"]) == ("bad-00", "fetch", 1)
    assert items[0]["next_try_at"] > items[0]["failed_at"]
    one = web.ok("POST", f"{GITHUB}/items/retry", person, json={"external_ids": ["bad-03", "nothing"]})
    assert one["count"] == 1
    scene.source.stored["bad-03"] = item(3)
    scene.source.read_ids.clear()
    scene.sync()
    assert scene.source.read_ids == ["bad-03"]
    assert web.ok("GET", f"{GITHUB}/sync/status", person)["status"]["failing_count"] == 4
    assert web.ok("POST", f"{GITHUB}/items/retry", person, json={})["count"] == 4
    due = web.ok("GET", f"{GITHUB}/items/failing", person)
    assert due["total"] == 4
    stranger = web.sign_in()
    problem(web.call("POST", f"{GITHUB}/items/retry", stranger, json={}), 404, "NOT_CONNECTED")


def test_interrupted_run_is_an_error_that_promises_to_go_on(
    scene: Scene, web: Instance, person: Person
) -> None:
    run = scene.start()
    with scene.db.transaction(scene.tenant_id) as session:
        SyncRunRepository(session).interrupt(scene.tenant_id, run.id, "The provider does not answer.")
    status = web.ok("GET", f"{GITHUB}/sync/status", person)["status"]
    sentence = "The provider does not answer. Nothing is lost: the next sync goes on from there."
    assert (status["status"], status["state"], status["error"]) == ("error", "interrupted", sentence)
    assert web.ok("GET", f"{GITHUB}/status", person)["connector"]["error_message"] == sentence


def test_sync_takes_what_existing_clients_send(scene: Scene, web: Instance, person: Person) -> None:
    for body in ({}, {"full_sync": True, "since": "2026-01-01T00:00:00Z"}, {"since": "2026-01-01"}):
        answer = web.ok("POST", f"{GITHUB}/sync", person, json=body)
        assert answer["connector_id"] == str(scene.connector.id)
        assert answer["ignored"] == (["since"] if "since" in body else [])
        assert ("`since` changes nothing" in answer["message"]) is ("since" in body)
    joined = web.ok("POST", f"{GITHUB}/sync", person, json={"full_sync": True})
    assert (joined["already_running"], joined["ignored"]) == (True, [])
    assert "everything" in joined["message"]
    problem(web.call("POST", f"{GITHUB}/sync", person, json={"since": "x"}), 400, "VALIDATION_ERROR")


def test_cancel_all_stops_what_runs(scene: Scene, web: Instance, person: Person) -> None:
    run = scene.start()
    answer = web.ok("POST", "/api/integrations/sync/cancel-all", person)
    assert answer["cancelled"] == ["github"]
    assert scene.now(run).state == "cancelled"
    assert web.ok("POST", "/api/integrations/sync/cancel-all", person)["cancelled"] == []

"""Disconnecting keeps or deletes the documents; deleting survives its workers, and connecting again waits for it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.repository import ConnectorRepository
from backend.documents.listing.repository import DocumentListing
from backend.documents.repository import DocumentRepository
from backend.flows.disconnect_source import handler as forgetting
from backend.flows.disconnect_source.flow import FORGET_KIND
from backend.flows.disconnect_source.handler import ForgetSourceHandler
from backend.flows.sync_connector.flow import JOB_KIND
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.keyring import Keyring
from backend.lifeline import die_with_parent
from tests.conftest import KEYS, TestDatabase
from tests.flows.sync_connector.scene import TOKEN, CountingEmbedder, Scene, item
from tests.tenants.instances import Instance, Person, web_instance

ROOT = Path(__file__).parents[3]
DISCONNECT = "/api/integrations/github/disconnect"


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


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)


def fill(scene: Scene, count: int = 5) -> None:
    scene.sync([item(number) for number in range(count)])
    assert len(scene.stored()) == count


def github(web: Instance, person: Person) -> dict[str, Any]:
    view: dict[str, Any] = web.ok("GET", "/api/integrations/github/status", person)["connector"]
    return view


def claim(scene: Scene, kind: str) -> Claim:
    with scene.database.admin() as connection:
        connection.execute("UPDATE jobs SET run_at = now() WHERE state = 'queued'")
    with scene.db.operator_transaction() as session:
        (claimed,) = JobRepository(session).claim(scene.worker_id, (kind,))
    return claimed


def forget(scene: Scene, should_stop: Callable[[], bool] = lambda: False) -> None:
    ForgetSourceHandler(scene.db).run(claim(scene, FORGET_KIND), should_stop)


def count(scene: Scene, table: str) -> int:
    with scene.database.admin() as connection:
        row = connection.execute(
            f"SELECT count(*) FROM {table} WHERE tenant_id = %s".encode(), (scene.tenant_id,)
        ).fetchone()
    assert row is not None
    return int(str(row[0]))


def test_kept_documents_stay_and_are_taken_up_again(scene: Scene, web: Instance, person: Person) -> None:
    fill(scene)
    answer = web.ok("POST", DISCONNECT, person, json={})
    assert (answer["removing"], len(scene.stored())) == (False, 5)
    assert github(web, person)["total_items_synced"] == 5
    scene.connect(scene.account)
    scene.source.read_ids.clear()
    run = scene.sync([item(number) for number in range(5)])
    assert (run.state, run.unchanged_count, scene.source.read_ids) == ("completed", 5, [])


@pytest.mark.usefixtures("small_batches")
def test_deleting_goes_on_where_it_was_and_tells_how_far_it_is(
    scene: Scene, web: Instance, person: Person
) -> None:
    fill(scene)
    with scene.db.transaction(scene.tenant_id) as session:
        (deleted,) = DocumentListing(session).list_ids(scene.tenant_id, limit=1)
        DocumentRepository(session).delete(scene.tenant_id, deleted)
    answer = web.ok("POST", DISCONNECT, person, json={"documents": "delete"})
    assert (answer["success"], answer["removing"]) == (True, True)
    assert github(web, person)["removal"] == {"state": "running", "removed": 0, "total": 5, "error": None}
    # Asked for again, it is the same removal.
    web.ok("POST", DISCONNECT, person, json={"documents": "delete"})
    steps = iter((False, False, False, True))
    forget(scene, lambda: next(steps))
    shown = github(web, person)["removal"]
    assert (shown["state"], shown["total"]) == ("running", 5)
    assert 0 < shown["removed"] < 5
    forget(scene)
    assert github(web, person)["removal"] is None
    for table in ("documents", "chunks", "sync_items", "graph_evidence"):
        assert count(scene, table) == 0
    with scene.database.admin() as connection:
        row = connection.execute(
            "SELECT state, removed, total FROM ops.source_removals WHERE tenant = %s", (scene.account.slug,)
        ).fetchone()
        jobs = connection.execute(
            "SELECT count(*) FROM jobs WHERE kind = 'forget_source' AND tenant_id = %s", (scene.tenant_id,)
        ).fetchone()
    assert row == ("done", 5, 5)
    assert jobs == (1,)
    # Everything is read anew, what somebody had deleted too.
    scene.connect(scene.account)
    run = scene.sync([item(number) for number in range(5)])
    assert (run.stored_count, run.is_full, len(scene.stored())) == (5, True, 5)


def test_documents_of_others_stay(scene: Scene, web: Instance, person: Person) -> None:
    fill(scene)
    other = Scene(scene.database, scene.keyring, CountingEmbedder())
    fill(other, 3)
    web.ok("POST", DISCONNECT, person, json={"documents": "delete"})
    forget(scene)
    assert (len(scene.stored()), len(other.stored())) == (0, 3)


def test_sync_that_was_running_ends_first_and_what_it_stored_goes_too(
    scene: Scene, web: Instance, person: Person
) -> None:
    fill(scene, 2)

    def disconnect() -> None:
        web.ok("POST", DISCONNECT, person, json={"documents": "delete"})
        # It waits for the sync.
        forget(scene)
        assert github(web, person)["removal"]["state"] == "running"

    scene.source.steps[:] = [[item(2)], disconnect, [item(3)]]
    scene.source.is_full = True
    run = scene.start(is_full=True)
    scene.work()
    assert scene.now(run).state == "cancelled"
    forget(scene)
    assert (scene.stored(), count(scene, "sync_items")) == ([], 0)
    with scene.database.admin() as connection:
        row = connection.execute(
            "SELECT state, removed = total FROM ops.source_removals WHERE tenant = %s", (scene.account.slug,)
        ).fetchone()
    assert row == ("done", True)


@pytest.mark.usefixtures("small_batches")
def test_connecting_again_is_allowed_and_its_sync_waits(scene: Scene, web: Instance, person: Person) -> None:
    fill(scene)
    web.ok("POST", DISCONNECT, person, json={"documents": "delete"})
    steps = iter((False, False, False, True))
    forget(scene, lambda: next(steps))
    scene.connect(scene.account)
    assert github(web, person)["status"] == "connected"
    scene.source.steps[:] = [[item(number) for number in range(5)]]
    scene.source.cursors.clear()
    run = scene.start()
    scene.handler.run(claim(scene, JOB_KIND), lambda: False)
    waiting = scene.now(run)
    assert (waiting.state, scene.source.cursors) == ("waiting", [])
    assert "deleted" in str(waiting.note)
    forget(scene)
    scene.handler.run(claim(scene, JOB_KIND), lambda: False)
    done = scene.now(run)
    assert (done.state, done.stored_count, len(scene.stored())) == ("completed", 5, 5)


def test_removal_that_is_given_up_says_so_and_can_be_asked_for_again(
    scene: Scene, web: Instance, person: Person
) -> None:
    fill(scene)
    web.ok("POST", DISCONNECT, person, json={"documents": "delete"})
    with scene.db.transaction(scene.tenant_id) as session:
        args = {"connector_id": str(scene.connector.id)}
        ForgetSourceHandler(scene.db).on_given_up(session, scene.tenant_id, args, "It was tried too often.")
    assert github(web, person)["removal"]["error"] == "It was tried too often."
    claim(scene, FORGET_KIND)
    web.ok("POST", DISCONNECT, person, json={"documents": "delete"})
    forget(scene)
    assert (scene.stored(), github(web, person)["removal"]) == ([], None)


def test_disconnect_ends_sync_and_schedule_and_credentials(
    scene: Scene, web: Instance, person: Person
) -> None:
    web.ok("PUT", "/api/integrations/github/schedule", person, json={"every_minutes": 30})
    run = scene.start()
    web.ok("POST", DISCONNECT, person)
    assert scene.now(run).state == "cancelled"
    assert (count(scene, "schedules"), count(scene, "credentials")) == (0, 0)
    again = web.ok("POST", DISCONNECT, person)
    assert (again["revoked"], again["message"]) == (True, "Disconnected.")


def test_where_to_end_the_access_is_told_where_we_cannot(web: Instance, scene: Scene, person: Person) -> None:
    with web.services.db.transaction(person.tenant_id) as session:
        connector = ConnectorRepository(session).connect(
            person.tenant_id, "onedrive", connected_by=person.user_id, account_id="1", account_label="Ada"
        )
        CredentialRepository(session, web.services.keyring).store(
            person.tenant_id, connector.id, TOKEN.to_json(), expires_at=None
        )
    answer = web.ok("POST", "/api/integrations/onedrive/disconnect", person)
    assert answer["revoked"] is False
    assert "https://myapps.microsoft.com" in answer["message"]
    assert "https://account.live.com" in answer["message"]


def test_worker_killed_in_between_and_another_finishes(
    scene: Scene, web: Instance, person: Person, database: TestDatabase
) -> None:
    """Real workers: one is killed while it waits for a document that somebody holds."""
    fill(scene, 2)
    with database.admin() as connection:
        connection.execute(
            "INSERT INTO documents (tenant_id, connector_id, external_id, source_type, kind, title, file_name, mime_type,"
            " content, content_sha256, byte_size) SELECT %s, %s, 'more-' || lpad(n::text, 3, '0'), 'github', 'doc', 'x',"
            " 'x', 'text/plain', 'x', sha256('x'), 1 FROM generate_series(1, 128) AS n",
            (scene.tenant_id, scene.connector.id),
        )
        # The first batch goes, the second has this document and waits.
        last = connection.execute(
            "SELECT id FROM documents WHERE tenant_id = %s ORDER BY external_id DESC LIMIT 1",
            (scene.tenant_id,),
        ).fetchone()
        assert last is not None
        web.ok("POST", DISCONNECT, person, json={"documents": "delete"})
        with connection.transaction():
            connection.execute("SELECT 1 FROM documents WHERE id = %s FOR UPDATE", last)
            with worker(database) as victim:
                until(lambda: github(web, person)["removal"]["removed"] == 100, "the first batch to go")
                until(lambda: _is_waiting(database), "the worker to wait")
                os.killpg(victim.pid, signal.SIGKILL)
                victim.wait()
    assert len(scene.stored()) == 30
    with worker(database):
        until(lambda: github(web, person)["removal"] is None, "another worker to finish")
    assert (scene.stored(), count(scene, "chunks")) == ([], 0)
    with database.admin() as connection:
        row = connection.execute(
            "SELECT state, removed, total FROM ops.source_removals WHERE tenant = %s", (scene.account.slug,)
        ).fetchone()
    assert row == ("done", 130, 130)


@contextlib.contextmanager
def worker(database: TestDatabase) -> Iterator["subprocess.Popen[bytes]"]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    env = {"DATABASE_URL": database.url, "SECRET_KEYS": KEYS, "LEASE_SECONDS": "2", "LOG_LEVEL": "error"}
    process = subprocess.Popen(
        [sys.executable, "-m", "backend.cli", "worker"],
        cwd=ROOT,
        env={**keep, **env},
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )
    try:
        yield process
    finally:
        # The number of one that has been waited for may be somebody else's by now.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_waiting(database: TestDatabase) -> bool:
    with database.admin() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'",
            (database.name,),
        ).fetchone()
    return row is not None and int(str(row[0])) > 0


def until(is_true: Callable[[], bool], what: str, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_true():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s for {what}")

"""A connected source has a schedule, which people change, pause and resume, and which ends with the connection."""

from collections.abc import Iterator

import pytest

from backend.connectors.providers.contract import Account
from backend.connectors.repository import ConnectorRepository
from backend.flows.connect_account.flow import store_connection
from backend.flows.sync_connector.begin import BEGIN_KIND, BeginSyncHandler
from backend.jobs.repository import JobRepository
from backend.jobs.schedules.repository import ScheduleRepository
from backend.jobs.workers.repository import WorkerRepository
from backend.sync.repository import SyncRunRepository
from tests.conftest import TestDatabase
from tests.flows.sync_connector.scene import TOKEN
from tests.tenants.instances import Instance, Person, problem, web_instance

SCHEDULE = "/api/integrations/github/schedule"


@pytest.fixture(scope="module")
def database(module_database: TestDatabase) -> TestDatabase:
    """Its own: turns are taken across tenants."""
    return module_database


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1") as instance:
        yield instance


@pytest.fixture
def person(web: Instance, database: TestDatabase) -> Person:
    with database.admin() as connection:
        connection.execute("DELETE FROM jobs")
        connection.execute("DELETE FROM schedules")
    made = web.sign_in()
    connect(web, made)
    return made


def connect(web: Instance, person: Person) -> None:
    with web.services.db.transaction(person.tenant_id) as session:
        store_connection(
            session,
            web.services.keyring,
            person.tenant_id,
            "github",
            connected_by=person.user_id,
            account=Account("583231", "octocat"),
            credentials=TOKEN,
        )


def take_turn(web: Instance, database: TestDatabase) -> int:
    """The schedule is due; how many jobs that makes, each carried out."""
    with database.admin() as connection:
        connection.execute("UPDATE schedules SET next_run_at = now() - interval '1 second'")
    with web.services.db.operator_transaction() as session:
        turns = [turn for turn in ScheduleRepository(session).enqueue_due() if turn.job_id]
    with web.services.db.operator_transaction() as session:
        worker = WorkerRepository(session).register(name="test", version="0")
        claims = JobRepository(session).claim(worker, (BEGIN_KIND,), count=10)
    for claim in claims:
        BeginSyncHandler(web.services.db).run(claim, lambda: False)
    return len(turns)


def triggers(web: Instance, person: Person) -> list[str]:
    return [run["trigger"] for run in web.ok("GET", "/api/integrations/github/sync/runs", person)["runs"]]


def test_connecting_plans_every_hour_and_again_keeps_what_was_set(web: Instance, person: Person) -> None:
    shown = web.ok("GET", SCHEDULE, person)["schedule"]
    assert (shown["every_minutes"], shown["is_paused"], shown["last_run_at"]) == (60, False, None)
    listed = web.ok("GET", "/api/integrations/github/status", person)["connector"]
    assert listed["next_sync_at"] == shown["next_run_at"]
    web.ok("PUT", SCHEDULE, person, json={"every_minutes": 15})
    connect(web, person)
    assert web.ok("GET", SCHEDULE, person)["schedule"]["every_minutes"] == 15


def test_turn_begins_a_sync_or_leaves_the_one_that_runs(
    web: Instance, person: Person, database: TestDatabase
) -> None:
    assert take_turn(web, database) == 1
    assert triggers(web, person) == ["schedule"]
    assert take_turn(web, database) == 1
    assert triggers(web, person) == ["schedule"]
    with database.admin() as connection:
        waiting = connection.execute("SELECT kind FROM jobs WHERE state = 'queued'").fetchall()
    assert waiting == [("sync",)]


def test_paused_has_no_turns_until_it_is_resumed(
    web: Instance, person: Person, database: TestDatabase
) -> None:
    paused = web.ok("POST", f"{SCHEDULE}/pause", person)["schedule"]
    assert (paused["is_paused"], paused["next_run_at"]) == (True, None)
    listed = web.ok("GET", "/api/integrations/github/status", person)["connector"]
    assert listed["next_sync_at"] is None
    assert take_turn(web, database) == 0
    web.ok("PUT", SCHEDULE, person, json={"every_minutes": 30})
    assert web.ok("GET", SCHEDULE, person)["schedule"]["is_paused"] is True
    assert web.ok("POST", f"{SCHEDULE}/resume", person)["schedule"]["is_paused"] is False
    assert take_turn(web, database) == 1
    assert web.ok("PUT", SCHEDULE, person, json={"is_paused": True})["schedule"]["every_minutes"] == 30


def test_source_that_needs_to_be_reconnected_keeps_its_schedule_and_begins_nothing(
    web: Instance, person: Person, database: TestDatabase
) -> None:
    with web.services.db.transaction(person.tenant_id) as session:
        connectors = ConnectorRepository(session)
        connector = connectors.get(person.tenant_id, "github")
        connectors.need_reconnect(person.tenant_id, connector.id, "It was revoked.")
    assert take_turn(web, database) == 1
    assert triggers(web, person) == []
    assert web.ok("GET", SCHEDULE, person)["schedule"]["is_paused"] is False
    connect(web, person)
    assert take_turn(web, database) == 1
    assert triggers(web, person) == ["schedule"]


def test_disconnecting_ends_it(web: Instance, person: Person, database: TestDatabase) -> None:
    web.ok("POST", "/api/integrations/github/disconnect", person)
    problem(web.call("GET", SCHEDULE, person), 404, "NOT_CONNECTED")
    problem(web.call("PUT", SCHEDULE, person, json={"every_minutes": 60}), 404, "NOT_CONNECTED")
    assert take_turn(web, database) == 0
    with web.services.db.transaction(person.tenant_id) as session:
        assert SyncRunRepository(session).list_latest(person.tenant_id) == {}


@pytest.mark.parametrize("minutes", [4, 0, -5, 43201, "often"])
def test_interval_out_of_bounds_is_refused(web: Instance, person: Person, minutes: object) -> None:
    answer = web.call("PUT", SCHEDULE, person, json={"every_minutes": minutes})
    problem(answer, 400, "VALIDATION_ERROR")
    assert web.ok("GET", SCHEDULE, person)["schedule"]["every_minutes"] == 60

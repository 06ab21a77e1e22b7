"""A turn that is due becomes one job, whoever looks, dies or pauses meanwhile; the database's clock decides."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from psycopg.rows import DictRow
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backend.jobs.schedules.repository import ScheduleNotFound, ScheduleRepository, Turn
from tests.jobs.handlers import MakeWorker, Steered
from tests.jobs.real_queue import KIND, Queue
from tests.jobs.test_races import at_once

HOUR = timedelta(hours=1)
NAME = "sync:1"

T = TypeVar("T")


def as_tenant(queue: Queue, do: Callable[[ScheduleRepository, UUID], T]) -> T:
    with queue.db.transaction(queue.tenant_id) as session:
        return do(ScheduleRepository(session), queue.tenant_id)


def put(queue: Queue, name: str = NAME, **how: Any) -> None:
    given: dict[str, Any] = {"kind": KIND, "args": {"connector_id": "1"}, "every": HOUR, **how}
    as_tenant(queue, lambda schedules, tenant_id: schedules.put(tenant_id, name, **given))


def row(queue: Queue, name: str = NAME) -> DictRow:
    """The schedule, with `due_in` (next_run_at seen from now)."""
    (found,) = queue.sql("SELECT *, next_run_at - now() AS due_in FROM schedules WHERE name = %s", name)
    return found


def move_on(queue: Queue, by: timedelta) -> None:
    """As if so much time had passed for every schedule."""
    queue.sql("UPDATE schedules SET next_run_at = next_run_at - %s, last_run_at = last_run_at - %s", by, by)


def enqueue_due(queue: Queue, limit: int = 100) -> list[Turn]:
    with queue.db.operator_transaction() as session:
        return ScheduleRepository(session).enqueue_due(limit=limit)


def finish(queue: Queue, job_id: UUID | None) -> None:
    queue.sql("UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE id = %s", job_id)


# -- turns --------------------------------------------------------------------------------------------------


def test_turn_that_is_due_becomes_a_job_as_the_schedule_says(queue: Queue) -> None:
    put(queue, priority=3)
    assert enqueue_due(queue) == []
    move_on(queue, 2 * HOUR)
    (turn,) = enqueue_due(queue)
    assert (turn.tenant_id, turn.name, turn.kind, turn.skipped_because) == (queue.tenant_id, NAME, KIND, None)
    assert turn.job_id is not None
    job = queue.row(turn.job_id)
    assert (job["tenant_id"], job["kind"], job["args"]) == (queue.tenant_id, KIND, {"connector_id": "1"})
    assert (job["state"], job["priority"], job["lease"], job["attempt"]) == ("queued", 3, 0, 0)
    found = row(queue)
    assert found["last_job_id"] == turn.job_id
    assert timedelta(minutes=59) < found["due_in"] <= HOUR * 1.1
    assert queue.claim_one().id == turn.job_id


def test_turns_missed_while_no_worker_lived_are_one(queue: Queue) -> None:
    put(queue)
    move_on(queue, 26 * HOUR)
    assert len(enqueue_due(queue)) == 1
    finish(queue, row(queue)["last_job_id"])
    assert enqueue_due(queue) == []
    assert row(queue)["due_in"] > timedelta(minutes=59)


def test_turn_passes_by_while_the_last_job_is_unfinished(queue: Queue) -> None:
    put(queue)
    move_on(queue, 2 * HOUR)
    (first,) = enqueue_due(queue)
    for state in ("queued", "running"):
        move_on(queue, 2 * HOUR)
        (turn,) = enqueue_due(queue)
        assert (turn.job_id, turn.skipped_because) == (None, "unfinished"), state
        found = row(queue)
        assert (found["last_job_id"], found["skipped_because"]) == (first.job_id, "unfinished")
        assert found["due_in"] > timedelta(minutes=59)
        if state == "queued":
            claim = queue.claim_one()
    queue.complete(claim)
    move_on(queue, 2 * HOUR)
    (turn,) = enqueue_due(queue)
    assert turn.job_id not in (None, first.job_id)
    assert row(queue)["skipped_because"] is None


def test_turn_comes_again_though_the_last_job_was_purged(queue: Queue) -> None:
    put(queue)
    move_on(queue, 2 * HOUR)
    enqueue_due(queue)
    queue.sql("DELETE FROM jobs")
    move_on(queue, 2 * HOUR)
    assert [turn.skipped_because for turn in enqueue_due(queue)] == [None]


def test_jitter_stays_within_its_share(queue: Queue) -> None:
    for number in range(60):
        put(queue, f"s{number}", jitter=0.5)
    found = queue.sql("SELECT next_run_at - created_at AS due_in FROM schedules")
    assert all(HOUR <= each["due_in"] <= HOUR * 1.5 for each in found)
    move_on(queue, 2 * HOUR)
    assert len(enqueue_due(queue)) == 60
    found = queue.sql("SELECT next_run_at - last_run_at AS due_in FROM schedules")
    assert all(HOUR <= each["due_in"] <= HOUR * 1.5 for each in found)
    # Sixty draws of the same would be a chance of none.
    assert len({each["due_in"] for each in found}) > 50
    put(queue, "exact", jitter=0.0)
    assert row(queue, "exact")["next_run_at"] - row(queue, "exact")["created_at"] == HOUR


def test_turns_are_bounded_and_those_waiting_longest_come_first(queue: Queue) -> None:
    for number in range(5):
        put(queue, f"s{number}", starts_in=timedelta(seconds=-10 * number))
    assert {turn.name for turn in enqueue_due(queue, limit=2)} == {"s4", "s3"}
    assert {turn.name for turn in enqueue_due(queue, limit=9)} == {"s2", "s1", "s0"}


# -- put, pause, resume, run now, delete --------------------------------------------------------------------


def test_put_again_changes_the_one_there_is(queue: Queue) -> None:
    put(queue, starts_in=timedelta(minutes=20))
    made = row(queue)
    put(queue, every=2 * HOUR, args={"connector_id": "2"}, priority=1)
    changed = row(queue)
    assert changed["id"] == made["id"]
    assert (changed["every"], changed["args"], changed["priority"]) == (2 * HOUR, {"connector_id": "2"}, 1)
    assert changed["next_run_at"] == made["next_run_at"], "the planned turn stays"
    put(queue, every=timedelta(minutes=5))
    assert row(queue)["due_in"] < timedelta(minutes=6), "unless the new interval ends sooner"
    assert len(as_tenant(queue, lambda s, tenant_id: s.list_schedules(tenant_id))) == 1


@pytest.mark.parametrize("how", [{"every": timedelta(0)}, {"jitter": 1.5}, {"jitter": -0.1}])
def test_put_of_nonsense_is_refused(queue: Queue, how: Mapping[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        put(queue, **how)


def test_paused_one_has_no_turns_until_it_is_resumed(queue: Queue) -> None:
    put(queue)
    as_tenant(queue, lambda s, tenant_id: s.pause(tenant_id, NAME))
    move_on(queue, 3 * HOUR)
    put(queue)
    assert enqueue_due(queue) == []
    assert queue.sql("SELECT state, late_by FROM ops.schedules") == [{"state": "paused", "late_by": None}]
    as_tenant(queue, lambda s, tenant_id: s.resume(tenant_id, NAME))
    assert len(enqueue_due(queue)) == 1
    assert enqueue_due(queue) == []


def test_run_now_makes_a_turn_due(queue: Queue) -> None:
    put(queue)
    as_tenant(queue, lambda s, tenant_id: s.run_now(tenant_id, NAME))
    assert len(enqueue_due(queue)) == 1


def test_deleted_one_has_no_turns(queue: Queue) -> None:
    put(queue, starts_in=timedelta(0))
    assert as_tenant(queue, lambda s, tenant_id: s.delete(tenant_id, NAME))
    assert not as_tenant(queue, lambda s, tenant_id: s.delete(tenant_id, NAME))
    assert enqueue_due(queue) == []
    assert as_tenant(queue, lambda s, tenant_id: s.find(tenant_id, NAME)) is None
    for change in (ScheduleRepository.pause, ScheduleRepository.resume, ScheduleRepository.run_now):
        with pytest.raises(ScheduleNotFound):
            as_tenant(queue, lambda s, tenant_id, change=change: change(s, tenant_id, NAME))  # type: ignore[misc]


def test_deleting_a_tenant_deletes_its_schedules(queue: Queue) -> None:
    leaving = queue.make_tenant()
    with queue.db.transaction(leaving) as session:
        ScheduleRepository(session).put(leaving, NAME, kind=KIND, args={}, every=HOUR)
    put(queue)
    queue.sql("DELETE FROM tenants WHERE id = %s", leaving)
    assert [found["tenant_id"] for found in queue.sql("SELECT tenant_id FROM schedules")] == [queue.tenant_id]


def test_turns_of_a_deactivated_tenant_pass_by(queue: Queue) -> None:
    put(queue, starts_in=timedelta(0))
    queue.sql("UPDATE tenants SET deactivated_at = now() WHERE id = %s", queue.tenant_id)
    try:
        assert [turn.skipped_because for turn in enqueue_due(queue)] == ["deactivated"]
        assert queue.states() == {}
    finally:
        queue.sql("UPDATE tenants SET deactivated_at = NULL WHERE id = %s", queue.tenant_id)
    move_on(queue, 2 * HOUR)
    assert [turn.skipped_because for turn in enqueue_due(queue)] == [None]


# -- many at once -------------------------------------------------------------------------------------------


def test_eight_at_once_take_each_turn_once(queue: Queue) -> None:
    for number in range(40):
        put(queue, f"s{number}", starts_in=timedelta(0))

    def until_nothing_is_due() -> list[Turn]:
        taken: list[Turn] = []
        while found := enqueue_due(queue, limit=3):
            taken += found
        return taken

    turns = [turn for taken in at_once(*[until_nothing_is_due] * 8) for turn in taken]
    assert sorted(turn.name for turn in turns) == sorted(f"s{number}" for number in range(40))
    assert queue.states() == {"queued": 40}


def test_turn_of_one_who_dies_before_the_commit_is_taken_by_another(queue: Queue) -> None:
    put(queue, starts_in=timedelta(0))

    with queue.db.operator_transaction() as session:
        assert len(ScheduleRepository(session).enqueue_due()) == 1
        # Nobody waits for it meanwhile, and nobody takes it twice.
        assert enqueue_due(queue) == []
        session.rollback()
    assert queue.states() == {}
    assert len(enqueue_due(queue)) == 1
    assert queue.states() == {"queued": 1}


def test_workers_take_turns_by_themselves(queue: Queue, make_worker: MakeWorker, handler: Steered) -> None:
    make_worker(idle_poll=HOUR)
    make_worker(idle_poll=HOUR)
    put(queue, every=timedelta(hours=10), starts_in=timedelta(0))
    claim, outcome = handler.next_ended()
    assert (claim.kind, claim.args, outcome) == (KIND, {"connector_id": "1"}, "completed")
    put(queue, "another", starts_in=timedelta(0))
    handler.next_ended()
    assert queue.states() == {"succeeded": 2}


# -- who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changed", ["id", "tenant_id", "kind", "args", "priority", None])
def test_operator_adds_only_the_job_that_a_schedule_names(queue: Queue, changed: str | None) -> None:
    put(queue)
    other_tenant = queue.make_tenant()
    job_id = uuid4()
    queue.sql("UPDATE schedules SET last_job_id = %s", job_id)
    values: dict[str, Any] = {
        "id": job_id,
        "tenant_id": queue.tenant_id,
        "kind": KIND,
        "args": '{"connector_id": "1"}',
        "priority": 0,
    }
    others = {"id": uuid4(), "tenant_id": other_tenant, "kind": "other", "args": "{}", "priority": 9}
    insert = text(
        "INSERT INTO jobs (id, tenant_id, kind, args, priority)"
        " VALUES (:id, :tenant_id, :kind, CAST(:args AS jsonb), :priority)"
    )
    if changed is None:
        with queue.db.operator_transaction() as session:
            session.execute(insert, values)
        assert queue.state(job_id) == "queued"
        return
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        queue.db.operator_transaction() as session,
    ):
        session.execute(insert, {**values, changed: others[changed]})


@pytest.mark.parametrize("column", ["kind", "args", "every", "tenant_id", "paused_at", "name"])
def test_operator_cannot_change_what_is_scheduled(queue: Queue, column: str) -> None:
    put(queue)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        queue.db.operator_transaction() as session,
    ):
        session.execute(text(f"UPDATE schedules SET {column} = {column}"))


def test_operators_see_what_is_late(queue: Queue) -> None:
    put(queue, starts_in=timedelta(0))
    move_on(queue, timedelta(minutes=10))
    (late,) = queue.sql("SELECT state, late_by, last_job FROM ops.schedules WHERE name = %s", NAME)
    assert (late["state"], late["last_job"]) == ("late", None)
    assert late["late_by"] > timedelta(minutes=9)
    enqueue_due(queue)
    (taken,) = queue.sql("SELECT state, late_by, last_job FROM ops.schedules WHERE name = %s", NAME)
    assert (taken["state"], taken["late_by"], taken["last_job"]) == ("waiting", None, "queued")

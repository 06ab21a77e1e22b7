"""What each call does to the row, one transaction at a time."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from backend.db.notify import Channel
from backend.db.transaction import Session
from backend.jobs.claim import LeaseLost, WorkerForgotten
from backend.jobs.repository import BACKOFF, JobRepository
from backend.jobs.workers.repository import WorkerRepository
from tests.jobs.real_queue import KIND, Queue

FAR = datetime(2200, 1, 1, tzinfo=UTC)


def test_enqueue_makes_a_job_with_the_callers_commit_and_hints(queue: Queue) -> None:
    with psycopg.connect(queue.database.url, autocommit=True) as listener:
        listener.execute(f"LISTEN {Channel.JOBS}".encode())
        with queue.db.transaction(queue.tenant_id) as session:
            job_id = JobRepository(session).enqueue(queue.tenant_id, KIND, {"run_id": "7"}, priority=3)
            assert queue.states() == {}
        row = queue.row(job_id)
        assert (row["state"], row["args"], row["priority"], row["lease"]) == ("queued", {"run_id": "7"}, 3, 0)
        (notice,) = listener.notifies(timeout=5, stop_after=1)
    assert notice.payload == f"{queue.tenant_id}:{KIND}"


def test_enqueue_leaves_nothing_when_the_caller_fails(queue: Queue) -> None:
    def enqueue_and_fail() -> None:
        with queue.db.transaction(queue.tenant_id) as session:
            JobRepository(session).enqueue(queue.tenant_id, KIND, {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        enqueue_and_fail()
    assert queue.states() == {}


def test_enqueue_for_another_tenant_is_refused(queue: Queue) -> None:
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        queue.db.transaction(uuid4()) as session,
    ):
        JobRepository(session).enqueue(queue.tenant_id, KIND, {})


def test_hold_lets_the_holder_write_and_counts_tries_anew_on_progress(queue: Queue) -> None:
    job_id = queue.enqueue()
    claim = queue.claim_one()
    assert queue.hold(claim)
    assert queue.row(job_id)["progressed_at"] is None
    assert queue.row(job_id)["attempt"] == 1
    assert queue.hold(claim, progressed=True)
    assert queue.row(job_id)["progressed_at"] is not None
    assert queue.row(job_id)["attempt"] == 0


def test_complete_many_ends_all_of_a_tenants_jobs(queue: Queue) -> None:
    queue.enqueue_many(3)
    queue.complete_many(queue.claim(queue.register(), count=3))
    assert queue.states() == {"succeeded": 3}


def test_complete_many_ends_none_when_one_is_somebody_elses_now(queue: Queue) -> None:
    queue.enqueue_many(3)
    worker = queue.register()
    claims = queue.claim(worker, count=3)
    queue.give_back(claims[1])
    (again,) = queue.claim(worker)
    assert again.id == claims[1].id
    with pytest.raises(LeaseLost):
        queue.complete_many(claims)
    assert queue.states() == {"running": 3}
    queue.complete_many([claims[0], again, claims[2]])
    assert queue.states() == {"succeeded": 3}


def test_complete_many_is_one_tenants_matter(queue: Queue) -> None:
    queue.enqueue(queue.make_tenant())
    queue.enqueue()
    claims = queue.claim(queue.register(), count=2)
    with pytest.raises(LeaseLost):
        queue.complete_many(claims)
    assert queue.states() == {"running": 2}


def test_claim_does_not_wait_for_the_disk_and_an_end_does(queue: Queue) -> None:
    queue.enqueue()
    worker = queue.register()

    def waits(session: Session) -> object:
        return session.scalar(text("SHOW synchronous_commit"))

    with queue.db.operator_transaction() as session:
        (claim,) = JobRepository(session).claim(worker, (KIND,))
        assert waits(session) == "off"
    with queue.db.transaction(queue.tenant_id) as session:
        JobRepository(session).complete(claim)
        assert waits(session) == "on"


def test_complete_ends_the_job_for_good(queue: Queue) -> None:
    job_id = queue.enqueue()
    claim = queue.claim_one()
    queue.complete(claim)
    row = queue.row(job_id)
    assert (row["state"], row["worker_id"], row["last_error"]) == ("succeeded", None, None)
    assert row["finished_at"] is not None
    for write in (queue.hold, queue.complete, queue.fail, queue.give_back, queue.end_cancelled):
        with pytest.raises(LeaseLost):
            write(claim)
    assert queue.cancel(job_id) is None
    assert queue.row(job_id) | {"now": 0, "waits_for": 0} == row | {"now": 0, "waits_for": 0}


def test_fail_waits_longer_each_time_and_is_dead_after_the_last(queue: Queue) -> None:
    job_id = queue.enqueue(max_attempts=len(BACKOFF) + 2)
    worker_id = queue.register()
    for seconds in (*BACKOFF, BACKOFF[-1]):
        assert queue.fail(queue.claim_one(worker_id)) is not None
        row = queue.row(job_id)
        assert (row["state"], row["last_error"]) == ("queued", "It broke.")
        # Some of the wait has passed by the time the row is read.
        assert seconds - 2 < row["waits_for"].total_seconds() <= seconds * 1.25
        assert queue.claim(worker_id) == []
        queue.make_due(job_id)
    assert queue.fail(queue.claim_one(worker_id), "It broke again.") is None
    row = queue.row(job_id)
    assert (row["state"], row["last_error"], row["attempt"]) == ("dead", "It broke again.", len(BACKOFF) + 2)


def test_fail_spreads_what_failed_together(queue: Queue) -> None:
    worker_id = queue.register()
    queue.enqueue_many(8)
    claims = queue.claim(worker_id, count=8, cap=8)
    with queue.db.transaction(queue.tenant_id) as session:
        times = {JobRepository(session).fail(claim, "It broke.") for claim in claims}
    assert len(times) == 8


def test_fail_after_progress_is_not_the_last_try(queue: Queue) -> None:
    job_id = queue.enqueue(max_attempts=1)
    claim = queue.claim_one()
    queue.hold(claim, progressed=True)
    assert queue.fail(claim) is not None
    queue.make_due(job_id)
    assert queue.fail(queue.claim_one()) is None
    assert queue.state(job_id) == "dead"


def test_fail_without_retry_is_dead_at_once(queue: Queue) -> None:
    job_id = queue.enqueue()
    assert queue.fail(queue.claim_one(), "No such account.", retry=False) is None
    assert queue.row(job_id)["state"] == "dead"


def test_give_back_and_postpone_do_not_count_a_try(queue: Queue) -> None:
    job_id = queue.enqueue(max_attempts=2)
    worker_id = queue.register()
    queue.fail(queue.claim_one(worker_id))
    queue.make_due(job_id)
    for _ in range(3):
        queue.give_back(queue.claim_one(worker_id))
        queue.postpone(queue.claim_one(worker_id), FAR)
        assert queue.row(job_id)["run_at"] == FAR
        assert queue.claim(worker_id) == []
        queue.make_due(job_id)
    claim = queue.claim_one(worker_id)
    assert (claim.attempt, claim.lease) == (2, 8)
    assert queue.fail(claim) is None


def test_cancel_ends_a_waiting_job_at_once(queue: Queue) -> None:
    job_id = queue.enqueue()
    assert queue.cancel(job_id) == "cancelled"
    assert queue.row(job_id)["finished_at"] is not None
    assert queue.claim(queue.register()) == []
    assert queue.cancel(job_id) is None


def test_cancel_asks_a_running_job_to_stop(queue: Queue) -> None:
    job_id = queue.enqueue()
    claim = queue.claim_one()
    assert queue.cancel(job_id) == "running"
    asked_at = queue.row(job_id)["cancel_requested_at"]
    assert queue.cancel(job_id) == "running"
    assert queue.row(job_id)["cancel_requested_at"] == asked_at
    assert not queue.hold(claim)
    assert not queue.hold(claim, progressed=True)
    queue.end_cancelled(claim)
    assert queue.state(job_id) == "cancelled"


@pytest.mark.parametrize("how", ["fail", "give_back", "postpone", "silence"])
def test_cancelled_job_that_comes_back_is_claimed_at_once_only_to_be_ended(queue: Queue, how: str) -> None:
    job_id = queue.enqueue()
    worker_id = queue.register()
    claim = queue.claim_one(worker_id)
    queue.cancel(job_id)
    if how == "fail":
        assert queue.fail(claim) is not None
    elif how == "give_back":
        queue.give_back(claim)
    elif how == "postpone":
        queue.postpone(claim, FAR)
    else:
        queue.silence(worker_id)
        queue.release()
    again = queue.claim_one()
    assert again.is_cancelled
    queue.end_cancelled(again)
    assert queue.state(job_id) == "cancelled"


def test_cancel_does_not_reach_another_tenants_job(queue: Queue) -> None:
    job_id = queue.enqueue()
    stranger = queue.make_tenant()
    assert queue.cancel(job_id, stranger) is None
    with queue.db.transaction(stranger) as session:
        assert JobRepository(session).cancel(queue.tenant_id, job_id) is None
        assert JobRepository(session).find(queue.tenant_id, job_id) is None
    assert queue.state(job_id) == "queued"


def test_heartbeat_is_refused_once_the_worker_is_gone(queue: Queue) -> None:
    worker_id, stopped = queue.register(), queue.register()
    queue.silence(worker_id)
    queue.heartbeat(worker_id)
    (row,) = queue.sql("SELECT now() - heartbeat_at AS silent FROM workers WHERE id = %s", worker_id)
    assert row["silent"] < timedelta(minutes=1)
    queue.stop(stopped)
    for gone in (stopped, uuid4()):
        with pytest.raises(WorkerForgotten):
            queue.heartbeat(gone)


def test_purge_finished_deletes_only_what_ended_long_ago(queue: Queue) -> None:
    for _ in range(3):
        queue.enqueue(queue.make_tenant())
    worker_id = queue.register()
    for _ in range(2):
        queue.complete(queue.claim_one(worker_id))
    running = queue.claim_one(worker_id)
    queue.sql("UPDATE jobs SET finished_at = now() - interval '2 days' WHERE finished_at IS NOT NULL")
    recent = queue.enqueue()
    queue.cancel(recent)

    def purge(limit: int) -> int:
        with queue.db.operator_transaction() as session:
            return JobRepository(session).purge_finished(older_than=timedelta(days=1), limit=limit)

    assert [purge(1), purge(10), purge(10)] == [1, 1, 0]
    assert {row["id"] for row in queue.sql("SELECT id FROM jobs")} == {running.id, recent}


def test_purge_gone_keeps_workers_that_still_hold_a_job(queue: Queue) -> None:
    holding, idle, alive = (queue.register() for _ in range(3))
    queue.enqueue()
    queue.claim_one(holding)
    queue.silence(holding)
    queue.silence(idle)
    with queue.db.operator_transaction() as session:
        assert WorkerRepository(session).purge_gone(older_than=timedelta(hours=1)) == 1
    assert {row["id"] for row in queue.sql("SELECT id FROM workers")} == {holding, alive}


def test_is_alone_at_lets_one_do_a_chore_at_a_time(queue: Queue) -> None:
    with queue.db.operator_transaction() as first, queue.db.operator_transaction() as second:
        assert JobRepository(first).is_alone_at("sweep")
        assert not JobRepository(second).is_alone_at("sweep")
        assert JobRepository(second).is_alone_at("dust")
    with queue.db.operator_transaction() as third:
        assert JobRepository(third).is_alone_at("sweep")

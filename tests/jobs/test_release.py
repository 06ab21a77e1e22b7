"""What becomes of the jobs of workers that are gone."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backend.jobs.claim import LeaseLost
from tests.jobs.real_queue import Queue


def test_release_takes_jobs_of_the_silent_the_stopped_and_the_unknown(queue: Queue) -> None:
    alive, silent, stopped, unknown = (queue.register() for _ in range(4))
    jobs = {}
    for worker_id in (alive, silent, stopped, unknown):
        jobs[worker_id] = queue.enqueue(queue.make_tenant())
        queue.claim_one(worker_id)
    queue.silence(silent)
    queue.stop(stopped)
    queue.sql("DELETE FROM workers WHERE id = %s", unknown)
    assert {job.id for job in queue.release()} == {jobs[w] for w in (silent, stopped, unknown)}
    row = queue.row(jobs[silent])
    assert (row["state"], row["lease"], row["worker_id"]) == ("queued", 2, None)
    assert row["last_error"] == "Its worker fell silent."
    assert queue.state(jobs[alive]) == "running"
    assert queue.release() == []


def test_release_goes_by_the_term_that_each_worker_promised(queue: Queue) -> None:
    patient, hasty = queue.register(timedelta(hours=1)), queue.register(timedelta(seconds=5))
    for worker_id in (patient, hasty):
        queue.enqueue()
        queue.claim_one(worker_id)
    queue.sql("UPDATE workers SET heartbeat_at = now() - interval '1 minute'")
    (released,) = queue.release()
    assert queue.row(released.id)["state"] == "queued"
    assert queue.sql("SELECT worker_id FROM jobs WHERE state = 'running'") == [{"worker_id": patient}]


def test_release_takes_what_a_living_worker_no_longer_has_in_hand(queue: Queue) -> None:
    worker_id, other = queue.register(), queue.register()
    for _ in range(4):
        queue.enqueue(queue.make_tenant())
    kept, lost, fresh = (queue.claim_one(worker_id) for _ in range(3))
    foreign = queue.claim_one(other)
    queue.sql("UPDATE jobs SET claimed_at = now() - interval '2 hours' WHERE id <> %s", fresh.id)
    assert [job.id for job in queue.release(worker_id, [kept])] == [lost.id]
    with pytest.raises(LeaseLost):
        queue.complete(lost)
    for claim in (kept, fresh, foreign):
        queue.complete(claim)


def test_release_of_the_last_try_is_claimed_once_more_to_be_ended(queue: Queue) -> None:
    job_id = queue.enqueue(max_attempts=1)
    for _ in range(2):
        worker_id = queue.register()
        queue.claim_one(worker_id)
        queue.silence(worker_id)
        queue.release()
        assert queue.state(job_id) == "queued"
    claim = queue.claim_one()
    assert claim.is_exhausted
    assert claim.last_error == "Its worker fell silent."
    assert queue.fail(claim, claim.last_error) is None
    assert queue.state(job_id) == "dead"


def test_operator_may_not_end_a_job(queue: Queue) -> None:
    job_id = queue.enqueue()
    queue.claim_one()
    for what in ("finished_at = now()", "args = '{}'", "tenant_id = gen_random_uuid()"):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            queue.db.operator_transaction() as session,
        ):
            session.connection().exec_driver_sql(f"UPDATE jobs SET {what}")
    with (
        pytest.raises(IntegrityError, match="finished_has_a_time"),
        queue.db.operator_transaction() as session,
    ):
        session.connection().exec_driver_sql("UPDATE jobs SET state = 'dead', worker_id = NULL")
    assert queue.state(job_id) == "running"


def test_give_back_all_returns_jobs_without_counting_a_try(queue: Queue) -> None:
    worker_id, other = queue.register(), queue.register()
    queue.enqueue(queue.make_tenant())
    kept = queue.claim_one(other)
    job_id = queue.enqueue()
    claim = queue.claim_one(worker_id)
    assert [job.id for job in queue.give_back_all(worker_id)] == [job_id]
    row = queue.row(job_id)
    assert (row["state"], row["attempt"], row["lease"]) == ("queued", 0, 2)
    with pytest.raises(LeaseLost):
        queue.complete(claim)
    queue.complete(kept)


def test_write_of_a_claim_that_a_failover_lost_is_refused(queue: Queue) -> None:
    job_id = queue.enqueue()
    lost = queue.claim_one()
    # The new primary never saw the claim, and gives the same lease number to somebody else.
    queue.sql("UPDATE jobs SET state = 'queued', lease = 0, worker_id = NULL WHERE id = %s", job_id)
    current = queue.claim_one()
    assert lost.lease == current.lease
    with pytest.raises(LeaseLost):
        queue.complete(lost)
    queue.complete(current)

"""A worker is alive as long as it says so, and knows when that no longer counts."""

import time
from datetime import timedelta

from tests.jobs.handlers import MakeWorker, Steered
from tests.jobs.real_queue import Queue


def test_worker_keeps_a_job_that_takes_longer_than_the_lease(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    make_worker(lease=timedelta(seconds=1.5))
    make_worker(lease=timedelta(seconds=1.5))
    queue.enqueue()
    claim = handler.next_started()
    queue.pass_time(2.5)
    handler.go.set()
    assert handler.next_ended() == (claim, "completed")


def test_worker_stops_handlers_and_claims_nothing_once_half_a_lease_passed_unheard(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    worker = make_worker(lease=timedelta(seconds=3))
    first = queue.enqueue()
    claim = handler.next_started()
    with queue.database.admin() as blocker, blocker.transaction():
        blocker.execute("LOCK TABLE workers IN EXCLUSIVE MODE")
        blocked_at = time.monotonic()
        assert handler.next_ended() == (claim, "given back")
        assert time.monotonic() - blocked_at < 3.0
        assert not worker.is_connected
        second = queue.enqueue()
        queue.pass_time(0.5)
        assert queue.state(first) == queue.state(second) == "queued"
    handler.go.set()
    assert {handler.next_ended()[0].id for _ in range(2)} == {first, second}


def test_worker_registers_anew_when_it_was_counted_as_dead(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    make_worker(lease=timedelta(seconds=1.2))
    job_id = queue.enqueue()
    claim = handler.next_started()
    (old,) = queue.living_workers()
    queue.sql("DELETE FROM workers")
    # Told to stop; whether it gives the job back itself or finds it taken, nothing is lost.
    assert handler.next_ended()[0] == claim
    handler.go.set()
    again, outcome = handler.next_ended()
    assert (again.id, outcome) == (job_id, "completed")
    assert again.worker_id != old
    assert queue.living_workers() == {again.worker_id}

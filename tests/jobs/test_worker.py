"""Real workers with real listeners: what they do with jobs, whatever their handlers do."""

import time
from datetime import timedelta
from queue import Empty

import pytest

from backend.jobs.claim import LeaseLost
from tests.jobs.handlers import SECONDS, MakeWorker, Steered, eventually
from tests.jobs.real_queue import Queue

#: Far beyond any test: what happens sooner did not wait for it.
NEVER = timedelta(hours=1)


def test_worker_runs_a_job_on_a_hint_long_before_the_poll(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    make_worker(idle_poll=NEVER, threads=2)
    for _ in range(3):
        eventually(queue.is_at_rest)
        job_id = queue.enqueue()
        claim, outcome = handler.next_ended()
        assert (claim.id, outcome) == (job_id, "completed")
    assert queue.states() == {"succeeded": 3}


def test_worker_runs_a_job_on_the_poll_when_the_hint_is_lost(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    make_worker()
    queue.enqueue_many(5)
    assert {handler.next_ended()[1] for _ in range(5)} == {"completed"}


def test_job_that_a_crash_of_the_server_gave_back_to_its_own_holder_is_done_once(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    make_worker(threads=2)
    job_id = queue.enqueue()
    claim = handler.next_started()
    # The server comes back without the claim, which was not on disk yet; the worker's other thread takes the job.
    queue.sql(
        "UPDATE jobs SET state = 'queued', worker_id = NULL, lease = 0, attempt = 0 WHERE id = %s", job_id
    )
    eventually(lambda: queue.state(job_id) == "running")
    with pytest.raises(Empty):
        handler.next_started(0.5)
    handler.go.set()
    assert handler.next_ended() == (claim, "completed")
    assert queue.states() == {"succeeded": 1}


def test_stop_gives_jobs_back_at_once(queue: Queue, make_worker: MakeWorker, handler: Steered) -> None:
    handler.go.clear()
    worker = make_worker(idle_poll=NEVER, threads=3)
    job_id = queue.enqueue()
    handler.next_started()
    began = time.monotonic()
    worker.stop(timeout=SECONDS)
    # Neither the lease nor the poll of the idle threads was waited for.
    assert time.monotonic() - began < SECONDS / 2
    assert queue.row(job_id)["state"] == "queued"
    assert queue.row(job_id)["attempt"] == 0
    assert queue.living_workers() == set()


def test_stop_does_not_wait_for_the_poll_of_idle_threads(queue: Queue, make_worker: MakeWorker) -> None:
    worker = make_worker(idle_poll=NEVER, threads=3)
    eventually(queue.is_at_rest)
    began = time.monotonic()
    worker.stop(timeout=SECONDS)
    assert time.monotonic() - began < SECONDS / 2


def test_stop_takes_jobs_from_a_handler_that_does_not_listen(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    handler.is_deaf = True
    worker = make_worker()
    job_id = queue.enqueue()
    zombie = handler.next_started()
    worker.stop(timeout=0.1)
    assert (queue.row(job_id)["state"], queue.row(job_id)["attempt"]) == ("queued", 0)
    current = queue.claim_one()
    handler.go.set()
    assert handler.next_ended() == (zombie, "raised")
    queue.complete(current)


def test_worker_fails_a_job_whose_handler_raises_and_lives_on(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    make_worker()
    # SystemExit ends a thread without a word.
    handler.fails_with = [ValueError("secret"), SystemExit(1)]
    failed = {
        queue.enqueue(): "Internal error (ValueError).",
        queue.enqueue(): "Internal error (SystemExit).",
    }
    for _ in failed:
        handler.next_ended()
    fine = queue.enqueue()
    assert handler.next_ended()[0].id == fine
    for job_id in failed:
        assert (queue.row(job_id)["state"], queue.row(job_id)["attempt"]) == ("queued", 1)
    assert {queue.row(job_id)["last_error"] for job_id in failed} == set(failed.values())


def test_worker_writes_what_a_death_means_with_the_death(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.fails_with = [ValueError()]
    make_worker()
    job_id = queue.enqueue(max_attempts=1)
    eventually(lambda: queue.state(job_id) == "dead")
    assert effects(queue) == ["effect:given up: Internal error (ValueError)."]


def test_worker_comes_back_to_a_death_whose_meaning_could_not_be_written(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.fails_with = [ValueError()]
    handler.effect_fails_with = [RuntimeError(), RuntimeError()]
    make_worker(lease=timedelta(seconds=0.6))
    job_id = queue.enqueue(max_attempts=1)
    eventually(lambda: queue.state(job_id) == "dead")
    handler.next_ended()
    assert effects(queue) == ["effect:given up: Its worker fell silent."]
    assert not handler.effect_fails_with


def test_worker_ends_what_died_with_another_on_its_last_try(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    exhausted, cancelled = queue.enqueue(max_attempts=1), queue.enqueue()
    dead = queue.register()
    queue.claim(dead, count=2)
    queue.cancel(cancelled)
    queue.silence(dead)
    make_worker()
    eventually(lambda: queue.state(exhausted) == "dead" and queue.state(cancelled) == "cancelled")
    assert effects(queue) == ["effect:cancelled", "effect:given up: Its worker fell silent."]


def test_lease_lost_by_a_handler_is_not_a_failure(
    queue: Queue, make_worker: MakeWorker, handler: Steered
) -> None:
    make_worker()
    handler.fails_with = [LeaseLost()]
    job_id = queue.enqueue()
    handler.next_ended()
    assert queue.row(job_id)["last_error"] is None


def effects(queue: Queue) -> list[str]:
    return [
        row["kind"] for row in queue.sql("SELECT kind FROM jobs WHERE kind LIKE 'effect%%' ORDER BY kind")
    ]

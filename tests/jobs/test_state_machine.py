"""Any sequence of calls, by any number of workers, dead ones and stale claims among them, against a model.

The model is what the queue promises, written down plainly; after every step each row must be what it says.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar, cast
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from backend.jobs.claim import Claim, LeaseLost, WorkerForgotten
from tests.jobs.queue_model import FINISHED, ModelJob, ModelWorker
from tests.jobs.real_queue import Queue

CAP = 2
FAR = datetime(2200, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class QueueMachine(RuleBasedStateMachine):
    """Drives one queue of two tenants."""

    jobs: Bundle[UUID] = Bundle("jobs")
    workers: Bundle[UUID] = Bundle("workers")
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self, queue: Queue, tenants: tuple[UUID, ...]) -> None:
        super().__init__()
        queue.clear()
        self.queue = queue
        self.tenants = tenants
        self.model: dict[UUID, ModelJob] = {}
        self.crew: dict[UUID, ModelWorker] = {}
        self.in_force: dict[UUID, Claim] = {}

    @initialize(target=workers)
    def start_with_two_workers(self) -> MultipleResults[UUID]:
        return multiple(*(self._register() for _ in range(2)))

    @initialize(target=jobs)
    def start_with_two_jobs(self) -> MultipleResults[UUID]:
        return multiple(*(self._enqueue(tenant, 2, is_due=True) for tenant in range(2)))

    @rule(target=workers)
    def register(self) -> UUID:
        return self._register()

    @rule(target=jobs, tenant=st.integers(0, 1), max_attempts=st.integers(1, 3), is_due=st.booleans())
    def enqueue(self, tenant: int, max_attempts: int, is_due: bool) -> UUID:
        return self._enqueue(tenant, max_attempts, is_due=is_due)

    @rule(target=claims, worker_id=workers)
    def claim(self, worker_id: UUID) -> Claim | MultipleResults[Claim]:
        running = {tenant: self._count("running", tenant) for tenant in self.tenants}
        due = [job_id for job_id, job in self.model.items() if job.state == "queued" and job.is_due]
        possible = {job_id for job_id in due if running[self.model[job_id].tenant_id] < CAP}
        taken = self.queue.claim(worker_id, cap=CAP)
        if self.crew[worker_id].has_stopped or not possible:
            assert taken == []
            return multiple()
        (claim,) = taken
        assert claim.id in possible
        job = self.model[claim.id]
        assert running[job.tenant_id] == min(running[self.model[job_id].tenant_id] for job_id in possible)
        job.state, job.lease, job.attempt, job.holder = "running", job.lease + 1, job.attempt + 1, worker_id
        assert (claim.lease, claim.attempt, claim.worker_id) == (job.lease, job.attempt, worker_id)
        assert (claim.is_cancelled, claim.is_exhausted) == (job.is_cancelled, job.attempt > job.max_attempts)
        self.in_force[claim.id] = claim
        return claim

    @rule(claim=claims, progressed=st.booleans())
    def hold(self, claim: Claim, progressed: bool) -> None:
        job = self.model[claim.id]
        for goes_on in self._write(claim, partial(self.queue.hold, progressed=progressed)):
            assert goes_on is not job.is_cancelled
            job.attempt = 0 if progressed else job.attempt

    @rule(claim=claims)
    def complete(self, claim: Claim) -> None:
        if self._write(claim, self.queue.complete):
            self.model[claim.id].end("succeeded")

    @rule(claim=claims)
    def end_cancelled(self, claim: Claim) -> None:
        if self._write(claim, self.queue.end_cancelled):
            self.model[claim.id].end("cancelled")

    @rule(claim=claims, retry=st.booleans())
    def fail(self, claim: Claim, retry: bool) -> None:
        job = self.model[claim.id]
        for again_at in self._write(claim, partial(self.queue.fail, retry=retry)):
            if not retry or job.attempt >= job.max_attempts:
                assert again_at is None
                job.end("dead")
            else:
                assert again_at is not None
                job.go_back(is_due=False)
                self._stretch(claim.id)

    @rule(claim=claims)
    def give_back(self, claim: Claim) -> None:
        if self._write(claim, self.queue.give_back):
            self.model[claim.id].go_back(is_counted=False, is_due=True)

    @rule(claim=claims)
    def postpone(self, claim: Claim) -> None:
        if self._write(claim, partial(self.queue.postpone, until=FAR)):
            self.model[claim.id].go_back(is_counted=False, is_due=False)

    @rule(job_id=jobs)
    def cancel(self, job_id: UUID) -> None:
        job = self.model[job_id]
        state = self.queue.cancel(job_id, job.tenant_id)
        if job.state == "queued":
            job.is_cancelled = True
            job.end("cancelled")
        elif job.state == "running":
            job.is_cancelled = True
        else:
            assert state is None
            return
        assert state == job.state

    @rule(worker_id=workers)
    def fall_silent(self, worker_id: UUID) -> None:
        self.queue.silence(worker_id)
        self.crew[worker_id].is_heard = False

    @rule(worker_id=workers)
    def heartbeat(self, worker_id: UUID) -> None:
        if self.crew[worker_id].has_stopped:
            with pytest.raises(WorkerForgotten):
                self.queue.heartbeat(worker_id)
        else:
            self.queue.heartbeat(worker_id)
            self.crew[worker_id].is_heard = True

    @rule(worker_id=workers, gives_back=st.booleans())
    def say_goodbye(self, worker_id: UUID, gives_back: bool) -> None:
        self.queue.stop(worker_id)
        self.crew[worker_id].has_stopped = True
        if gives_back:
            held = self._held_by({worker_id})
            assert {job.id for job in self.queue.give_back_all(worker_id)} == held
            self._release(held, is_counted=False)

    @rule()
    def release_stalled(self) -> None:
        gone = self._held_by(self._gone())
        assert {job.id for job in self.queue.release()} == gone
        self._release(gone)

    @rule(claim=claims)
    def release_what_was_forgotten(self, claim: Claim) -> None:
        if self.in_force.get(claim.id) is not claim or not self.model[claim.id].accepts(claim):
            return
        self.queue.sql("UPDATE jobs SET claimed_at = claimed_at - interval '1 day'")
        others = self._held_by({claim.worker_id}) - {claim.id}
        gone = self._held_by(self._gone()) | {claim.id}
        in_hand = [self.in_force[job_id] for job_id in others]
        assert {job.id for job in self.queue.release(claim.worker_id, in_hand)} == gone
        self._release(gone)

    @rule(job_id=jobs)
    def let_its_time_come(self, job_id: UUID) -> None:
        self.queue.make_due(job_id)
        self.model[job_id].is_due = True

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        rows = {row["id"]: row for row in self.queue.sql("SELECT * FROM jobs")}
        assert rows.keys() == self.model.keys()
        for job_id, job in self.model.items():
            row = rows[job_id]
            assert (row["state"], row["lease"], row["attempt"], row["worker_id"]) == (
                job.state,
                job.lease,
                job.attempt,
                job.holder,
            )
            assert (row["finished_at"] is not None) == (job.state in FINISHED)
            assert (row["cancel_requested_at"] is not None) == job.is_cancelled

    def teardown(self) -> None:
        """Whatever happened: one healthy worker brings every job to an end."""
        for worker_id in self.crew:
            self.queue.silence(worker_id)
        self.queue.release()
        worker_id = self.queue.register()
        for _ in self.model:
            for claim in self.queue.claim(worker_id, count=1000, cap=1000):
                (self.queue.end_cancelled if claim.is_cancelled else self.queue.complete)(claim)
            self.queue.sql("UPDATE jobs SET run_at = now() WHERE state = 'queued'")
        assert self.queue.states().keys() <= FINISHED
        for row in self.queue.sql("SELECT id, state, lease FROM jobs"):
            job = self.model[row["id"]]
            assert row["lease"] >= job.lease
            assert job.state not in FINISHED or (row["state"], row["lease"]) == (job.state, job.lease)

    def _write(self, claim: Claim, write: Callable[[Claim], T]) -> list[T]:
        """What `write` returned, if the claim is in force; nothing if it was refused, as it then must be."""
        if self.model[claim.id].accepts(claim):
            return [write(claim)]
        with pytest.raises(LeaseLost):
            write(claim)
        return []

    def _register(self) -> UUID:
        worker_id = self.queue.register(timedelta(hours=1))
        self.crew[worker_id] = ModelWorker()
        return worker_id

    def _enqueue(self, tenant: int, max_attempts: int, *, is_due: bool) -> UUID:
        tenant_id = self.tenants[tenant]
        delay = timedelta(0) if is_due else timedelta(hours=1)
        job_id = self.queue.enqueue(tenant_id, max_attempts=max_attempts, delay=delay)
        self.model[job_id] = ModelJob(tenant_id, max_attempts, is_due)
        return job_id

    def _stretch(self, job_id: UUID) -> None:
        """Makes a backoff of seconds one of an hour, so that a slow machine does not see it end."""
        self.queue.sql(
            "UPDATE jobs SET run_at = run_at + interval '1 hour' WHERE id = %s AND run_at > now()", job_id
        )

    def _count(self, state: str, tenant_id: UUID) -> int:
        return sum(job.state == state and job.tenant_id == tenant_id for job in self.model.values())

    def _gone(self) -> set[UUID]:
        return {w for w, worker in self.crew.items() if worker.has_stopped or not worker.is_heard}

    def _held_by(self, workers: set[UUID]) -> set[UUID]:
        return {job_id for job_id, job in self.model.items() if job.holder in workers}

    def _release(self, job_ids: Iterable[UUID], *, is_counted: bool = True) -> None:
        for job_id in job_ids:
            self.model[job_id].lease += 1
            self.model[job_id].go_back(is_due=True, is_counted=is_counted)


def test_queue_keeps_its_promises_whatever_happens(queue: Queue) -> None:
    tenants = (queue.tenant_id, queue.make_tenant())
    run_state_machine_as_test(
        cast("type[QueueMachine]", partial(QueueMachine, queue, tenants)),
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

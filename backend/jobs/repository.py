"""Enqueue, claim, hold, complete, fail, cancel, heartbeat, release_stalled, purge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from backend.db.notify import Channel
from backend.db.transaction import hint
from backend.errors import Conflict
from backend.jobs.models import Job, Worker

#: Running jobs one tenant may have at a time across the fleet, while others wait.
TENANT_CAP = 4

#: Seconds before the next try after 1, 2, 3 … failures without progress; the last one repeats.
BACKOFF = (5, 15, 60, 300, 900, 3600)

# Select, lock and move in one statement. `waiting` skips from tenant to tenant through the index, so a long
# queue of one tenant costs nothing; `fair` puts tenants with the least running work first and drops those at
# the cap; the LIMIT stops the loop as soon as enough is locked, so claimers do not hold each other's jobs.
_CLAIM = text(
    """
    WITH RECURSIVE waiting AS (
        (SELECT tenant_id FROM jobs WHERE state = 'queued' ORDER BY tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT j.tenant_id FROM jobs AS j WHERE j.state = 'queued' AND j.tenant_id > w.tenant_id
                ORDER BY j.tenant_id LIMIT 1)
        FROM waiting AS w WHERE w.tenant_id IS NOT NULL
    ), running AS MATERIALIZED (
        SELECT tenant_id, count(*) AS jobs FROM jobs WHERE state = 'running' GROUP BY tenant_id
    ), fair AS MATERIALIZED (
        SELECT w.tenant_id, :tenant_cap - coalesce(r.jobs, 0) AS room
        FROM waiting AS w LEFT JOIN running AS r USING (tenant_id)
        WHERE w.tenant_id IS NOT NULL AND coalesce(r.jobs, 0) < :tenant_cap
        ORDER BY coalesce(r.jobs, 0), random()
    ), picked AS (
        SELECT j.id FROM fair CROSS JOIN LATERAL (
            SELECT q.id FROM jobs AS q
            WHERE q.tenant_id = fair.tenant_id AND q.state = 'queued' AND q.run_at <= now()
              AND q.kind = ANY (:kinds)
            ORDER BY q.priority DESC, q.run_at, q.id
            LIMIT fair.room FOR UPDATE SKIP LOCKED
        ) AS j
        LIMIT :count
    )
    UPDATE jobs AS j
    SET state = 'running', lease = j.lease + 1, attempt = j.attempt + 1, worker_id = :worker_id,
        claimed_at = now(), progressed_at = NULL
    FROM picked WHERE j.id = picked.id
    RETURNING j.id, j.tenant_id, j.kind, j.args, j.lease, j.attempt, j.max_attempts
    """
)

_RELEASE_STALLED = text(
    """
    WITH stalled AS (
        SELECT j.id FROM jobs AS j LEFT JOIN workers AS w ON w.id = j.worker_id
        WHERE j.state = 'running'
          AND (w.id IS NULL OR w.stopped_at IS NOT NULL OR w.heartbeat_at < now() - :term)
        FOR UPDATE OF j SKIP LOCKED
    )
    UPDATE jobs AS j
    SET state = CASE WHEN j.cancel_requested_at IS NOT NULL THEN 'cancelled'
                     WHEN j.attempt >= j.max_attempts THEN 'dead' ELSE 'queued' END,
        finished_at = CASE WHEN j.cancel_requested_at IS NOT NULL OR j.attempt >= j.max_attempts THEN now() END,
        lease = j.lease + 1, worker_id = NULL, run_at = now(),
        last_error = 'The worker fell silent.'
    FROM stalled WHERE j.id = stalled.id
    RETURNING j.id, j.tenant_id, j.kind, j.args, j.state, j.last_error
    """
)


class LeaseLost(Conflict):
    """This job is somebody else's now; what was done with it is discarded."""


class WorkerForgotten(Conflict):
    """This worker was silent for so long that it is counted as dead."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in a worker's hands; `lease` must go along with every write."""

    id: UUID
    tenant_id: UUID
    kind: str
    args: Mapping[str, Any]
    lease: int
    attempt: int
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Released:
    """A job taken from a silent worker; `state` is queued, dead or cancelled."""

    id: UUID
    tenant_id: UUID
    kind: str
    args: Mapping[str, Any]
    state: str
    last_error: str


class JobRepository:
    """The queue, within the caller's transaction: the tenant's to enqueue, hold and finish; the operator's to
    claim and release."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def enqueue(
        self,
        tenant_id: UUID,
        kind: str,
        args: Mapping[str, Any],
        *,
        priority: int = 0,
        delay: timedelta = timedelta(0),
        max_attempts: int = 10,
    ) -> UUID:
        """Adds a job, which exists from the caller's commit on; returns its id."""
        job = Job(
            tenant_id=tenant_id,
            kind=kind,
            args=dict(args),
            priority=priority,
            run_at=func.now() + delay,
            max_attempts=max_attempts,
        )
        self._session.add(job)
        self._session.flush()
        hint(self._session, Channel.JOBS, tenant_id, kind)
        return job.id

    def claim(
        self, worker_id: UUID, kinds: Sequence[str], *, count: int = 1, tenant_cap: int = TENANT_CAP
    ) -> list[Claim]:
        """Takes up to `count` jobs that are due, fairly across tenants; empty when there are none.

        Claimers that run at the same moment may together exceed the cap by as many as they are.
        """
        rows = self._session.execute(
            _CLAIM,
            {"worker_id": worker_id, "kinds": list(kinds), "count": count, "tenant_cap": tenant_cap},
        ).all()
        return [Claim(*row) for row in rows]

    def hold(self, claim: Claim, *, progressed: bool = False) -> bool:
        """Makes sure that this transaction's writes are still ours to make; False when asked to stop.

        Locks the job's row until the end of the transaction, so nobody can take it in between. When work was
        done that need not be done again (`progressed`), the tries are counted anew. Raises LeaseLost.
        """
        values = {"progressed_at": func.now(), "attempt": 1} if progressed else {"lease": Job.lease}
        row = self._session.execute(
            update(Job).where(*self._is_ours(claim)).values(values).returning(Job.cancel_requested_at)
        ).one_or_none()
        if row is None:
            raise LeaseLost
        return row[0] is None

    def complete(self, claim: Claim) -> None:
        """Ends the job well. Raises LeaseLost."""
        self._finish(claim, state="succeeded", finished_at=func.now(), last_error=None)

    def end_cancelled(self, claim: Claim) -> None:
        """Ends a job that was asked to stop. Raises LeaseLost."""
        self._finish(claim, state="cancelled", finished_at=func.now())

    def fail(self, claim: Claim, error: str, *, retry: bool = True) -> datetime | None:
        """Ends this try: again later, or dead after as many as allowed. When it will be tried again, or None.

        Raises LeaseLost.
        """
        if not retry or claim.attempt >= claim.max_attempts:
            self._finish(claim, state="dead", finished_at=func.now(), last_error=error)
            return None
        seconds = BACKOFF[min(claim.attempt, len(BACKOFF)) - 1]
        # Up to a quarter later, so that what failed together does not come back together.
        delay = timedelta(seconds=seconds) * (1 + func.random() / 4)
        return self._finish(claim, state="queued", run_at=func.now() + delay, last_error=error)

    def give_back(self, claim: Claim) -> None:
        """Puts the job back for anybody to take at once, without counting a try. Raises LeaseLost."""
        self._finish(claim, state="queued", run_at=func.now(), attempt=0)
        hint(self._session, Channel.JOBS, claim.tenant_id, claim.kind)

    def postpone(self, claim: Claim, until: datetime) -> None:
        """Puts the job back to be taken at `until`, without counting a try. Raises LeaseLost."""
        self._finish(claim, state="queued", run_at=until, attempt=0)

    def cancel(self, tenant_id: UUID, job_id: UUID) -> str | None:
        """Cancels a waiting job at once and asks a running one to stop; its state now, None if unknown or over."""
        return self._session.scalar(
            text(
                """
                UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, now()),
                    state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,
                    finished_at = CASE state WHEN 'queued' THEN now() END
                WHERE tenant_id = :tenant_id AND id = :job_id AND state IN ('queued', 'running')
                RETURNING state
                """
            ),
            {"tenant_id": tenant_id, "job_id": job_id},
        )

    def release_stalled(self, *, term: timedelta) -> list[Released]:
        """Takes jobs from workers that have been silent for longer than `term` (operator transaction).

        Their leases are raised, so whatever those workers still write is refused.
        """
        rows = self._session.execute(_RELEASE_STALLED, {"term": term}).all()
        for row in rows:
            hint(self._session, Channel.JOBS, row.tenant_id, row.kind)
        return [Released(*row) for row in rows]

    def purge_finished(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes jobs that ended more than `older_than` ago, at most `limit` (operator transaction)."""
        deleted = self._session.execute(
            text(
                """
                DELETE FROM jobs WHERE id IN (
                    SELECT id FROM jobs WHERE finished_at < now() - :older_than LIMIT :limit FOR UPDATE SKIP LOCKED
                ) RETURNING id
                """
            ),
            {"older_than": older_than, "limit": limit},
        ).all()
        return len(deleted)

    def is_alone_at(self, chore: str) -> bool:
        """Whether nobody else does `chore` at this moment; nobody will until the transaction ends."""
        return bool(
            self._session.scalar(
                text("SELECT pg_try_advisory_xact_lock(hashtextextended(:chore, 5003))"), {"chore": chore}
            )
        )

    def find(self, tenant_id: UUID, job_id: UUID) -> Job | None:
        """The tenant's job."""
        return self._session.scalar(select(Job).where(Job.tenant_id == tenant_id, Job.id == job_id))

    def _is_ours(self, claim: Claim) -> tuple[Any, ...]:
        return (
            Job.tenant_id == claim.tenant_id,
            Job.id == claim.id,
            Job.state == "running",
            Job.lease == claim.lease,
        )

    def _finish(self, claim: Claim, **values: Any) -> datetime:
        run_at = self._session.scalar(
            update(Job).where(*self._is_ours(claim)).values(worker_id=None, **values).returning(Job.run_at)
        )
        if run_at is None:
            raise LeaseLost
        return run_at


class WorkerRepository:
    """Worker processes, within an operator transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def register(self, *, name: str, version: str) -> UUID:
        """A new worker process, alive now."""
        worker = Worker(name=name, version=version)
        self._session.add(worker)
        self._session.flush()
        return worker.id

    def heartbeat(self, worker_id: UUID) -> None:
        """Says that the process lives. Raises WorkerForgotten when its row is gone or it had said goodbye."""
        alive = self._session.scalar(
            update(Worker)
            .where(Worker.id == worker_id, Worker.stopped_at.is_(None))
            .values(heartbeat_at=func.now())
            .returning(Worker.id)
        )
        if alive is None:
            raise WorkerForgotten

    def stop(self, worker_id: UUID) -> None:
        """Says goodbye; jobs still held go back to the queue at the next `release_stalled`."""
        self._session.execute(
            update(Worker)
            .where(Worker.id == worker_id, Worker.stopped_at.is_(None))
            .values(stopped_at=func.now())
        )

    def purge_gone(self, *, older_than: timedelta) -> int:
        """Deletes workers not heard of for `older_than` that hold no job; returns how many."""
        deleted = self._session.execute(
            text(
                """
                DELETE FROM workers AS w WHERE w.heartbeat_at < now() - :older_than
                  AND NOT EXISTS (SELECT FROM jobs AS j WHERE j.worker_id = w.id AND j.state = 'running')
                RETURNING w.id
                """
            ),
            {"older_than": older_than},
        ).all()
        return len(deleted)

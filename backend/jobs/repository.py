"""Enqueue, claim, hold, complete, fail, cancel, release_stalled, purge."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Interval, and_, case, func, literal, select, text, update
from sqlalchemy.orm import Session

from backend.db.notify import Channel
from backend.db.transaction import Unit, hint
from backend.jobs import statements
from backend.jobs.claim import Claim, LeaseLost, Released
from backend.jobs.models import Job

#: Running jobs one tenant may have at a time across the fleet, also when nobody else waits: what a tenant's
#: jobs talk to has limits of its own.
TENANT_CAP: Final = 4

#: Seconds before the next try after 1, 2, 3 … failures without progress; the last one repeats.
BACKOFF: Final = (5, 15, 60, 300, 900, 3600)

_ENQUEUE: Final = text(statements.ENQUEUE)
_CLAIM: Final = text(statements.CLAIM)

# Made once: taking a statement apart for its names costs as much as a round trip.
_HOLD = text(statements.HOLD)
_PROGRESS = text(statements.PROGRESS)
_COMPLETE = text(statements.COMPLETE)
_COMPLETE_MANY = text(statements.COMPLETE_MANY)


class JobStatements:
    """What is one statement and can be a transaction by itself: a tenant's unit of work enqueues and ends jobs, an
    operator's claims them."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def claim(
        self, worker_id: UUID, kinds: Sequence[str], *, count: int = 1, tenant_cap: int = TENANT_CAP
    ) -> list[Claim]:
        """Takes up to `count` jobs that are due, fairly across tenants; empty when there are none.

        Empty as well for a worker that is unknown or has said goodbye. Jobs of a deactivated tenant wait. A batch is
        spread over the tenants that wait, so it may be smaller than what is due. Claimers that run at the same moment
        do not see each other's jobs yet: together they may exceed the cap, each by what it would have been allowed
        alone.

        The commit is not waited for until it is on disk: a crash of the server may forget the claim, and the job waits
        as before. The same worker may then get it once more under the same lease: that is one claim, not two.
        """
        rows = self._unit.execute(
            _CLAIM,
            {"worker_id": worker_id, "kinds": list(kinds), "count": count, "tenant_cap": tenant_cap},
        ).all()
        return [Claim(*row[:-1]) for row in rows]

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
        job_id: UUID = self._unit.execute(
            _ENQUEUE,
            {
                "tenant_id": tenant_id,
                "kind": kind,
                "args": json.dumps(dict(args)),
                "priority": priority,
                "delay": delay,
                "max_attempts": max_attempts,
            },
        ).scalar_one()
        hint(self._unit, Channel.JOBS, tenant_id, kind)
        return job_id

    def complete(self, claim: Claim) -> None:
        """Ends the job well. Raises LeaseLost."""
        if not self._unit.execute(_COMPLETE, claim.fence).all():
            raise LeaseLost

    def complete_many(self, claims: Sequence[Claim]) -> None:
        """Ends several jobs of one tenant well, all or none: raises LeaseLost when any of them is not ours any more."""
        ended = self._unit.execute(
            _COMPLETE_MANY,
            {
                "tenant_id": claims[0].tenant_id,
                "worker_id": claims[0].worker_id,
                "ids": [claim.id for claim in claims],
                "leases": [claim.lease for claim in claims],
            },
        )
        if len(ended.all()) != len({claim.id for claim in claims}):
            raise LeaseLost


class JobRepository(JobStatements):
    """The queue, within the caller's transaction.

    A tenant's transaction enqueues, holds and ends jobs; an operator's claims and releases. An operator's may
    not end one, by its rights: so a job always ends in a transaction that can also write what that means.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session

    def hold(self, claim: Claim, *, progressed: bool = False) -> bool:
        """Makes sure that this transaction's writes are still ours to make; False when asked to stop.

        Locks the job's row until the end of the transaction, so nobody can take it in between. When work was
        done that need not be done again (`progressed`), the tries are counted anew. Raises LeaseLost.
        """
        goes_on: bool | None = self._session.scalar(_PROGRESS if progressed else _HOLD, claim.fence)
        if goes_on is None:
            raise LeaseLost
        return goes_on

    def end_cancelled(self, claim: Claim) -> None:
        """Ends a job that was asked to stop. Raises LeaseLost."""
        self._let_go(claim, state="cancelled", finished_at=func.now())

    def fail(self, claim: Claim, error: str, *, retry: bool = True) -> datetime | None:
        """Ends this try: again later, or dead after as many as allowed. When it will be tried again, or None.

        Raises LeaseLost.
        """
        is_last = Job.attempt >= Job.max_attempts if retry else literal(True)
        seconds = case(
            dict(enumerate(BACKOFF[:-1], start=1)), value=func.greatest(Job.attempt, 1), else_=BACKOFF[-1]
        )
        # Up to a quarter later, so that what failed together does not come back together.
        delay = func.make_interval(0, 0, 0, 0, 0, 0, seconds * (1 + func.random() / 4), type_=Interval)
        state, run_at = self._let_go(
            claim,
            state=case((is_last, "dead"), else_="queued"),
            finished_at=case((is_last, func.now())),
            run_at=case((is_last, Job.run_at), else_=self._soon_if_cancelled(func.now() + delay)),
            last_error=error,
        )
        return None if state == "dead" else run_at

    def give_back(self, claim: Claim) -> None:
        """Puts the job back for anybody to take at once, without counting a try. Raises LeaseLost."""
        self._let_go(claim, state="queued", run_at=func.now(), attempt=func.greatest(Job.attempt - 1, 0))
        hint(self._session, Channel.JOBS, claim.tenant_id, claim.kind)

    def postpone(
        self,
        claim: Claim,
        until: datetime | timedelta,
        *,
        because: str | None = None,
        args: Mapping[str, Any] | None = None,
    ) -> datetime:
        """Puts the job back to be taken at `until`, or so long from now, without counting a try; when that is.

        `because` is what operators read meanwhile, `args` what the job is told the next time if not the same.

        Raises LeaseLost.
        """
        at = func.now() + until if isinstance(until, timedelta) else literal(until)
        values: dict[str, Any] = {
            "run_at": self._soon_if_cancelled(at),
            "attempt": func.greatest(Job.attempt - 1, 0),
        }
        if because is not None:
            values["last_error"] = because
        if args is not None:
            values["args"] = dict(args)
        return self._let_go(claim, state="queued", **values)[1]

    def cancel(self, tenant_id: UUID, job_id: UUID) -> str | None:
        """Cancels a waiting job at once and asks a running one to stop; its state now, None if unknown or over.

        The job of a worker that dies before it has stopped is claimed once more, only to be ended as cancelled.
        """
        state: str | None = self._session.scalar(
            text(statements.CANCEL), {"tenant_id": tenant_id, "job_id": job_id}
        )
        return state

    def stop_all(self, tenant_id: UUID, *, but: Collection[str] = ()) -> int:
        """Asks the tenant's running jobs to stop, but for those kinds; returns how many. While it is deactivated none is
        claimed."""
        values = {"tenant_id": tenant_id, "but": list(but)}
        return len(self._session.execute(text(statements.STOP_ALL), values).all())

    def release_stalled(
        self, *, worker_id: UUID | None = None, in_hand: Collection[Claim] = ()
    ) -> list[Released]:
        """Puts jobs of workers that said goodbye or fell silent back to the queue (operator transaction).

        And those of `worker_id` that it does not have `in_hand` although it claimed them a lease term ago:
        the answer to its claim was lost, say, or the thread that had it has died. Their leases are raised, so
        whatever is still written for them is refused. One that was on its last try goes back too: whoever
        claims it finds it exhausted and ends it together with what that means to others.
        """
        return self._released(
            statements.RELEASE_STALLED,
            worker_id=worker_id,
            job_ids=[claim.id for claim in in_hand],
            leases=[claim.lease for claim in in_hand],
        )

    def give_back_all(self, worker_id: UUID) -> list[Released]:
        """Puts whatever the worker still has back to the queue, without counting a try (operator transaction)."""
        return self._released(statements.GIVE_BACK_ALL, worker_id=worker_id)

    def purge_finished(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes jobs that ended more than `older_than` ago, at most `limit` (operator transaction)."""
        rows = self._session.execute(
            text(statements.PURGE_FINISHED), {"older_than": older_than, "limit": limit}
        )
        return len(rows.all())

    def is_alone_at(self, chore: str) -> bool:
        """Whether nobody else does `chore` at this moment; nobody will until the transaction ends."""
        return bool(
            self._session.scalar(
                text("SELECT pg_try_advisory_xact_lock(hashtextextended(:chore, 5003))"), {"chore": chore}
            )
        )

    def is_anybody_waiting(self, *, but: UUID, kind: str) -> bool:
        """Whether a job of that kind is due and waits, of another tenant than `but` (operator transaction)."""
        return bool(
            self._session.scalar(
                select(
                    select(Job.id)
                    .where(
                        Job.state == "queued",
                        Job.run_at <= func.now(),
                        Job.kind == kind,
                        Job.tenant_id != but,
                    )
                    .exists()
                )
            )
        )

    def find_unfinished(self, tenant_id: UUID, kind: str) -> UUID | None:
        """The tenant's job of that kind which waits or runs, the oldest if there are several."""
        return self._session.scalar(
            select(Job.id)
            .where(Job.tenant_id == tenant_id, Job.kind == kind, Job.state.in_(("queued", "running")))
            .order_by(Job.id)
            .limit(1)
        )

    def list_tenants_with(self, kind: str) -> Sequence[UUID]:
        """Tenants with a job of that kind which waits or runs; an operator transaction's."""
        return self._session.scalars(
            select(Job.tenant_id).where(Job.kind == kind, Job.state.in_(("queued", "running"))).distinct()
        ).all()

    def find(self, tenant_id: UUID, job_id: UUID) -> Job | None:
        """The tenant's job."""
        return self._session.scalar(select(Job).where(Job.tenant_id == tenant_id, Job.id == job_id))

    def _is_ours(self, claim: Claim) -> tuple[Any, ...]:
        return (
            Job.tenant_id == claim.tenant_id,
            Job.id == claim.id,
            Job.state == "running",
            Job.lease == claim.lease,
            # The lease alone would do, but for a failover that lost the newest commits, claims among them.
            Job.worker_id == claim.worker_id,
        )

    def _soon_if_cancelled(self, run_at: Any) -> Any:
        # Nobody needs to wait for a job that will only be ended.
        return case((Job.cancel_requested_at.is_not(None), func.now()), else_=run_at)

    def _let_go(self, claim: Claim, **values: Any) -> tuple[str, datetime]:
        row = self._session.execute(
            update(Job)
            .where(and_(*self._is_ours(claim)))
            .values(worker_id=None, **values)
            .returning(Job.state, Job.run_at)
        ).one_or_none()
        if row is None:
            raise LeaseLost
        return row[0], row[1]

    def _released(self, statement: str, **values: Any) -> list[Released]:
        released = [Released(*row) for row in self._session.execute(text(statement), values)]
        for job in released:
            hint(self._session, Channel.JOBS, job.tenant_id, job.kind)
        return released

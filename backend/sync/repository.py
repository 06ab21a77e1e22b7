"""Start, advance, finish, fail, cancel, latest; failures of single items; purge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, null, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from backend.db.notify import Channel
from backend.db.transaction import hint
from backend.errors import NotFound
from backend.sync.failures.repository import Failure, SyncErrorRepository
from backend.sync.models import SyncRun, SyncTransition

#: So long after its end a run is history: what is shown is that nothing is going on.
IDLE_AFTER_SECONDS = 24 * 3600


class SyncRunNotFound(NotFound):
    """There is no such sync."""


@dataclass(frozen=True, slots=True)
class PageResult:
    """What a step brought; goes into the run in the documents' transaction."""

    stored: int = 0
    unchanged: int = 0
    deleted: int = 0
    chunks: int = 0
    total: int | None = None
    note: str | None = None
    failures: Sequence[Failure] = field(default=())
    #: Items that failed in this run before, and are stored now.
    mended: int = 0
    #: Items the source has shown that are still to be dealt with.
    ahead: int = 0


class SyncRunRepository:
    """Runs of one tenant, within the caller's transaction. Every change raises the run's `seq`; every change of its
    state is written down with who made it: `actor`, such as `user 0199…` or `worker 0199…`."""

    def __init__(self, session: Session, *, actor: str = "worker") -> None:
        self._session = session
        self._actor = actor

    def start(
        self,
        tenant_id: UUID,
        connector_id: UUID,
        *,
        connector_type: str,
        requested_by: UUID | None,
        trigger: str = "user",
        is_full: bool = False,
    ) -> tuple[SyncRun, bool]:
        """A new queued run, or the unfinished one there is: (run, whether it is new).

        Of several concurrent calls one makes the run; the partial unique index decides.
        """
        made = self._session.scalar(
            insert(SyncRun)
            .values(
                tenant_id=tenant_id,
                connector_id=connector_id,
                connector_type=connector_type,
                requested_by=requested_by,
                trigger=trigger,
                is_full=is_full,
            )
            .on_conflict_do_nothing(
                index_elements=["tenant_id", "connector_id"], index_where=SyncRun.finished_at.is_(None)
            )
            .returning(SyncRun)
        )
        if made is not None:
            self._note_transition(made, None)
            self._changed(made)
            return made, True
        running = self._session.scalar(
            select(SyncRun).where(
                SyncRun.tenant_id == tenant_id,
                SyncRun.connector_id == connector_id,
                SyncRun.finished_at.is_(None),
            )
        )
        if running is not None:
            return running, False
        # It finished between the two statements, each of which saw its own moment.
        return self.start(
            tenant_id,
            connector_id,
            connector_type=connector_type,
            requested_by=requested_by,
            trigger=trigger,
            is_full=is_full,
        )

    def attach_job(self, tenant_id: UUID, run_id: UUID, job_id: UUID) -> None:
        """Names the job that carries the run out."""
        self._change(tenant_id, run_id, job_id=job_id)

    def take_up(
        self, tenant_id: UUID, run_id: UUID, *, cursor: Mapping[str, Any] | None, is_full: bool
    ) -> SyncRun | None:
        """Marks the run as running, from the connector's place `cursor` on; None when it is finished."""
        return self._change(
            tenant_id,
            run_id,
            state="running",
            stage="fetching",
            resume_at=None,
            is_full=SyncRun.is_full | is_full,
            # A JSON null would be a place, and none to begin at.
            cursor=func.coalesce(
                SyncRun.cursor, null() if cursor is None else literal(dict(cursor), SyncRun.cursor.type)
            ),
            started_at=func.coalesce(SyncRun.started_at, func.now()),
        )

    def describe(self, tenant_id: UUID, run_id: UUID, *, stage: str, note: str | None) -> None:
        """Says what the run is busy with; counts stay as they are."""
        self._change(tenant_id, run_id, stage=stage, note=note)

    def advance(self, tenant_id: UUID, run_id: UUID, page: PageResult) -> SyncRun | None:
        """Adds counts and failures; None when the run is finished already."""
        recorded = SyncErrorRepository(self._session).record(tenant_id, run_id, page.failures)
        dealt = page.stored + page.unchanged + recorded
        processed = SyncRun.processed_count + dealt - page.mended
        return self._change(
            tenant_id,
            run_id,
            stage="fetching",
            note=page.note,
            total_count=func.coalesce(page.total, SyncRun.total_count),
            found_count=func.greatest(SyncRun.found_count, processed + page.ahead),
            processed_count=processed,
            stored_count=SyncRun.stored_count + page.stored,
            unchanged_count=SyncRun.unchanged_count + page.unchanged,
            failed_count=SyncRun.failed_count + recorded - page.mended,
            deleted_count=SyncRun.deleted_count + page.deleted,
            chunk_count=SyncRun.chunk_count + page.chunks,
        )

    def wait(self, tenant_id: UUID, run_id: UUID, *, until: datetime, note: str) -> None:
        """The provider asks for a pause, or does not answer; the run goes on at `until`."""
        self._change(tenant_id, run_id, reason=note, state="waiting", resume_at=until, note=note)

    def finish(self, tenant_id: UUID, run_id: UUID) -> None:
        """Ends the run well, or with errors when single items failed."""
        self._change(
            tenant_id,
            run_id,
            state=text("CASE WHEN failed_count > 0 THEN 'completed_with_errors' ELSE 'completed' END"),
            stage="done",
            note=None,
            finished_at=func.now(),
        )

    def interrupt(self, tenant_id: UUID, run_id: UUID, error: str) -> None:
        """Ends the run before its end, for a reason that passes; what it stored stays, the next one goes on there."""
        self._end(tenant_id, run_id, "interrupted", error)

    def fail(self, tenant_id: UUID, run_id: UUID, error: str) -> None:
        """Ends the run until a person does something, with the reason for them; what it stored stays."""
        self._end(tenant_id, run_id, "failed", error)

    def cancel(self, tenant_id: UUID, run_id: UUID) -> None:
        """Ends the run because somebody asked for it; what it stored stays."""
        self._change(
            tenant_id,
            run_id,
            state="cancelled",
            resume_at=None,
            note=None,
            finished_at=func.now(),
        )

    def get(self, tenant_id: UUID, run_id: UUID) -> SyncRun:
        """The run as it is now. Raises SyncRunNotFound."""
        run = self._session.scalar(
            select(SyncRun).where(SyncRun.tenant_id == tenant_id, SyncRun.id == run_id)
        )
        if run is None:
            raise SyncRunNotFound
        return run

    def ended_longer_ago(self, tenant_id: UUID, run_id: UUID, *, seconds: float) -> bool:
        """Whether the run has been over for more than `seconds`, by the database's clock."""
        return bool(
            self._session.scalar(
                select(SyncRun.finished_at < func.now() - timedelta(seconds=seconds)).where(
                    SyncRun.tenant_id == tenant_id, SyncRun.id == run_id
                )
            )
        )

    def find_current(self, tenant_id: UUID, connector_id: UUID) -> SyncRun | None:
        """The connector's newest run, unless it has been over for a day: then the connector is idle."""
        run = self.find_latest(tenant_id, connector_id)
        is_over = run is not None and self.ended_longer_ago(tenant_id, run.id, seconds=IDLE_AFTER_SECONDS)
        return None if is_over else run

    def find_latest(self, tenant_id: UUID, connector_id: UUID) -> SyncRun | None:
        """The connector's newest run."""
        return self._session.scalar(
            select(SyncRun)
            .where(SyncRun.tenant_id == tenant_id, SyncRun.connector_id == connector_id)
            .order_by(SyncRun.created_at.desc(), SyncRun.id.desc())
            .limit(1)
        )

    def list_latest(self, tenant_id: UUID) -> dict[UUID, SyncRun]:
        """The newest run of each of the tenant's connectors."""
        runs = self._session.scalars(
            select(SyncRun)
            .where(SyncRun.tenant_id == tenant_id)
            .ext(distinct_on(SyncRun.connector_id))
            .order_by(SyncRun.connector_id, SyncRun.created_at.desc(), SyncRun.id.desc())
        )
        return {run.connector_id: run for run in runs}

    def list_transitions(self, tenant_id: UUID, run_id: UUID) -> Sequence[SyncTransition]:
        """Every change of the run's state, in order."""
        return self._session.scalars(
            select(SyncTransition)
            .where(SyncTransition.tenant_id == tenant_id, SyncTransition.run_id == run_id)
            .order_by(SyncTransition.seq)
        ).all()

    def purge_finished(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes runs that ended more than `older_than` ago, at most `limit` (operator transaction).

        The newest run of a connector stays: it is what its status shows.
        """
        deleted = self._session.execute(
            text(
                """
                DELETE FROM sync_runs AS r WHERE (r.tenant_id, r.id) IN (
                    SELECT o.tenant_id, o.id FROM sync_runs AS o
                    WHERE o.finished_at < now() - :older_than AND EXISTS (
                        SELECT FROM sync_runs AS n WHERE n.tenant_id = o.tenant_id
                        AND n.connector_id = o.connector_id AND n.created_at > o.created_at)
                    LIMIT :limit
                ) RETURNING r.id
                """
            ),
            {"older_than": older_than, "limit": limit},
        ).all()
        return len(deleted)

    def _end(self, tenant_id: UUID, run_id: UUID, state: str, error: str) -> None:
        self._change(
            tenant_id,
            run_id,
            reason=error,
            state=state,
            error=error,
            resume_at=None,
            note=None,
            finished_at=func.now(),
        )

    def _change(
        self, tenant_id: UUID, run_id: UUID, *, reason: str | None = None, **values: Any
    ) -> SyncRun | None:
        run = self._session.scalar(
            update(SyncRun)
            .where(SyncRun.tenant_id == tenant_id, SyncRun.id == run_id, SyncRun.finished_at.is_(None))
            .values(seq=SyncRun.seq + 1, updated_at=func.now(), **values)
            .returning(SyncRun),
            execution_options={"populate_existing": True},
        )
        if run is not None:
            if "state" in values:
                self._note_transition(run, reason)
            self._changed(run)
        return run

    def _note_transition(self, run: SyncRun, reason: str | None) -> None:
        self._session.execute(
            insert(SyncTransition).values(
                tenant_id=run.tenant_id,
                run_id=run.id,
                seq=run.seq,
                state=run.state,
                actor=self._actor,
                reason=reason,
            )
        )

    def _changed(self, run: SyncRun) -> None:
        hint(self._session, Channel.SYNC_RUNS, run.tenant_id, run.id)

"""Start, advance, finish, fail, cancel, latest; failures of single items; purge."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from backend.db.notify import Channel
from backend.db.transaction import Unit, hint
from backend.errors import NotFound
from backend.sync import statements
from backend.sync.models import SyncError, SyncRun

_COLUMNS: Final = tuple(column.name for column in SyncRun.__table__.columns)
_GET: Final = text(
    f"SELECT {', '.join(_COLUMNS)} FROM sync_runs WHERE tenant_id = :tenant_id AND id = :run_id"  # noqa: S608
)
_ENDED_LONGER_AGO: Final = text(statements.ENDED_LONGER_AGO)
_DESCRIBE: Final = text(statements.DESCRIBE)
_DESCRIBE_HELD: Final = text(statements.DESCRIBE_HELD)
#: So long after its end a run is history: what is shown is that nothing is going on.
IDLE_AFTER_SECONDS = 24 * 3600


class SyncRunNotFound(NotFound):
    """There is no such sync."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One item a run could not take."""

    external_id: str
    url: str | None
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Which try of which job carries a run out."""

    job_id: UUID
    lease: int
    worker_id: UUID


@dataclass(frozen=True, slots=True)
class PageResult:
    """What one page brought; goes into the run with its checkpoint, in the documents' transaction."""

    cursor: Mapping[str, Any]
    found: int
    stored: int
    unchanged: int
    chunks: int
    total: int | None = None
    note: str | None = None
    failures: Sequence[Failure] = field(default=())


class SyncProgressRepository:
    """What is written and read most: how far a run is. Each method is one statement, so it can be a transaction by
    itself."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def describe(
        self, tenant_id: UUID, run_id: UUID, *, stage: str, note: str | None, holder: Holder | None = None
    ) -> bool:
        """Says what the run is busy with; counts stay as they are. False when it is finished, or when the job is
        not `holder`'s any more."""
        values: dict[str, Any] = {"tenant_id": tenant_id, "run_id": run_id, "stage": stage, "note": note}
        if holder is None:
            described = self._unit.execute(_DESCRIBE, values).one_or_none()
        else:
            values |= {"job_id": holder.job_id, "lease": holder.lease, "worker_id": holder.worker_id}
            described = self._unit.execute(_DESCRIBE_HELD, values).one_or_none()
        if described is None:
            return False
        hint(self._unit, Channel.SYNC_RUNS, tenant_id, run_id)
        return True

    def get(self, tenant_id: UUID, run_id: UUID) -> SyncRun:
        """The run as it is now, a copy of its row. Raises SyncRunNotFound."""
        row = self._unit.execute(_GET, {"tenant_id": tenant_id, "run_id": run_id}).one_or_none()
        if row is None:
            raise SyncRunNotFound
        return SyncRun(**dict(zip(_COLUMNS, row, strict=True)))

    def ended_longer_ago(self, tenant_id: UUID, run_id: UUID, *, seconds: float) -> bool:
        """Whether the run has been over for more than `seconds`, by the database's clock."""
        values = {"tenant_id": tenant_id, "run_id": run_id, "time": timedelta(seconds=seconds)}
        return self._unit.execute(_ENDED_LONGER_AGO, values).one_or_none() is not None


class SyncRunRepository(SyncProgressRepository):
    """Runs of one tenant, within the caller's transaction. Every change raises the run's `seq`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session

    def start(
        self, tenant_id: UUID, connector_id: UUID, *, connector_type: str, requested_by: UUID | None
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
            )
            .on_conflict_do_nothing(
                index_elements=["tenant_id", "connector_id"], index_where=SyncRun.finished_at.is_(None)
            )
            .returning(SyncRun)
        )
        if made is not None:
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
        return self.start(tenant_id, connector_id, connector_type=connector_type, requested_by=requested_by)

    def attach_job(self, tenant_id: UUID, run_id: UUID, job_id: UUID) -> None:
        """Names the job that carries the run out."""
        self._change(tenant_id, run_id, job_id=job_id)

    def take_up(self, tenant_id: UUID, run_id: UUID) -> SyncRun | None:
        """Marks the run as running and returns it with its checkpoint; None when it is finished."""
        return self._change(
            tenant_id,
            run_id,
            state="running",
            stage="fetching",
            resume_at=None,
            started_at=func.coalesce(SyncRun.started_at, func.now()),
        )

    def advance(self, tenant_id: UUID, run_id: UUID, page: PageResult) -> SyncRun | None:
        """Adds a page's counts, failures and checkpoint; None when the run is finished already."""
        recorded = self._record(tenant_id, run_id, page.failures)
        return self._change(
            tenant_id,
            run_id,
            stage="fetching",
            cursor=dict(page.cursor),
            note=page.note,
            total_count=func.coalesce(page.total, SyncRun.total_count),
            found_count=SyncRun.found_count + page.found + len(page.failures),
            processed_count=SyncRun.processed_count + page.stored + page.unchanged + len(page.failures),
            stored_count=SyncRun.stored_count + page.stored,
            unchanged_count=SyncRun.unchanged_count + page.unchanged,
            failed_count=SyncRun.failed_count + recorded,
            chunk_count=SyncRun.chunk_count + page.chunks,
        )

    def wait(self, tenant_id: UUID, run_id: UUID, *, until: datetime, note: str) -> None:
        """The provider asks for a pause; the run goes on at `until`."""
        self._change(tenant_id, run_id, state="waiting", resume_at=until, note=note)

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

    def fail(self, tenant_id: UUID, run_id: UUID, error: str) -> None:
        """Ends the run badly, with the reason for a person; what it stored stays."""
        self._change(tenant_id, run_id, state="failed", error=error, note=None, finished_at=func.now())

    def cancel(self, tenant_id: UUID, run_id: UUID) -> None:
        """Ends the run because somebody asked for it; what it stored stays."""
        self._change(tenant_id, run_id, state="cancelled", note=None, finished_at=func.now())

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

    def list_failures(self, tenant_id: UUID, run_id: UUID, *, limit: int = 200) -> Sequence[SyncError]:
        """The items the run could not take, at most `limit`, by id."""
        return self._session.scalars(
            select(SyncError)
            .where(SyncError.tenant_id == tenant_id, SyncError.run_id == run_id)
            .order_by(SyncError.external_id)
            .limit(limit)
        ).all()

    def purge_finished(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes runs that ended more than `older_than` ago, at most `limit` (operator transaction).

        The newest run of a connector stays: it is what its status shows.
        """
        deleted = self._session.execute(
            text(statements.PURGE_FINISHED),
            {"older_than": older_than, "limit": limit},
        ).all()
        return len(deleted)

    def _record(self, tenant_id: UUID, run_id: UUID, failures: Iterable[Failure]) -> int:
        """Writes failures; a page done again after a crash does not count the same item twice."""
        rows = {
            f.external_id: {
                "tenant_id": tenant_id,
                "run_id": run_id,
                "external_id": f.external_id,
                "url": f.url,
                "stage": f.stage,
                "reason": f.reason,
            }
            for f in failures
        }
        if not rows:
            return 0
        written = self._session.scalars(
            insert(SyncError)
            .values(list(rows.values()))
            .on_conflict_do_nothing(constraint="pk_sync_errors")
            .returning(SyncError.external_id)
        ).all()
        return len(written)

    def _change(self, tenant_id: UUID, run_id: UUID, **values: Any) -> SyncRun | None:
        run = self._session.scalar(
            update(SyncRun)
            .where(SyncRun.tenant_id == tenant_id, SyncRun.id == run_id, SyncRun.finished_at.is_(None))
            .values(seq=SyncRun.seq + 1, updated_at=func.now(), **values)
            .returning(SyncRun),
            execution_options={"populate_existing": True},
        )
        if run is not None:
            self._changed(run)
        return run

    def _changed(self, run: SyncRun) -> None:
        hint(self._session, Channel.SYNC_RUNS, run.tenant_id, run.id)

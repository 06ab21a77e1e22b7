"""Note, get, ended_longer_ago."""

from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm.attributes import instance_dict
from sqlalchemy.orm.instrumentation import manager_of_class

from backend.db.notify import Channel
from backend.db.transaction import Unit, hint
from backend.sync.models import SyncRun
from backend.sync.repository import SyncRunNotFound

_COLUMNS: Final = tuple(column.name for column in SyncRun.__table__.columns)
_GET: Final = text(
    f"SELECT {', '.join(_COLUMNS)} FROM sync_runs WHERE tenant_id = :tenant_id AND id = :run_id"  # noqa: S608
)
_ENDED_LONGER_AGO: Final = text(
    "SELECT 1 FROM sync_runs WHERE tenant_id = :tenant_id AND id = :run_id AND finished_at < now() - :time"
)
# Fenced by the job's lease; the job's row is locked, as by whoever writes for a job, in the same round trip.
_NOTE: Final = text(
    """
    WITH held AS MATERIALIZED (
        SELECT cancel_requested_at IS NULL AS goes_on FROM jobs
        WHERE tenant_id = :tenant_id AND id = :job_id AND state = 'running'
          AND lease = :lease AND worker_id = :worker_id FOR KEY SHARE
    )
    UPDATE sync_runs AS r SET seq = seq + 1, updated_at = now(), stage = :stage, note = :note
    FROM held WHERE r.tenant_id = :tenant_id AND r.id = :run_id AND r.finished_at IS NULL
    RETURNING held.goes_on
    """
)


class Holder(Protocol):
    """Which try of which job carries a run out: a claim."""

    @property
    def id(self) -> UUID: ...
    @property
    def lease(self) -> int: ...
    @property
    def worker_id(self) -> UUID: ...


class SyncProgressRepository:
    """Within the caller's unit of work. Each method is one statement, so it can be a transaction by itself."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def note(self, tenant_id: UUID, run_id: UUID, holder: Holder, *, stage: str, note: str) -> bool | None:
        """Says what the run is busy with; counts stay as they are. False when the job was asked to stop; None,
        and nothing is said, when the job is not `holder`'s any more or the run is finished."""
        row = self._unit.execute(
            _NOTE,
            {
                "tenant_id": tenant_id,
                "run_id": run_id,
                "job_id": holder.id,
                "lease": holder.lease,
                "worker_id": holder.worker_id,
                "stage": stage,
                "note": note,
            },
        ).one_or_none()
        if row is None:
            return None
        hint(self._unit, Channel.SYNC_RUNS, tenant_id, run_id)
        return bool(row[0])

    def get(self, tenant_id: UUID, run_id: UUID) -> SyncRun:
        """The run as it is now, a copy of its row. Raises SyncRunNotFound."""
        row = self._unit.execute(_GET, {"tenant_id": tenant_id, "run_id": run_id}).one_or_none()
        if row is None:
            raise SyncRunNotFound
        # As a session makes them; the constructor takes as long as the trip, keeping track of every value it sets.
        run: SyncRun = manager_of_class(SyncRun).new_instance()
        instance_dict(run).update(zip(_COLUMNS, row, strict=True))
        return run

    def ended_longer_ago(self, tenant_id: UUID, run_id: UUID, *, seconds: float) -> bool:
        """Whether the run has been over for more than `seconds`, by the database's clock."""
        values = {"tenant_id": tenant_id, "run_id": run_id, "time": timedelta(seconds=seconds)}
        return self._unit.execute(_ENDED_LONGER_AGO, values).one_or_none() is not None

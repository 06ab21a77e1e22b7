"""Put, pause, resume, run now, delete; and the turns that are due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Interval, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.db.notify import Channel
from backend.db.transaction import hint
from backend.errors import NotFound
from backend.jobs.models import Schedule

# Three statements, so that each sees what has been committed since: the first waits for nobody and locks; the
# second, which begins when nobody else can take these turns, sees the jobs that earlier ones have enqueued; and the
# policy that lets the operator role add a job sees the second one's `last_job_id`.
_LOCK_DUE: Final = """
    SELECT tenant_id, id FROM schedules WHERE paused_at IS NULL AND next_run_at <= now()
    ORDER BY next_run_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
"""

_TAKE_TURNS: Final = """
    WITH due AS MATERIALIZED (
        SELECT d.tenant_id, d.id,
               CASE WHEN t.deactivated_at IS NOT NULL THEN 'deactivated'
                    WHEN EXISTS (SELECT FROM jobs AS j WHERE j.id = s.last_job_id AND j.finished_at IS NULL)
                    THEN 'unfinished' END AS skipped_because
        FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[])) AS d (tenant_id, id)
        JOIN schedules AS s USING (tenant_id, id) JOIN tenants AS t ON t.id = d.tenant_id
    )
    UPDATE schedules AS s
    SET next_run_at = now() + s.every * (1 + s.jitter * random()),
        skipped_because = d.skipped_because,
        last_run_at = CASE WHEN d.skipped_because IS NULL THEN now() ELSE s.last_run_at END,
        last_job_id = CASE WHEN d.skipped_because IS NULL THEN uuidv7() ELSE s.last_job_id END
    FROM due AS d WHERE s.tenant_id = d.tenant_id AND s.id = d.id
    RETURNING s.tenant_id, s.id, s.name, s.kind, s.last_job_id, s.skipped_because
"""

_ENQUEUE: Final = """
    INSERT INTO jobs (id, tenant_id, kind, args, priority)
    SELECT s.last_job_id, s.tenant_id, s.kind, s.args, s.priority
    FROM unnest(CAST(:tenant_ids AS uuid[]), CAST(:ids AS uuid[])) AS d (tenant_id, id)
    JOIN schedules AS s USING (tenant_id, id)
"""


class ScheduleNotFound(NotFound):
    """There is no schedule of this name."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that was due: the job it enqueued, or why it enqueued none (unfinished, deactivated)."""

    tenant_id: UUID
    schedule_id: UUID
    name: str
    kind: str
    job_id: UUID | None
    skipped_because: str | None


class ScheduleRepository:
    """Schedules within the caller's transaction: a tenant's, and for `enqueue_due` an operator's."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(
        self,
        tenant_id: UUID,
        name: str,
        *,
        kind: str,
        args: Mapping[str, Any],
        every: timedelta,
        jitter: float = 0.1,
        priority: int = 0,
        starts_in: timedelta | None = None,
    ) -> Schedule:
        """Makes the schedule `name` or changes it; a paused one stays paused.

        The first turn is due in `starts_in`, by default like any other: after `every` (a second at least) and
        up to `jitter`, a share of it from 0 to 1, more. Changed, it keeps the turn that is planned, unless the
        new interval ends sooner.
        """
        planned = func.now() + _drawn(every, jitter)
        first = planned if starts_in is None else func.now() + literal(starts_in, Interval)
        values = {
            "kind": kind,
            "args": dict(args),
            "every": every,
            "jitter": jitter,
            "priority": priority,
        }
        statement = insert(Schedule).values(tenant_id=tenant_id, name=name, next_run_at=first, **values)
        sooner = first if starts_in is not None else func.least(Schedule.next_run_at, planned)
        return self._session.scalars(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "name"],
                set_={**values, "next_run_at": sooner, "updated_at": func.now()},
            ).returning(Schedule),
            execution_options={"populate_existing": True},
        ).one()

    def pause(self, tenant_id: UUID, name: str) -> None:
        """No turns from the commit on; the job of the last one goes on. Raises ScheduleNotFound."""
        self._change(tenant_id, name, paused_at=func.coalesce(Schedule.paused_at, func.now()))

    def resume(self, tenant_id: UUID, name: str) -> None:
        """Turns again: one at once if one was missed meanwhile. Raises ScheduleNotFound."""
        self._change(tenant_id, name, paused_at=None)

    def run_now(self, tenant_id: UUID, name: str) -> None:
        """Its next turn is due at once, within a second or so; a paused one's once it is resumed.

        Raises ScheduleNotFound.
        """
        self._change(tenant_id, name, next_run_at=func.least(Schedule.next_run_at, func.now()))

    def delete(self, tenant_id: UUID, name: str) -> bool:
        """Forgets the schedule; False when there was none. The job of its last turn goes on."""
        gone = self._session.scalar(
            delete(Schedule)
            .where(Schedule.tenant_id == tenant_id, Schedule.name == name)
            .returning(Schedule.id)
        )
        return gone is not None

    def find(self, tenant_id: UUID, name: str) -> Schedule | None:
        """The tenant's schedule of that name."""
        return self._session.scalar(
            select(Schedule).where(Schedule.tenant_id == tenant_id, Schedule.name == name)
        )

    def list_schedules(self, tenant_id: UUID) -> Sequence[Schedule]:
        """All of the tenant's, by name."""
        return self._session.scalars(
            select(Schedule).where(Schedule.tenant_id == tenant_id).order_by(Schedule.name)
        ).all()

    def enqueue_due(self, *, limit: int = 100) -> list[Turn]:
        """Takes up to `limit` turns that are due, those waiting longest first (operator transaction).

        Passes by what another worker is taking. A turn missed is not made up for: the next one counts from now.
        """
        due = self._session.execute(text(_LOCK_DUE), {"limit": limit}).all()
        if not due:
            return []
        rows = self._session.execute(text(_TAKE_TURNS), _keys(due)).all()
        turns = [
            Turn(tenant_id, schedule_id, name, kind, None if skipped else job_id, skipped)
            for tenant_id, schedule_id, name, kind, job_id, skipped in rows
        ]
        taken = [turn for turn in turns if turn.job_id is not None]
        if taken:
            self._session.execute(text(_ENQUEUE), _keys([(t.tenant_id, t.schedule_id) for t in taken]))
        for turn in taken:
            hint(self._session, Channel.JOBS, turn.tenant_id, turn.kind)
        return turns

    def _change(self, tenant_id: UUID, name: str, **values: Any) -> None:
        changed = self._session.scalar(
            update(Schedule)
            .where(Schedule.tenant_id == tenant_id, Schedule.name == name)
            .values(updated_at=func.now(), **values)
            .returning(Schedule.id)
        )
        if changed is None:
            raise ScheduleNotFound


def _drawn(every: timedelta, jitter: float) -> Any:
    """`every` and by chance up to the share `jitter` of it."""
    seconds = every.total_seconds() * (1 + literal(jitter) * func.random())
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds, type_=Interval)


def _keys(rows: Sequence[Any]) -> dict[str, list[UUID]]:
    return {"tenant_ids": [row[0] for row in rows], "ids": [row[1] for row in rows]}

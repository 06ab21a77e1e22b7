"""What any worker process does for all of them: schedules, jobs left behind, and recurring chores."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter

from backend.db.transaction import Database, Session
from backend.errors import Unavailable
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.jobs.schedules.repository import ScheduleRepository

_log = structlog.get_logger(__name__)

TURNS = Counter(
    "secondbrain_schedule_turns_total", "Turns of schedules this process took", ["kind", "outcome"]
)

_TURNS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Chore:
    """Something any process may do for all of them, every so often; a lock of the database picks one.

    `run` does a bounded piece in an operator transaction and returns how many rows it dealt with. While that
    is not 0 there may be more, so it is called again soon, and only then after `every`.
    """

    name: str
    every: timedelta
    run: Callable[[Session], int]


class Upkeep:
    """Does one round at a time; one thread's."""

    def __init__(self, db: Database, chores: Sequence[Chore]) -> None:
        self._db = db
        self._due = [(0.0, chore) for chore in chores]

    def release_stalled(self, worker_id: UUID | None, in_hand: Collection[Claim]) -> None:
        """Puts jobs back that nobody works on. Raises Unavailable."""
        with self._db.operator_transaction() as session:
            released = JobRepository(session).release_stalled(worker_id=worker_id, in_hand=in_hand)
        for job in released:
            _log.warning("job put back: its worker fell silent", job=str(job.id), kind=job.kind)

    def enqueue_due(self) -> None:
        """Takes the turns of schedules that are due, a transaction for each hundred. Raises Unavailable."""
        while True:
            with self._db.operator_transaction() as session:
                turns = ScheduleRepository(session).enqueue_due(limit=_TURNS_AT_ONCE)
            for turn in turns:
                TURNS.labels(turn.kind, turn.skipped_because or "enqueued").inc()
                _log.info(
                    "turn of a schedule",
                    schedule=turn.name,
                    tenant=str(turn.tenant_id),
                    job=turn.job_id and str(turn.job_id),
                    skipped_because=turn.skipped_because,
                )
            if len(turns) < _TURNS_AT_ONCE:
                return

    def do_chores(self) -> None:
        """Does the chores that are due; one that fails does not keep the others from being done."""
        self._due = [(self._do(chore) if time.monotonic() >= due else due, chore) for due, chore in self._due]

    def _do(self, chore: Chore) -> float:
        """When it is due again."""
        count = 0
        try:
            with self._db.operator_transaction() as session:
                if JobRepository(session).is_alone_at(chore.name):
                    count = chore.run(session)
        except Unavailable:
            return 0.0
        except Exception:  # noqa: BLE001 - logged
            _log.exception("chore failed", chore=chore.name)
        if count:
            _log.info("chore done", chore=chore.name, rows=count)
            return 0.0
        return time.monotonic() + chore.every.total_seconds()

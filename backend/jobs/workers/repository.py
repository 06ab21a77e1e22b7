"""Register, heartbeat, stop, purge."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, text, update
from sqlalchemy.orm import Session

from backend.jobs import statements
from backend.jobs.claim import WorkerForgotten
from backend.jobs.models import Worker


class WorkerRepository:
    """Worker processes, within an operator transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def register(self, *, name: str, version: str, lease_term: timedelta = timedelta(seconds=30)) -> UUID:
        """A new worker process, alive now, and dead once silent for longer than `lease_term`."""
        worker = Worker(name=name, version=version, lease_term=lease_term)
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
        rows = self._session.execute(text(statements.PURGE_GONE_WORKERS), {"older_than": older_than})
        return len(rows.all())

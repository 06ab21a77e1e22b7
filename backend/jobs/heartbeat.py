"""Says for a whole worker process that it lives, and knows whether that still counts."""

import time
from datetime import timedelta
from uuid import UUID

import structlog

from backend.db.transaction import Database
from backend.jobs.claim import WorkerForgotten
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository

_log = structlog.get_logger(__name__)


class Heartbeat:
    """One process's row in `workers`. `beat` and `say_goodbye` belong to one thread, the rest to any."""

    def __init__(self, db: Database, *, name: str, version: str, lease: timedelta) -> None:
        self._db = db
        self._name = name
        self._version = version
        self._lease = lease
        #: (worker id, when its last heartbeat was sent): one object, so that threads read a matching pair.
        self._last: tuple[UUID, float] | None = None

    @property
    def worker_id(self) -> UUID | None:
        """Who we are, while that counts: None before the first heartbeat, and half a lease after the last."""
        last = self._last
        # Half a lease early, so that a worker that is cut off stops before its jobs are given to another.
        if last is None or time.monotonic() - last[1] > self._lease.total_seconds() / 2:
            return None
        return last[0]

    @property
    def every(self) -> float:
        """Seconds between two heartbeats."""
        return min(self._lease.total_seconds() / 6, 5.0)

    def beat(self) -> None:
        """Registers, or says that we still live. Raises Unavailable, and then nothing has changed."""
        asked_at = time.monotonic()
        with self._db.operator_transaction() as session:
            workers = WorkerRepository(session)
            worker_id = self._last and self._last[0]
            try:
                if worker_id is not None:
                    workers.heartbeat(worker_id)
            except WorkerForgotten:
                # Counted as dead while cut off: its jobs are gone, and it starts anew under another id.
                _log.warning("counted as dead, registering anew", worker=str(worker_id))
                worker_id = None
            if worker_id is None:
                worker_id = workers.register(name=self._name, version=self._version, lease_term=self._lease)
        self._last = (worker_id, asked_at)

    def say_goodbye(self) -> None:
        """Gives back at once whatever is still held. Raises Unavailable; then the lease will tell."""
        last = self._last
        if last is None:
            return
        with self._db.operator_transaction() as session:
            WorkerRepository(session).stop(last[0])
            given_back = JobRepository(session).give_back_all(last[0])
        for job in given_back:
            _log.warning("stopped in the middle of a job", job=str(job.id), kind=job.kind)

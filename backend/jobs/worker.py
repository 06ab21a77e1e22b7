"""A worker process's inside: claim, run, heartbeat, and looking after what others left.

Nothing here must survive: a worker may be killed, paused or cut off from the database at any moment. Its jobs
then fall to another one, and what it still tries to write is refused by the lease. While the database is away
it waits, for as long as that takes.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy.orm import Session

from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.errors import StateError, Unavailable
from backend.jobs.repository import (
    Claim,
    JobRepository,
    LeaseLost,
    Released,
    WorkerForgotten,
    WorkerRepository,
)

_log = structlog.get_logger(__name__)

JOBS_RUN = Counter("secondbrain_jobs_total", "Jobs this process has run", ["kind", "outcome"])
JOB_SECONDS = Histogram("secondbrain_job_seconds", "How long jobs took in this process", ["kind"])

_IDLE_POLL_SECONDS = 2.0


class Handler(Protocol):
    """Carries out jobs of one kind."""

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        """Does the work and ends the job (`complete`, `postpone`, …) in the transaction that ends the work.

        Looks at `should_stop` between steps, and then gives the job back. Whatever it raises fails this try.
        """
        ...

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """Writes down that the job will not be tried again, in the transaction that ends it."""
        ...


@dataclass(frozen=True, slots=True)
class Chore:
    """Something any process may do for all of them, every so often; a lock of the database picks one."""

    name: str
    every: timedelta
    run: Callable[[Session], int]


class Worker:
    """Runs jobs on `threads` threads until `stop()`."""

    def __init__(
        self,
        db: Database,
        listener: Listener,
        handlers: Mapping[str, Handler],
        *,
        name: str,
        version: str,
        threads: int = 2,
        lease: timedelta = timedelta(seconds=30),
        chores: Sequence[Chore] = (),
    ) -> None:
        self._db = db
        self._listener = listener
        self._handlers = handlers
        self._name = name
        self._version = version
        self._lease = lease
        self._chores = chores
        self._stopping = threading.Event()
        self._worker_id: UUID | None = None
        self._heard_at = 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"jobs-{n}", daemon=True) for n in range(threads)
        ]
        self._keeper = threading.Thread(target=self._keep, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Registers and starts the threads; waits for the database if it is not there yet."""
        self._keeper.start()
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Takes no more jobs, lets handlers give theirs back, says goodbye; at most `timeout` seconds."""
        self._stopping.set()
        deadline = time.monotonic() + timeout
        for thread in (*self._threads, self._keeper):
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._worker_id is not None:
            try:
                with self._db.operator_transaction() as session:
                    WorkerRepository(session).stop(self._worker_id)
            except Unavailable:
                _log.warning("could not say goodbye; the lease will tell")

    @property
    def is_connected(self) -> bool:
        """Whether its heartbeat counts: registered, and heard within half a lease."""
        return self._worker_id is not None and not self._is_overdue()

    def _is_overdue(self) -> bool:
        # Half a lease early, so that a cut-off worker stops before its jobs are given to another.
        return time.monotonic() - self._heard_at > self._lease.total_seconds() / 2

    def _should_stop(self) -> bool:
        return self._stopping.is_set() or self._is_overdue()

    def _keep(self) -> None:
        every = min(self._lease.total_seconds() / 6, 5.0)
        due = {chore.name: 0.0 for chore in self._chores}
        while not self._stopping.is_set():
            try:
                self._beat()
                self._release_stalled()
                for chore in self._chores:
                    if time.monotonic() >= due[chore.name]:
                        due[chore.name] = time.monotonic() + chore.every.total_seconds()
                        self._do(chore)
            except Unavailable:
                _log.warning("no heartbeat: the database does not answer")
            except Exception:
                _log.exception("heartbeat failed")
            self._stopping.wait(every)

    def _beat(self) -> None:
        asked_at = time.monotonic()
        with self._db.operator_transaction() as session:
            workers = WorkerRepository(session)
            if self._worker_id is None:
                worker_id = workers.register(name=self._name, version=self._version)
            else:
                worker_id = self._worker_id
                try:
                    workers.heartbeat(worker_id)
                except WorkerForgotten:
                    # Counted as dead while cut off; its jobs are gone, it starts anew under another id.
                    worker_id = workers.register(name=self._name, version=self._version)
        self._worker_id = worker_id
        self._heard_at = asked_at

    def _release_stalled(self) -> None:
        with self._db.operator_transaction() as session:
            released = JobRepository(session).release_stalled(term=self._lease)
        for job in released:
            _log.warning("job taken from a silent worker", job=str(job.id), kind=job.kind, state=job.state)
            if job.state != "queued":
                self._give_up(job)

    def _give_up(self, job: Released) -> None:
        handler = self._handlers.get(job.kind)
        if handler is not None:
            with self._db.transaction(job.tenant_id) as session:
                handler.on_given_up(session, job.tenant_id, job.args, job.last_error)

    def _do(self, chore: Chore) -> None:
        with self._db.operator_transaction() as session:
            if not JobRepository(session).is_alone_at(chore.name):
                return
            count = chore.run(session)
        if count:
            _log.info("chore done", chore=chore.name, rows=count)

    def _work(self) -> None:
        with self._listener.subscribe(Channel.JOBS) as subscription:
            while not self._stopping.is_set():
                claim = self._claim()
                if claim is None:
                    subscription.wait(_IDLE_POLL_SECONDS)
                else:
                    self._run(claim)

    def _claim(self) -> Claim | None:
        if not self.is_connected:
            return None
        worker_id = self._worker_id
        assert worker_id is not None  # noqa: S101 - is_connected says so
        try:
            with self._db.operator_transaction() as session:
                claims = JobRepository(session).claim(worker_id, tuple(self._handlers))
        except Unavailable:
            return None
        except Exception:
            _log.exception("claim failed")
            return None
        return claims[0] if claims else None

    def _run(self, claim: Claim) -> None:
        log = _log.bind(job=str(claim.id), kind=claim.kind, lease=claim.lease, attempt=claim.attempt)
        log.info("job started")
        started = time.monotonic()
        outcome = "done"
        try:
            self._handlers[claim.kind].run(claim, self._should_stop)
        except LeaseLost:
            outcome = "lease_lost"
            log.warning("job lost to another worker; its work was discarded")
        except StateError as error:
            outcome = "failed"
            log.warning("job failed", error=error.error_code, reason=error.message)
            self._fail(claim, error.message)
        except Exception as error:
            outcome = "failed"
            log.exception("job failed")
            self._fail(claim, f"Internal error ({type(error).__name__}).")
        JOBS_RUN.labels(claim.kind, outcome).inc()
        JOB_SECONDS.labels(claim.kind).observe(time.monotonic() - started)
        log.info("job ended", outcome=outcome)

    def _fail(self, claim: Claim, reason: str) -> None:
        try:
            with self._db.transaction(claim.tenant_id) as session:
                if JobRepository(session).fail(claim, reason) is None:
                    self._handlers[claim.kind].on_given_up(session, claim.tenant_id, claim.args, reason)
        except LeaseLost:
            pass
        except Unavailable:
            _log.warning("failure not recorded; the lease will tell", job=str(claim.id))

"""A worker process's inside: claim, run, heartbeat, and looking after what others left.

Nothing here must survive: a worker may be killed, paused or cut off from the database at any moment. Its jobs
then fall to another one, and what it still tries to write is refused by the lease. While the database is away
it waits, for as long as that takes.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram

from backend.db.listen import Listener, Subscription
from backend.db.notify import Channel
from backend.db.transaction import Database, Session
from backend.errors import StateError, Unavailable
from backend.jobs.claim import Claim, LeaseLost
from backend.jobs.heartbeat import Heartbeat
from backend.jobs.repository import JobRepository, JobStatements
from backend.jobs.upkeep import Chore, Upkeep

_log = structlog.get_logger(__name__)

JOBS_RUN = Counter("secondbrain_jobs_total", "Jobs this process has run", ["kind", "outcome"])
JOB_SECONDS = Histogram("secondbrain_job_seconds", "How long jobs took in this process", ["kind"])

_RETRY_SECONDS = 1.0
_SCHEDULES_EVERY_SECONDS = 1.0


class Handler(Protocol):
    """Carries out jobs of one kind."""

    def run(self, claim: Claim, should_stop: Callable[[], bool], /) -> None:
        """Does the work and ends the job (`complete`, `postpone`, …) in the transaction that ends the work.

        Looks at `should_stop` between steps, and then gives the job back. Whatever it raises fails this try.
        """
        ...

    def on_given_up(
        self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str, /
    ) -> None:
        """Writes down that the job will not be tried again, in the transaction that ends it."""
        ...

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object], /) -> None:
        """Writes down that the job was cancelled while no worker had it, in the transaction that ends it."""
        ...


class Worker:
    """Runs jobs on `threads` threads from `start()` to `stop()`, once.

    `lease` is how long the process may be silent before its jobs go to others; `idle_poll` how often a thread
    without work looks for some when no hint tells it to.
    """

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
        idle_poll: timedelta = timedelta(seconds=2),
        chores: Sequence[Chore] = (),
    ) -> None:
        self._db = db
        self._handlers = handlers
        self._idle_poll = idle_poll.total_seconds()
        self._heartbeat = Heartbeat(db, name=name, version=version, lease=lease)
        self._upkeep = Upkeep(db, chores)
        self._stopping = threading.Event()
        self._idle = threading.Event()
        #: What each thread has; only that thread writes its place.
        self._in_hand: list[Claim | None] = [None] * threads
        self._hints = [listener.subscribe(Channel.JOBS) for _ in range(threads)]
        self._workers = [
            threading.Thread(target=self._work, args=(place, hints), name=f"jobs-{place}", daemon=True)
            for place, hints in enumerate(self._hints)
        ]
        self._keepers = [
            threading.Thread(target=self._keep_alive, name="heartbeat", daemon=True),
            # A thread of its own: no chore, however long, may hold the heartbeat up.
            threading.Thread(target=self._look_after, name="upkeep", daemon=True),
        ]

    def start(self) -> None:
        """Starts the threads, and returns at once; while the database is not there they wait for it."""
        for thread in (*self._keepers, *self._workers):
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Takes no more jobs and lets handlers give theirs back; after `timeout` seconds it does so for them."""
        self._stopping.set()
        self._wake()
        deadline = time.monotonic() + timeout
        for thread in self._workers:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._idle.set()
        for thread in self._keepers:
            thread.join(max(1.0, deadline - time.monotonic()))
        try:
            self._heartbeat.say_goodbye()
        except Unavailable:
            _log.warning("could not say goodbye; the lease will tell")

    @property
    def is_connected(self) -> bool:
        """Whether its heartbeat counts: registered, and heard within half a lease."""
        return self._heartbeat.worker_id is not None

    def _keep_alive(self) -> None:
        while not self._idle.is_set():
            was_connected = self.is_connected
            try:
                self._heartbeat.beat()
            except Unavailable:
                _log.warning("no heartbeat: the database does not answer")
            except Exception:  # noqa: BLE001 - logged
                _log.exception("heartbeat failed")
            if self.is_connected and not was_connected:
                self._wake()
            self._idle.wait(self._heartbeat.every)

    def _look_after(self) -> None:
        due = 0.0
        while not self._stopping.is_set():
            try:
                self._upkeep.enqueue_due()
                if time.monotonic() >= due:
                    in_hand = [claim for claim in self._in_hand if claim is not None]
                    self._upkeep.release_stalled(self._heartbeat.worker_id, in_hand)
                    self._upkeep.do_chores()
                    due = time.monotonic() + self._heartbeat.every
            except Unavailable:
                _log.warning("no upkeep: the database does not answer")
            except Exception:  # noqa: BLE001 - logged
                _log.exception("upkeep failed")
            self._stopping.wait(min(_SCHEDULES_EVERY_SECONDS, self._heartbeat.every))

    def _wake(self) -> None:
        for hints in self._hints:
            hints.wake()

    def _work(self, place: int, hints: Subscription) -> None:
        with hints:
            while not self._stopping.is_set():
                try:
                    claim = self._claim()
                    if claim is not None and self._is_in_hand(claim):
                        # The server forgot our claim in a crash and has given us the job again: the same claim.
                        _log.warning("job claimed twice over a crash of the server", job=str(claim.id))
                        continue
                    self._in_hand[place] = claim
                    if claim is None:
                        hints.wait(self._idle_poll)
                    else:
                        self._run(claim)
                except Exception:  # noqa: BLE001 - logged
                    _log.exception("worker thread failed")
                    self._stopping.wait(_RETRY_SECONDS)
                finally:
                    self._in_hand[place] = None

    def _claim(self) -> Claim | None:
        worker_id = self._heartbeat.worker_id
        if worker_id is None:
            return None
        try:
            with self._db.operator_statement() as unit:
                claims = JobStatements(unit).claim(worker_id, tuple(self._handlers))
        except Unavailable:
            return None
        return claims[0] if claims else None

    def _is_in_hand(self, claim: Claim) -> bool:
        return any(held and (held.id, held.lease) == (claim.id, claim.lease) for held in self._in_hand)

    def _run(self, claim: Claim) -> None:
        log = _log.bind(job=str(claim.id), kind=claim.kind, lease=claim.lease, attempt=claim.attempt)
        log.info("job started")
        started = time.monotonic()
        outcome = "done"
        try:
            if claim.is_cancelled or claim.is_exhausted:
                outcome = "ended"
                self._settle(claim, self._end)
            else:
                self._handlers[claim.kind].run(claim, lambda: self._should_stop(claim))
        except LeaseLost:
            outcome = "lease_lost"
            log.warning("job lost to another worker; its work was discarded")
        except StateError as error:
            outcome = "failed"
            log.warning("job failed", error=error.error_code, reason=error.message)
            self._fail(claim, error.message)
        except BaseException as error:
            # Also what would end a thread, such as SystemExit out of a library: the job failed, no more.
            outcome = "failed"
            log.exception("job failed")
            self._fail(claim, f"Internal error ({type(error).__name__}).")
        JOBS_RUN.labels(claim.kind, outcome).inc()
        JOB_SECONDS.labels(claim.kind).observe(time.monotonic() - started)
        log.info("job ended", outcome=outcome)

    def _should_stop(self, claim: Claim) -> bool:
        return self._stopping.is_set() or self._heartbeat.worker_id != claim.worker_id

    def _fail(self, claim: Claim, reason: str) -> None:
        def fail(session: Session, claim: Claim) -> None:
            if JobRepository(session).fail(claim, reason) is None:
                self._handlers[claim.kind].on_given_up(session, claim.tenant_id, claim.args, reason)

        self._settle(claim, fail)

    def _end(self, session: Session, claim: Claim) -> None:
        handler = self._handlers[claim.kind]
        if claim.is_cancelled:
            JobRepository(session).end_cancelled(claim)
            handler.on_cancelled(session, claim.tenant_id, claim.args)
        else:
            reason = claim.last_error or "It was tried too often."
            JobRepository(session).fail(claim, reason, retry=False)
            handler.on_given_up(session, claim.tenant_id, claim.args, reason)

    def _settle(self, claim: Claim, write: Callable[[Session, Claim], None]) -> None:
        """Writes down how a job ended, together with what that means to others, in one transaction.

        While this process lives nobody else can, so it waits for the database. If what it means to others
        cannot be written, the job has not ended either: it is not in hand any more, so it goes back to the
        queue, and comes here again.
        """
        while True:
            try:
                with self._db.transaction(claim.tenant_id) as session:
                    write(session, claim)
                return
            except LeaseLost:
                return
            except Unavailable:
                if self._stopping.wait(_RETRY_SECONDS):
                    return
            except Exception:  # noqa: BLE001 - logged
                _log.exception("end of a job not written", job=str(claim.id), kind=claim.kind)
                return

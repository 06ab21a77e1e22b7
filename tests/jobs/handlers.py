"""Handlers that tests steer: they say when they have started, and go on when told to."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

from backend.db.transaction import Database, Session
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.jobs.worker import Worker

#: More than anything here takes; a test that waits as long has failed.
SECONDS = 20.0


def eventually(condition: Callable[[], object], seconds: float = SECONDS) -> None:
    """Returns as soon as `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class MakeWorker(Protocol):
    """Starts a worker; `how` is what `Worker` takes. Returns once it is connected, unless told not to wait."""

    def __call__(self, *, is_connected: bool = True, **how: Any) -> Worker: ...


class Steered:
    """Completes each job once `go` is set (it is, to begin with), or gives it back when asked to stop.

    `fails_with` is raised instead. Writes an effect of each end into the tenant's queue, as a job of the kind
    `effect:<what>` that nobody runs: whoever finds it knows that the transaction of the end was committed.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self.go = threading.Event()
        self.go.set()
        self.is_deaf = False
        self.fails_with: list[BaseException] = []
        self.effect_fails_with: list[BaseException] = []
        self._started: queue.Queue[Claim] = queue.Queue()
        self._ended: queue.Queue[tuple[Claim, str]] = queue.Queue()

    def next_started(self, seconds: float = SECONDS) -> Claim:
        """The next job that `run` was called for; queue.Empty after `seconds`."""
        return self._started.get(timeout=seconds)

    def next_ended(self, seconds: float = SECONDS) -> tuple[Claim, str]:
        """The next return of `run`: (claim, completed | given back | refused | raised)."""
        return self._ended.get(timeout=seconds)

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        self._started.put(claim)
        outcome = "raised"
        try:
            while not self.go.is_set():
                if not self.is_deaf and should_stop():
                    with self._db.transaction(claim.tenant_id) as session:
                        JobRepository(session).give_back(claim)
                    outcome = "given back"
                    return
                time.sleep(0.01)
            if self.fails_with:
                raise self.fails_with.pop(0)
            with self._db.transaction(claim.tenant_id) as session:
                JobRepository(session).complete(claim)
            outcome = "completed"
        finally:
            self._ended.put((claim, outcome))

    def on_given_up(
        self, session: Session, tenant_id: UUID, _args: Mapping[str, object], reason: str
    ) -> None:
        self._write_effect(session, tenant_id, f"given up: {reason}")

    def on_cancelled(self, session: Session, tenant_id: UUID, _args: Mapping[str, object]) -> None:
        self._write_effect(session, tenant_id, "cancelled")

    def _write_effect(self, session: Session, tenant_id: UUID, what: str) -> None:
        JobRepository(session).enqueue(tenant_id, f"effect:{what}", {})
        if self.effect_fails_with:
            raise self.effect_fails_with.pop(0)

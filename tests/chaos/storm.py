"""Carries faults out, one at a time, and watches how the sync goes on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from typing import Final
from uuid import UUID

import psycopg

from tests.chaos.crew import LEASE_SECONDS, Crew, Row
from tests.chaos.faults import Faults
from tests.chaos.plan import Fault

_STOP_SECONDS: Final = 20.0
#: A fault on requests that are not made any more ends by itself.
_UNUSED_SECONDS: Final = 6.0

_PROGRESS: Final = """
    SELECT r.processed_count, r.finished_at, p.updated_at, r.state, r.error,
           (SELECT count(*) FROM sync_runs AS u WHERE u.finished_at IS NULL)
    FROM sync_runs AS r LEFT JOIN sync_positions AS p ON p.connector_id = r.connector_id WHERE r.id = %s
"""


@dataclass
class Storm:
    """The faults on one run. The main thread's."""

    crew: Crew
    faults: Faults
    run_id: UUID
    problems: list[str] = field(default_factory=list)
    #: (when, progress as of then), of each change.
    seen: list[tuple[float, Row]] = field(default_factory=list)
    _ended: tuple[float, Row] = (0.0, ())
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def __enter__(self) -> "Storm":
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._watcher:
            self._watcher.join()

    def progress(self) -> Row:
        """(items dealt with, when it finished, when its place last moved, …)."""
        (row,) = self.crew.rows(_PROGRESS, self.run_id)
        return row

    def is_finished(self) -> bool:
        """Whether the run was over when it was last looked at."""
        return bool(self.seen) and self.seen[-1][1][1] is not None

    def strike(self, fault: Fault) -> None:
        """Carries the fault out; returns when it is over."""
        chance = fault.chance
        # Anywhere in what the workers do, not only where they read.
        time.sleep(chance.uniform(0, 0.3))
        strikes: dict[str, Callable[[Fault], None]] = {
            "kill -9": self._kill,
            "SIGSTOP past the lease": self._pause,
            "SIGTERM": self._stop,
            "connections ended": self._end_connections,
            "401": self._end_token,
            "401, connections ended while it is renewed": self._end_connections_in_renewal,
            "401, database away 8 s while it is renewed": self._stop_database_in_renewal,
        }
        if fault.kind in strikes:
            strikes[fault.kind](fault)
        elif fault.kind.startswith("database away"):
            self._stop_database(fault, float(fault.kind.split()[2]))
        else:
            self._spoil(fault)

    def recovered_after(self, seconds: float = 120.0) -> float | None:
        """Seconds from the end of the last fault to the next committed progress; None when there was none, 0 when the
        run was over by then."""
        ended_at, before = self._ended
        if before[1] is not None:
            return 0.0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for at, row in tuple(self.seen):
                if at >= ended_at and row[:3] != before[:3]:
                    return max(0.0, at - ended_at)
            time.sleep(0.02)
        return None

    def _over(self) -> None:
        before = self.progress()
        self._ended = time.monotonic(), before

    def _victim(self, fault: Fault) -> str:
        """Whoever holds the job, mostly; now and then another one."""
        living = self.crew.living()
        holder = self.crew.rows(
            "SELECT w.name FROM sync_runs AS r JOIN jobs AS j ON j.id = r.job_id JOIN workers AS w ON w.id = j.worker_id"
            " WHERE r.id = %s AND j.state = 'running'",
            self.run_id,
        )
        if holder and holder[0][0] in living and fault.chance.random() < 0.85:
            return str(holder[0][0])
        return fault.chance.choice(living)

    def _kill(self, fault: Fault) -> None:
        victim = self._victim(fault)
        self.crew.signal(victim, SIGKILL)
        self.crew.process(victim).wait()
        self._over()
        time.sleep(fault.chance.uniform(0, 2))
        self.crew.start_worker()

    def _pause(self, fault: Fault) -> None:
        victim = self._victim(fault)
        self.crew.signal(victim, SIGSTOP)
        time.sleep(LEASE_SECONDS * fault.chance.uniform(1.3, 2.5))
        self.crew.signal(victim, SIGCONT)
        self._over()

    def _stop(self, fault: Fault) -> None:
        victim = self._victim(fault)
        self.crew.signal(victim, SIGTERM)
        code = self.crew.process(victim).wait(_STOP_SECONDS)
        if code:
            self.problems.append(f"{victim} was told to stop and ended with {code}")
        self._over()
        self.crew.start_worker()

    def _end_connections(self, _: Fault) -> None:
        self.crew.end_connections()
        self._over()

    def _stop_database(self, fault: Fault, seconds: float) -> None:
        self.crew.server.stop(fault.chance.choice(("fast", "immediate")))
        time.sleep(seconds)
        self.crew.server.start(bound_to_parent=True)
        self._over()

    def _end_token(self, _: Fault) -> None:
        self.faults.tokens.end()
        self._over()

    def _end_connections_in_renewal(self, _: Fault) -> None:
        def end_connections() -> None:
            self.faults.tokens.before_answer = lambda: None
            self.crew.end_connections()
            is_done.set()

        is_done = threading.Event()
        self.faults.tokens.before_answer = end_connections
        self.faults.tokens.end()
        if not is_done.wait(_UNUSED_SECONDS):
            self.faults.tokens.before_answer = lambda: None
        self._over()

    def _stop_database_in_renewal(self, fault: Fault) -> None:
        def wait() -> None:
            self.faults.tokens.before_answer = lambda: None
            is_asked.set()
            may_answer.wait(20)

        is_asked, may_answer = threading.Event(), threading.Event()
        self.faults.tokens.before_answer = wait
        self.faults.tokens.end()
        if is_asked.wait(_UNUSED_SECONDS):
            self.crew.server.stop(fault.chance.choice(("fast", "immediate")))
            may_answer.set()
            time.sleep(8)
            self.crew.server.start(bound_to_parent=True)
        self.faults.tokens.before_answer = lambda: None
        self._over()

    def _spoil(self, fault: Fault) -> None:
        chance = fault.chance
        begin = partial(self.faults.begin, fault.kind, chance)
        match fault.kind:
            case "rate limit":
                begin(seconds=chance.uniform(1, 3))
            case "503":
                begin(count=chance.randint(3, 14))
            case "slow body" | "disorder":
                begin(count=3)
            case "changing":
                begin(count=8)
            case _:
                begin(count=chance.randint(1, 6))
        deadline = time.monotonic() + _UNUSED_SECONDS
        while not self.faults.is_over.wait(0.05):
            if time.monotonic() > deadline or self.is_finished():
                self.faults.end()
        self._over()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            try:
                row = self.progress()
            except psycopg.OperationalError:
                continue
            if not self.seen or self.seen[-1][1] != row:
                self.seen.append((time.monotonic(), row))
                if row[5] > 1:
                    self.problems.append(f"{row[5]} runs were under way at once")
            self._stopping.wait(0.05)

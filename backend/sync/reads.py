"""Reads a run once for everybody in this process who asks for it at the same moment.

A thousand clients come back at once when an instance was restarted. Each reading the row for itself would queue up for
the pool's connections; here the first one reads, and the others take what it finds. Holds nothing that cannot be read
again, and only while somebody follows the run.
"""

import threading
import time
from uuid import UUID
from weakref import WeakValueDictionary

from backend.db.transaction import Database
from backend.sync.models import SyncRun
from backend.sync.progress.repository import SyncProgressRepository


class Reading:
    """One read of a run: waiting, under way or done. `frames` keeps what was made of it: the same for many streams."""

    def __init__(self, previous: "Reading | None") -> None:
        #: When the row was asked for, in seconds of the monotonic clock; None while that is still to come.
        self.started_at: float | None = None
        self.frames: dict[object, str] = {}
        self._previous = previous
        self._done = threading.Event()
        self._run: SyncRun | None = None
        self._error: Exception | None = None

    def carry_out(self, db: Database, tenant_id: UUID, run_id: UUID) -> None:
        """Reads, and lets everybody go on who waits for it. One read of a run at a time: who comes meanwhile shares
        the next one, however many they are."""
        try:
            if self._previous is not None:
                self._previous.wait()
                self._previous = None
            with db.statement(tenant_id) as unit:
                self.started_at = time.monotonic()
                self._run = SyncProgressRepository(unit).get(tenant_id, run_id)
        except Exception as error:  # noqa: BLE001 - raised to everybody who waits for the run
            self._error = error
        finally:
            self._done.set()

    def wait(self) -> None:
        """Returns once it is done, well or not."""
        self._done.wait()

    @property
    def error(self) -> Exception | None:
        """Why it could not be read. Waits for it."""
        self._done.wait()
        return self._error

    def serves(self, since: float) -> bool:
        """Whether it shows, or will show, the run as it was at `since` or later."""
        started_at = self.started_at
        return not self._done.is_set() if started_at is None else started_at >= since

    @property
    def run(self) -> SyncRun:
        """What was read. Waits for it; raises SyncRunNotFound, Unavailable."""
        # Asked first: waiting lets other greenlets run, even for what has happened already.
        if self._run is None:
            self._done.wait()
        if self._run is None:
            raise self._error or RuntimeError("the read was abandoned")
        return self._run


class SharedReads:
    """The newest reading of each run that is followed in this process; safe between threads and greenlets."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        #: Kept by those who follow the run, and by nobody else.
        self._readings: WeakValueDictionary[tuple[UUID, UUID], Reading] = WeakValueDictionary()

    def read(self, tenant_id: UUID, run_id: UUID, *, since: float) -> Reading:
        """The run as it was at `since` (seconds of the monotonic clock) or later; keep it while following the run."""
        with self._lock:
            reading = self._readings.get((tenant_id, run_id))
            if is_mine := reading is None or not reading.serves(since):
                reading = self._readings[tenant_id, run_id] = Reading(reading)
        if is_mine:
            reading.carry_out(self._db, tenant_id, run_id)
        return reading

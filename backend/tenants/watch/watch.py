"""One thread for everybody of this process whose door may close while they stand in it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.errors import Unavailable
from backend.tenants.watch.repository import Holder, HolderRepository

_log = structlog.get_logger(__name__)

#: Whose session ended is told at once by a hint; all else, and what hints missed, is seen within so many seconds.
EVERY_SECONDS: Final = 3.0
#: However many sessions end, it is read this many seconds apart.
_PAUSE_SECONDS: Final = 0.2


class Watched:
    """Somebody who is watched."""

    def __init__(self, holder: Holder, on_end: Callable[[], None]) -> None:
        self.holder = holder
        #: Whether they may not go on.
        self.has_ended = False
        self._on_end = on_end

    def end(self) -> None:
        """They may not go on; called from the watching thread."""
        self.has_ended = True
        self._on_end()


class HolderWatch:
    """Reads for all who are watched together, while there are any. Safe between threads and greenlets."""

    def __init__(self, db: Database, listener: Listener, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._db = db
        self._every = every_seconds
        self._hints = listener.subscribe(Channel.SESSIONS)
        self._lock = threading.Lock()
        self._watched: set[Watched] = set()
        self._thread: threading.Thread | None = None
        self._closing = False

    def counts(self, holder: Holder) -> bool:
        """Whether the holder counts now. Raises DatabaseUnavailable."""
        return holder in self._read((holder,))

    @contextmanager
    def watch(self, holder: Holder, on_end: Callable[[], None]) -> Iterator[Watched]:
        """`on_end` is called, once and from another thread, when the holder counts no more."""
        one = Watched(holder, on_end)
        with self._lock:
            self._watched.add(one)
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="holders", daemon=True)
                self._thread.start()
        try:
            yield one
        finally:
            with self._lock:
                self._watched.discard(one)

    def close(self, timeout: float = 2.0) -> None:
        """Watches nobody any more; gives the thread up after `timeout` seconds."""
        with self._lock:
            self._closing = True
            thread = self._thread
        self._hints.wake()
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        with self._hints:
            while True:
                self._hints.wait(self._every)
                with self._lock:
                    if self._closing or not self._watched:
                        self._thread = None
                        return
                    watched = tuple(self._watched)
                try:
                    counting = self._read(tuple({one.holder for one in watched}))
                except Unavailable:
                    # Streams outlive an outage of the database.
                    continue
                except Exception:  # noqa: BLE001 - logged
                    _log.exception("who may go on could not be read")
                    continue
                for one in watched:
                    if one.holder not in counting and not one.has_ended:
                        one.end()
                time.sleep(_PAUSE_SECONDS)

    def _read(self, holders: tuple[Holder, ...]) -> frozenset[Holder]:
        with self._db.operator_statement() as unit:
            return HolderRepository(unit).find_counting(holders)

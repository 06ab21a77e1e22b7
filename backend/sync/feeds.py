"""One follower a run for a whole process: it is woken by hints and reads, everybody else takes what it found.

A thousand streams of one run are a thousand greenlets. Each woken by the hint itself would ask for the row, wait for
the one that reads it, and wake a second time; here they wake once, when there is something to send. Holds nothing
that cannot be read again, and only while somebody follows the run.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from uuid import UUID

from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.errors import Unavailable
from backend.sync.reads import Reading, SharedReads

#: At most so many times a second is a change told.
CHANGES_PER_SECOND: Final = 10
_OUTAGE_SECONDS: Final = 1.0
_ERROR_SECONDS: Final = 5.0


class News:
    """What a feed found at one time."""

    def __init__(self, reading: Reading | None, *, is_outage: bool = False) -> None:
        #: The run as it is now; None at the beginning, and when the database did not answer.
        self.reading = reading
        self.is_outage = is_outage
        self._is_old = threading.Event()

    def wait(self, timeout: float) -> bool:
        """Whether there is something newer, at once or within `timeout` seconds."""
        return self._is_old.wait(timeout)

    def replaced(self) -> None:
        """Lets everybody go on who waits for something newer."""
        self._is_old.set()


class Feed:
    """A run that is followed; its `newest` changes when a hint came, and every now and then without one."""

    def __init__(self, reads: SharedReads, listener: Listener, tenant_id: UUID, run_id: UUID) -> None:
        self.newest = News(None)
        self.follower_count = 0
        self._reads = reads
        self._listener = listener
        self._where = tenant_id, run_id
        self._changes = listener.subscribe(Channel.SYNC_RUNS, tenant_id, run_id)
        self._lock = threading.Lock()
        self._listening = ExitStack()
        self._closing = threading.Event()

    def start(self) -> None:
        """Follows, in a thread of its own. Hints count from now on."""
        self._listening.enter_context(self._changes)
        threading.Thread(target=self._follow, name="feed", daemon=True).start()

    def nudge(self) -> None:
        """Wakes everybody who follows, though nothing is new."""
        newest = self.newest
        self._publish(News(newest.reading, is_outage=newest.is_outage))

    def close(self) -> None:
        """Ends the thread, soon."""
        self._closing.set()
        self._changes.wake()

    def _follow(self) -> None:
        with self._listening:
            told_at = 0.0
            while True:
                woken = self._changes.wait(self._listener.poll_seconds)
                if (pause := told_at + 1 / CHANGES_PER_SECOND - time.monotonic()) > 0:
                    self._closing.wait(pause)
                if self._closing.is_set():
                    return
                self._tell(since=self._changes.woken_at if woken else time.monotonic())
                told_at = time.monotonic()

    def _tell(self, *, since: float) -> None:
        reading = self._reads.read(*self._where, since=since)
        is_away = isinstance(reading.error, Unavailable)
        self._publish(News(None, is_outage=True) if is_away else News(reading))
        if reading.error is not None:
            # The streams outlive an outage; whatever else is wrong ends them.
            self._closing.wait(_OUTAGE_SECONDS if is_away else _ERROR_SECONDS)
            self._changes.wake()

    def _publish(self, news: News) -> None:
        with self._lock:
            before, self.newest = self.newest, news
        before.replaced()


class Feeds:
    """The runs that are followed in this process; safe between threads and greenlets."""

    def __init__(self, db: Database, listener: Listener) -> None:
        self.reads = SharedReads(db)
        self._listener = listener
        self._lock = threading.Lock()
        self._feeds: dict[tuple[UUID, UUID], Feed] = {}

    @contextmanager
    def follow(self, tenant_id: UUID, run_id: UUID) -> Iterator[Feed]:
        """The run's feed, which every hint from now on reaches. Leave it to follow no more."""
        with self._lock:
            feed = self._feeds.get((tenant_id, run_id))
            if feed is None:
                feed = self._feeds[tenant_id, run_id] = Feed(self.reads, self._listener, tenant_id, run_id)
                feed.start()
            feed.follower_count += 1
        try:
            yield feed
        finally:
            with self._lock:
                feed.follower_count -= 1
                if not feed.follower_count:
                    del self._feeds[tenant_id, run_id]
                    feed.close()

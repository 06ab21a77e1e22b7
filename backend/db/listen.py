"""Receives hints: one thread and one connection per process, fanned out to whoever waits in it.

A subscription is a flag, not a queue: a hint sets it, the subscriber clears it and reads the row. So nothing
can overflow, a burst costs one read, and after a lost connection setting every flag makes everybody read again.
"""

import threading
import time
from collections import defaultdict
from types import TracebackType
from typing import Any, Self

import psycopg
import structlog

from backend.db.engine import connect
from backend.db.notify import Channel

_log = structlog.get_logger(__name__)

_ANY = ""


class Subscription:
    """Waits for hints about one row, or about any row of a channel. A context manager: leave it to unsubscribe."""

    def __init__(self, listener: "Listener", channel: Channel, key: str) -> None:
        self._listener = listener
        self._where = (channel, key)
        self._changed = threading.Event()
        #: When it was last set, in seconds of the monotonic clock.
        self.woken_at = time.monotonic()

    def wait(self, timeout: float) -> bool:
        """True as soon as there was a hint since the last call; False after `timeout` seconds without one.

        Read the row in either case: a hint may have been lost.
        """
        changed = self._changed.wait(timeout)
        self._changed.clear()
        return changed

    def wake(self) -> None:
        """Sets the flag, from any thread."""
        self.woken_at = time.monotonic()
        self._changed.set()

    def __enter__(self) -> Self:
        self._listener.add(self._where, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.discard(self._where, self)


class Listener:
    """Keeps LISTEN alive for ever: reconnects with backoff up to 32 s, and then wakes every subscriber."""

    PING_SECONDS = 10.0
    POLL_HEALTHY_SECONDS = 15.0
    POLL_UNHEALTHY_SECONDS = 1.0

    def __init__(self, url: str, *, application_name: str = "secondbrain listener") -> None:
        self._url = url
        self._name = application_name
        self._subscriptions: defaultdict[tuple[Channel, str], set[Subscription]] = defaultdict(set)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connected = threading.Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Starts the thread; call it after any fork. Returns at once, connected or not."""
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()
        return self

    def wait_until_connected(self, timeout: float) -> bool:
        """True when hints are being received, within `timeout` seconds."""
        return self._connected.wait(timeout)

    @property
    def is_healthy(self) -> bool:
        """Whether hints are being received right now."""
        return self._connected.is_set()

    @property
    def poll_seconds(self) -> float:
        """How long a subscriber may wait before it reads the row anyway."""
        return self.POLL_HEALTHY_SECONDS if self.is_healthy else self.POLL_UNHEALTHY_SECONDS

    def subscribe(self, channel: Channel, *ids: object) -> Subscription:
        """A subscription to the row `ids`, or to every row of `channel` when none are given."""
        return Subscription(self, channel, ":".join(map(str, ids)) if ids else _ANY)

    def close(self) -> None:
        """Ends the thread and its connection."""
        self._closing.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        if self._thread is not None:
            self._thread.join(2.0)
        self._wake_everybody()

    def add(self, where: tuple[Channel, str], subscription: Subscription) -> None:
        """Registers a subscription (called by entering it)."""
        with self._lock:
            self._subscriptions[where].add(subscription)

    def discard(self, where: tuple[Channel, str], subscription: Subscription) -> None:
        """Forgets a subscription (called by leaving it)."""
        with self._lock:
            self._subscriptions[where].discard(subscription)
            if not self._subscriptions[where]:
                del self._subscriptions[where]

    def _wake(self, channel: Channel, payload: str) -> None:
        with self._lock:
            woken = [
                *self._subscriptions.get((channel, payload), ()),
                *self._subscriptions.get((channel, _ANY), ()),
            ]
        for subscription in woken:
            subscription.wake()

    def _wake_everybody(self) -> None:
        with self._lock:
            woken = [s for subscriptions in self._subscriptions.values() for s in subscriptions]
        for subscription in woken:
            subscription.wake()

    def _run(self) -> None:
        backoff = 0.25
        while not self._closing.is_set():
            try:
                with connect(self._url, application_name=self._name) as connection:
                    self._connection = connection
                    for channel in Channel:
                        connection.execute(f"LISTEN {channel.value}".encode())
                    self._connected.set()
                    self._wake_everybody()
                    backoff = 0.25
                    self._receive(connection)
            except (psycopg.Error, OSError) as error:
                if not self._closing.is_set():
                    _log.warning("listening interrupted, reconnecting", error=type(error).__name__)
            finally:
                self._connected.clear()
                self._connection = None
            self._closing.wait(backoff)
            backoff = min(backoff * 2, 32.0)

    def _receive(self, connection: psycopg.Connection[Any]) -> None:
        while not self._closing.is_set():
            # To its end, which comes after PING_SECONDS: leaving it early would lose the rest of a batch.
            for notice in connection.notifies(timeout=self.PING_SECONDS):
                self._wake(Channel(notice.channel), notice.payload)
            # A connection can be dead without an error (a firewall, a moved address); asking shows it.
            connection.execute("SELECT 1")

"""A small store in memory, bounded in bytes: what was not used for longest goes first.

For copies of what can be had again. An object that somebody makes and hands down, like everything else.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteLRU(Generic[K, V]):
    """Values of at most `capacity` bytes together, each for at most `seconds`; safe between threads."""

    def __init__(self, capacity: int, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._lock = threading.Lock()
        #: key -> value, its bytes, when it stops counting (monotonic seconds); the last used at the end
        self._entries: OrderedDict[K, tuple[V, int, float]] = OrderedDict()
        self._bytes = 0

    @property
    def byte_size(self) -> int:
        """Bytes held, as they were declared."""
        return self._bytes

    def get(self, key: K) -> V | None:
        """The value, or None when it is not here (any more)."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            if entry[2] <= time.monotonic():
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: K, value: V, byte_size: int) -> None:
        """Keeps `value`, which takes `byte_size` bytes; one larger than the capacity is not kept."""
        with self._lock:
            self._drop(key)
            if byte_size > self._capacity:
                return
            self._entries[key] = (value, byte_size, time.monotonic() + self._seconds)
            self._bytes += byte_size
            while self._bytes > self._capacity:
                self._drop(next(iter(self._entries)))

    def discard(self, key: K) -> None:
        """Forgets the value, if it is here."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: K) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry[1]

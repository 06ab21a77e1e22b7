"""How processes use components: built once for all of them, with copies in memory that may be lost at any time.

Whoever builds holds a claim, a mark in the row that ends by itself; an advisory lock instead would keep a transaction
open as long as the build takes, and a connection busy for everybody who waits for it.
"""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
import structlog
from prometheus_client import Counter

from backend.components.repository import ComponentLoads, ComponentRepository, Head
from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.errors import Unavailable
from backend.lru import ByteLRU

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_log = structlog.get_logger(__name__)

READS = Counter(
    "secondbrain_component_reads_total",
    "Components asked for: found in memory, loaded from the database, built here",
    ["outcome"],
)

#: JSON's plain values; read only, as everybody in the process gets the same one.
Value = Mapping[str, Any]

#: After this somebody else builds what a process has claimed; longer than a build takes.
LEASE: Final = timedelta(seconds=30)
_PATIENCE_SECONDS: Final = 60.0
_LONGEST_WAIT_SECONDS: Final = 0.25
#: Bytes that each name, value and item takes beside its text, once decoded from JSON: a lexicon, of many small ones, takes
#: 6.5 times its text, a vocabulary, of few long ones, hardly more than its text.
_DECODED: Final = 48


class ComponentNotBuilt(Unavailable):
    """Something that is computed from all documents is not ready yet; try again."""


class ComponentCache:
    """One process's way to components; safe to share between threads. `capacity` bounds its memory in bytes,
    `lease` how long the others wait for it while it builds."""

    def __init__(self, db: Database, listener: Listener, *, capacity: int, lease: timedelta = LEASE) -> None:
        self._db = db
        self._lease = lease
        # By what they are, not by their version: one that was deleted and built again begins at 1 once more.
        self._contents: ByteLRU[tuple[UUID, bytes], Value] = ByteLRU(capacity, 3600)
        # A hint empties it; were the hint lost, a version would be noticed when its time is over.
        self._heads: ByteLRU[tuple[UUID, str], Head] = ByteLRU(10_000, Listener.POLL_HEALTHY_SECONDS)
        #: How often heads were let go of; one that was read before such a moment is not kept after it.
        self._generation = 0
        self._subscription = listener.subscribe(Channel.TENANT_COMPONENTS)
        self._subscription.__enter__()

    def close(self) -> None:
        """Forgets everything and listens no more."""
        self._subscription.__exit__(None, None, None)
        self._heads.clear()
        self._contents.clear()

    def get_or_build(
        self, tenant_id: UUID, name: str, build: Callable[[Value | None], Value], *, lifetime: timedelta
    ) -> Value:
        """The tenant's component, from memory, from the database, or built now and kept for all.

        `build` receives the previous content, if any, and runs outside any transaction, in one process at a time.
        Meanwhile others get the previous content, or wait when there is none. A build that fails raises when there
        is nothing to fall back on. After `lifetime` it is stale. Raises DatabaseUnavailable, ComponentNotBuilt.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        wait = 0.01
        while True:
            head, value = self._current(tenant_id, name)
            if head is not None and value is not None and not head.is_stale:
                return value
            claimant = uuid4()
            with self._db.transaction(tenant_id) as session:
                is_mine = ComponentRepository(session).claim(
                    tenant_id, name, claimant=claimant, lease=self._lease
                )
            if is_mine:
                return self._build(tenant_id, name, build, value, claimant, lifetime)
            if value is not None:
                # Built by another this minute: fresh or old, it will do.
                return value
            if time.monotonic() >= deadline:
                raise ComponentNotBuilt
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    def _current(self, tenant_id: UUID, name: str) -> tuple[Head | None, Value | None]:
        if self._subscription.wait(0):
            self._generation += 1
            self._heads.clear()
        generation = self._generation
        head = self._heads.get((tenant_id, name))
        if head is not None and (value := self._contents.get((tenant_id, head.sha256))) is not None:
            READS.labels("memory").inc()
            return head, value
        with self._db.statement(tenant_id) as unit:
            components = ComponentLoads(unit)
            head = components.find_head(tenant_id, name)
            if head is None:
                return None, None
            value = self._contents.get((tenant_id, head.sha256))
            loaded = components.load(tenant_id, name) if value is None else None
        if loaded is not None:
            head, content = loaded
            value = self._remember(tenant_id, head, content)
            READS.labels("database").inc()
        if not head.is_stale and value is not None:
            self._heads.put((tenant_id, name), head, 1)
            if generation != self._generation:
                # A hint came after the read, and may have been about this one.
                self._heads.discard((tenant_id, name))
        return head, value

    def _build(
        self,
        tenant_id: UUID,
        name: str,
        build: Callable[[Value | None], Value],
        previous: Value | None,
        claimant: UUID,
        lifetime: timedelta,
    ) -> Value:
        try:
            value = build(previous)
            content = encode(value)
        except BaseException as error:
            # Without a database the claim ends by itself.
            with suppress(Unavailable), self._db.transaction(tenant_id) as session:
                ComponentRepository(session).release(tenant_id, name, claimant=claimant)
            if previous is None or not isinstance(error, Exception):
                raise
            _log.exception("component not built, the previous one is used", component=name)
            return previous
        with self._db.transaction(tenant_id) as session:
            head = ComponentRepository(session).save(
                tenant_id, name, content, lifetime=lifetime, claimant=claimant
            )
        READS.labels("built").inc()
        if head is None:
            # Its claim had ended, and somebody else builds or has built: theirs is as new or newer.
            _log.warning("component built too slowly, not kept", component=name)
            return value
        return self._remember(tenant_id, head, content)

    def _remember(self, tenant_id: UUID, head: Head, content: bytes) -> Value:
        plain = zstd.decompress(content)
        value: Value = msgspec.json.decode(plain)
        marks = plain.count(b":") + plain.count(b",")
        self._contents.put((tenant_id, head.sha256), value, len(plain) + _DECODED * marks)
        return value


def encode(value: Value) -> bytes:
    """`value` as it is stored: JSON with sorted keys, so that equal values are equal bytes, compressed."""
    return zstd.compress(msgspec.json.encode(value, order="deterministic"))

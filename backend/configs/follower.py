"""What a process holds of the configs: copies that may be lost at any time, and that others' changes end.

It follows one number, the newest revision it has applied. A hint makes it look at once, and it looks every
second anyway, so a lost hint or a listener that is cut off costs a second. While it does not know that it
follows (before its start, or while the database is away), it holds nothing and every question is a query.
"""

import threading
from collections.abc import Callable
from typing import Any, Self, TypeVar, cast
from uuid import UUID

import structlog
from prometheus_client import Gauge

from backend.configs.repository import Change, ConfigRepository
from backend.configs.schemas import Config
from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.errors import Unavailable

_log = structlog.get_logger(__name__)

REVISION = Gauge("secondbrain_config_revision", "Newest change of a config that this process has applied")

C = TypeVar("C", bound=Config)


class ConfigFollower:
    """One per process; safe to share between threads and greenlets."""

    POLL_SECONDS = 1.0
    #: Beyond this many it forgets all of them; a copy is small, and made anew by one query.
    LARGEST_HOLDING = 10_000

    def __init__(self, db: Database, listener: Listener) -> None:
        self._db = db
        self._hints = listener.subscribe(Channel.CONFIG_VERSIONS)
        self._lock = threading.Lock()
        self._held: dict[tuple[UUID, str], Config] = {}
        self._revision: int | None = None
        #: How often copies were let go of; what was read before such a moment is not kept after it.
        self._generation = 0
        self._stopping = threading.Event()
        self._on_change: Callable[[], Any] = lambda: None
        self._thread: threading.Thread | None = None

    def start(self, on_change: Callable[[], Any] = lambda: None) -> Self:
        """Starts the thread; call it after any fork. `on_change` is called there after each new revision."""
        self._on_change = on_change
        self._thread = threading.Thread(target=self._follow, name="configs", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Ends the thread; questions are still answered."""
        self._stopping.set()
        self._hints.wake()
        if self._thread is not None:
            self._thread.join(2.0)
        self._let_go(None)

    @property
    def revision(self) -> int | None:
        """The newest revision that was applied; None while not following."""
        return self._revision

    def current(self, tenant_id: UUID, schema: type[C]) -> C:
        """The settings that count for the tenant, at most as old as the last look. No transaction may be open.

        Raises DatabaseUnavailable when it must ask and cannot.
        """
        key = (tenant_id, schema.name)
        with self._lock:
            held, generation = self._held.get(key), self._generation
        if held is not None:
            return cast(C, held)
        with self._db.transaction(tenant_id) as session:
            settings = ConfigRepository(session).current(tenant_id, schema.name).settings
        with self._lock:
            if generation == self._generation and self._revision is not None:
                if len(self._held) >= self.LARGEST_HOLDING:
                    self._held.clear()
                self._held[key] = settings
        return cast(C, settings)

    def _follow(self) -> None:
        with self._hints:
            while not self._stopping.is_set():
                try:
                    self._catch_up()
                except Unavailable:
                    # It may come back as another server, restored from a backup: start from nothing.
                    self._let_go(None)
                except Exception:  # noqa: BLE001 - logged
                    _log.exception("following configs failed")
                    self._let_go(None)
                self._hints.wait(self.POLL_SECONDS)

    def _catch_up(self) -> None:
        since = self._revision
        with self._db.operator_transaction() as session:
            repository = ConfigRepository(session)
            if since is None:
                head, changes = repository.head(), []
            else:
                changes = repository.list_changes(since=since)
                head = max((change.revision for change in changes), default=since)
        if head != since:
            self._let_go(head, changes)
            REVISION.set(head)
            self._on_change()

    def _let_go(self, revision: int | None, changes: list[Change] | None = None) -> None:
        """Drops what `changes` make old, everything without them, and goes on to `revision`."""
        with self._lock:
            own = {(change.tenant_id, change.name) for change in changes or ()}
            general = {change.name for change in changes or () if change.tenant_id is None}
            self._held = {
                key: held
                for key, held in self._held.items()
                if changes and key not in own and key[1] not in general
            }
            self._generation += 1
            self._revision = revision

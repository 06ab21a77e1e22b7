"""Says for a whole process that it is there, and how far it follows."""

import os
import socket
import threading
from collections.abc import Callable
from typing import Self
from uuid import UUID

import structlog

from backend.db.transaction import Database
from backend.errors import Unavailable
from backend.ops.repository import EMPTY, CacheLookups, InstanceRepository

_log = structlog.get_logger(__name__)


class Presence:
    """One process's row in `instances`, from `start()` to `stop()`. `config_revision` and
    `cache_lookups` are asked at each heartbeat.

    A thread; in a web process, where gevent has replaced threads, a greenlet.
    """

    EVERY_SECONDS = 5.0

    def __init__(
        self,
        db: Database,
        *,
        name: str,
        kind: str,
        version: str,
        config_revision: Callable[[], int | None] = lambda: None,
        cache_lookups: Callable[[], CacheLookups] = lambda: EMPTY,
    ) -> None:
        self._db = db
        self._name = name
        self._kind = kind
        self._version = version
        self._config_revision = config_revision
        self._cache_lookups = cache_lookups
        self._id: UUID | None = None
        self._stopping = threading.Event()
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> Self:
        """Starts the thread and returns at once; call it after any fork."""
        self._thread.start()
        return self

    def wake(self) -> None:
        """There is something new to say: says it now rather than at the next heartbeat."""
        self._due.set()

    def stop(self) -> None:
        """Says goodbye, if the database answers; else it falls silent."""
        self._stopping.set()
        self._due.set()
        self._thread.join(2.0)
        if self._id is None:
            return
        try:
            with self._db.operator_transaction() as session:
                InstanceRepository(session).stop(self._id)
        except Unavailable:
            _log.warning("could not say goodbye")

    def _run(self) -> None:
        while not self._stopping.is_set():
            # Before the row is written: what is new after this moment is said in the next round.
            self._due.clear()
            try:
                self._beat()
            except Unavailable:
                _log.warning("no heartbeat: the database does not answer")
            except Exception:  # noqa: BLE001 - logged
                _log.exception("heartbeat failed")
            self._due.wait(self.EVERY_SECONDS)

    def _beat(self) -> None:
        with self._db.operator_transaction() as session:
            instances = InstanceRepository(session)
            revision, lookups = self._config_revision(), self._cache_lookups()
            if self._id is not None and instances.heartbeat(
                self._id, config_revision=revision, cache_lookups=lookups
            ):
                return
            made = instances.register(
                name=self._name,
                kind=self._kind,
                version=self._version,
                host=socket.gethostname(),
                pid=os.getpid(),
                config_revision=revision,
                cache_lookups=lookups,
            )
        self._id = made

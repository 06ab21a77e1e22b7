"""Sends hints to other processes, off the write path.

NOTIFY inside a writing transaction holds one lock of the whole server until the commit is flushed, which
costs two thirds of the commit rate at 32 writers. So hints are collected, and one thread sends them a few
milliseconds after the commit, many at a time. A hint lost in between is repaired by the listeners' polling.
"""

import threading
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import psycopg
import structlog

from backend.db.engine import connect

_log = structlog.get_logger(__name__)


class Channel(StrEnum):
    """Every channel there is, named after its table. The payload is ids and versions only."""

    JOBS = "jobs"  #            tenant_id:kind           work was enqueued
    SYNC_RUNS = "sync_runs"  #  tenant_id:run_id         a run's row changed
    UPLOADS = "uploads"  #      tenant_id:upload_id      a file was stored as a document, or failed
    CONFIG_VERSIONS = "config_versions"  # tenant_id:name:version, or installation:name:version
    SESSIONS = "sessions"  #    tenant_id:session_id     a session ended
    SIGNING_KEYS = "signing_keys"  # kid            a key was made, and perhaps others retired
    TENANT_COMPONENTS = "tenant_components"  # tenant_id:name  a component was built or deleted


class Notifier:
    """One sender thread and one connection per process; both are made when the first hint comes."""

    COALESCE_SECONDS = 0.01
    LARGEST_BACKLOG = 10_000

    def __init__(self, url: str, *, application_name: str = "secondbrain notifier") -> None:
        self._url = url
        self._name = application_name
        self._pending: set[tuple[Channel, str]] = set()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def publish(self, hints: Iterable[tuple[Channel, str]]) -> None:
        """Queues `hints`; returns at once and never raises. Equal hints in one interval are sent once."""
        hints = set(hints)
        if not hints:
            return
        with self._wake:
            if len(self._pending) < self.LARGEST_BACKLOG:
                self._pending |= hints
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
                self._thread.start()
            self._wake.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Sends what is queued and ends the thread; gives up after `timeout` seconds."""
        with self._wake:
            self._closing = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        stop = threading.Event()
        backoff = 0.1
        sent_at = 0.0
        try:
            while True:
                with self._wake:
                    while not self._pending and not self._closing:
                        self._wake.wait()
                    closing = self._closing
                    if closing and not self._pending:
                        return
                # After a pause the first hint goes at once; of a burst, what comes within the interval goes together.
                pause = sent_at + self.COALESCE_SECONDS - time.monotonic()
                if pause > 0 and not closing:
                    stop.wait(pause)
                sent_at = time.monotonic()
                with self._wake:
                    batch, self._pending = self._pending, set()
                try:
                    if connection is None:
                        connection = connect(self._url, application_name=self._name)
                    # For this statement only: behind a pooler the session is somebody else's next.
                    connection.execute(
                        "SELECT pg_notify(c, p), set_config('synchronous_commit', 'off', true)"
                        " FROM unnest(%s::text[], %s::text[]) AS hints (c, p)",
                        ([str(c) for c, _ in batch], [p for _, p in batch]),
                    )
                    backoff = 0.1
                except psycopg.Error as error:
                    # A hint that the server refuses would be refused for ever, and keep all others waiting.
                    is_refused = not isinstance(error, psycopg.OperationalError)
                    _log.warning(
                        "hints dropped" if is_refused else "hints not sent, retrying",
                        error=type(error).__name__,
                        hints=len(batch),
                    )
                    if connection is not None:
                        connection.close()
                        connection = None
                    if closing:
                        return
                    if not is_refused:
                        self.publish(batch)
                    stop.wait(backoff)
                    backoff = min(backoff * 2, 5.0)
        finally:
            if connection is not None:
                connection.close()

"""Runs one web instance: gunicorn's gevent worker, on the shared port and on a port of its own.

gevent, because a thousand open event streams are a thousand waiting greenlets and not threads. One process and no
master above it: instances are multiplied by starting more of them (SO_REUSEPORT), and whoever started this one
starts it again when it ends. A master would take 28 MB for itself to do the same.
"""

import ctypes
import gc
import os
import signal
import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from gevent.threadpool import ThreadPool
from gunicorn.app.base import BaseApplication
from gunicorn.sock import create_sockets
from gunicorn.workers.ggevent import GeventWorker

from backend.settings import Settings

if TYPE_CHECKING:
    from backend.ops.presence import Presence
    from backend.wiring import Services

#: An event loop that does not turn for so long never will; the kernel then ends the process.
_HUNG_SECONDS: Final = 60
#: Hashing a password takes 64 MiB and several cores for a moment; more at once would only take more memory.
_HASHING_THREADS: Final = 2


class WebInstance(BaseApplication):  # type: ignore[misc]
    """What gunicorn asks for: its configuration, from settings, and the application. Close it in the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._services: Services | None = None
        self._presence: Presence | None = None
        super().__init__()

    def load_config(self) -> None:
        s = self._settings
        binds = [f"{s.host}:{s.port}"]
        if s.instance_port is not None:
            binds.append(f"{s.host}:{s.instance_port}")
        options: dict[str, Any] = {
            "bind": binds,
            "reuse_port": True,
            "worker_connections": 4000,
            "graceful_timeout": 5,
            "keepalive": 30,
            "limit_request_line": 8190,
            "loglevel": "warning",
        }
        for key, value in options.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        # Imported here: after gevent has replaced what it replaces.
        from backend.app import create_app
        from backend.db.schema import require_current
        from backend.embeddings.providers.local import LocalEmbedder
        from backend.logs import configure_logging
        from backend.wiring import instance_name, take_part, wire

        settings = self._settings
        instance = instance_name(settings)
        configure_logging(level=settings.log_level, fmt=settings.log_format, instance=instance)
        require_current(settings.database_url.get_secret_value())
        hashing = ThreadPool(_HASHING_THREADS)
        self._services = wire(settings, run_blocking=hashing.apply)
        self._presence = take_part(self._services, kind="web")
        if isinstance(self._services.embedder, LocalEmbedder):
            # No question is to wait for it.
            self._services.embedder.open()
        app = create_app(self._services)
        _settle()
        return app

    def close(self) -> None:
        """Says goodbye and closes every connection."""
        if self._presence is not None:
            self._presence.stop()
        if self._services is not None:
            self._services.close()


class _Process(GeventWorker):  # type: ignore[misc]
    """The worker as the process itself: nobody above it looks whether it lives, so the kernel does."""

    def notify(self) -> None:
        signal.alarm(_HUNG_SECONDS)


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises OSError when the port of this instance's own is taken."""
    if settings.instance_port is not None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.instance_port))
    with closing(WebInstance(settings)) as instance:
        log = instance.cfg.logger_class(instance.cfg)
        sockets = create_sockets(instance.cfg, log)
        worker = _Process(1, os.getppid(), sockets, instance, _HUNG_SECONDS, instance.cfg, log)
        worker.pid = os.getpid()
        worker.init_process()


def _settle() -> None:
    """What is loaded now stays: the collector need not look at it again, and what loading took goes back."""
    gc.collect()
    gc.freeze()
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)

"""Runs one web instance: gunicorn with one gevent worker, on the shared port and on a port of its own.

gevent, because a thousand open event streams are a thousand waiting greenlets and not threads; one worker,
because instances are multiplied by starting more of them (SO_REUSEPORT), not inside one.
"""

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

from backend.settings import Settings

if TYPE_CHECKING:
    from backend.ops.presence import Presence
    from backend.wiring import Services


class WebInstance(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured by settings; the application is built in the worker, after the fork."""

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
            "worker_class": "gevent",
            "workers": 1,
            "worker_connections": 4000,
            "graceful_timeout": 5,
            "timeout": 60,
            "keepalive": 30,
            "proc_name": f"secondbrain {s.instance_name}",
            "loglevel": "warning",
            "control_socket_disable": True,
            "worker_exit": lambda _server, _worker: self._close(),
        }
        for key, value in options.items():
            if key in self.cfg.settings:
                self.cfg.set(key, value)

    def load(self) -> Any:
        # Imported here, in the worker: after gevent has replaced what it replaces, and the master stays small.
        from backend.app import create_app
        from backend.db.schema import require_current
        from backend.logs import configure_logging
        from backend.wiring import instance_name, take_part, wire

        settings = self._settings
        instance = instance_name(settings)
        configure_logging(level=settings.log_level, fmt=settings.log_format, instance=instance)
        require_current(settings.database_url.get_secret_value())
        self._services = wire(settings, run_blocking=_in_a_thread)
        self._presence = take_part(self._services, kind="web")
        return create_app(self._services)

    def _close(self) -> None:
        if self._presence is not None:
            self._presence.stop()
        if self._services is not None:
            self._services.close()


def _in_a_thread(work: Callable[[], Any]) -> Any:
    """What `work()` returns or raises, computed beside the event loop."""
    from gevent import get_hub

    return get_hub().threadpool.apply(work)


def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises OSError when the port of this instance's own is taken."""
    if settings.instance_port is not None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((settings.host, settings.instance_port))
    WebInstance(settings).run()

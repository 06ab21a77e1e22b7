"""The two servers, each started for the bench alone: bundled Postgres as the product runs it, and redis-server."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import redis

from backend.bundled import prepare_bundled
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE
from backend.db.migrate import migrate
from backend.lifeline import die_with_parent
from tests.conftest import TEMPLATE, TestDatabase, clone, settings_for
from tests.e2e.conftest import free_ports

MISSING = "redis-server is missing (on Debian and Ubuntu: apt-get install redis-server)"


@contextmanager
def postgres() -> Iterator[TestDatabase]:
    """A migrated database on a bundled server with the product's settings: every commit waits for the disk, unless
    its statement says otherwise."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="secondbrain-bench-"))
        os.chmod(folder, 0o755)  # noqa: S103
        server = EmbeddedPostgres(Path(folder, "postgres"))
        server.start(bound_to_parent=True)
        stack.callback(server.stop, "immediate")
        prepare_bundled(server)
        migrate(settings_for(server.url(APP_ROLE, TEMPLATE), server.url("postgres", TEMPLATE)))
        database = clone(server)
        stack.callback(database.db.close)
        yield database


def find_redis(*, install: bool) -> str | None:
    """Path of redis-server, if it is there; root may `install` it from the distribution."""
    if (found := shutil.which("redis-server")) is None and install and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "redis-server"]):
            if shutil.which("apt-get"):
                subprocess.run(
                    ["apt-get", "-qq", *command], env=environment, check=False, capture_output=True
                )
        found = shutil.which("redis-server")
    return found


@contextmanager
def redis_server(program: str, *options: str) -> Iterator[tuple[str, int]]:
    """(unix socket, loopback port) of a redis-server of our own, with its default settings but for `options`."""
    with tempfile.TemporaryDirectory(prefix="secondbrain-bench-") as folder:
        socket, (port,) = f"{folder}/redis.sock", free_ports(1)
        command = [program, "--bind", "127.0.0.1", "--port", str(port), "--unixsocket", socket]
        server = subprocess.Popen(
            [*command, "--dir", folder, *options],
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        try:
            _wait_for(socket)
            yield socket, port
        finally:
            server.terminate()
            server.wait(10)


def _wait_for(socket: str) -> None:
    deadline = monotonic() + 10
    with redis.Redis(unix_socket_path=socket) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if monotonic() > deadline:
                    raise
                sleep(0.02)

"""A redis-server for the benches, from the distribution."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from backend.lifeline import die_with_parent
from tests.e2e.conftest import free_ports


class NoRedis(Exception):
    """There is no redis-server to compare with; the message says what to install."""


@contextmanager
def running_redis() -> Iterator[int]:
    """The port of a redis-server with its default settings; root installs it if need be. Raises NoRedis."""
    program = shutil.which("redis-server") or _install()
    if program is None:
        raise NoRedis("redis-server is missing (on Debian and Ubuntu: apt-get install redis-server)")
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="secondbrain-bench-") as folder:
        server = subprocess.Popen(
            [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder],
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        try:
            _wait_for(port)
            yield port
        finally:
            server.terminate()
            server.wait(10)


def _install() -> str | None:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "redis-server"]):
            subprocess.run(["apt-get", "-qq", *command], env=environment, check=False, capture_output=True)
    return shutil.which("redis-server")


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    with redis.Redis(port=port) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

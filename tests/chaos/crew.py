"""The product as it runs: the bundled server with its own settings, one web instance, workers; all of it may die."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg

from backend.bundled import DATABASE, prepare_bundled
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE
from backend.db.migrate import migrate
from backend.settings import generate_key
from tests.conftest import settings_for
from tests.e2e.conftest import Client, Fleet, free_ports

LEASE_SECONDS = 3.0

Row = tuple[Any, ...]


@dataclass
class Crew:
    """A server and a fleet on it. Workers have names of their own, never given twice."""

    server: EmbeddedPostgres
    fleet: Fleet
    log_path: Path
    database: str = DATABASE

    def start_worker(self) -> str:
        """Starts one more; its name."""
        self.fleet.start_worker()
        return f"worker{len(self.fleet.workers)}"

    def living(self) -> list[str]:
        """Names of the workers that run."""
        return [f"worker{n}" for n, process in enumerate(self.fleet.workers, 1) if process.poll() is None]

    def process(self, name: str) -> "subprocess.Popen[bytes]":
        """The worker of that name."""
        return self.fleet.workers[int(name.removeprefix("worker")) - 1]

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to a worker."""
        os.kill(self.process(name).pid, number)

    def rows(self, query: str, *values: object) -> list[Row]:
        """What a superuser sees; waits while the server is away."""
        deadline = time.monotonic() + 90
        while True:
            try:
                with psycopg.connect(
                    self.server.url("postgres", self.database), autocommit=True
                ) as connection:
                    return connection.execute(query.encode(), values).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def execute(self, statement: str) -> None:
        """Runs a statement as superuser."""
        with psycopg.connect(self.server.url("postgres", self.database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def end_connections(self) -> None:
        """Ends every connection of the product."""
        self.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@contextmanager
def crew(
    base_url: str, authorize: Callable[[str, str], str], *, workers: int, **env: str
) -> Iterator[tuple[Crew, Client, UUID]]:
    """(crew, somebody signed in, the connected GitHub's id): ready, and not syncing yet.

    `base_url`: GitHub's; `authorize` does what a person does there.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="secondbrain-chaos-"))
        os.chmod(folder, 0o755)  # noqa: S103 - the server may run as another user
        server = EmbeddedPostgres(Path(folder, "postgres"))
        server.start(bound_to_parent=True)
        stack.callback(server.stop, "immediate")
        prepare_bundled(server)
        migrate(settings_for(server.url(APP_ROLE, DATABASE), server.url("postgres", DATABASE)))
        log_path = Path(folder, "processes.log")
        made = Crew(server, _fleet(server, base_url, authorize, env), log_path)
        stack.callback(made.fleet.stop)
        made.fleet.log = stack.enter_context(log_path.open("ab"))
        made.fleet.start_web(0)
        for _ in range(workers):
            made.start_worker()
        made.fleet.wait_until_ready()
        client = made.fleet.sign_up()
        address = client.connect_github(begin_at=0, callback_at=0)
        assert "success=github" in address, address
        ((connector_id,),) = made.rows("SELECT id FROM connectors")
        yield made, client, connector_id


def _fleet(
    server: EmbeddedPostgres, base_url: str, authorize: Callable[[str, str], str], env: dict[str, str]
) -> Fleet:
    shared, own = free_ports(2)
    known = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "CI")}
    return Fleet(
        database=cast(Any, None),
        github=cast(Any, _Consent(authorize)),
        seed=cast(Any, None),
        gate=cast(Any, None),
        shared=f"http://localhost:{shared}",
        web=[f"http://127.0.0.1:{own}"],
        env={
            **known,
            "DATABASE_URL": server.url(APP_ROLE, DATABASE),
            "SECRET_KEYS": generate_key(),
            "PORT": str(shared),
            "GITHUB_CLIENT_ID": "chaos",
            "GITHUB_CLIENT_SECRET": "chaos-secret",
            "GITHUB_AUTHORIZE_BASE": base_url,
            "GITHUB_API_BASE": base_url,
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "LOG_LEVEL": "warning",
            "LOG_FORMAT": "console",
            **env,
        },
    )


@dataclass(frozen=True, slots=True)
class _Consent:
    authorize: Callable[[str, str], str]

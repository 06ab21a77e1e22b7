"""`secondbrain up`, as somebody at a terminal uses it: real ports, a real server, Ctrl-C."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from backend.ports import port_is_free
from tests.conftest import TestDatabase

ROOT = Path(__file__).parents[1]
QUESTION = "What happens when a worker is killed?"


class Up:
    """One `secondbrain up` in a folder of its own."""

    def __init__(self, folder: Path, port: int, *options: str, **env: str) -> None:
        self.port = port
        self.started = time.monotonic()
        self.output = folder / f"up-{time.monotonic_ns()}.log"
        keep = ("PATH", "HOME", "LANG", "TMPDIR")
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "backend.cli", "up", *options],
                cwd=ROOT,
                env={
                    **{name: os.environ[name] for name in keep if name in os.environ},
                    "SECONDBRAIN_DATA_DIR": str(folder / "data"),
                    "PORT": str(port),
                    **env,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 90) -> float:
        """Seconds from the start until it has said `text`."""
        deadline = time.monotonic() + seconds
        while text not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)
        return time.monotonic() - self.started

    def descendants(self) -> list[psutil.Process]:
        """Every process it has started, directly or not."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def interrupt(self) -> int:
        """Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="secondbrain-up-") as made:
        os.chmod(made, 0o755)  # noqa: S103 - the server's own account passes through
        yield Path(made)


@pytest.fixture(scope="module")
def port() -> int:
    """A port whose companions are free too."""
    # Not the first free one: another run of these tests on this machine would take the same.
    candidates = random.sample(range(21003, 29000, 50), 50)
    return next(p for p in candidates if all(port_is_free("127.0.0.1", p + n) for n in (0, 8, 9, 10)))


def test_up_demo_answers_survives_kills_stops_clean_and_finds_its_data(folder: Path, port: int) -> None:
    up = Up(folder, port, "--demo")
    try:
        up.wait_for("Demo workspace: ")
        login = json.loads((folder / "data" / "demo.json").read_text())
        assert login["password"] in up.said
        base = f"http://localhost:{port}"
        assert _ask(base, login)["citations"]

        # A web instance and the worker are killed outright; the supervisor starts them again.
        before = up.descendants()
        for process in before:
            # One of the server's own helpers may have ended meanwhile.
            with contextlib.suppress(psutil.NoSuchProcess):
                if "serve" in process.cmdline() or "worker" in process.cmdline():
                    process.kill()
        up.wait_for("starting it again")
        for number in range(3):
            _wait_until_healthy(f"http://localhost:{port + 8 + number}")
        assert _ask(base, login)["citations"]

        everything = up.descendants()
        assert len(everything) >= 8
        assert up.interrupt() == 0, up.said
        gone, alive = psutil.wait_procs([*before, *everything], timeout=5)
        assert not alive, alive
        assert gone
    finally:
        up.process.kill()

    again = Up(folder, port)
    try:
        seconds = again.wait_for("Ready after")
        assert seconds < 30, again.said
        assert _ask(f"http://localhost:{port + 9}", login)["citations"]
        busy = Up(folder, port)
        assert busy.process.wait(30) == 1
        assert re.search(rf"Error: Port {port} on 127.0.0.1 is in use.*PORT=", busy.said), busy.said
        assert len(busy.said.strip().splitlines()) == 1
        _check_clean_restart_after_kill(again, folder, port, login)
    finally:
        again.process.kill()


def _check_clean_restart_after_kill(up: Up, folder: Path, port: int, login: dict[str, str]) -> None:
    """The supervisor itself is killed: nothing is left behind, and the next start finds everything."""
    everything = up.descendants()
    up.process.kill()
    up.process.wait()
    _, alive = psutil.wait_procs(everything, timeout=20)
    assert not alive, alive
    third = Up(folder, port)
    try:
        third.wait_for("Ready after")
        assert _ask(f"http://localhost:{port}", login)["citations"]
        assert third.interrupt() == 0
    finally:
        third.process.kill()


def test_up_with_database_url_uses_that_server(folder: Path, port: int, own_database: TestDatabase) -> None:
    up = Up(folder, port, DATABASE_URL=own_database.admin_url)
    try:
        up.wait_for("Ready after")
        assert "Using the database server of DATABASE_URL" in up.said
        assert "bundled" not in up.said
        answer = httpx2.post(
            f"http://localhost:{port}/api/auth/signup",
            json={"email": "a@example.org", "password": "Sup3rsecret", "full_name": "Ada"},
        )
        assert answer.status_code == 201, answer.text
        # Signed in as an administrator, the processes still are the app role.
        with own_database.admin() as connection:
            row = connection.execute("SELECT count(*) FROM users").fetchone()
        assert row == (1,)
        assert up.interrupt() == 0
    finally:
        up.process.kill()


def test_up_reset_with_database_url_is_refused(folder: Path, port: int, own_database: TestDatabase) -> None:
    up = Up(folder, port, "--reset", DATABASE_URL=own_database.url)
    assert up.process.wait(30) == 1
    assert "--reset is for the bundled server" in up.said


def test_up_with_unreachable_database_says_so_in_one_line(folder: Path, port: int) -> None:
    up = Up(folder, port, DATABASE_URL="postgresql://nobody:secret-word@127.0.0.1:1/nothing")
    assert up.process.wait(60) == 1
    assert "Traceback" not in up.said
    assert "secret-word" not in up.said
    assert "Error: " in up.said


def _ask(base: str, login: dict[str, str]) -> dict[str, list[object]]:
    signed_in = httpx2.post(f"{base}/api/auth/login", json=login, timeout=30).json()
    headers = {"Authorization": f"Bearer {signed_in['tokens']['access_token']}"}
    answer = httpx2.post(f"{base}/api/search", json={"query": QUESTION}, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    body: dict[str, list[object]] = answer.json()
    return body


def _wait_until_healthy(base: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx2.get(f"{base}/api/health", timeout=2).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise AssertionError(f"{base} did not come back")

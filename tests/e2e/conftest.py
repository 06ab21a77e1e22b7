"""A fleet: real web and worker processes on real ports, one database, one emulated provider."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from html import unescape
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import httpx2
import numpy as np
import pytest

from backend.db.embedded import EmbeddedPostgres
from backend.lifeline import die_with_parent
from backend.settings import generate_key
from tests.conftest import TestDatabase, clone
from tests.emulators.github import GitHubEmulator, github_emulator
from tests.emulators.github_seed import Seed, github_seed
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

READY_SECONDS = 60.0
PASSWORD = "Sup3rsecret"
ROOT = Path(__file__).parents[2]
DIMENSIONS: Final = 16
#: Some sixty vectors of that length.
VECTOR_BYTES_PER_TENANT: Final = 20_000


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses right now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@dataclass
class Fleet:
    """`web` are the base URLs of the instances, `shared` is the port they share."""

    database: TestDatabase
    github: GitHubEmulator
    seed: Seed
    gate: "Gate"
    shared: str
    web: list[str]
    env: dict[str, str]
    web_processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    #: Where the processes write what they log; None: to where the tests write.
    log: "IO[bytes] | None" = None

    def start_web(self, number: int) -> None:
        """Starts instance `number` (from 0)."""
        port = str(urlsplit(self.web[number]).port)
        name = f"web{number + 1}"
        self.web_processes.append(self._spawn("serve", INSTANCE_PORT=port, INSTANCE_NAME=name))

    def start_worker(self, **env: str) -> "subprocess.Popen[bytes]":
        """Starts one more worker."""
        worker = self._spawn("worker", INSTANCE_NAME=f"worker{len(self.workers) + 1}", **env)
        self.workers.append(worker)
        return worker

    def wait_until_ready(self) -> None:
        """Returns once every instance answers and receives hints."""
        for url in self.web:
            eventually(partial(_is_ready, url), f"{url} to answer", READY_SECONDS)

    def sign_up(self, instance: int = 0, name: str = "Fleet Tests") -> "Client":
        """A workspace and its administrator, signed in at `instance`."""
        email = f"admin-{os.urandom(6).hex()}@example.org"
        answer = httpx2.post(
            f"{self.web[instance]}/api/auth/signup",
            json={"email": email, "password": PASSWORD, "full_name": "Ada", "organization_name": name},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        return Client(self, email, answer.json())

    def stop(self) -> None:
        """Ends every process at once."""
        for process in (*self.web_processes, *self.workers):
            # The number of one that has been waited for may be somebody else's by now.
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        for process in (*self.web_processes, *self.workers):
            process.wait()

    def _spawn(self, command: str, **env: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "backend.cli", command],
            cwd=ROOT,
            env={**self.env, **env},
            stderr=self.log,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )


class Client:
    """Somebody with an access token, who may call any instance; a browser is a separate `httpx2.Client`."""

    def __init__(self, fleet: Fleet, email: str, signed_in: dict[str, Any]) -> None:
        self.fleet = fleet
        self.email = email
        self.signed_in = signed_in
        self.tenant_id = signed_in["tenant"]["id"]
        self.access_token: str = signed_in["tokens"]["access_token"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}

    def call(self, method: str, path: str, *, at: int = 0, **more: Any) -> httpx2.Response:
        """A request at instance `at`."""
        return httpx2.request(method, f"{self.fleet.web[at]}{path}", headers=self.headers, timeout=30, **more)

    def ok(self, method: str, path: str, *, at: int = 0, **more: Any) -> dict[str, Any]:
        """The same; the JSON of a successful answer."""
        answer = self.call(method, path, at=at, **more)
        assert answer.is_success, f"{answer.status_code} {answer.text}"
        body: dict[str, Any] = answer.json()
        assert body["success"] is True
        return body

    def connect_github(self, *, auth_at: int = 0, begin_at: int = 1, callback_at: int = 2) -> str:
        """Connects GitHub as a browser without a session would; returns where the browser ends up."""
        with httpx2.Client(timeout=30) as browser:
            callback = self.authorize(browser, auth_at=auth_at, begin_at=begin_at)
            return browser.get(self.at(callback, callback_at)).headers["location"]

    def authorize(self, browser: httpx2.Client, *, auth_at: int = 0, begin_at: int = 1) -> str:
        """Up to and with the provider's consent; returns the callback's address."""
        auth_url = self.ok("GET", "/api/integrations/github/auth", at=auth_at)["auth_url"]
        page = browser.get(self.at(auth_url, begin_at))
        assert page.status_code == 200, page.headers
        assert "Fleet Tests" in page.text
        form = {
            name: page.text.partition(f'name="{name}" value="')[2].partition('"')[0]
            for name in ("ticket", "confirmation")
        }
        onward = browser.post(str(page.url), data=form)
        assert onward.status_code == 200, onward.headers
        address = unescape(onward.text.partition('content="0;url=')[2].partition('"')[0])
        return self.fleet.github.authorize(address, "octocat")

    def at(self, url: str, instance: int) -> str:
        """`url` at another instance, as a load balancer would send it there."""
        parts = urlsplit(url)
        return parts._replace(netloc=urlsplit(self.fleet.web[instance]).netloc).geturl()


def eventually(is_true: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Waits for what other processes bring about; the value, once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = is_true()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s for {what}")


def _is_ready(url: str) -> bool:
    try:
        body = httpx2.get(f"{url}/api/health", timeout=2).json()
    except (httpx2.HTTPError, ValueError):
        return False
    return bool(body["checks"] == {"database": "ok", "listener": "ok"})


class Gate:
    """Stands in front of the emulated API and passes everything on, until it is closed on some requests."""

    def __init__(self, target: str) -> None:
        self._target = httpx2.Client(base_url=target, timeout=30)
        self._closed_on: str | None = None
        self._open = threading.Event()
        self._open.set()
        self.somebody_waits = threading.Event()

    def close_on(self, text: str) -> None:
        """From now on requests whose path contains `text` wait until `open()`."""
        self.somebody_waits.clear()
        self._open.clear()
        self._closed_on = text

    def open(self) -> None:
        """Lets everybody through."""
        self._closed_on = None
        self._open.set()

    def close(self) -> None:
        """Lets go of connections."""
        self.open()
        self._target.close()

    def answer(self, request: Request) -> Reply:
        """What the API answers, sooner or later."""
        if self._closed_on is not None and self._closed_on in request.path:
            self.somebody_waits.set()
            self._open.wait(60)
        headers = {
            k: v for k, v in request.headers.items() if k not in ("host", "content-length", "connection")
        }
        answer = self._target.request(request.method, request.path, headers=headers, content=request.body)
        dropped = (
            "content-length",
            "content-encoding",
            "transfer-encoding",
            "connection",
            "keep-alive",
            "date",
        )
        passed_on = {k: v for k, v in answer.headers.items() if k.lower() not in dropped}
        return Reply(answer.status_code, answer.content, passed_on)


@pytest.fixture(scope="package")
def fleet(server: EmbeddedPostgres) -> Iterator[Fleet]:
    """Three web instances and an emulated GitHub behind a gate; no worker yet."""
    with running_fleet(server, github_seed(issues=60)) as made:
        yield made


@contextlib.contextmanager
def running_fleet(
    server: EmbeddedPostgres, seed: Seed, *, instances: int = 3, **more: str
) -> Iterator[Fleet]:
    """`instances` that answer, on a database of their own, with `more` in their environment; no worker yet."""
    shared, *own = free_ports(1 + instances)
    redirect = f"http://localhost:{shared}/api/integrations/github/callback"
    database = clone(server)
    with (
        github_emulator(seed, redirect_uris=(redirect,)) as emulator,
        scripted_server((gate := Gate(emulator.base_url)).answer) as api,
    ):
        env = {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR", "CI")},
            "DATABASE_URL": database.url,
            "SECRET_KEYS": generate_key(),
            "PORT": str(shared),
            "PUBLIC_URL": f"http://localhost:{shared}",
            "FRONTEND_URL": "http://localhost:3000",
            "GITHUB_CLIENT_ID": emulator.client_id,
            "GITHUB_CLIENT_SECRET": emulator.client_secret,
            "GITHUB_AUTHORIZE_BASE": emulator.base_url,
            "GITHUB_API_BASE": api.base_url,
            "OAUTH_NONCE_SECONDS": "600",
            "LEASE_SECONDS": "3",
            "LOG_LEVEL": "warning",
            "LOG_FORMAT": "console",
            **more,
        }
        made = Fleet(
            database=database,
            github=emulator,
            seed=seed,
            gate=gate,
            shared=f"http://localhost:{shared}",
            web=[f"http://127.0.0.1:{port}" for port in own],
            env=env,
        )
        try:
            for number in range(instances):
                made.start_web(number)
            made.wait_until_ready()
            yield made
        finally:
            made.stop()
            gate.close()
            database.db.close()


@pytest.fixture(scope="package")
def embedding_server() -> Iterator[ScriptedServer]:
    """Speaks OpenAI's interface, and remembers what it was asked."""
    with scripted_server(_vectors) as server:
        yield server


@pytest.fixture(scope="package")
def remote_fleet(fleet: Fleet, embedding_server: ScriptedServer) -> Iterator[Fleet]:
    """Three more instances on the fleet's database, which embed at `embedding_server`."""
    shared, *own = free_ports(4)
    env = {
        **fleet.env,
        "PORT": str(shared),
        "PUBLIC_URL": f"http://localhost:{shared}",
        "EMBEDDING_BASE_URL": embedding_server.base_url,
        "EMBEDDING_MODEL": "scripted",
        "EMBEDDING_DIMENSIONS": str(DIMENSIONS),
        "EMBEDDING_CACHE_TENANT_BYTES": str(VECTOR_BYTES_PER_TENANT),
        "RATE_LIMITS": "search=off",
    }
    web = [f"http://127.0.0.1:{port}" for port in own]
    made = replace(fleet, env=env, web=web, web_processes=[], workers=[], shared=env["PUBLIC_URL"])
    try:
        for number in range(3):
            made.start_web(number)
        made.wait_until_ready()
        yield made
    finally:
        made.stop()


def texts_of(server: ScriptedServer) -> list[str]:
    """Every text the server was sent."""
    return [text for request in server.requests for text in json.loads(request.body)["input"]]


def _vectors(request: Request) -> Reply:
    """One vector per text."""
    texts = json.loads(request.body)["input"]
    rows = [np.random.default_rng(abs(hash(text))).standard_normal(DIMENSIONS).tolist() for text in texts]
    return json_reply({"data": [{"index": place, "embedding": row} for place, row in enumerate(rows)]})

"""From a commit on one instance to the event at a thousand clients of another, beside Redis pub/sub doing the same.

Ours: real web instances; a progress write through the product in this process, the real stream route of instance 2.
Redis: `SET` and `PUBLISH` in one round trip, a small gevent server (redis_streams.py) with one subscription. The
clients are one process (sse_clients.py); it and all servers share the machine's cores.
"""

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import redis

from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.db.transaction import Database
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ingest_document.flow import prepare
from backend.lifeline import die_with_parent, signal_group
from backend.sync.repository import PageResult, SyncRunRepository
from tests.bench.processes import connections, family, footprint
from tests.bench.report import Report, Row
from tests.bench.state.servers import MISSING, find_redis, redis_server
from tests.bench.timing import percentile
from tests.conftest import running_server
from tests.e2e.conftest import ROOT, Client, Fleet, eventually, free_ports, running_fleet
from tests.emulators.github_seed import github_seed
from tests.readers import shared_reader

#: The instance that serves the streams, from 0.
_SERVING: Final = 1
_QUESTION: Final = "What happens when a worker is killed?"
#: A client's stream lets at most ten events a second through.
_BETWEEN_COMMITS: Final = 0.3

#: Waits until every client has the event of this number; when each had it, in seconds of the monotonic clock.
WaitFor = Callable[[int], list[float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `scripts/bench streams`."""
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--commits", type=int, default=20)
    parser.add_argument("--searches", type=int, default=40)


def run(args: argparse.Namespace) -> Report:
    """Ours, then Redis; one after the other, so that neither's clients disturb the other's."""
    rows: list[Row] = []
    notes = [
        "p50_ms, p99_ms: from the commit (or the publishing) until a client had the event.",
        "search: POST /api/search at the instance that serves the streams, one after the other, while commits go on.",
        "connections: of that instance to Postgres, its listener and notifier included.",
    ]
    with (
        running_server(MappingProxyType({})) as server,
        running_fleet(server, github_seed(issues=1), instances=2, RATE_LIMITS="search=off") as fleet,
    ):
        rows += _ours(fleet, args)
    if (program := find_redis(install=True)) is None:
        notes.append(f"No comparison with Redis: {MISSING}")
    else:
        rows.append(_redis(program, args))
    return Report(f"events at {args.clients} clients of another instance", rows, notes)


def _ours(fleet: Fleet, args: argparse.Namespace) -> Iterator[Row]:
    client = fleet.sign_up()
    client.connect_github(auth_at=0, begin_at=0, callback_at=0)
    started = client.ok("POST", "/api/integrations/github/sync")
    tenant_id, run_id = UUID(client.tenant_id), UUID(started["run_id"])
    db = fleet.database.db
    with db.transaction(tenant_id) as session:
        SyncRunRepository(session).take_up(tenant_id, run_id, cursor=None, is_full=True)
    _add_documents(db, tenant_id)

    def commit() -> tuple[int, float]:
        with db.transaction(tenant_id) as session:
            after = SyncRunRepository(session).advance(tenant_id, run_id, PageResult(stored=1, chunks=1))
        committed_at = time.monotonic()
        assert after is not None
        return after.seq, committed_at

    # The first answers load what an instance loads once.
    _searches(client, 5)
    alone = _searches(client, args.searches)
    yield _row("ours, no stream open", 0, [], fleet.web_processes[_SERVING].pid, alone, fleet)
    port = int(urlsplit(fleet.web[_SERVING]).port or 0)
    with _clients(port, f"/api/sync-progress/{started['sync_id']}/stream", args.clients) as wait_for:
        latencies = _latencies(commit, wait_for, args.commits)
        with _going_on(commit):
            meanwhile = _searches(client, args.searches)
        pid = fleet.web_processes[_SERVING].pid
        yield _row("ours", args.clients, latencies, pid, meanwhile, fleet)


def _redis(program: str, args: argparse.Namespace) -> Row:
    with redis_server(program) as (_, redis_port), redis.Redis(port=redis_port) as client:
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "--worker-connections", "4000"]
        server = subprocess.Popen(
            [
                *command,
                "-b",
                f"127.0.0.1:{port}",
                "--log-level",
                "warning",
                "tests.bench.redis_streams:make()",
            ],
            cwd=ROOT,
            env={"PATH": "", "REDIS_PORT": str(redis_port)},
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        try:
            eventually(lambda: _answers(port), "the comparison's server")
            seq = 0

            def publish() -> tuple[int, float]:
                nonlocal seq
                seq += 1
                data = json.dumps({"seq": seq, **_LIKE_OURS})
                with client.pipeline(transaction=False) as pipeline:
                    pipeline.set("run", data)
                    pipeline.publish("run", data)
                    pipeline.execute()
                return seq, time.monotonic()

            with _clients(port, "/run", args.clients) as wait_for:
                latencies = _latencies(publish, wait_for, args.commits)
                return _row("redis pub/sub", args.clients, latencies, family(server.pid)[-1], [], None)
        finally:
            signal_group(server.pid, signal.SIGKILL)
            server.wait(20)


#: As large as our events.
_LIKE_OURS: Final = MappingProxyType({"padding": "x" * 500})


def _latencies(commit: Callable[[], tuple[int, float]], wait_for: WaitFor, count: int) -> list[float]:
    found: list[float] = []
    for _ in range(count):
        time.sleep(_BETWEEN_COMMITS)
        seq, at = commit()
        found += [seen - at for seen in wait_for(seq)]
    return found


@contextmanager
def _going_on(commit: Callable[[], object]) -> Iterator[None]:
    """Commits go on in a thread, until left."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(_BETWEEN_COMMITS):
            commit()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _clients(port: int, path: str, count: int) -> Iterator[WaitFor]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.sse_clients", str(port), path, str(count)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    says, hears = process.stdout, process.stdin

    def wait_for(event_id: int) -> list[float]:
        hears.write(f"expect {event_id}\n")
        hears.flush()
        moments: list[float] = json.loads(says.readline())
        return moments

    try:
        if says.readline() != "connected\n":
            raise RuntimeError("the clients could not connect")
        yield wait_for
    finally:
        hears.close()
        says.close()
        process.kill()
        process.wait()


def _searches(client: Client, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        started = time.monotonic()
        found = client.ok("POST", "/api/search", at=_SERVING, json={"query": _QUESTION})
        taken.append(time.monotonic() - started)
        assert found["sources"]
    return taken


def _add_documents(db: Database, tenant_id: UUID) -> None:
    """This project's documentation."""
    embedder = LocalEmbedder()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        document = prepare(
            _item(path), source_type="file", embedder=embedder, config=ParserConfig(), reader=shared_reader()
        )
        with db.transaction(tenant_id) as session:
            DocumentRepository(session).store(tenant_id, None, document)


def _item(path: Path) -> SourceItem:
    return SourceItem(
        external_id=path.name,
        title=path.stem,
        body=path.read_bytes(),
        mime_type="text/markdown",
        file_name=path.name,
        kind="doc",
        url=None,
        author=None,
        created_at=None,
        updated_at=None,
        metadata={},
    )


def _answers(port: int) -> bool:
    try:
        with httpx2.stream("GET", f"http://127.0.0.1:{port}/probe", timeout=2) as response:
            return response.is_success
    except httpx2.HTTPError:
        return False


def _row(
    name: str, clients: int, latencies: list[float], pid: int, searches: list[float], fleet: Fleet | None
) -> Row:
    taken = footprint(family(pid))
    return {
        "name": name,
        "clients": clients,
        "p50_ms": _milliseconds(latencies, 0.5),
        "p99_ms": _milliseconds(latencies, 0.99),
        "resident_mb": round(taken.resident_mb, 1),
        "proportional_mb": round(taken.proportional_mb, 1),
        "threads": taken.threads,
        "connections": connections(fleet.database, f"web{_SERVING + 1}") if fleet else None,
        "search_p50_ms": _milliseconds(searches, 0.5),
        "search_p99_ms": _milliseconds(searches, 0.99),
    }


def _milliseconds(seconds: list[float], share: float) -> float | None:
    return round(1e3 * percentile(seconds, share), 1) if seconds else None

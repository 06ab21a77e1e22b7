"""Memory of one web instance and one worker with 100 active tenants, all of it through HTTP.

Each tenant signs up, connects a GitHub of its own account (emulated), syncs a repository through the worker, signs in
anew and asks questions; its lexicon is built and held. Nothing is compared: the goal is a number of megabytes.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

from tests.bench.processes import family, footprint
from tests.bench.report import Report, Row
from tests.conftest import running_server
from tests.e2e.conftest import PASSWORD, Client, Fleet, eventually, running_fleet
from tests.emulators.github_seed import HANDBOOK, github_seed

_QUESTIONS = ("How is a backup restored?", "Who is on call?", "What does the deployment need?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `scripts/bench memory`."""
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long the syncs may take")


def run(args: argparse.Namespace) -> Report:
    """Starts one web instance and one worker, makes the tenants active, and measures on the way."""
    rows: list[Row] = []
    limits = ",".join(f"{name}=off" for name in ("signup", "login", "consent", "connect", "sync", "search"))
    with (
        running_server(MappingProxyType({})) as server,
        running_fleet(server, github_seed(issues=5), instances=1, RATE_LIMITS=limits) as fleet,
    ):
        worker = fleet.start_worker()
        eventually(lambda: _has_worker(fleet), "the worker")
        _measure(rows, "at rest", fleet, worker.pid)
        with ThreadPoolExecutor(4) as pool:
            clients = list(pool.map(lambda _: _begin(fleet), range(args.tenants)))
        _wait_for_syncs(clients, args.seconds)
        _measure(rows, "synced", fleet, worker.pid)
        with ThreadPoolExecutor(4) as pool:
            passages = sum(pool.map(_use, clients))
        _measure(rows, "signed in, searched", fleet, worker.pid)
        with fleet.database.admin() as connection:
            counts = connection.execute(
                "SELECT (SELECT count(*) FROM documents), (SELECT count(DISTINCT tenant_id) FROM tenant_components)"
            ).fetchone()
    assert counts is not None
    return Report(
        f"memory with {args.tenants} active tenants (goal: under 150 MB an instance)",
        rows,
        (
            f"{counts[0]} documents, {counts[1]} lexicons, {passages} passages found by {len(_QUESTIONS)} questions each.",
            "resident: all; proportional: pages shared with other processes divided among them; private: without such pages.",
        ),
    )


def _has_worker(fleet: Fleet) -> bool:
    with fleet.database.admin() as connection:
        return connection.execute("SELECT FROM workers").fetchone() is not None


def _begin(fleet: Fleet) -> Client:
    client = fleet.sign_up()
    client.connect_github(auth_at=0, begin_at=0, callback_at=0)
    client.ok("PUT", "/api/integrations/github/settings", json={"settings": {"repositories": [HANDBOOK]}})
    client.ok("POST", "/api/integrations/github/sync")
    return client


def _wait_for_syncs(clients: list[Client], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for client in clients:

        def is_completed(client: Client = client) -> bool:
            status = client.ok("GET", "/api/integrations/github/sync/status")["status"]
            assert status["status"] != "error", status
            return bool(status["status"] == "completed")

        eventually(is_completed, "a sync to complete", max(1.0, deadline - time.monotonic()))


def _use(client: Client) -> int:
    """Signs in anew and asks; how many passages were found."""
    signed_in = client.call(
        "POST", "/api/auth/login", json={"email": client.email, "password": PASSWORD}
    ).json()
    client.access_token = signed_in["tokens"]["access_token"]
    return sum(
        len(client.ok("POST", "/api/search", json={"query": question})["sources"]) for question in _QUESTIONS
    )


def _measure(rows: list[Row], when: str, fleet: Fleet, worker: int) -> None:
    for name, pid in (("web instance", fleet.web_processes[0].pid), ("worker", worker)):
        taken = footprint(family(pid))
        rows.append(
            {
                "process": name,
                "when": when,
                "processes": len(family(pid)),
                "resident_mb": round(taken.resident_mb, 1),
                "proportional_mb": round(taken.proportional_mb, 1),
                "private_mb": round(taken.private_mb, 1),
                "threads": taken.threads,
            }
        )

"""What somebody does with a fleet, and what is seen of it; shared by the tests."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.e2e.conftest import Client, eventually
from tests.e2e.events import Event, events

#: Where a browser ends up after connecting.
CONNECTED = "http://localhost:3000/integrations?success=github"
PARSER = "/api/admin/config/parser"

T = TypeVar("T")


def at_once(count: int, act: Callable[[int], T]) -> list[T]:
    """What `act(0)`, `act(1)`, … return, each called in a thread of its own."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(act, range(count)))


def stored_ids(client: Client) -> list[str]:
    """External ids of the workspace's documents, read past the API."""
    with client.fleet.database.admin() as connection:
        rows = connection.execute(
            "SELECT external_id FROM documents WHERE tenant_id = %s AND deleted_at IS NULL",
            (client.tenant_id,),
        ).fetchall()
    return [str(row[0]) for row in rows]


def status_of(client: Client, *, at: int = 0) -> dict[str, Any]:
    status: dict[str, Any] = client.ok("GET", "/api/integrations/github/sync/status", at=at)["status"]
    return status


def wait_until_completed(client: Client, *, at: int = 0) -> dict[str, Any]:
    def finished() -> dict[str, Any] | None:
        status = status_of(client, at=at)
        assert status["status"] != "error", status
        return status if status["status"] == "completed" else None

    done: dict[str, Any] = eventually(finished, "the sync to complete", 60)
    return done


def follow(client: Client, sync_id: str, *, at: int, headers: dict[str, str] | None = None) -> list[Event]:
    """Everything a stream says until its last event."""
    url = f"{client.fleet.web[at]}/api/sync-progress/{sync_id}/stream"
    seen: list[Event] = []
    with httpx2.stream("GET", url, headers=headers, timeout=60) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for event in events(response):
            seen.append(event)
            if event.name in ("complete", "error"):
                return seen
    raise AssertionError("the stream closed without a last event")


def error_in(location: str) -> str:
    return parse_qs(urlsplit(location).query)["error"][0]


def versions(client: Client, *, at: int = 0) -> dict[str, int | None]:
    """Name of each process that is called alive -> the version of the tenant's parser settings that it runs."""
    instances: list[dict[str, Any]] = client.ok("GET", "/api/admin/parser", at=at)["instances"]
    return {i["instance"]: i["version"] for i in instances if i["state"] == "alive"}


def seconds_until_all_run(client: Client, version: int, worker: str, *, at: int) -> float:
    """How long it took until three instances and the worker said so."""
    began = time.monotonic()
    everybody = ("web1", "web2", "web3", worker)

    def all_run_it() -> bool:
        seen = versions(client, at=at)
        return all(seen.get(name) == version for name in everybody)

    eventually(all_run_it, f"all to run version {version}", 10)
    return time.monotonic() - began


def publish(client: Client, settings: dict[str, int], *, seen: int, at: int = 0) -> httpx2.Response:
    return httpx2.put(
        f"{client.fleet.web[at]}{PARSER}",
        headers={**client.headers, "If-Match": f'"{seen}"'},
        json={"settings": settings},
        timeout=30,
    )

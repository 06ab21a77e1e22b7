"""Limits, idempotency keys and API keys in a fleet of processes: what one counts or answers, the others know."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Client, Fleet, eventually, free_ports
from tests.e2e.steps import at_once

NEW_KEY = {"name": "a program", "scopes": ["read", "write"]}


@pytest.fixture
def client(fleet: Fleet) -> Client:
    return fleet.sign_up()


def post(client: Client, path: str, *, at: int, key: str | None = None, **more: Any) -> httpx2.Response:
    headers = {**client.headers, **({"Idempotency-Key": key} if key else {})}
    return httpx2.post(f"{client.fleet.web[at]}{path}", headers=headers, timeout=60, **more)


def test_limit_holds_across_the_fleet(client: Client) -> None:
    """30 searches a minute, and not one more than what comes back while the test runs, one in two seconds."""
    began = time.monotonic()
    answers = at_once(
        50, lambda n: post(client, "/api/search", at=n % 3, json={"query": "lighthouse", "top_k": 1})
    )
    came_back = int((time.monotonic() - began) / 2)
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) == {200, 429}
    assert 30 <= counts[200] <= 30 + came_back
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(answer.json()["error_code"] == "RATE_LIMITED" for answer in refused)
    assert all(int(answer.headers["Retry-After"]) in (1, 2) for answer in refused)


def test_one_key_is_carried_out_once_in_the_fleet(client: Client) -> None:
    answers = at_once(18, lambda n: post(client, "/api/auth/api-keys", at=n % 3, key="order 1", json=NEW_KEY))
    assert set(Counter(answer.status_code for answer in answers)) <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len(client.ok("GET", "/api/auth/api-keys")["api_keys"]) == 1


def test_key_of_another_request_is_refused_by_every_instance(client: Client) -> None:
    assert post(client, "/api/auth/api-keys", at=0, key="order 2", json=NEW_KEY).status_code == 201
    for at in range(3):
        other = post(client, "/api/auth/api-keys", at=at, key="order 2", json={**NEW_KEY, "name": "another"})
        assert (other.status_code, other.json()["error_code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len(client.ok("GET", "/api/auth/api-keys")["api_keys"]) == 1


def test_revoked_key_is_refused_by_every_instance(client: Client) -> None:
    made = post(client, "/api/auth/api-keys", at=0, json=NEW_KEY).json()
    headers = {"Authorization": f"Bearer {made['key']}"}

    def statuses() -> set[int]:
        return {httpx2.get(f"{url}/api/documents", headers=headers).status_code for url in client.fleet.web}

    assert statuses() == {200}
    client.ok("DELETE", f"/api/auth/api-keys/{made['api_key']['id']}", at=2)
    assert statuses() == {401}


@pytest.fixture
def fourth(fleet: Fleet) -> Iterator[tuple[str, int]]:
    """Another instance, to be killed: its address and process id. Its leases are short."""
    (port,) = free_ports(1)
    (shared,) = free_ports(1)
    process = fleet._spawn(
        "serve",
        INSTANCE_PORT=str(port),
        INSTANCE_NAME="web4",
        PORT=str(shared),
        IDEMPOTENCY_LEASE_SECONDS="3",
    )
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(partial(_answers, url), "the fourth instance to answer", 60)
        yield url, process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_request_whose_process_is_killed_is_carried_out_by_another(
    fleet: Fleet, client: Client, fourth: tuple[str, int]
) -> None:
    url, pid = fourth
    client.connect_github()
    path, headers = "/api/integrations/github/disconnect", {**client.headers, "Idempotency-Key": "leave"}
    fleet.gate.close_on("/applications/")
    broken: list[BaseException] = []

    def begin() -> None:
        try:
            httpx2.post(f"{url}{path}", headers=headers, timeout=60)
        except httpx2.HTTPError as error:
            broken.append(error)

    asking = threading.Thread(target=begin)
    asking.start()
    try:
        assert fleet.gate.somebody_waits.wait(30)
        assert post(client, path, at=0, key="leave").status_code == 409
        os.killpg(pid, signal.SIGKILL)
        asking.join(30)
        assert broken
    finally:
        fleet.gate.open()

    def carried_out() -> httpx2.Response | None:
        answer = post(client, path, at=0, key="leave")
        return None if answer.status_code == 409 else answer

    answer = eventually(carried_out, "the lease of the killed process to end")
    assert answer.status_code == 200
    assert "Idempotency-Replayed" not in answer.headers
    again = post(client, path, at=1, key="leave")
    assert (again.content, again.headers["Idempotency-Replayed"]) == (answer.content, "true")


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/api/health", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False

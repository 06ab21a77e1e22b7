"""Keys that sign are rotated while a fleet works: nobody notices, unless one has leaked; then everybody does."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx2
import jwt
import pytest

from backend.keyring import Keyring
from backend.keys.repository import SigningKeyRepository
from backend.wiring import make_keyring
from tests.conftest import settings_for
from tests.e2e.conftest import PASSWORD, ROOT, Client, Fleet, eventually


def master_of(fleet: Fleet) -> Keyring:
    return make_keyring(settings_for(fleet.database.url, SECRET_KEYS=fleet.env["SECRET_KEYS"]))


def rotate(fleet: Fleet, lead_seconds: float) -> str:
    """What `secondbrain keys rotate` does, with less time in advance."""
    with fleet.database.db.operator_transaction() as session:
        keys = SigningKeyRepository(session, master_of(fleet))
        return keys.rotate(keep=timedelta(days=7), by="a test", lead=timedelta(seconds=lead_seconds))


def log_in(client: Client, at: int) -> str:
    answer = httpx2.post(
        f"{client.fleet.web[at]}/api/auth/login",
        json={"email": client.email, "password": PASSWORD},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["tokens"]["access_token"])


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def status(url: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.get(f"{url}/api/auth/sessions", headers=headers, timeout=30).status_code


def refusal(url: str, token: str) -> str | None:
    """Why the token is refused."""
    headers = {"Authorization": f"Bearer {token}"}
    body = httpx2.get(f"{url}/api/auth/sessions", headers=headers, timeout=30).json()
    return str(body["error_code"]) if "error_code" in body else None


@pytest.fixture
def load(fleet: Fleet) -> Iterator[tuple[list[str], Counter[int]]]:
    """Asks every instance with every token of the list, all the time; counts the answers by status."""
    tokens: list[str] = []
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def ask(url: str) -> None:
        while not stop.is_set():
            for token in tuple(tokens):
                statuses[status(url, token)] += 1
            stop.wait(0.01)

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, url) for url in fleet.web]
        yield tokens, statuses
        stop.set()
        for each in asking:
            each.result(30)


def test_rotation_under_load_refuses_no_valid_token(
    fleet: Fleet, load: tuple[list[str], Counter[int]]
) -> None:
    tokens, statuses = load
    client = fleet.sign_up()
    tokens.append(client.access_token)
    kids = []
    with httpx2.Client(timeout=30) as browser:
        callback = client.authorize(browser)
        for _ in range(2):
            kid = rotate(fleet, 1.0)

            def signed_with_it(kid: str = kid) -> bool:
                for at in range(3):
                    tokens.append(log_in(client, at))
                return {kid_of(token) for token in tokens[-3:]} == {kid}

            eventually(signed_with_it, "every instance to sign with the new key")
            kids.append(kid)
        seen = statuses.total()
        eventually(lambda: statuses.total() > seen + 3 * len(tokens), "every token to be asked about")
        assert set(statuses) == {200}
        assert {kid_of(token) for token in tokens} >= set(kids)
        # What was on its way to the provider meanwhile comes back with a state and a verifier of an old key.
        location = browser.get(client.at(callback, 2)).headers["location"]
    assert "success" in location or "connected" in location, location
    assert client.ok("GET", "/api/integrations")["connected_count"] == 1


def test_emergency_ends_every_token_everywhere_within_two_seconds(fleet: Fleet) -> None:
    client = fleet.sign_up()
    tokens = [log_in(client, at) for at in range(3)]
    assert {status(url, token) for url in fleet.web for token in tokens} == {200}
    with httpx2.Client(timeout=30) as browser:
        callback = client.authorize(browser)
        done = subprocess.run(
            [sys.executable, "-m", "backend.cli", "keys", "rotate", "--now"],
            cwd=ROOT,
            env={**os.environ, **fleet.env},
            capture_output=True,
            text=True,
            check=False,
        )
        began = time.monotonic()
        assert done.returncode == 0, done.stderr
        assert "Everything signed before is void" in done.stdout
        last_taken = 0.0
        for url in fleet.web:
            for token in tokens:
                # By its signature, not only because its session has ended.
                while (asked_at := time.monotonic()) and refusal(url, token) != "TOKEN_INVALID":
                    last_taken = max(last_taken, asked_at - began)
        assert last_taken < 2.0
        kid = done.stdout.partition(" ")[0]
        assert kid_of(log_in(client, 1)) == kid
        assert status(fleet.web[2], log_in(client, 1)) == 200
        refused = browser.get(client.at(callback, 0)).headers["location"]
        assert "not+one+of+ours" in refused or "not%20one%20of%20ours" in refused, refused
    # Nor can a session go on by its refresh token.
    answer = httpx2.post(
        f"{fleet.web[0]}/api/auth/refresh",
        json={"refresh_token": client.signed_in["tokens"]["refresh_token"]},
    )
    assert answer.status_code == 401
    with fleet.database.admin() as connection:
        reasons = connection.execute(
            "SELECT DISTINCT end_reason FROM sessions WHERE tenant_id = %s AND ended_at IS NOT NULL",
            (client.tenant_id,),
        ).fetchall()
    assert reasons == [("keys_replaced",)]

"""/api/auth: refresh, log out, sessions, and what a token is worth on other instances."""

import base64
import hashlib
import hmac
import json
import threading
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest

from backend.keyring import Keyring
from backend.settings import generate_key
from backend.tenants.access import issue_access_token
from backend.wiring import make_keyring
from tests.conftest import TestDatabase, settings_for
from tests.tenants.instances import Instance, Person, problem, web_instance


def me(at: Instance, token: str) -> Any:
    return at.call("GET", "/api/auth/me", headers={"Authorization": f"Bearer {token}"})


def refresh(at: Instance, token: str) -> Any:
    return at.call("POST", "/api/auth/refresh", json={"refresh_token": token})


def end_of(database: TestDatabase, person: Person) -> object:
    """Why the session ended; None while it runs."""
    with database.admin() as connection:
        row = connection.execute(
            "SELECT end_reason FROM sessions WHERE id = %s", (person.session_id,)
        ).fetchone()
    assert row is not None
    return row[0]


class Refreshing(threading.Thread):
    """Refreshes once everybody is there; `answer` is what came of it."""

    def __init__(self, at: Instance, person: Person, together: threading.Barrier) -> None:
        super().__init__()
        self.at = at
        self.person = person
        self.together = together
        self.answer: Any = None

    def run(self) -> None:
        """Called by `start`."""
        client = self.at.browser()
        self.together.wait(30)
        self.answer = client.post("/api/auth/refresh", json={"refresh_token": self.person.refresh_token})


# -- refresh ------------------------------------------------------------------------------------------------


def test_refresh_rotates_the_token_on_any_instance(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    first = web2.ok("POST", "/api/auth/refresh", json={"refresh_token": person.refresh_token})["tokens"]
    assert first["refresh_token"] != person.refresh_token
    assert first["expires_in"] == web2.services.settings.access_token_seconds
    assert me(web, first["access_token"]).status_code == 200
    second = web.ok("POST", "/api/auth/refresh", json={"refresh_token": first["refresh_token"]})["tokens"]
    assert me(web2, second["access_token"]).get_json()["user"]["id"] == str(person.user_id)


def test_refresh_with_a_rotated_token_ends_the_session_everywhere(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    tokens = web.ok("POST", "/api/auth/refresh", json={"refresh_token": person.refresh_token})["tokens"]
    problem(refresh(web2, person.refresh_token), 401, "INVALID_REFRESH_TOKEN")
    assert end_of(web.database, person) == "reuse_detected"
    for at in (web, web2):
        problem(refresh(at, tokens["refresh_token"]), 401, "INVALID_REFRESH_TOKEN")
        for token in (person.access_token, tokens["access_token"]):
            problem(me(at, token), 401, "SESSION_REVOKED")


def test_refresh_at_once_gives_tokens_to_one_and_then_ends_the_session(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    together = threading.Barrier(2)
    racers = [Refreshing(at, person, together) for at in (web, web2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    won, lost = sorted((racer.answer for racer in racers), key=lambda answer: int(answer.status_code))
    assert won.status_code == 200
    problem(lost, 401, "INVALID_REFRESH_TOKEN")
    # Whichever of the two was the thief: nobody holds a living token now.
    assert end_of(web.database, person) == "reuse_detected"
    problem(me(web, won.get_json()["tokens"]["access_token"]), 401, "SESSION_REVOKED")
    problem(refresh(web2, won.get_json()["tokens"]["refresh_token"]), 401, "INVALID_REFRESH_TOKEN")


def test_refresh_with_an_expired_token_is_refused(web: Instance) -> None:
    person = web.sign_in()
    with web.database.admin() as connection:
        connection.execute(
            "UPDATE refresh_tokens SET expires_at = now() WHERE session_id = %s", (person.session_id,)
        )
    problem(refresh(web, person.refresh_token), 401, "REFRESH_TOKEN_EXPIRED")


def test_refresh_with_anything_else_is_refused(web: Instance) -> None:
    person, other = web.sign_in(), web.sign_in()
    secret = person.refresh_token.partition(".")[2]
    for token in (
        "",
        "nonsense",
        "a.b",
        f"{other.tenant_id.hex}.{secret}",
        f"{uuid4().hex}.{secret}",
        secret,
    ):
        problem(refresh(web, token), 401, "INVALID_REFRESH_TOKEN")
    problem(web.call("POST", "/api/auth/refresh", json={}), 400, "VALIDATION_ERROR")
    assert refresh(web, person.refresh_token).status_code == 200


# -- log out ------------------------------------------------------------------------------------------------


def test_log_out_ends_the_access_token_everywhere_at_once(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    assert me(web2, person.access_token).status_code == 200
    answer = web.call("POST", "/api/auth/logout", person)
    assert answer.get_json() == {"success": True}
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    began = time.monotonic()
    problem(me(web2, person.access_token), 401, "SESSION_REVOKED")
    assert time.monotonic() - began < 1
    problem(refresh(web2, person.refresh_token), 401, "INVALID_REFRESH_TOKEN")


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nonsense", "Basic dXNlcjpwYXNz"])
def test_log_out_without_a_living_session_succeeds(web: Instance, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert web.ok("POST", "/api/auth/logout", headers=headers) == {"success": True}


def test_log_out_during_a_refresh_leaves_no_living_token(web: Instance, web2: Instance) -> None:
    for _ in range(5):
        person = web.sign_in()
        together = threading.Barrier(2)
        refreshing = Refreshing(web2, person, together)
        refreshing.start()
        together.wait(30)
        web.ok("POST", "/api/auth/logout", person)
        refreshing.join()
        assert end_of(web.database, person) == "logged_out"
        if refreshing.answer.status_code == 200:
            problem(me(web, refreshing.answer.get_json()["tokens"]["access_token"]), 401, "SESSION_REVOKED")
        else:
            problem(refreshing.answer, 401, "INVALID_REFRESH_TOKEN")


def test_log_out_all_keeps_this_session_and_other_peoples(web: Instance, web2: Instance) -> None:
    here = web.sign_in()
    elsewhere = [web.sign_in(here.account) for _ in range(2)]
    colleague = web.colleague(here, role="member")
    assert web2.ok("POST", "/api/auth/logout-all", here)["sessions_revoked"] == 2
    for person in elsewhere:
        problem(me(web, person.access_token), 401, "SESSION_REVOKED")
        assert end_of(web.database, person) == "revoked"
    for person in (here, colleague):
        assert me(web, person.access_token).status_code == 200
    assert web.ok("POST", "/api/auth/logout-all", here)["sessions_revoked"] == 0


# -- sessions -----------------------------------------------------------------------------------------------


def test_sessions_lists_ones_own_that_still_run(web: Instance, web2: Instance) -> None:
    here = web.sign_in()
    elsewhere, ended, expired = (web.sign_in(here.account) for _ in range(3))
    web.colleague(here, role="admin")
    web.ok("POST", "/api/auth/logout", ended)
    with web.database.admin() as connection:
        connection.execute("UPDATE sessions SET expires_at = now() WHERE id = %s", (expired.session_id,))

    listed = {row["id"]: row for row in web2.ok("GET", "/api/auth/sessions", here)["sessions"]}

    assert set(listed) == {str(here.session_id), str(elsewhere.session_id)}
    assert listed[str(here.session_id)]["is_current"] is True
    assert listed[str(elsewhere.session_id)]["is_current"] is False
    assert listed[str(here.session_id)]["ip_address"] == "192.0.2.1"
    assert listed[str(here.session_id)]["device_info"] == "tests"


def test_delete_session_ends_it_once(web: Instance, web2: Instance) -> None:
    here = web.sign_in()
    elsewhere = web.sign_in(here.account)
    path = f"/api/auth/sessions/{elsewhere.session_id}"
    assert web.ok("DELETE", path, here) == {"success": True}
    problem(me(web2, elsewhere.access_token), 401, "SESSION_REVOKED")
    problem(web2.call("DELETE", path, here), 404, "SESSION_NOT_FOUND")


def test_delete_session_of_somebody_else_is_not_found(web: Instance) -> None:
    here, stranger = web.sign_in(), web.sign_in()
    colleague = web.colleague(here, role="member")
    for other in (stranger, colleague):
        answer = web.call("DELETE", f"/api/auth/sessions/{other.session_id}", here)
        problem(answer, 404, "SESSION_NOT_FOUND")
        assert me(web, other.access_token).status_code == 200
    problem(web.call("DELETE", f"/api/auth/sessions/{uuid4()}", here), 404, "SESSION_NOT_FOUND")
    problem(web.call("DELETE", "/api/auth/sessions/1%00", here), 400, "VALIDATION_ERROR")


# -- tokens that are not worth anything ---------------------------------------------------------------------


def test_use_of_an_expired_token_is_refused(web: Instance) -> None:
    person = web.sign_in(lifetime_seconds=-1)
    problem(me(web, person.access_token), 401, "TOKEN_EXPIRED")


def test_use_of_an_expired_session_is_refused(web: Instance) -> None:
    person = web.sign_in()
    with web.database.admin() as connection:
        connection.execute("UPDATE sessions SET expires_at = now() WHERE id = %s", (person.session_id,))
    problem(me(web, person.access_token), 401, "SESSION_REVOKED")


def claims_of(person: Person) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(person.access_token, options={"verify_signature": False})
    return claims


def unsigned(claims: dict[str, Any], header: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in (header, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def signed_with(key: bytes, claims: dict[str, Any], kid: str) -> str:
    text = unsigned(claims, {"alg": "HS256", "typ": "JWT", "kid": kid})
    mac = hmac.digest(key, text.removesuffix(".").encode(), hashlib.sha256)
    return text + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def test_use_of_a_forged_token_is_refused(web: Instance) -> None:
    person = web.sign_in()
    claims, kid = claims_of(person), jwt.get_unverified_header(person.access_token)["kid"]
    head, body, signature = person.access_token.split(".")
    stranger = make_keyring(settings_for("", SECRET_KEYS=f"{kid}:{generate_key().partition(':')[2]}"))
    forged = [
        unsigned(claims, {"alg": "none", "typ": "JWT", "kid": kid}),
        unsigned(claims, {"alg": "None", "typ": "JWT"}),
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        stranger.sign("access", claims),
        signed_with(b"", claims, kid),
        jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": "unknown"}),
        person.refresh_token,
        "é" * 8,
        "a" * 5000,
    ]
    for token in forged:
        problem(me(web, token), 401, "TOKEN_INVALID")


def test_use_of_a_token_for_another_purpose_or_person_is_refused(web: Instance) -> None:
    person, other = web.sign_in(), web.sign_in()
    keyring: Keyring = web.services.keyring
    problem(me(web, keyring.sign("oauth-state", claims_of(person))), 401, "TOKEN_INVALID")
    problem(me(web, keyring.sign("access", {**claims_of(person), "tid": "x"})), 401, "TOKEN_INVALID")
    problem(me(web, keyring.sign("access", {"exp": int(time.time()) + 60})), 401, "TOKEN_INVALID")
    for tenant_id, user_id in ((other.tenant_id, person.user_id), (person.tenant_id, other.user_id)):
        token = issue_access_token(
            keyring,
            tenant_id=tenant_id,
            user_id=user_id,
            session_id=person.session_id,
            lifetime_seconds=60,
        )
        problem(me(web, token), 401, "SESSION_REVOKED")


@pytest.mark.parametrize(("trusted", "seen"), [("0", "127.0.0.1"), ("1", "203.0.113.7")])
def test_lists_the_callers_address_as_far_as_proxies_are_trusted(
    database: TestDatabase, trusted: str, seen: str
) -> None:
    with web_instance(database, "behind", TRUSTED_PROXIES=trusted) as behind:
        # What a caller claims stands in front of what the proxy itself has seen.
        forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
        signed_in = behind.call(
            "POST",
            "/api/auth/signup",
            json={"email": f"proxied-{trusted}@example.org", "password": "Sup3rsecret", "full_name": "Ada"},
            headers=forwarded,
        ).json
        assert signed_in is not None
        token = {"Authorization": f"Bearer {signed_in['tokens']['access_token']}"}
        listed = behind.call("GET", "/api/auth/sessions", headers=token).json
        assert listed is not None
        assert [session["ip_address"] for session in listed["sessions"]] == [seen]

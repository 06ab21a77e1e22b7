"""/api/auth: sign up, log in, me."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

import pytest
from argon2 import PasswordHasher

from backend.tenants.passwords import Passwords
from backend.web import SESSION_COOKIE
from tests.tenants.instances import PASSWORD, Instance, Person, problem


def fresh_email(name: str = "jose") -> str:
    return f"{name}-{uuid4().hex}@example.org"


def sign_up(web: Instance, **given: Any) -> dict[str, Any]:
    body = {"email": fresh_email(), "password": PASSWORD, "full_name": "José Núñez", **given}
    return web.ok("POST", "/api/auth/signup", json=body)


@pytest.fixture(scope="module")
def jose(web: Instance) -> dict[str, Any]:
    """José's answer to signing up."""
    return sign_up(web, invite_code="ignored")


# -- sign up ------------------------------------------------------------------------------------------------


def test_sign_up_makes_a_workspace_and_its_administrator(web: Instance, jose: dict[str, Any]) -> None:
    user, tenant, tokens = jose["user"], jose["tenant"], jose["tokens"]
    assert (user["full_name"], user["role"], user["is_active"]) == ("José Núñez", "admin", True)
    assert (tenant["name"], tenant["plan"], tenant["is_active"]) == (
        "José Núñez's Organization",
        "free",
        True,
    )
    assert tenant["slug"].startswith("jose-nunez-s-organization")
    assert user["tenant_id"] == tenant["id"]
    assert user["preferences"] == {}
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == web.services.settings.access_token_seconds
    for moment in (user["created_at"], user["updated_at"], tenant["created_at"]):
        assert datetime.fromisoformat(moment).utcoffset() is not None
    assert "password" not in str(jose)
    assert "argon2" not in str(jose)


def test_sign_up_then_me_shows_the_same_person(web: Instance, jose: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {jose['tokens']['access_token']}"}
    me = web.ok("GET", "/api/auth/me", headers=headers)
    assert (me["user"], me["tenant"]) == (jose["user"], jose["tenant"])


def test_sign_up_sets_a_cookie_no_script_can_read(web: Instance) -> None:
    body = {"email": fresh_email(), "password": PASSWORD, "full_name": "Ada", "organization_name": "  "}
    answer = web.call("POST", "/api/auth/signup", json=body)
    assert answer.get_json()["tenant"]["name"] == "Ada's Organization"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/api"):
        assert attribute in cookie
    assert "Secure" not in cookie  # http://localhost


def test_sign_up_with_a_taken_address_is_refused_however_it_is_written(
    web: Instance, jose: dict[str, Any]
) -> None:
    email: str = jose["user"]["email"]
    for written in (email, f" {email.upper()} "):
        body = {"email": written, "password": PASSWORD, "full_name": "Somebody Else"}
        problem(web.call("POST", "/api/auth/signup", json=body), 400, "EMAIL_EXISTS")


def test_sign_up_at_once_with_one_address_makes_one_account(web: Instance, web2: Instance) -> None:
    email = fresh_email()
    outcomes: list[tuple[int, str | None]] = []
    together = threading.Barrier(4)

    def run(at: Instance) -> None:
        client = at.browser()
        together.wait(30)
        answer = client.post(
            "/api/auth/signup",
            json={"email": email, "password": PASSWORD, "full_name": "Ada", "organization_name": "Race"},
        )
        outcomes.append((answer.status_code, answer.get_json().get("error_code")))

    threads = [threading.Thread(target=run, args=(at,)) for at in (web, web2, web, web2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(outcomes) == {(201, None): 1, (400, "EMAIL_EXISTS"): 3}


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"email": "not an address"}, "INVALID_EMAIL", "@"),
        ({"email": "a\x00b@example.org"}, "INVALID_EMAIL", ""),
        ({"password": "short1A"}, "WEAK_PASSWORD", "8 to 128"),
        ({"password": "A1" + "a" * 127}, "WEAK_PASSWORD", "8 to 128"),
        ({"password": "alllowercase1"}, "WEAK_PASSWORD", "upper-case"),
        ({"password": "NoDigitsHere"}, "WEAK_PASSWORD", "digit"),
        ({"password": "Password123"}, "WEAK_PASSWORD", "common"),
        ({"email": "someone@example.org", "password": "Someone99"}, "WEAK_PASSWORD", "e-mail name"),
        ({"full_name": " "}, "VALIDATION_ERROR", "full_name"),
        ({"full_name": "A\x00B"}, "VALIDATION_ERROR", "control characters"),
        ({"full_name": "\u202eevil"}, "VALIDATION_ERROR", "control characters"),
        ({"organization_name": "x" * 256}, "VALIDATION_ERROR", "organization_name"),
        ({"full_name": 7}, "VALIDATION_ERROR", "full_name"),
        ({"email": None}, "VALIDATION_ERROR", "email"),
    ],
)
def test_sign_up_with_something_wrong_says_what(
    web: Instance, wrong: dict[str, Any], code: str, words: str
) -> None:
    body = {"email": fresh_email(), "password": PASSWORD, "full_name": "Ada", **wrong}
    refusal = problem(web.call("POST", "/api/auth/signup", json=body), 400, code)
    assert words in refusal["error"]


# -- log in -------------------------------------------------------------------------------------------------


class CountingHasher(PasswordHasher):
    """Counts how often it did the work of verifying."""

    verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.verified += 1
        return super().verify(hash, password)


@pytest.fixture
def hasher(web: Instance) -> Iterator[CountingHasher]:
    """What verifies the passwords of the instance `web` during the test."""
    counting = CountingHasher()
    usual = web.app.extensions["secondbrain"]
    web.app.extensions["secondbrain"] = replace(usual, passwords=Passwords(counting))
    yield counting
    web.app.extensions["secondbrain"] = usual


def test_log_in_on_another_instance_starts_a_session(web2: Instance, jose: dict[str, Any]) -> None:
    email: str = jose["user"]["email"]
    body = web2.ok("POST", "/api/auth/login", json={"email": f" {email.upper()} ", "password": PASSWORD})
    assert (body["user"], body["tenant"]) == (jose["user"], jose["tenant"])
    assert body["tokens"]["access_token"] != jose["tokens"]["access_token"]


def test_log_in_with_wrong_password_and_unknown_address_are_answered_alike(
    web: Instance, jose: dict[str, Any], hasher: CountingHasher
) -> None:
    def refusal(email: str) -> dict[str, Any]:
        before = hasher.verified
        answer = web.call("POST", "/api/auth/login", json={"email": email, "password": "Wr0ngpassword"})
        body = problem(answer, 401, "INVALID_CREDENTIALS")
        assert hasher.verified == before + 1, "one answer takes longer than the other"
        return {key: value for key, value in body.items() if key != "request_id"}

    known = refusal(jose["user"]["email"])
    assert refusal(fresh_email()) == known
    assert refusal("not an address") == known


def test_log_in_with_an_overlong_password_is_refused(web: Instance, jose: dict[str, Any]) -> None:
    body = {"email": jose["user"]["email"], "password": PASSWORD + "x" * 1_000_000}
    problem(web.call("POST", "/api/auth/login", json=body), 401, "INVALID_CREDENTIALS")


@pytest.mark.parametrize(("table", "code"), [("tenants", "TENANT_INACTIVE"), ("users", "USER_INACTIVE")])
def test_log_in_after_deactivation_is_refused_only_with_the_password(
    web: Instance, web2: Instance, table: str, code: str
) -> None:
    signed_up = sign_up(web)
    email, token = signed_up["user"]["email"], signed_up["tokens"]["access_token"]
    with web.database.admin() as connection:
        key = "id" if table == "tenants" else "tenant_id"
        connection.execute(
            f"UPDATE {table} SET deactivated_at = now() WHERE {key} = %s".encode(),
            (signed_up["tenant"]["id"],),
        )
    right = web.call("POST", "/api/auth/login", json={"email": email, "password": PASSWORD})
    problem(right, 403, code)
    wrong = web.call("POST", "/api/auth/login", json={"email": email, "password": "Wr0ngpassword"})
    problem(wrong, 401, "INVALID_CREDENTIALS")
    for at in (web, web2):
        old = at.call("GET", "/api/auth/me", headers={"Authorization": f"Bearer {token}"})
        problem(old, 401, "SESSION_REVOKED")


# -- me -----------------------------------------------------------------------------------------------------


def test_me_gives_a_restored_session_its_cookie(web: Instance) -> None:
    person = web.sign_in()
    answer = web.call("GET", "/api/auth/me", person)
    assert f"{SESSION_COOKIE}={person.access_token}" in answer.headers["Set-Cookie"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_tenant_header_is_ignored(web: Instance) -> None:
    person, other = web.sign_in(), web.sign_in()
    for value in (str(other.tenant_id), "", "nonsense"):
        body = web.ok("GET", "/api/auth/me", person, headers={"X-Tenant": value})
        assert body["tenant"]["id"] == str(person.tenant_id)


def test_cookie_is_secure_where_the_address_is(web: Instance) -> None:
    usual = web.app.extensions["secondbrain"]
    settings = usual.settings.model_copy(update={"public_url": "https://brain.example.org"})
    web.app.extensions["secondbrain"] = replace(usual, settings=settings)
    try:
        person: Person = web.sign_in()
        assert "Secure" in web.call("GET", "/api/auth/me", person).headers["Set-Cookie"]
    finally:
        web.app.extensions["secondbrain"] = usual

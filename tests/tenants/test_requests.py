"""What holds for every route: who may call it, how it is refused, what reaches browsers and the log."""

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.test import TestResponse

from backend.web import SESSION_COOKIE
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, problem, web_instance

ALLOWED = "http://localhost:3006"
FRONTEND = "https://brain.example.org"


# -- who may call -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "", " ", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token abc"])
def test_call_without_a_token_is_refused(web: Instance, header: str | None) -> None:
    headers = {"X-Tenant": ""} if header is None else {"Authorization": header, "X-Tenant": ""}
    for path in ("/api/auth/me", "/api/auth/sessions", "/api/integrations"):
        answer = web.call("GET", path, headers=headers)
        problem(answer, 401, "AUTH_REQUIRED")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_cookie_opens_no_route_that_changes_anything(web: Instance) -> None:
    person = web.sign_in()
    refused = []
    for rule in web.app.url_map.iter_rules():
        for method in sorted({"POST", "PUT", "PATCH", "DELETE"} & (rule.methods or set())):
            view: Any = web.app.view_functions[rule.endpoint]
            access = getattr(view, "access", "private")
            assert access != "cookie", f"{method} {rule.rule}"
            if access == "public":
                continue
            browser = web.browser()
            browser.set_cookie(SESSION_COOKIE, person.access_token, path="/api")
            values = dict.fromkeys(rule.arguments, "1")
            path = web.app.url_map.bind("localhost").build(rule.endpoint, values, method=method)
            answer = browser.open(path, method=method)
            # Forms of our own pages carry more than the cookie.
            is_form = access in ("form", "folder")
            problem(answer, *((403, "FORM_NOT_SHOWN") if is_form else (401, "AUTH_REQUIRED")))
            refused.append(rule.rule)
    assert "/api/auth/logout-all" in refused
    problem(
        web.call("GET", "/api/auth/me", headers={"Cookie": f"{SESSION_COOKIE}={person.access_token}"}),
        401,
        "AUTH_REQUIRED",
    )
    # Logging out answers anybody, but ends nothing for a cookie.
    browser = web.browser()
    browser.set_cookie(SESSION_COOKIE, person.access_token, path="/api")
    assert browser.post("/api/auth/logout").status_code == 200
    assert web.call("GET", "/api/auth/me", person).status_code == 200


# -- refusals -----------------------------------------------------------------------------------------------


def test_unknown_route_is_a_problem_for_everybody(web: Instance) -> None:
    person = web.sign_in(lifetime_seconds=-1)
    for who in (None, person):
        refusal = problem(web.call("GET", "/api/nothing/here", who), 404, "NOT_FOUND")
        assert refusal["error"] == "Endpoint not found"


def test_wrong_method_is_a_problem_that_names_the_right_ones(web: Instance) -> None:
    answer = web.call("GET", "/api/auth/login")
    problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["Allow"]


def test_wrong_body_is_a_problem_that_names_the_fields(web: Instance) -> None:
    refusal = problem(web.call("POST", "/api/auth/login", json={"email": 7}), 400, "VALIDATION_ERROR")
    assert {error["field"] for error in refusal["errors"]} == {"email", "password"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"email": ' * 5_000,
        b"1" * 10_000,
        b'{"email": "\\ud800@example.org", "password": "x"}',
    ],
    ids=lambda body: body[:12].decode(errors="replace") or "empty",
)
def test_body_that_is_no_object_is_a_problem(web: Instance, body: bytes) -> None:
    answer = web.call("POST", "/api/auth/login", data=body, content_type="application/json")
    problem(answer, 400, "VALIDATION_ERROR")


def test_characters_that_cannot_be_stored_are_a_problem(web: Instance) -> None:
    login = {"email": "a\x00b@example.org", "password": "x"}
    assert web.call("POST", "/api/auth/login", json=login).status_code in (400, 401)
    person = web.sign_in()
    for path in ("/api/integrations/git%00hub/sync/status", "/api/integrations/git%00hub/auth"):
        answer = web.call("GET", path, person)
        assert answer.status_code in (400, 404), answer.text
        assert answer.get_json()["success"] is False


def test_body_that_is_too_large_is_a_problem(database: TestDatabase) -> None:
    with web_instance(database, "small", MAX_REQUEST_BYTES="1024") as small:
        for content_type in ("application/json", "application/x-www-form-urlencoded"):
            path = "/api/auth/login" if content_type.endswith("json") else "/api/integrations/github/begin"
            answer = small.call(
                "POST", path, data=b" " * 2000, content_type=content_type, headers={"Origin": ALLOWED}
            )
            problem(answer, 413, "PAYLOAD_TOO_LARGE")
            assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED


# -- browsers of other origins ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def public(database: TestDatabase) -> Iterator[Instance]:
    """An instance with a front end of its own."""
    with web_instance(database, "public", FRONTEND_URL=f"{FRONTEND}/") as instance:
        yield instance


def test_allowed_origins_are_echoed_with_credentials_on_every_answer(public: Instance) -> None:
    person = public.sign_in()
    answers = [
        public.call(method, path, who, headers={"Origin": origin}, **more)
        for origin in (ALLOWED, FRONTEND)
        for method, path, who, more in (
            ("GET", "/api/auth/me", person, {}),
            ("GET", "/api/auth/me", None, {}),
            ("GET", "/api/nothing", person, {}),
            ("POST", "/api/auth/login", None, {"json": {}}),
            ("OPTIONS", "/api/auth/me", None, {}),
        )
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 404, 400, 204] * 2
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] in (ALLOWED, FRONTEND)
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost:30061",
        f"{FRONTEND}.evil.example",
        "HTTP://LOCALHOST:3006",
    ],
)
def test_other_origins_are_not_echoed(public: Instance, origin: str) -> None:
    person = public.sign_in()
    for method, who in (("GET", person), ("GET", None), ("OPTIONS", None)):
        answer = public.call(method, "/api/auth/me", who, headers={"Origin": origin})
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]
        assert "Origin" in answer.headers["Vary"]


def test_preflight_needs_no_sign_in_and_allows_what_clients_send(public: Instance) -> None:
    headers = {
        "Origin": ALLOWED,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type,x-tenant",
    }
    for path in ("/api/auth/me", "/api/integrations/slack/channels", "/api/nothing"):
        answer = public.call("OPTIONS", path, headers=headers)
        assert (answer.status_code, answer.data) == (204, b"")
        allowed = answer.headers["Access-Control-Allow-Headers"].lower()
        assert all(name in allowed for name in ("authorization", "content-type", "x-tenant"))
        assert all(
            m in answer.headers["Access-Control-Allow-Methods"] for m in ("GET", "POST", "PUT", "DELETE")
        )


# -- the log ------------------------------------------------------------------------------------------------


def test_log_lines_carry_no_secret_and_no_query(web: Instance, log: io.StringIO) -> None:
    person = web.sign_in()
    secrets = [person.access_token, person.refresh_token, "Wr0ngpassword", "code-of-a-provider", "a-state"]
    answers: list[TestResponse] = [
        web.call("GET", "/api/auth/me?secret=code-of-a-provider", person),
        web.call("POST", "/api/auth/login", json={"email": "x@example.org", "password": "Wr0ngpassword"}),
        web.call("POST", "/api/auth/refresh", json={"refresh_token": person.refresh_token}),
        web.call("POST", "/api/auth/refresh", json={"refresh_token": person.refresh_token}),
        web.call("GET", "/api/integrations/github/callback?code=code-of-a-provider&state=a-state"),
        web.call("GET", f"/api/integrations/github/begin?ticket={quote(person.access_token)}"),
        web.call("GET", "/api/nothing?token=code-of-a-provider"),
    ]
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in requests] == [answer.status_code for answer in answers]
    assert {line["request_id"] for line in requests} == {answer.headers["X-Request-ID"] for answer in answers}
    for secret in secrets:
        assert secret not in log.getvalue()


def test_unexpected_error_tells_neither_client_nor_log_what_it_holds(
    own_database: TestDatabase, log: io.StringIO
) -> None:
    with web_instance(own_database, "broken") as broken:
        person = broken.sign_in()
        with own_database.admin() as connection:
            connection.execute("ALTER TABLE refresh_tokens RENAME TO somewhere_else")
            connection.execute("ALTER TABLE users DROP CONSTRAINT ck_users_role_is_known")
            connection.execute("ALTER TABLE users ADD CONSTRAINT ck_nobody CHECK (full_name <> 'Ada Secret')")
        body = {"email": "ada@example.org", "password": "Sup3rsecret", "full_name": "Ada Secret"}
        answers = [
            broken.call("POST", "/api/auth/signup", json=body),
            broken.call("POST", "/api/auth/refresh", json={"refresh_token": person.refresh_token}),
        ]
    for answer in answers:
        refusal = problem(answer, 500, "INTERNAL_ERROR")
        assert "users" not in str(refusal)
        assert "refresh_tokens" not in str(refusal)
        assert f'"request_id": "{refusal["request_id"]}"' in log.getvalue()
    assert log.getvalue().count('"unexpected error"') == 2
    for secret in ("argon2", "Sup3rsecret", "Ada Secret", person.refresh_token):
        assert secret not in log.getvalue()


def test_request_id_is_taken_over_only_if_it_is_one(web: Instance) -> None:
    assert web.call("GET", "/", headers={"X-Request-ID": "abc-1.2_3"}).headers["X-Request-ID"] == "abc-1.2_3"
    for bad in ("a b", "<script>", "é", "x" * 65, ""):
        assert web.call("GET", "/", headers={"X-Request-ID": bad}).headers["X-Request-ID"] != bad

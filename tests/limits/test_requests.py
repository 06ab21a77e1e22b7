"""Limits and idempotency keys over HTTP, at two instances: what one counts or answers, the other knows."""

import io
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from flask import Response, request
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from tests.conftest import TestDatabase
from tests.limits.together import together
from tests.tenants.instances import PASSWORD, Instance, Person, problem, web_instance

NEW_KEY = {"name": "a program", "scopes": ["read"]}


def log_in(
    at: Instance, email: str, password: str, *, address: str = "192.0.2.1", **more: Any
) -> TestResponse:
    given = more or {"json": {"email": email, "password": password}}
    return at.call("POST", "/api/auth/login", environ_base={"REMOTE_ADDR": address}, **given)


def sign_up(at: Instance, address: str) -> TestResponse:
    body = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD, "full_name": "Ada"}
    return at.call("POST", "/api/auth/signup", json=body, environ_base={"REMOTE_ADDR": address})


def ask(at: Instance, person: Person) -> TestResponse:
    return at.call("POST", "/api/search", person, json={"query": "lighthouse"})


def refused(answer: TestResponse) -> int:
    """Seconds to wait."""
    body = problem(answer, 429, "RATE_LIMITED")
    assert answer.headers["Retry-After"] == str(body["retry_after"])
    assert body["retry_after"] >= 1
    return int(body["retry_after"])


# -- rate limits --------------------------------------------------------------------------------------------


def test_limit_holds_across_instances(web: Instance, web2: Instance) -> None:
    person, other = web.sign_in(), web.sign_in()
    before = REGISTRY.get_sample_value("secondbrain_rate_limited_total", {"rule": "search"}) or 0
    assert [ask(at, person).status_code for at in (web, web2, web, web2, web)] == [200] * 3 + [429] * 2
    wait = refused(ask(web2, person))
    assert 1190 < wait <= 1200
    assert REGISTRY.get_sample_value("secondbrain_rate_limited_total", {"rule": "search"}) == before + 3
    assert ask(web2, other).status_code == 200


def test_concurrent_requests_do_not_get_past_the_limit(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    answers = together(16, lambda number: ask((web, web2)[number % 2], person).status_code)
    assert Counter(answers) == {200: 3, 429: 13}


def test_refusal_reaches_browsers(web: Instance) -> None:
    person = web.sign_in()
    for _ in range(4):
        headers = {"Origin": "http://localhost:3000"}
        answer = web.call("POST", "/api/search", person, json={"query": "x"}, headers=headers)
    refused(answer)
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


def test_sign_up_is_limited_by_address(web: Instance, web2: Instance) -> None:
    assert [sign_up(at, "192.0.2.1").status_code for at in (web, web2)] == [201, 201]
    refused(sign_up(web2, "192.0.2.1"))
    assert sign_up(web2, "192.0.2.2").status_code == 201


def test_asking_for_progress_is_never_refused(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    paths = ("/api/integrations/github/sync/status", "/api/auth/me", "/api/integrations")
    answers = {
        at.call("GET", path, person).status_code for _ in range(50) for at in (web, web2) for path in paths
    }
    assert answers == {200}


@pytest.fixture
def email(web: Instance) -> str:
    """Of an account with PASSWORD."""
    answer = sign_up(web, "203.0.113.1")
    address: str = answer.get_json()["user"]["email"]
    return address


def test_guessing_is_slowed_down_at_every_instance(web: Instance, web2: Instance, email: str) -> None:
    codes = [log_in(at, email, "wrong").status_code for at in (web, web2, web, web2, web)]
    assert codes == [401, 401, 401, 429, 429]
    assert refused(log_in(web2, email, PASSWORD)) > 600, (
        "the right password gets no further, or it could be told"
    )


def test_stranger_does_not_lock_the_owner_out(web: Instance, web2: Instance, email: str) -> None:
    for _ in range(10):
        log_in(web, email, "wrong", address="198.51.100.66")
    assert log_in(web2, email, PASSWORD, address="192.0.2.1").status_code == 200


def test_guesses_from_many_addresses_are_slowed_down_too(web: Instance, email: str) -> None:
    codes = [log_in(web, email, "wrong", address=f"198.51.100.{n}").status_code for n in range(8)]
    assert codes == [401] * 5 + [429] * 3


def test_refusal_for_the_account_leaves_the_address_its_attempts(web: Instance, email: str) -> None:
    for number in range(6):
        log_in(web, email, "wrong", address=f"198.51.100.{number}")
    for _ in range(5):
        assert log_in(web, email, PASSWORD, address="192.0.2.1").status_code == 429
    with web.database.admin() as connection:
        row = connection.execute(
            "SELECT full_at <= now() FROM rate_limits WHERE rule = 'login_failures_here' AND subject LIKE '%192.0.2.1'"
        ).fetchone()
    assert row == (True,)


def test_successful_log_ins_do_not_count(web: Instance, web2: Instance, email: str) -> None:
    assert {log_in(at, email, PASSWORD).status_code for _ in range(4) for at in (web, web2)} == {200}
    assert [log_in(web, email, "wrong").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_concurrent_guesses_do_not_get_past_the_limit(web: Instance, web2: Instance, email: str) -> None:
    codes = together(12, lambda n: log_in((web, web2)[n % 2], email, "wrong").status_code)
    assert Counter(codes) == {401: 3, 429: 9}


@pytest.mark.parametrize(
    "spell", [str.upper, lambda e: f"  {e} ", lambda e: e.replace("example", "ｅxample")]
)
def test_other_spellings_of_an_address_are_the_same_account(web: Instance, email: str, spell: Any) -> None:
    codes = [log_in(web, spell(email) if n % 2 else email, "wrong").status_code for n in range(5)]
    assert codes == [401, 401, 401, 429, 429]


def test_body_in_another_guise_does_not_get_past_the_limit(web: Instance, email: str) -> None:
    """JSON inside a JSON string is read by the route as well."""
    wrapped = f'"{{\\"email\\": \\"{email}\\", \\"password\\": \\"wrong\\"}}"'
    codes = [log_in(web, "", "", data=wrapped, content_type="application/json").status_code for _ in range(5)]
    assert codes == [401, 401, 401, 429, 429]


def test_limits_know_no_names(web: Instance, email: str) -> None:
    log_in(web, email, "wrong")
    with web.database.admin() as connection:
        subjects = connection.execute("SELECT rule, subject FROM rate_limits").fetchall()
    assert {"login", "login_failures", "login_failures_here"} <= {rule for rule, _ in subjects}
    assert email.partition("@")[0] not in str(subjects)


# -- idempotency keys ---------------------------------------------------------------------------------------


def once(at: Instance, person: Person, key: str, body: Any = None, **more: Any) -> TestResponse:
    headers = {"Idempotency-Key": key}
    return at.call("POST", "/api/auth/api-keys", person, json=body or NEW_KEY, headers=headers, **more)


def keys_of(at: Instance, person: Person) -> int:
    return len(at.ok("GET", "/api/auth/api-keys", person)["api_keys"])


def test_repeat_gets_the_first_answer_at_another_instance(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    first = once(web, person, "order 1")
    assert (first.status_code, first.headers.get("Idempotency-Replayed")) == (201, None)
    again = once(web2, person, "order 1")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert (again.data, again.mimetype) == (first.data, first.mimetype)
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert keys_of(web2, person) == 1
    assert once(web2, person, "order 2").status_code == 201
    assert keys_of(web2, person) == 2


def test_without_a_key_every_request_is_carried_out(web: Instance) -> None:
    person = web.sign_in()
    for _ in range(2):
        web.call("POST", "/api/auth/api-keys", person, json=NEW_KEY)
    assert keys_of(web, person) == 2


def test_concurrent_requests_with_one_key_are_carried_out_once(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    answers = together(20, lambda n: once((web, web2)[n % 2], person, "order 1"))
    assert keys_of(web, person) == 1
    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code != 201]
    assert len({answer.data for answer in done}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in done) == 1
    for answer in waiting:
        problem(answer, 409, "REQUEST_IN_PROGRESS")
        assert answer.headers["Retry-After"] == "1"
    assert once(web2, person, "order 1").data == done[0].data


def test_key_of_another_request_is_refused(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    once(web, person, "order 1")
    problem(once(web2, person, "order 1", {**NEW_KEY, "name": "another"}), 422, "IDEMPOTENCY_KEY_REUSED")
    answer = web2.call("POST", "/api/auth/logout-all", person, headers={"Idempotency-Key": "order 1"})
    problem(answer, 422, "IDEMPOTENCY_KEY_REUSED")
    assert keys_of(web, person) == 1


def test_key_of_another_person_is_another_key(web: Instance) -> None:
    person = web.sign_in()
    colleague = web.colleague(person, role="member")
    answers = [once(web, who, "order 1").get_json()["key"] for who in (person, colleague, web.sign_in())]
    assert len(set(answers)) == 3


def test_refused_request_is_answered_the_same_again(web: Instance, web2: Instance) -> None:
    person = web.colleague(web.sign_in(), role="viewer")
    body = {"name": "a program", "scopes": ["admin"]}
    problem(once(web, person, "order 1", body), 403, "SCOPE_BEYOND_ROLE")
    again = once(web2, person, "order 1", body)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (403, "true")
    assert again.mimetype == "application/problem+json"


@pytest.mark.parametrize("key", ["", " " * 256, "x" * 256, "é", "a\tb"])
def test_key_that_is_none_is_refused(web: Instance, key: str) -> None:
    problem(once(web, web.sign_in(), key), 400, "IDEMPOTENCY_KEY_INVALID")


def test_anonymous_and_reading_requests_take_no_key(web: Instance) -> None:
    person = web.sign_in()
    for _ in range(2):
        answer = web.call("GET", "/api/auth/me", person, headers={"Idempotency-Key": "one"})
        assert "Idempotency-Replayed" not in answer.headers
        headers = {"Idempotency-Key": "one"}
        answer = web.call("POST", "/api/auth/refresh", json={"refresh_token": "x"}, headers=headers)
        problem(answer, 401, "INVALID_REFRESH_TOKEN")
    with web.database.admin() as connection:
        assert connection.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (0,)


def test_repeat_of_somebody_signed_out_is_refused(web: Instance, web2: Instance) -> None:
    person = web.sign_in()
    once(web, person, "order 1")
    web.call("POST", "/api/auth/logout", person)
    problem(once(web2, person, "order 1"), 401, "SESSION_REVOKED")


def test_answers_are_sealed(web: Instance) -> None:
    person = web.sign_in()
    key = once(web, person, "order 1").get_json()["key"]
    with web.database.admin() as connection:
        ((sealed,),) = connection.execute("SELECT sealed_answer FROM idempotency_keys").fetchall()
    assert isinstance(sealed, bytes)
    assert len(sealed) > len(key)
    assert key.encode() not in sealed


class Odd:
    """An instance with routes that answer in unusual ways; `calls` counts how often they ran."""

    def __init__(self, at: Instance) -> None:
        self.calls = 0
        self.at = at

        def count() -> None:
            self.calls += 1

        @at.app.post("/broken", doc_ui=False)
        def broken() -> Response:
            count()
            raise RuntimeError("on purpose")

        @at.app.post("/stream", doc_ui=False)
        def stream() -> Response:
            count()
            return Response(iter(["a", "b"]), mimetype="text/event-stream")

        @at.app.post("/large", doc_ui=False)
        def large() -> Response:
            count()
            return Response(b"x" * (2 * 1024 * 1024))

        @at.app.post("/breaking", doc_ui=False)
        def breaking() -> Response:
            count()
            with at.database.admin() as connection:
                connection.execute("ALTER TABLE idempotency_keys RENAME TO somewhere_else")
            return Response("done")

        @at.app.post("/form", doc_ui=False)
        def form() -> Response:
            count()
            file = request.files["file"]
            return Response(f"{request.form['name']} {file.filename} {file.read().decode()}")

    def post(self, path: str, person: Person, **more: Any) -> TestResponse:
        return self.at.call("POST", path, person, headers={"Idempotency-Key": "one"}, **more)


@pytest.fixture
def odd(own_database: TestDatabase) -> Any:
    with web_instance(own_database, "odd") as instance:
        yield Odd(instance)


@pytest.mark.parametrize(("path", "status"), [("/broken", 500), ("/stream", 200)])
def test_errors_of_ours_and_streams_are_not_kept(odd: Odd, path: str, status: int) -> None:
    person = odd.at.sign_in()
    for _ in range(2):
        answer = odd.post(path, person)
        assert answer.status_code == status
        assert "Idempotency-Replayed" not in answer.headers
    assert odd.calls == 2


def test_answer_that_is_too_large_is_not_made_twice(odd: Odd) -> None:
    person = odd.at.sign_in()
    assert len(odd.post("/large", person).data) == 2 * 1024 * 1024
    problem(odd.post("/large", person), 409, "ANSWER_NOT_KEPT")
    assert odd.calls == 1


def test_answer_that_cannot_be_kept_is_given_all_the_same(odd: Odd) -> None:
    """The route has committed what it did; to call that an error would be wrong."""
    person = odd.at.sign_in()
    answer = odd.post("/breaking", person)
    assert (answer.status_code, answer.text) == (200, "done")
    with odd.at.database.admin() as connection:
        connection.execute("ALTER TABLE somewhere_else RENAME TO idempotency_keys")
    problem(odd.post("/breaking", person), 409, "REQUEST_IN_PROGRESS")
    assert odd.calls == 1


def test_form_sent_again_is_the_same_request_and_reaches_the_route_whole(odd: Odd) -> None:
    """Each time with another boundary between its parts."""
    person = odd.at.sign_in()

    def send(content: bytes) -> TestResponse:
        return odd.post("/form", person, data={"name": "notes", "file": (io.BytesIO(content), "a.txt")})

    first, again = send(b"lighthouse"), send(b"lighthouse")
    assert first.text == again.text == "notes a.txt lighthouse"
    assert again.headers["Idempotency-Replayed"] == "true"
    problem(send(b"lighthouses"), 422, "IDEMPOTENCY_KEY_REUSED")
    assert odd.calls == 1


def test_request_that_outlived_its_process_is_carried_out_again(web: Instance, web2: Instance) -> None:
    """What a crash in the middle leaves behind: a row that nobody answers."""
    person = web.sign_in()
    once(web, person, "order 1")
    with web.database.admin() as connection:
        connection.execute(
            "UPDATE idempotency_keys SET status_code = NULL, answered_at = NULL, sealed_answer = NULL"
        )
    problem(once(web2, person, "order 1"), 409, "REQUEST_IN_PROGRESS")
    with web.database.admin() as connection:
        connection.execute("UPDATE idempotency_keys SET leased_until = now()")
    again = once(web2, person, "order 1")
    assert again.status_code == 201
    assert "Idempotency-Replayed" not in again.headers
    assert once(web, person, "order 1").data == again.data

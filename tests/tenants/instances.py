"""Web instances inside the test's process, and people who are signed in at them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from backend.app import create_app
from backend.tenants.access import issue_access_token
from backend.tenants.repository import SessionRepository, TenantRepository
from backend.wiring import Services, wire
from tests.conftest import Account, TestDatabase, settings_for

PASSWORD: Final = "Sup3rsecret"


class Person:
    """Somebody with a session; `tokens` are what a browser client keeps."""

    def __init__(self, account: Account, session_id: UUID, access_token: str, refresh_token: str) -> None:
        self.account = account
        self.tenant_id = account.tenant_id
        self.user_id = account.user_id
        self.session_id = session_id
        self.access_token = access_token
        self.refresh_token = refresh_token

    @property
    def headers(self) -> dict[str, str]:
        """What carries the access token."""
        return {"Authorization": f"Bearer {self.access_token}"}


class Instance:
    """One web instance: an engine, an application, no listener. What it shares with others is the database."""

    def __init__(self, services: Services, database: TestDatabase) -> None:
        self.services = services
        self.database = database
        self.app = create_app(services)
        self._client = self.browser(use_cookies=False)

    def browser(self, *, use_cookies: bool = True) -> FlaskClient:
        """A browser of its own, with its own cookies."""
        return self.app.test_client(use_cookies=use_cookies)

    def call(self, method: str, path: str, person: Person | None = None, **more: Any) -> TestResponse:
        """A request without cookies, as `person`."""
        headers = {**(person.headers if person else {}), **more.pop("headers", {})}
        return self._client.open(path, method=method, headers=headers, **more)

    def ok(self, method: str, path: str, person: Person | None = None, **more: Any) -> dict[str, Any]:
        """The same; the body of a successful answer."""
        answer = self.call(method, path, person, **more)
        assert answer.status_code < 300, answer.text
        body: dict[str, Any] = answer.get_json()
        assert body["success"] is True
        return body

    def sign_in(self, account: Account | None = None, *, lifetime_seconds: int = 3600) -> Person:
        """Somebody signed in, of a tenant of their own unless given; without a password, which costs time."""
        account = account or self.database.make_tenant()
        with self.services.db.transaction(account.tenant_id) as session:
            session_id, refresh_token = SessionRepository(session).start(
                account.tenant_id,
                account.user_id,
                lifetime=timedelta(days=30),
                user_agent="tests",
                ip_address="192.0.2.1",
            )
        access_token = issue_access_token(
            self.services.keyring,
            tenant_id=account.tenant_id,
            user_id=account.user_id,
            session_id=session_id,
            lifetime_seconds=lifetime_seconds,
        )
        return Person(account, session_id, access_token, refresh_token)

    def colleague(self, person: Person, *, role: str) -> Person:
        """Another person of the same tenant, signed in."""
        email = f"{uuid4().hex}@example.org"
        with self.services.db.transaction(person.tenant_id) as session:
            user = TenantRepository(session).create_user(
                person.tenant_id, email=email, full_name="Colleague", role=role, password_hash="!"
            )
        return self.sign_in(Account(person.tenant_id, user.id, person.account.slug, email))


@contextmanager
def web_instance(database: TestDatabase, name: str, **settings: str) -> Iterator[Instance]:
    """An instance called `name`, with `settings` as environment variables would give them."""
    given = {"INSTANCE_NAME": name, "DATABASE_POOL_SIZE": "5", **settings}
    services = wire(settings_for(database.url, **given))
    try:
        yield Instance(services, database)
    finally:
        services.close()


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The body of a refusal, after checking that it has the shape every refusal has."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert body["error_code"] == code, body
    assert (body["success"], body["status"]) == (False, status)
    assert isinstance(body["error"], str)
    assert body["error"] == body["detail"] != ""
    assert body["request_id"] == answer.headers["X-Request-ID"] != ""
    assert "Traceback" not in answer.text
    return body

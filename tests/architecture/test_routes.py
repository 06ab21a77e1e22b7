"""Every route sits behind the tenant check, or is on a short list with its reason."""

import json
from collections.abc import Iterator
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI

from backend.app import create_app
from backend.tenants.access import issue_access_token
from backend.tenants.repository import SessionRepository
from backend.web import SESSION_COOKIE
from backend.wiring import Services, wire
from tests.conftest import Account, TestDatabase, settings_for

Route = tuple[str, str]

#: Open to everybody.
PUBLIC: Final = MappingProxyType(
    {
        ("GET", "/"): "says where the description is",
        ("GET", "/api/health"): "asked by load balancers; no tenant's data",
        ("GET", "/metrics"): "asked by Prometheus; counters of this process, no tenant's data",
        ("GET", "/openapi.json"): "the description of the API",
        ("POST", "/api/auth/signup"): "makes the account",
        ("GET", "/api/auth/sign-up"): "a page with a form; nobody's data",
        ("POST", "/api/auth/sign-up"): "makes the account",
        ("POST", "/api/auth/login"): "checks the password",
        ("GET", "/api/auth/sign-in"): "a page with a form; nobody's data",
        ("POST", "/api/auth/sign-in"): "checks browser, confirmation and password",
        ("POST", "/api/auth/refresh"): "checks the refresh token",
        ("POST", "/api/auth/logout"): "always succeeds; ends the session of the token that comes along",
        ("GET", "/api/integrations/<connector_type>/begin"): "a link opened in a browser; checks the ticket",
        ("POST", "/api/integrations/<connector_type>/begin"): "checks ticket, browser and confirmation",
        (
            "GET",
            "/api/integrations/<connector_type>/callback",
        ): "the provider's redirect; checks state and browser",
        ("POST", "/api/webhooks/<connector_type>"): "a provider calls; checks its signature",
        ("POST", "/api/webhooks/<connector_type>/<address>"): "the same, and the address",
        (
            "GET",
            "/api/sync-progress/<sync_id>/stream",
        ): "an EventSource sends no header; checks the run's name",
    }
)

#: Opened by the session cookie too.
COOKIE: Final = MappingProxyType(
    {
        ("GET", "/api/desk"): "a page to ask on; only reads",
        ("GET", "/api/desk/ask"): "an answer as a page; changes nothing but the search log",
        ("GET", "/api/desk/files"): "a page about one's files; only reads",
        ("GET", "/api/desk/open"): "the way to a place in a document; changes nothing but the search log",
        ("GET", "/api/document/<document_id>/view"): "a link in an answer, opened in a browser; only reads",
        (
            "GET",
            "/api/documents/<document_id>/download",
        ): "a link to the original, opened in a browser; only reads",
    }
)

#: Opened by the session cookie together with what only a page of that session has.
FORM: Final = MappingProxyType(
    {
        ("POST", "/api/desk/feedback"): "what one thinks of an answer",
        ("POST", "/api/desk/sign-out"): "the desk's way out",
    }
)

#: The same, looked for by the route itself.
FOLDER: Final = MappingProxyType(
    {("POST", "/api/desk/files"): "the desk's form for files, read part by part"}
)

#: Not in /openapi.json.
UNDESCRIBED: Final = MappingProxyType(
    {
        ("GET", "/"): "the way to the description",
        ("GET", "/api/health"): "for machines that run the product, described in the documentation",
        ("GET", "/metrics"): "Prometheus' own format",
        ("GET", "/openapi.json"): "the description itself",
    }
)

CHANGING: Final = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def services(database: TestDatabase) -> Iterator[Services]:
    made = wire(settings_for(database.url, LOG_LEVEL="error"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def app(services: Services) -> OpenAPI:
    return create_app(services)


@pytest.fixture
def access_token(services: Services, database: TestDatabase) -> str:
    """A good token; its session is a new one."""
    return _sign_in(services, database.make_tenant())


def routes_of(app: OpenAPI) -> dict[Route, Any]:
    """(method, rule) -> view function, without what Flask adds by itself."""
    return {
        (method, rule.rule): app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if method not in ("HEAD", "OPTIONS")
    }


def private_routes(app: OpenAPI) -> list[Route]:
    """Routes that only an access token opens."""
    return sorted(set(routes_of(app)) - set(PUBLIC) - set(COOKIE) - set(FORM) - set(FOLDER))


def test_open_routes_are_the_listed_ones(app: OpenAPI) -> None:
    listed = {"public": set(PUBLIC), "cookie": set(COOKIE), "form": set(FORM), "folder": set(FOLDER)}
    marked: dict[str, set[Route]] = {access: set() for access in listed}
    for route, view in routes_of(app).items():
        if (access := getattr(view, "access", "private")) != "private":
            marked[access].add(route)
    assert marked == listed


def test_anonymous_caller_is_refused_everywhere_else(app: OpenAPI) -> None:
    assert len(private_routes(app)) > 10
    for route in (*private_routes(app), *COOKIE, *FORM, *FOLDER):
        answer = _call(app.test_client(), route)
        assert (answer.status_code, answer.json["error_code"]) == (401, "AUTH_REQUIRED"), route


def test_refused_callers_do_not_learn_whether_a_thing_exists(app: OpenAPI) -> None:
    """Who is asking is settled before path, query and body are looked at."""
    for method, rule in private_routes(app):
        answer = app.test_client().open(rule.replace("<", "").replace(">", ""), method=method, json={"x": 1})
        assert answer.status_code == 401, (method, rule)


def test_forged_token_is_refused_everywhere_else(app: OpenAPI, access_token: str) -> None:
    head, claims, _ = access_token.split(".")
    for route in (*private_routes(app), *COOKIE, *FORM, *FOLDER):
        answer = _call(app.test_client(), route, headers={"Authorization": f"Bearer {head}.{claims}.AAAA"})
        assert (answer.status_code, answer.json["error_code"]) == (401, "TOKEN_INVALID"), route


def test_cookie_alone_opens_only_listed_reading_routes(app: OpenAPI, access_token: str) -> None:
    for route in private_routes(app):
        assert _call(_with_cookie(app, access_token), route).status_code == 401, route
    for route in COOKIE:
        assert route[0] == "GET"
        assert _call(_with_cookie(app, access_token), route).status_code != 401, route
    for route in (*FORM, *FOLDER):
        answer = _call(_with_cookie(app, access_token), route)
        assert (answer.status_code, answer.json["error_code"]) == (403, "FORM_NOT_SHOWN"), route


def test_cookie_alone_changes_nothing_through_a_public_route(
    app: OpenAPI, services: Services, database: TestDatabase
) -> None:
    """Another site can make a browser send the cookie, so no changing route may take it for consent."""
    account = database.make_tenant()
    client = _with_cookie(app, token := _sign_in(services, account))
    for route in PUBLIC:
        if route[0] in CHANGING:
            _call(client, route)
    kept = app.test_client().get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert kept.status_code == 200, "the session was ended by a cookie"
    with database.db.transaction(account.tenant_id) as session:
        assert len(SessionRepository(session).list_active(account.tenant_id, account.user_id)) == 1


def test_every_route_is_described(app: OpenAPI) -> None:
    described = {
        (method.upper(), path.replace("{", "<").replace("}", ">"))
        for path, operations in _description(app)["paths"].items()
        for method in operations
    }
    assert set(routes_of(app)) - described == set(UNDESCRIBED)
    assert described <= set(routes_of(app))


def test_described_routes_have_a_summary(app: OpenAPI) -> None:
    silent = [
        f"{method} {path}"
        for path, operations in _description(app)["paths"].items()
        for method, operation in operations.items()
        if not operation.get("summary")
    ]
    assert not silent


def _description(app: OpenAPI) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(app.test_client().get("/openapi.json").data)
    return answer


def _sign_in(services: Services, account: Account) -> str:
    with services.db.transaction(account.tenant_id) as session:
        session_id, _ = SessionRepository(session).start(
            account.tenant_id, account.user_id, lifetime=timedelta(hours=1), user_agent=None, ip_address=None
        )
    return issue_access_token(
        services.keyring,
        tenant_id=account.tenant_id,
        user_id=account.user_id,
        session_id=session_id,
        lifetime_seconds=600,
    )


def _with_cookie(app: OpenAPI, token: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie(SESSION_COOKIE, token, path="/api")
    return client


def _call(client: FlaskClient, route: Route, **more: Any) -> Any:
    """Calls a route with fitting parts of its path."""
    method, rule = route
    path = rule.replace("<connector_type>", "github").replace("<name>", "parser")
    for part in (
        "<address>",
        "<chat_id>",
        "<document_id>",
        "<job_id>",
        "<key_id>",
        "<run_id>",
        "<search_id>",
        "<session_id>",
        "<sync_id>",
        "<user_id>",
    ):
        path = path.replace(part, str(uuid4()))
    assert "<" not in path, f"{rule}: say in _call what goes into its path"
    return client.open(path, method=method, **more)

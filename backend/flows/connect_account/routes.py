"""/api/integrations/{type}: auth, begin, callback; and connecting by a pasted token."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from flask import Response, redirect, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, SecretStr

from backend.connectors.catalogue import find_provider
from backend.errors import StateError, Unavailable
from backend.flows.connect_account.flow import Attempt, ConnectAccount, StateInvalid
from backend.flows.connect_account.pages import confirmation_page, onward_page
from backend.flows.connect_account.token import connect_by_token
from backend.flows.list_sources.flow import SourcePath
from backend.flows.watch_source.flow import watched_types
from backend.marks import public
from backend.pages import policy
from backend.tenants.repository import TenantRepository
from backend.web import Answer, answer, cookie_principal, editor, services

api = APIBlueprint(
    "connect",
    __name__,
    url_prefix="/api/integrations",
    abp_tags=[Tag(name="integrations", description="Connecting sources")],
)

_BROWSER_COOKIE = "secondbrain_browser"
_log = structlog.get_logger(__name__)


class Begin(BaseModel):
    ticket: str = ""


class Callback(BaseModel):
    """Nothing is required or limited here: whatever comes, the browser must end at the client."""

    state: str = ""
    code: str = ""
    error: str = ""


class AuthAddress(Answer):
    auth_url: str = Field(description="Where to send the browser; good once, for ten minutes")
    state: str = Field(description="The state the provider will see")


class TokenBody(BaseModel):
    access_token: SecretStr = Field(min_length=1, max_length=4096, description="As the provider shows it")


class Connected(Answer):
    message: str
    team_name: str = Field(description="The connected account's name at the provider")
    connector_id: str


@api.get("/<connector_type>/auth", responses={200: AuthAddress})
def auth(path: SourcePath) -> Response:
    """Begin to connect a source: where to send the browser."""
    who = editor()
    find_provider(services().providers, path.connector_type)
    ticket, state = _flow().issue(who.tenant_id, who.user_id, path.connector_type)
    address = f"{services().settings.public_url}/api/integrations/{path.connector_type}/begin"
    return answer(AuthAddress(auth_url=f"{address}?{urlencode({'ticket': ticket})}", state=state))


@api.get("/<connector_type>/begin", responses={302: None})
@public
def begin(path: SourcePath, query: Begin) -> Response:
    """Bind this browser, ask where its owner is not known, and go on to the provider."""
    flow = _flow()
    try:
        attempt = flow.read_ticket(query.ticket, path.connector_type)
        browser = request.cookies.get(_BROWSER_COOKIE) or secrets.token_urlsafe(32)
        who = cookie_principal()
        if who is not None and (who.tenant_id, who.user_id) == (attempt.tenant_id, attempt.user_id):
            return _bound(redirect(flow.begin(attempt, browser)), browser)
        page = _confirmation(flow, attempt, query.ticket, browser, who.user.email if who else None)
        return _bound(page, browser)
    except StateError as error:
        return _failed(error, path.connector_type)


@api.post("/<connector_type>/begin", responses={200: None, 303: None})
@public
def confirm(path: SourcePath) -> Response:
    """The confirmation page's answer; only the browser that was shown the page can give it."""
    flow = _flow()
    browser = request.cookies.get(_BROWSER_COOKIE, "")
    # Not a model: its fields would be read as JSON first.
    ticket, confirmation = request.form.get("ticket", ""), request.form.get("confirmation", "")
    try:
        if not browser or not flow.is_confirmed(ticket, browser, confirmation):
            raise StateInvalid("This confirmation was not given in the browser that was asked; start again.")
        attempt = flow.read_ticket(ticket, path.connector_type)
        page = onward_page(source=_name(path.connector_type), address=flow.begin(attempt, browser))
    except StateError as error:
        return _failed(error, path.connector_type, status=303)
    return _bound(_html(page, form_action="'none'"), browser)


@api.get("/<connector_type>/callback", responses={302: None})
@public
def callback(path: SourcePath, query: Callback) -> Response:
    """The provider sends the browser back here."""
    flow = _flow()
    try:
        if not query.state:
            raise StateInvalid("The provider's answer is incomplete; start again.")
        attempt = flow.read_state(query.state, path.connector_type)
        flow.consume(attempt, request.cookies.get(_BROWSER_COOKIE, ""))
        if query.error or not query.code:
            # The provider's own words are not shown: they are a stranger's text in our address.
            reason = "access was declined" if query.error == "access_denied" else "the provider refused"
            return _to_client(error=reason)
        connector = flow.connect(attempt, query.code)
    except StateError as error:
        return _failed(error, path.connector_type)
    except Exception:  # noqa: BLE001 - logged; in somebody's browser a problem in JSON would be the end
        _log.exception("connecting failed", type=path.connector_type)
        return _to_client(error="something went wrong on our side, try again")
    _log.info("source connected", connector=str(connector.id), type=connector.type)
    return _to_client(success=path.connector_type)


@api.post("/<connector_type>/token", responses={200: Connected})
def connect_with_token(path: SourcePath, body: TokenBody) -> Response:
    """Connect a source by a token that a person has copied from the provider's own pages."""
    who = editor()
    s = services()
    connector = connect_by_token(
        s.db,
        s.keyring,
        find_provider(s.providers, path.connector_type),
        who.tenant_id,
        token=body.access_token.get_secret_value(),
        api_base=s.api_bases.get(path.connector_type),
        connected_by=who.user_id,
    )
    _log.info("source connected", connector=str(connector.id), type=connector.type)
    label = connector.account_label or ""
    return answer(
        Connected(message=f"Connected to {label}.", team_name=label, connector_id=str(connector.id))
    )


def _flow() -> ConnectAccount:
    s = services()
    default = f"{s.settings.public_url}/api/integrations/{{}}/callback"
    given: Mapping[str, str] = {
        "github": s.settings.github_redirect_uri,
        "gmail": s.settings.google_redirect_uri,
        "slack": s.settings.slack_redirect_uri,
        "box": s.settings.box_redirect_uri,
        "onedrive": s.settings.microsoft_redirect_uri,
    }
    return ConnectAccount(
        db=s.db,
        keyring=s.keyring,
        providers=s.oauth_providers,
        redirect_uris={name: given.get(name) or default.format(name) for name in s.oauth_providers},
        lifetime=timedelta(seconds=s.settings.oauth_nonce_seconds),
        watched=watched_types(s.providers, s.settings.public_url),
    )


def _confirmation(
    flow: ConnectAccount, attempt: Attempt, ticket: str, browser: str, signed_in_as: str | None
) -> Response:
    with flow.db.transaction(attempt.tenant_id) as session:
        user, tenant = TenantRepository(session).get_account(attempt.tenant_id, attempt.user_id)
    settings = services().settings
    page = confirmation_page(
        source=_name(attempt.connector_type),
        workspace=tenant.name,
        slug=tenant.slug,
        person=user.full_name,
        email=user.email,
        action=request.path,
        ticket=ticket,
        confirmation=flow.confirmation(ticket, browser),
        cancel=f"{settings.frontend_url}/integrations",
        signed_in_as=signed_in_as,
    )
    # The client too: browsers hold the redirect that follows a form, here after a failure, against this list.
    return _html(page, form_action=f"'self' {settings.frontend_url}")


def _html(page: str, *, form_action: str) -> Response:
    response = Response(page, mimetype="text/html")
    response.headers["Content-Security-Policy"] = policy(form_action=form_action)
    return response


def _name(connector_type: str) -> str:
    provider = services().providers.get(connector_type)
    return provider.name if provider else connector_type


def _bound(response: Any, browser: str) -> Response:
    bound: Response = response
    bound.set_cookie(
        _BROWSER_COOKIE,
        browser,
        max_age=services().settings.oauth_nonce_seconds,
        path="/api/integrations",
        httponly=True,
        # Lax, not Strict: the provider's redirect back to us is a navigation from another site.
        samesite="Lax",
        secure=services().settings.public_url.startswith("https://"),
    )
    bound.headers["Cache-Control"] = "no-store"
    bound.headers["Referrer-Policy"] = "no-referrer"
    return bound


def _failed(error: StateError, connector_type: str, *, status: int = 302) -> Response:
    _log.warning("connecting failed", type=connector_type, error=error.error_code)
    if isinstance(error, Unavailable):
        return _to_client(status=status, error="the service is not available right now, try again")
    return _to_client(status=status, error=error.message)


def _to_client(*, status: int = 302, **outcome: str) -> Response:
    response = redirect(f"{services().settings.frontend_url}/integrations?{urlencode(outcome)}", status)
    response.headers["Cache-Control"] = "no-store"
    assert isinstance(response, Response)  # noqa: S101 - Flask's redirect makes one
    return response

"""/api/integrations: the list, auth, begin, callback, settings, disconnect."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from flask import Response, redirect, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.connectors.catalogue import NOT_AVAILABLE
from backend.connectors.models import Connector
from backend.connectors.providers.provider import Provider
from backend.connectors.repository import ConnectorRepository
from backend.errors import Forbidden, NotFound, StateError, Unavailable
from backend.flows.connect_account.flow import Attempt, ConnectAccount, StateInvalid
from backend.flows.connect_account.pages import STYLE, confirmation_page, onward_page
from backend.flows.sync_connector.flow import cancel_sync
from backend.sync.models import SyncRun
from backend.sync.positions.repository import SyncPositionRepository
from backend.sync.repository import SyncRunRepository
from backend.tenants.repository import TenantRepository
from backend.web import Answer, answer, cookie_principal, principal, public, services

api = APIBlueprint(
    "integrations",
    __name__,
    url_prefix="/api/integrations",
    abp_tags=[Tag(name="integrations", description="Connecting sources")],
)

_BROWSER_COOKIE = "secondbrain_browser"
_log = structlog.get_logger(__name__)


class UnknownSource(NotFound):
    """There is no source of this name."""


class AdminsOnly(Forbidden):
    """Only an administrator of the workspace may do this."""


class SourcePath(BaseModel):
    connector_type: str = Field(description="github, gmail, slack, …")


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


class Integration(BaseModel):
    type: str
    status: str = Field(description="connected, error (connect again), disconnected or not_configured")
    name: str
    description: str
    icon: str
    auth_type: str
    connector_id: str | None = None
    account: str | None = Field(None, description="The connected account's name at the provider")
    last_sync_at: str | None = None
    total_items_synced: int = 0
    error_message: str | None = None
    sync_state: str | None = Field(None, description="State of the newest sync")
    settings: dict[str, Any] = Field(default_factory=dict, description="What to sync; never a secret")


class Integrations(Answer):
    integrations: list[Integration]
    connected_count: int


class SettingsBody(BaseModel):
    settings: dict[str, Any] = Field(description="What to sync, as the kind of source asks for it")


class SettingsAnswer(Answer):
    connector: Integration


class Disconnected(Answer):
    message: str
    revoked: bool = Field(description="Whether the provider confirmed that the access has ended")


@api.get("", responses={200: Integrations})
def list_integrations() -> Response:
    """Every source, whether connected or not."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        connectors = {c.type: c for c in ConnectorRepository(session).list_all(who.tenant_id)}
        runs = SyncRunRepository(session).list_latest(who.tenant_id)
    views = [_view(type_, connectors.get(type_), runs) for type_ in (*services().providers, *NOT_AVAILABLE)]
    connected = sum(view.status == "connected" for view in views)
    return answer(Integrations(integrations=views, connected_count=connected))


@api.get("/<connector_type>/auth", responses={200: AuthAddress})
def auth(path: SourcePath) -> Response:
    """Begin to connect a source: where to send the browser."""
    who = principal()
    _known(path.connector_type)
    if who.user.role == "viewer":
        raise AdminsOnly("Viewers of a workspace cannot connect sources to it.")
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


@api.put("/<connector_type>/settings", responses={200: SettingsAnswer})
def configure(path: SourcePath, body: SettingsBody) -> Response:
    """Choose what to sync; it counts from the next sync on."""
    who = principal()
    if who.user.role == "viewer":
        raise AdminsOnly("Viewers of a workspace cannot change its sources.")
    settings = _known(path.connector_type).settings_model.model_validate(body.settings)
    with services().db.transaction(who.tenant_id) as session:
        connectors = ConnectorRepository(session)
        connector = connectors.get(who.tenant_id, path.connector_type)
        chosen = settings.model_dump(mode="json")
        if chosen != connector.settings:
            connectors.configure(who.tenant_id, connector.id, chosen)
            # What is new must be listed from its beginning; what is the same is not read again.
            SyncPositionRepository(session).begin_anew(who.tenant_id, connector.id)
        session.refresh(connector)
        runs = SyncRunRepository(session).list_latest(who.tenant_id)
    return answer(SettingsAnswer(connector=_view(path.connector_type, connector, runs)))


@api.post("/<connector_type>/disconnect", responses={200: Disconnected})
def disconnect(path: SourcePath) -> Response:
    """Stop a running sync, forget the credentials and end them at the provider; documents stay."""
    who = principal()
    _known(path.connector_type)
    if not who.is_admin:
        raise AdminsOnly
    with services().db.transaction(who.tenant_id) as session:
        connector = ConnectorRepository(session).find(who.tenant_id, path.connector_type)
        if connector is not None:
            run = SyncRunRepository(session).find_latest(who.tenant_id, connector.id)
            if run is not None and not run.is_finished:
                cancel_sync(session, run, cancelled_by=who.user_id)
    revoked = connector is None or _flow().disconnect(who.tenant_id, connector)
    message = (
        "Disconnected." if revoked else "Disconnected here; please also remove the access at the provider."
    )
    return answer(Disconnected(message=message, revoked=revoked))


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
    )


def _known(connector_type: str) -> Provider:
    provider = services().providers.get(connector_type)
    if provider is None:
        raise UnknownSource
    return provider


def _view(connector_type: str, connector: Connector | None, runs: Mapping[Any, SyncRun]) -> Integration:
    provider = services().providers.get(connector_type)
    if provider is None:
        name, description = NOT_AVAILABLE[connector_type]
        return Integration(
            type=connector_type,
            status="not_configured",
            name=name,
            description=description,
            icon=connector_type,
            auth_type="config",
        )
    status = "not_configured"
    run = None
    if connector is not None:
        status = "error" if connector.status == "needs_reconnect" else connector.status
        run = runs.get(connector.id)
    return Integration(
        type=provider.type,
        status=status,
        name=provider.name,
        description=provider.description,
        icon=provider.icon,
        auth_type=provider.auth_type,
        connector_id=str(connector.id) if connector else None,
        account=connector.account_label if connector else None,
        last_sync_at=run.finished_at.isoformat() if run and run.finished_at else None,
        total_items_synced=(run.stored_count + run.unchanged_count) if run else 0,
        error_message=(connector.status_reason if connector else None) or (run.error if run else None),
        sync_state=run.state if run else None,
        settings=connector.settings if connector else {},
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
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    response = Response(page, mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{style}'; form-action {form_action};"
        " frame-ancestors 'none'; base-uri 'none'"
    )
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

"""/api/auth: sign up, log in, me, refresh, log out, sessions."""

from datetime import timedelta
from ipaddress import ip_address
from uuid import UUID

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import ValidationError

from backend.db.transaction import Session as DbSession
from backend.errors import Forbidden, Unauthenticated
from backend.marks import public, session_only, shows_pages
from backend.tenants.access import account_name, issue_access_token
from backend.tenants.models import Tenant, User
from backend.tenants.passwords import MAX_LENGTH
from backend.tenants.repository import (
    RefreshTokenReused,
    SessionNotFound,
    SessionRepository,
    TenantRepository,
    tenant_of_refresh_token,
)
from backend.tenants.sign_in import BROWSER_COOKIE, SignInNotAsked, check_confirmed, return_address
from backend.tenants.sign_up.service import new_account
from backend.tenants.views import (
    LogIn,
    Refresh,
    SessionPath,
    SessionView,
    SignInQuery,
    SignUp,
    TenantView,
    Tokens,
    UserView,
)
from backend.web import (
    SESSION_COOKIE,
    Answer,
    answer,
    ask_to_sign_in,
    cookie_principal,
    found_principal,
    principal,
    services,
)

api = APIBlueprint(
    "auth", __name__, url_prefix="/api/auth", abp_tags=[Tag(name="auth", description="Signing in")]
)


class InvalidCredentials(Unauthenticated):
    """E-mail address or password is wrong."""


class TenantInactive(Forbidden):
    """This workspace has been deactivated."""


class UserInactive(Forbidden):
    """This account has been deactivated."""


class Account(Answer):
    user: UserView
    tenant: TenantView


class SignedIn(Account):
    tokens: Tokens


class Refreshed(Answer):
    tokens: Tokens


class Sessions(Answer):
    sessions: list[SessionView]


class SessionsRevoked(Answer):
    sessions_revoked: int


@api.post("/signup", responses={201: SignedIn})
@public
def signup(body: SignUp) -> Response:
    """Make a workspace and its first user, who administers it."""
    s = services()
    with new_account(s.db, s.passwords, body) as (session, user, tenant):
        started = _start_session(session, user)
    return _signed_in(user, tenant, *started, status=201)


@api.post("/login", responses={200: SignedIn})
@public
def login(body: LogIn) -> Response:
    """Start a session. Unknown address and wrong password are answered alike, in the same time."""
    user, tenant = _account_of(body)
    with services().db.transaction(tenant.id) as session:
        started = _start_session(session, user)
    return _signed_in(user, tenant, *started)


@api.get("/sign-in", responses={200: None})
@public
@shows_pages
def show_sign_in(query: SignInQuery) -> Response:
    """A page to sign in on, for links that a browser opens by itself; `next` is the document to go on to."""
    who = cookie_principal()
    return ask_to_sign_in(return_address(query.next), signed_in_as=who.user.email if who else "")


@api.post("/sign-in", responses={303: None})
@public
@shows_pages
def sign_in() -> Response:
    """The page's form: starts a session, sets its cookie and goes on to the document."""
    s = services()
    address = return_address(request.form.get("next", ""))
    browser = request.cookies.get(BROWSER_COOKIE, "")
    # Not a model: its fields would be read as JSON first.
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise SignInNotAsked
    check_confirmed(s.keyring, browser, address, request.form.get("confirmation", ""))
    try:
        body = LogIn(email=request.form.get("email", ""), password=request.form.get("password", ""))
    except ValidationError as error:
        raise InvalidCredentials from error
    user, tenant = _account_of(body)
    with s.db.transaction(tenant.id) as session:
        session_id, refresh_token = _start_session(session, user)
    tokens = _tokens(tenant.id, user.id, session_id, refresh_token)
    response = Response(status=303, headers={"Location": address})
    response.delete_cookie(BROWSER_COOKIE, path="/api")
    return _with_cookie(response, tokens.access_token)


@api.get("/me", responses={200: Account})
def me() -> Response:
    """Who is signed in."""
    who = principal()
    response = answer(Account(user=UserView.of(who.user), tenant=TenantView.of(who.tenant)))
    if who.session_id is None:
        return response
    # A restored session gets its cookie here; links and event streams carry no header.
    return _with_cookie(response, request.headers["Authorization"].partition(" ")[2].strip())


@api.post("/refresh", responses={200: Refreshed})
@public
def refresh(body: Refresh) -> Response:
    """Exchange a refresh token, once. Shown again it ends the session: two parties hold it."""
    s = services()
    tenant_id = tenant_of_refresh_token(body.refresh_token)
    lifetime = timedelta(seconds=s.settings.refresh_token_seconds)
    try:
        with s.db.transaction(tenant_id) as session:
            repository = SessionRepository(session)
            rotated = repository.rotate(tenant_id, body.refresh_token, lifetime=lifetime)
    except RefreshTokenReused:
        with s.db.transaction(tenant_id) as session:
            SessionRepository(session).end_family(tenant_id, body.refresh_token)
        raise
    tokens = _tokens(tenant_id, rotated.user_id, rotated.session_id, rotated.refresh_token)
    return _with_cookie(answer(Refreshed(tokens=tokens)), tokens.access_token)


@api.post("/logout", responses={200: Answer})
@public
def logout() -> Response:
    """End the session on every instance, its access token included. Always succeeds."""
    who = found_principal()
    if who is not None and who.session_id is not None:
        with services().db.transaction(who.tenant_id) as session:
            SessionRepository(session).end(who.tenant_id, who.session_id, reason="logged_out")
    response = answer(Answer())
    response.delete_cookie(SESSION_COOKIE, path="/api")
    return response


@api.post("/logout-all", responses={200: SessionsRevoked})
@session_only
def logout_all() -> Response:
    """End all sessions of the user but this one."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        count = SessionRepository(session).end_others(who.tenant_id, who.user_id, keep=who.in_session)
    return answer(SessionsRevoked(sessions_revoked=count))


@api.get("/sessions", responses={200: Sessions})
@session_only
def list_sessions() -> Response:
    """The user's running sessions."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        rows = SessionRepository(session).list_active(who.tenant_id, who.user_id)
    return answer(Sessions(sessions=[SessionView.of(row, who.in_session) for row in rows]))


@api.delete("/sessions/<session_id>", responses={200: Answer})
@session_only
def end_session(path: SessionPath) -> Response:
    """End one of the user's own sessions."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        ended = SessionRepository(session).end(
            who.tenant_id, path.session_id, reason="revoked", user_id=who.user_id
        )
    if not ended:
        raise SessionNotFound
    return answer(Answer())


def _account_of(body: LogIn) -> tuple[User, Tenant]:
    """Whose address and password these are. Raises InvalidCredentials, TenantInactive, UserInactive."""
    s = services()
    with s.db.operator_transaction() as session:
        found = TenantRepository(session).find_user_by_email(account_name(body.email))
    password_hash = None if found is None else found[0].password_hash
    if not s.passwords.matches(password_hash, body.password[: MAX_LENGTH + 1]) or found is None:
        raise InvalidCredentials
    user, tenant = found
    if not tenant.is_active:
        raise TenantInactive
    if not user.is_active:
        raise UserInactive
    return user, tenant


def _start_session(session: DbSession, user: User) -> tuple[UUID, str]:
    """(session id, refresh token) of a new session."""
    return SessionRepository(session).start(
        user.tenant_id,
        user.id,
        lifetime=timedelta(seconds=services().settings.refresh_token_seconds),
        user_agent=request.user_agent.string,
        ip_address=_address(),
    )


def _signed_in(
    user: User, tenant: Tenant, session_id: UUID, refresh_token: str, *, status: int = 200
) -> Response:
    """The answer, once the session is committed: signing its token may ask the database."""
    tokens = _tokens(tenant.id, user.id, session_id, refresh_token)
    body = SignedIn(user=UserView.of(user), tenant=TenantView.of(tenant), tokens=tokens)
    return _with_cookie(answer(body, status), tokens.access_token)


def _tokens(tenant_id: UUID, user_id: UUID, session_id: UUID, refresh_token: str) -> Tokens:
    s = services()
    lifetime = s.settings.access_token_seconds
    access = issue_access_token(
        s.keyring, tenant_id=tenant_id, user_id=user_id, session_id=session_id, lifetime_seconds=lifetime
    )
    return Tokens(access_token=access, refresh_token=refresh_token, expires_in=lifetime)


def _with_cookie(response: Response, access_token: str) -> Response:
    settings = services().settings
    response.set_cookie(
        SESSION_COOKIE,
        access_token,
        max_age=settings.access_token_seconds,
        path="/api",
        httponly=True,
        samesite="Lax",
        secure=settings.public_url.startswith("https://"),
    )
    return response


def _address() -> str | None:
    try:
        return str(ip_address(request.remote_addr or ""))
    except ValueError:
        return None

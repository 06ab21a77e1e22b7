"""/api/auth: sign up, log in, me, refresh, log out, sessions."""

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any
from uuid import UUID, uuid4

from email_validator import EmailNotValidError, validate_email
from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.errors import Forbidden, Invalid, Unauthenticated
from backend.tenants.access import issue_access_token
from backend.tenants.models import Session, Tenant, User
from backend.tenants.passwords import MAX_LENGTH, check_strength
from backend.tenants.repository import (
    RefreshTokenReused,
    SessionNotFound,
    SessionRepository,
    TenantRepository,
    tenant_of_refresh_token,
)
from backend.web import SESSION_COOKIE, Answer, answer, found_principal, principal, public, services

api = APIBlueprint(
    "auth", __name__, url_prefix="/api/auth", abp_tags=[Tag(name="auth", description="Signing in")]
)


class InvalidEmail(Invalid):
    """This is not an e-mail address that mail can be sent to."""


class InvalidCredentials(Unauthenticated):
    """E-mail address or password is wrong."""


class TenantInactive(Forbidden):
    """This workspace has been deactivated."""


class UserInactive(Forbidden):
    """This account has been deactivated."""


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=255)]


class SignUp(BaseModel):
    """Who signs up; the workspace is made with them."""

    model_config = ConfigDict(json_schema_extra={"example": {"email": "ada@example.org", "full_name": "Ada"}})

    email: str = Field(max_length=320)
    password: str
    full_name: Name
    organization_name: Name | None = None


class LogIn(BaseModel):
    email: str = Field(max_length=320)
    password: str


class Refresh(BaseModel):
    refresh_token: str = Field(max_length=200)


class UserView(BaseModel):
    """A person, as existing clients expect it; fields this installation does not keep are null."""

    id: str
    tenant_id: str
    email: str
    full_name: str
    role: str
    is_active: bool
    created_at: str
    updated_at: str
    email_verified: bool = False
    mfa_enabled: bool = False
    preferences: dict[str, Any] = Field(default_factory=dict)
    avatar_url: str | None = None
    bio: str | None = None
    phone: str | None = None
    job_title: str | None = None
    department: str | None = None
    location: str | None = None
    timezone: str | None = None
    language: str | None = None
    date_format: str | None = None
    time_format: str | None = None

    @classmethod
    def of(cls, user: User) -> "UserView":
        return cls(
            id=str(user.id),
            tenant_id=str(user.tenant_id),
            email=user.email,
            full_name=user.full_name,
            role=user.role,
            is_active=user.is_active,
            created_at=user.created_at.isoformat(),
            updated_at=user.updated_at.isoformat(),
        )


class TenantView(BaseModel):
    """A workspace, as existing clients expect it."""

    id: str
    name: str
    slug: str
    plan: str
    is_active: bool
    created_at: str
    storage_used_bytes: int | None = None
    storage_limit_bytes: int | None = None

    @classmethod
    def of(cls, tenant: Tenant) -> "TenantView":
        return cls(
            id=str(tenant.id),
            name=tenant.name,
            slug=tenant.slug,
            plan=tenant.plan,
            is_active=tenant.is_active,
            created_at=tenant.created_at.isoformat(),
        )


class Tokens(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name, not a secret
    expires_in: int = Field(description="Life of the access token, in seconds")


class Account(Answer):
    user: UserView
    tenant: TenantView


class SignedIn(Account):
    tokens: Tokens


class Refreshed(Answer):
    tokens: Tokens


class SessionView(BaseModel):
    id: str
    device_info: str | None
    ip_address: str | None
    location: str | None = None
    created_at: str
    last_used_at: str
    is_current: bool

    @classmethod
    def of(cls, row: Session, current: UUID) -> "SessionView":
        return cls(
            id=str(row.id),
            device_info=row.user_agent,
            ip_address=None if row.ip_address is None else str(row.ip_address),
            created_at=row.created_at.isoformat(),
            last_used_at=row.last_used_at.isoformat(),
            is_current=row.id == current,
        )


class Sessions(Answer):
    sessions: list[SessionView]


class SessionsRevoked(Answer):
    sessions_revoked: int


class SessionPath(BaseModel):
    session_id: UUID


@api.post("/signup", responses={201: SignedIn})
@public
def signup(body: SignUp) -> Response:
    """Make a workspace and its first user, who administers it."""
    try:
        email = validate_email(body.email, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise InvalidEmail(str(error)) from error
    check_strength(body.password, email=email)
    s = services()
    password_hash = s.passwords.hash(body.password)
    # Chosen here because row level security must know the tenant before its row can be written.
    tenant_id = uuid4()
    with s.db.transaction(tenant_id) as session:
        repository = TenantRepository(session)
        tenant = repository.create_tenant(
            tenant_id, name=body.organization_name or f"{body.full_name}'s Organization"
        )
        user = repository.create_user(
            tenant_id, email=email, full_name=body.full_name, role="admin", password_hash=password_hash
        )
        signed_in = _start_session(SessionRepository(session), user, tenant)
    return _with_cookie(answer(signed_in, 201), signed_in.tokens.access_token)


@api.post("/login", responses={200: SignedIn})
@public
def login(body: LogIn) -> Response:
    """Start a session. Unknown address and wrong password are answered alike, in the same time."""
    s = services()
    with s.db.operator_transaction() as session:
        found = TenantRepository(session).find_user_by_email(body.email.strip())
    password_hash = None if found is None else found[0].password_hash
    if not s.passwords.matches(password_hash, body.password[: MAX_LENGTH + 1]) or found is None:
        raise InvalidCredentials
    user, tenant = found
    if not tenant.is_active:
        raise TenantInactive
    if not user.is_active:
        raise UserInactive
    with s.db.transaction(tenant.id) as session:
        signed_in = _start_session(SessionRepository(session), user, tenant)
    return _with_cookie(answer(signed_in), signed_in.tokens.access_token)


@api.get("/me", responses={200: Account})
def me() -> Response:
    """Who is signed in."""
    who = principal()
    response = answer(Account(user=UserView.of(who.user), tenant=TenantView.of(who.tenant)))
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
            session_id, token = repository.rotate(tenant_id, body.refresh_token, lifetime=lifetime)
            active = repository.find_active(tenant_id, session_id)
            user_id = active.user.id if active else None
    except RefreshTokenReused:
        with s.db.transaction(tenant_id) as session:
            SessionRepository(session).end_family(tenant_id, body.refresh_token)
        raise
    assert user_id is not None  # noqa: S101 - rotate() has just found the session active
    tokens = _tokens(tenant_id, user_id, session_id, token)
    return _with_cookie(answer(Refreshed(tokens=tokens)), tokens.access_token)


@api.post("/logout", responses={200: Answer})
@public
def logout() -> Response:
    """End the session on every instance, its access token included. Always succeeds."""
    who = found_principal()
    if who is not None:
        with services().db.transaction(who.tenant_id) as session:
            SessionRepository(session).end(who.tenant_id, who.session_id, reason="logged_out")
    response = answer(Answer())
    response.delete_cookie(SESSION_COOKIE, path="/api")
    return response


@api.post("/logout-all", responses={200: SessionsRevoked})
def logout_all() -> Response:
    """End all sessions of the user but this one."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        count = SessionRepository(session).end_others(who.tenant_id, who.user_id, keep=who.session_id)
    return answer(SessionsRevoked(sessions_revoked=count))


@api.get("/sessions", responses={200: Sessions})
def list_sessions() -> Response:
    """The user's running sessions."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        rows = SessionRepository(session).list_active(who.tenant_id, who.user_id)
    return answer(Sessions(sessions=[SessionView.of(row, who.session_id) for row in rows]))


@api.delete("/sessions/<session_id>", responses={200: Answer})
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


def _start_session(repository: SessionRepository, user: User, tenant: Tenant) -> SignedIn:
    session_id, refresh_token = repository.start(
        tenant.id,
        user.id,
        lifetime=timedelta(seconds=services().settings.refresh_token_seconds),
        user_agent=request.user_agent.string,
        ip_address=_address(),
    )
    return SignedIn(
        user=UserView.of(user),
        tenant=TenantView.of(tenant),
        tokens=_tokens(tenant.id, user.id, session_id, refresh_token),
    )


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

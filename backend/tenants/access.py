"""From an access token or an API key to who is asking."""

import time
from dataclasses import dataclass
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from backend.db.transaction import Database
from backend.errors import Forbidden, Invalid, Unauthenticated
from backend.keyring import Keyring, TokenExpired, TokenInvalid
from backend.tenants.api_keys.repository import KEY_PREFIX, ApiKeyInvalid, ApiKeyRepository, tenant_of_key
from backend.tenants.models import Tenant, User
from backend.tenants.repository import SessionRepository, SessionRevoked
from backend.tenants.watch.repository import Holder

PURPOSE = "access"
ALL_SCOPES = frozenset({"read", "write", "admin"})


class AccessTokenInvalid(Unauthenticated):
    """This access token is not valid."""

    code = "TOKEN_INVALID"


class AccessTokenExpired(Unauthenticated):
    """This access token has expired; sign in again."""

    code = "TOKEN_EXPIRED"


class InvalidEmail(Invalid):
    """This is not an e-mail address that mail can be sent to."""


class SessionNeeded(Forbidden):
    """An API key cannot do this; sign in."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a person of a tenant, in a session or through a program that holds one of their keys."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID | None
    """None for an API key, which has no session to end, list or refresh."""
    user: User
    tenant: Tenant
    scopes: frozenset[str] = ALL_SCOPES
    """What may be done at most, whatever the role allows."""
    key_id: UUID | None = None
    """The API key; None in a session."""

    @property
    def is_admin(self) -> bool:
        """Whether what is kept for administrators is allowed: by the role as it is now, and by the key."""
        return self.user.role == "admin" and "admin" in self.scopes

    @property
    def holder(self) -> Holder:
        """What this rests on, for what stays open after the request."""
        return Holder(self.tenant_id, self.user_id, self.session_id, self.key_id)

    @property
    def in_session(self) -> UUID:
        """The session. Raises SessionNeeded for an API key."""
        if self.session_id is None:
            raise SessionNeeded
        return self.session_id


def issue_access_token(
    keyring: Keyring, *, tenant_id: UUID, user_id: UUID, session_id: UUID, lifetime_seconds: int
) -> str:
    """A JWT that names the session; what it may do is decided by the session's row."""
    now = int(time.time())
    return keyring.sign(
        PURPOSE,
        {
            "sub": str(user_id),
            "tid": str(tenant_id),
            "sid": str(session_id),
            "iat": now,
            "exp": now + lifetime_seconds,
        },
    )


def authenticate(db: Database, keyring: Keyring, token: str) -> Principal:
    """Who holds `token`, an access token or an API key; one indexed read, so what is revoked is so at once.

    Raises:
        AccessTokenInvalid, AccessTokenExpired, ApiKeyInvalid: the token itself.
        SessionRevoked: the session has ended, or its user or tenant was deactivated.
    """
    return (
        _authenticate_key(db, token)
        if token.startswith(KEY_PREFIX)
        else authenticate_session(db, keyring, token)
    )


def authenticate_session(db: Database, keyring: Keyring, token: str) -> Principal:
    """The same for an access token alone: a browser's cookie is never a program's key."""
    try:
        claims = keyring.verify(PURPOSE, token)
        tenant_id, user_id, session_id = (UUID(str(claims[name])) for name in ("tid", "sub", "sid"))
    except TokenExpired as error:
        raise AccessTokenExpired from error
    except (TokenInvalid, KeyError, ValueError, TypeError) as error:
        raise AccessTokenInvalid from error
    with db.transaction(tenant_id) as session:
        active = SessionRepository(session).find_active(tenant_id, session_id)
    if active is None or active.user.id != user_id:
        raise SessionRevoked
    return Principal(tenant_id, user_id, session_id, active.user, active.tenant)


def _authenticate_key(db: Database, token: str) -> Principal:
    tenant_id = tenant_of_key(token)
    with db.transaction(tenant_id) as session:
        found = ApiKeyRepository(session).find_active(tenant_id, token)
    if found is None:
        raise ApiKeyInvalid
    return Principal(
        tenant_id, found.user.id, None, found.user, found.tenant, frozenset(found.scopes), found.key_id
    )


def normalized_email(email: str) -> str:
    """One spelling for every way to write an address. Raises EmailNotValidError."""
    return validate_email(email.strip(), check_deliverability=False).normalized.lower()


def account_name(email: str) -> str:
    """The spelling under which a log-in looks for `email`, which may be no address."""
    try:
        return normalized_email(email)
    except EmailNotValidError:
        # Not asked for by sign-up, but accounts can be made without it.
        return email.strip().lower()

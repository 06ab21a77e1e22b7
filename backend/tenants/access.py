"""From an access token to who is asking."""

import time
from dataclasses import dataclass
from uuid import UUID

from backend.db.transaction import Database
from backend.errors import Unauthenticated
from backend.keyring import Keyring, TokenExpired, TokenInvalid
from backend.tenants.models import Tenant, User
from backend.tenants.repository import SessionRepository, SessionRevoked

PURPOSE = "access"


class AccessTokenInvalid(Unauthenticated):
    """This access token is not valid."""

    code = "TOKEN_INVALID"


class AccessTokenExpired(Unauthenticated):
    """This access token has expired; sign in again."""

    code = "TOKEN_EXPIRED"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a person of a tenant in a session."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    user: User
    tenant: Tenant

    @property
    def is_admin(self) -> bool:
        return self.user.role == "admin"


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
    """Who holds `token`.

    Raises:
        AccessTokenInvalid, AccessTokenExpired: the token itself.
        SessionRevoked: the session has ended, or its user or tenant was deactivated.
    """
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

"""Makes, finds, lists and revokes API keys."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, Forbidden, NotFound, Unauthenticated
from backend.tenants.models import ApiKey, Tenant, User

KEY_PREFIX = "sbk_"
#: Keys in use that one user may have.
MOST_KEYS = 50

_SECRET_BYTES = 32
_LAST_USED_PRECISION = timedelta(minutes=5)
#: What each role may hand on.
_SCOPES_OF_ROLES = (
    ("admin", frozenset({"read", "write", "admin"})),
    ("member", frozenset({"read", "write"})),
    ("viewer", frozenset({"read"})),
)


class ApiKeyInvalid(Unauthenticated):
    """This API key is not valid: unknown, revoked, expired, or of somebody who was deactivated."""


class ApiKeyNotFound(NotFound):
    """There is no such API key."""


class ScopeBeyondRole(Forbidden):
    """A key cannot do more than its maker may."""


class TooManyApiKeys(Conflict):
    """There are too many API keys; revoke one first."""


@dataclass(frozen=True, slots=True)
class ActiveKey:
    """A key that counts right now, with its person and workspace."""

    key_id: UUID
    scopes: tuple[str, ...]
    user: User
    tenant: Tenant


def tenant_of_key(token: str) -> UUID:
    """The tenant named in an API key, which row level security must know first. Raises ApiKeyInvalid."""
    return _parse(token)[0]


def key_prefix(key_id: UUID) -> str:
    """How a key begins: what a list, a log or a search for leaked secrets can show."""
    return f"{KEY_PREFIX}{key_id.hex}_"


class ApiKeyRepository:
    """API keys, within the caller's transaction (the tenant's)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self, user: User, *, name: str, scopes: Collection[str], lifetime: timedelta | None
    ) -> tuple[ApiKey, str]:
        """A new key that acts for `user`, and its text, which is shown here and never again.

        Raises:
            ScopeBeyondRole: the user's role allows less.
            TooManyApiKeys: MOST_KEYS are in use.
        """
        if not set(scopes) <= dict(_SCOPES_OF_ROLES)[user.role]:
            raise ScopeBeyondRole
        in_use = self._session.scalar(
            select(func.count())
            .select_from(ApiKey)
            .where(ApiKey.tenant_id == user.tenant_id, ApiKey.user_id == user.id, *_counts())
        )
        if (in_use or 0) >= MOST_KEYS:
            raise TooManyApiKeys
        key_id = uuid4()
        secret = user.tenant_id.bytes + secrets.token_bytes(_SECRET_BYTES)
        token = key_prefix(key_id) + base64.urlsafe_b64encode(secret).decode()
        key = ApiKey(
            tenant_id=user.tenant_id,
            id=key_id,
            user_id=user.id,
            name=name,
            secret_sha256=_sha256(token),
            scopes=sorted(scopes),
            expires_at=None if lifetime is None else func.now() + lifetime,
        )
        self._session.add(key)
        self._session.flush()
        self._session.refresh(key)
        return key, token

    def find_active(self, tenant_id: UUID, token: str) -> ActiveKey | None:
        """The key if it counts: not revoked, not expired, its user and tenant active. One indexed read.

        Raises ApiKeyInvalid when `token` has not the shape of a key.
        """
        key_id = _parse(token)[1]
        row = self._session.execute(
            select(
                ApiKey.scopes,
                User,
                Tenant,
                func.coalesce(ApiKey.last_used_at < func.now() - _LAST_USED_PRECISION, True),
            )
            .join(User, (User.tenant_id == ApiKey.tenant_id) & (User.id == ApiKey.user_id))
            .join(Tenant, Tenant.id == ApiKey.tenant_id)
            .where(
                ApiKey.tenant_id == tenant_id,
                ApiKey.id == key_id,
                ApiKey.secret_sha256 == _sha256(token),
                *_counts(),
                User.deactivated_at.is_(None),
                Tenant.deactivated_at.is_(None),
            )
        ).one_or_none()
        if row is None:
            return None
        scopes, user, tenant, is_stale = row
        if is_stale:
            self._session.execute(
                update(ApiKey)
                .where(ApiKey.tenant_id == tenant_id, ApiKey.id == key_id)
                .values(last_used_at=func.now())
            )
        return ActiveKey(key_id, tuple(scopes), user, tenant)

    def list_of(self, tenant_id: UUID, user_id: UUID | None = None) -> Sequence[tuple[ApiKey, str]]:
        """Keys of the user, or of everybody in the tenant, with their users' addresses; the newest first."""
        wanted = [ApiKey.tenant_id == tenant_id]
        if user_id is not None:
            wanted.append(ApiKey.user_id == user_id)
        rows = self._session.execute(
            select(ApiKey, User.email)
            .join(User, (User.tenant_id == ApiKey.tenant_id) & (User.id == ApiKey.user_id))
            .where(*wanted)
            .order_by(ApiKey.created_at.desc(), ApiKey.id)
        )
        return [(key, email) for key, email in rows]

    def revoke(self, tenant_id: UUID, key_id: UUID, *, user_id: UUID | None = None) -> None:
        """Ends a key, of `user_id` if given, with the commit and on every instance; again changes nothing.

        Raises ApiKeyNotFound.
        """
        wanted = [ApiKey.tenant_id == tenant_id, ApiKey.id == key_id]
        if user_id is not None:
            wanted.append(ApiKey.user_id == user_id)
        found = self._session.scalar(
            update(ApiKey)
            .where(*wanted)
            .values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
            .returning(ApiKey.id)
        )
        if found is None:
            raise ApiKeyNotFound


def _counts() -> tuple[ColumnElement[bool], ...]:
    return (ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()))


def _parse(token: str) -> tuple[UUID, UUID]:
    """Tenant and id. Raises ApiKeyInvalid."""
    try:
        key_id, secret = token.removeprefix(KEY_PREFIX).split("_", 1)
        raw = base64.b64decode(secret, altchars=b"-_", validate=True)
        if len(raw) != 16 + _SECRET_BYTES:
            raise ApiKeyInvalid
        return UUID(bytes=raw[:16]), UUID(hex=key_id)
    except (ValueError, binascii.Error) as error:
        raise ApiKeyInvalid from error


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()

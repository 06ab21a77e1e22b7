"""Reads and writes tenants, users, sessions and refresh tokens."""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as DbSession

from backend.db.notify import Channel
from backend.db.transaction import hint
from backend.errors import Conflict, Invalid, NotFound, Unauthenticated
from backend.tenants.models import RefreshToken, Session, Tenant, User

_SLUG_ATTEMPTS = 5
_LAST_USED_PRECISION = timedelta(minutes=5)


class EmailExists(Invalid):
    """An account with this e-mail address already exists."""

    # Not `Conflict`: for clients an address that is taken is one more field to correct.


class TenantNotFound(NotFound):
    """There is no such workspace."""


class SessionNotFound(NotFound):
    """There is no such session."""


class SessionRevoked(Unauthenticated):
    """This session has ended; sign in again."""


class InvalidRefreshToken(Unauthenticated):
    """This refresh token is not valid."""


class RefreshTokenExpired(Unauthenticated):
    """This refresh token has expired; sign in again."""


class RefreshTokenReused(Unauthenticated):
    """This refresh token was used before, so its session was ended; sign in again."""

    code = "INVALID_REFRESH_TOKEN"


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A session that counts right now, with its person and workspace."""

    session_id: UUID
    user: User
    tenant: Tenant


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a refresh token was exchanged for."""

    session_id: UUID
    user_id: UUID
    refresh_token: str
    """The next one; shown here and never again."""


class TenantRepository:
    """Tenants and users, within the caller's transaction."""

    def __init__(self, session: DbSession) -> None:
        self._session = session

    def create_tenant(self, tenant_id: UUID, *, name: str) -> Tenant:
        """A new tenant; its slug is made from `name`, with a suffix if that one is taken."""
        base = _slug(name)
        for attempt in range(_SLUG_ATTEMPTS):
            slug = base if attempt == 0 else f"{base[:54]}-{secrets.token_hex(3)}"
            tenant = Tenant(id=tenant_id, name=name, slug=slug)
            try:
                with self._session.begin_nested():
                    self._session.add(tenant)
            except IntegrityError as error:
                if "uq_tenants_slug" not in str(error.orig):
                    raise
            else:
                self._session.refresh(tenant)
                return tenant
        raise Conflict("No free short name was found for this workspace; choose another name.")

    def create_user(
        self, tenant_id: UUID, *, email: str, full_name: str, role: str, password_hash: str
    ) -> User:
        """A new user of the tenant. Raises EmailExists."""
        user = User(
            tenant_id=tenant_id,
            email=email.lower(),
            full_name=full_name,
            role=role,
            password_hash=password_hash,
        )
        try:
            with self._session.begin_nested():
                self._session.add(user)
        except IntegrityError as error:
            if "uq_users_email" in str(error.orig):
                raise EmailExists from error
            raise
        self._session.refresh(user)
        return user

    def find_user_by_email(self, email: str) -> tuple[User, Tenant] | None:
        """The user with this address in any tenant, and the tenant (operator transaction only)."""
        row = self._session.execute(
            select(User, Tenant).join(Tenant, Tenant.id == User.tenant_id).where(User.email == email.lower())
        ).one_or_none()
        return None if row is None else (row[0], row[1])

    def get_tenant_by_slug(self, slug: str) -> Tenant:
        """The tenant called `slug` (operator transaction only). Raises TenantNotFound."""
        tenant = self._session.scalar(select(Tenant).where(Tenant.slug == slug))
        if tenant is None:
            raise TenantNotFound(f"There is no workspace called {slug!r}.")
        return tenant

    def get_account(self, tenant_id: UUID, user_id: UUID) -> tuple[User, Tenant]:
        """The user and the tenant. Raises NotFound."""
        row = self._session.execute(
            select(User, Tenant)
            .join(Tenant, Tenant.id == User.tenant_id)
            .where(User.tenant_id == tenant_id, User.id == user_id)
        ).one_or_none()
        if row is None:
            raise NotFound("There is no such account.")
        return row[0], row[1]


class SessionRepository:
    """Sessions and their refresh tokens, within the caller's transaction."""

    def __init__(self, session: DbSession) -> None:
        self._session = session

    def start(
        self,
        tenant_id: UUID,
        user_id: UUID,
        *,
        lifetime: timedelta,
        user_agent: str | None,
        ip_address: str | None,
    ) -> tuple[UUID, str]:
        """A new session and its first refresh token, which is shown here and never again."""
        row = Session(
            tenant_id=tenant_id,
            user_id=user_id,
            user_agent=(user_agent or "")[:200] or None,
            ip_address=ip_address,
            expires_at=func.now() + lifetime,
        )
        self._session.add(row)
        self._session.flush()
        return row.id, self._issue(tenant_id, row.id, lifetime)

    def find_active(self, tenant_id: UUID, session_id: UUID) -> ActiveSession | None:
        """The session if it counts: not ended, not expired, its user and tenant active. One indexed read."""
        row = self._session.execute(
            select(Session, User, Tenant, Session.last_used_at < func.now() - _LAST_USED_PRECISION)
            .join(User, (User.tenant_id == Session.tenant_id) & (User.id == Session.user_id))
            .join(Tenant, Tenant.id == Session.tenant_id)
            .where(
                Session.tenant_id == tenant_id,
                Session.id == session_id,
                Session.ended_at.is_(None),
                Session.expires_at > func.now(),
                User.deactivated_at.is_(None),
                Tenant.deactivated_at.is_(None),
            )
        ).one_or_none()
        if row is None:
            return None
        session, user, tenant, is_stale = row
        if is_stale:
            self._session.execute(
                update(Session)
                .where(Session.tenant_id == tenant_id, Session.id == session_id)
                .values(last_used_at=func.now())
            )
        return ActiveSession(session.id, user, tenant)

    def rotate(self, tenant_id: UUID, token: str, *, lifetime: timedelta) -> Rotated:
        """Exchanges a refresh token for the next one of its session, which then lives for `lifetime`.

        One statement decides, so of several concurrent exchanges exactly one succeeds.

        Raises:
            InvalidRefreshToken: unknown, or its session has ended.
            RefreshTokenExpired: too old.
            RefreshTokenReused: exchanged before. The caller must call `end_family` in a transaction that
                commits: this one is about to be rolled back.
        """
        digest = _sha256(token)
        session_id = self._session.scalar(
            update(RefreshToken)
            .where(
                RefreshToken.tenant_id == tenant_id,
                RefreshToken.token_sha256 == digest,
                RefreshToken.rotated_at.is_(None),
                RefreshToken.expires_at > func.now(),
            )
            .values(rotated_at=func.now())
            .returning(RefreshToken.session_id)
        )
        if session_id is None:
            known = self._session.scalar(
                select(RefreshToken).where(
                    RefreshToken.tenant_id == tenant_id, RefreshToken.token_sha256 == digest
                )
            )
            if known is None:
                raise InvalidRefreshToken
            raise RefreshTokenExpired if known.rotated_at is None else RefreshTokenReused
        active = self.find_active(tenant_id, session_id)
        # Asked again by the statement that extends it: a log-out may have committed since, or waits for us.
        extended = active and self._session.scalar(
            update(Session)
            .where(Session.tenant_id == tenant_id, Session.id == session_id, Session.ended_at.is_(None))
            .values(last_used_at=func.now(), expires_at=func.now() + lifetime)
            .returning(Session.id)
        )
        if active is None or extended is None:
            raise InvalidRefreshToken
        return Rotated(session_id, active.user.id, self._issue(tenant_id, session_id, lifetime))

    def end_family(self, tenant_id: UUID, token: str) -> None:
        """Ends the session that a reused refresh token belongs to."""
        session_id = self._session.scalar(
            select(RefreshToken.session_id).where(
                RefreshToken.tenant_id == tenant_id, RefreshToken.token_sha256 == _sha256(token)
            )
        )
        if session_id is not None:
            self.end(tenant_id, session_id, reason="reuse_detected")

    def end(self, tenant_id: UUID, session_id: UUID, *, reason: str, user_id: UUID | None = None) -> bool:
        """Ends a session, of `user_id` if given; False when there was no such session still running."""
        condition = [Session.tenant_id == tenant_id, Session.id == session_id, Session.ended_at.is_(None)]
        if user_id is not None:
            condition.append(Session.user_id == user_id)
        ended = self._session.scalar(
            update(Session)
            .where(*condition)
            .values(ended_at=func.now(), end_reason=reason)
            .returning(Session.id)
        )
        if ended is None:
            return False
        hint(self._session, Channel.SESSIONS, tenant_id, session_id)
        return True

    def end_others(self, tenant_id: UUID, user_id: UUID, *, keep: UUID) -> int:
        """Ends all of the user's sessions but `keep`; returns how many."""
        ended = self._session.scalars(
            update(Session)
            .where(
                Session.tenant_id == tenant_id,
                Session.user_id == user_id,
                Session.id != keep,
                Session.ended_at.is_(None),
            )
            .values(ended_at=func.now(), end_reason="revoked")
            .returning(Session.id)
        ).all()
        for session_id in ended:
            hint(self._session, Channel.SESSIONS, tenant_id, session_id)
        return len(ended)

    def end_everywhere(self, *, reason: str) -> int:
        """Ends every session of every tenant (operator transaction); returns how many."""
        ended = self._session.scalars(
            update(Session)
            .where(Session.ended_at.is_(None))
            .values(ended_at=func.now(), end_reason=reason)
            .returning(Session.id)
        )
        return len(ended.all())

    def list_active(self, tenant_id: UUID, user_id: UUID) -> Sequence[Session]:
        """The user's running sessions, the most recently used first."""
        return self._session.scalars(
            select(Session)
            .where(
                Session.tenant_id == tenant_id,
                Session.user_id == user_id,
                Session.ended_at.is_(None),
                Session.expires_at > func.now(),
            )
            .order_by(Session.last_used_at.desc(), Session.id)
        ).all()

    def purge_expired(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes sessions that expired more than `older_than` ago, with their refresh tokens, at most `limit`.

        For the operator transaction; returns how many. An ended session is kept until it would have expired,
        so that its tokens are still told apart from unknown ones.
        """
        doomed = (
            select(Session.tenant_id, Session.id)
            .where(Session.expires_at < func.now() - older_than)
            .limit(limit)
            .cte("doomed")
        )
        deleted = self._session.execute(
            delete(Session)
            .where(Session.tenant_id == doomed.c.tenant_id, Session.id == doomed.c.id)
            .returning(Session.id)
        ).all()
        return len(deleted)

    def _issue(self, tenant_id: UUID, session_id: UUID, lifetime: timedelta) -> str:
        token = f"{tenant_id.hex}.{secrets.token_urlsafe(32)}"
        self._session.add(
            RefreshToken(
                tenant_id=tenant_id,
                token_sha256=_sha256(token),
                session_id=session_id,
                expires_at=func.now() + lifetime,
            )
        )
        self._session.flush()
        return token


def tenant_of_refresh_token(token: str) -> UUID:
    """The tenant named in front of a refresh token. Raises InvalidRefreshToken."""
    try:
        return UUID(token.partition(".")[0])
    except ValueError as error:
        raise InvalidRefreshToken from error


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "workspace"

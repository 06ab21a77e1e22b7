"""Issue, begin, consume (once), purge."""

import hashlib
from datetime import timedelta
from typing import NoReturn
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from backend.errors import Conflict, Expired, Forbidden, NotFound
from backend.oauth.models import OAuthNonce
from backend.tenants.models import Tenant, User


class NonceNotFound(NotFound):
    """This connection attempt is unknown; start again."""


class NonceAlreadyUsed(Conflict):
    """This connection attempt was already used; start again."""


class NonceExpired(Expired):
    """This connection attempt took too long; start again."""


class NonceOfAnotherBrowser(Forbidden):
    """This connection attempt was started in another browser."""


class NonceMismatch(Forbidden):
    """This connection attempt belongs to another account or connector."""


class OAuthNonceRepository:
    """One-time nonces, within the caller's transaction. `nonce` and `browser` are the secrets, never stored."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def issue(
        self, tenant_id: UUID, nonce: str, *, user_id: UUID, connector_type: str, lifetime: timedelta
    ) -> None:
        """Records a fresh nonce that counts for `lifetime`."""
        self._session.add(
            OAuthNonce(
                tenant_id=tenant_id,
                nonce_sha256=_sha256(nonce),
                user_id=user_id,
                connector_type=connector_type,
                expires_at=func.now() + lifetime,
            )
        )
        self._session.flush()

    def begin(self, tenant_id: UUID, nonce: str, *, user_id: UUID, connector_type: str, browser: str) -> None:
        """Binds the nonce to the browser that goes on to the provider; succeeds once.

        Raises:
            NonceAlreadyUsed: a browser has begun it before.
            NonceNotFound, NonceExpired, NonceMismatch: it does not count (any more).
        """
        begun = self._session.execute(
            update(OAuthNonce)
            .where(
                *self._counts(tenant_id, nonce, user_id, connector_type),
                OAuthNonce.begun_at.is_(None),
            )
            .values(begun_at=func.now(), browser_sha256=_sha256(browser))
            .returning(OAuthNonce.tenant_id)
        ).one_or_none()
        if begun is None:
            self._explain(tenant_id, nonce, user_id, connector_type, browser=None)

    def consume(
        self, tenant_id: UUID, nonce: str, *, user_id: UUID, connector_type: str, browser: str
    ) -> None:
        """Takes the nonce, once: of any number of concurrent calls, on any instances, one returns.

        A call from another browser, for another account or connector, takes nothing.

        Raises:
            NonceAlreadyUsed: taken before.
            NonceOfAnotherBrowser: begun by a different browser, or by none.
            NonceNotFound, NonceExpired, NonceMismatch: it does not count (any more).
        """
        consumed = self._session.execute(
            update(OAuthNonce)
            .where(
                *self._counts(tenant_id, nonce, user_id, connector_type),
                OAuthNonce.browser_sha256 == _sha256(browser),
            )
            .values(used_at=func.now())
            .returning(OAuthNonce.tenant_id)
        ).one_or_none()
        if consumed is None:
            self._explain(tenant_id, nonce, user_id, connector_type, browser=browser)

    def void(self, tenant_id: UUID, *, user_id: UUID | None = None) -> None:
        """Ends every attempt of the tenant, or of one user of it, that has not been used."""
        statement = update(OAuthNonce).where(
            OAuthNonce.tenant_id == tenant_id,
            OAuthNonce.used_at.is_(None),
            OAuthNonce.expires_at > func.now(),
        )
        if user_id is not None:
            statement = statement.where(OAuthNonce.user_id == user_id)
        self._session.execute(statement.values(expires_at=func.now()))

    def purge_expired(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes nonces that expired more than `older_than` ago, at most `limit`; returns how many.

        For the operator transaction. Expiry itself is judged when a nonce is read; this only reclaims space.
        """
        doomed = (
            select(OAuthNonce.tenant_id, OAuthNonce.nonce_sha256)
            .where(OAuthNonce.expires_at < func.now() - older_than)
            .limit(limit)
            .cte("doomed")
        )
        deleted = self._session.execute(
            delete(OAuthNonce)
            .where(
                OAuthNonce.tenant_id == doomed.c.tenant_id, OAuthNonce.nonce_sha256 == doomed.c.nonce_sha256
            )
            .returning(OAuthNonce.tenant_id)
        ).all()
        return len(deleted)

    def _counts(
        self, tenant_id: UUID, nonce: str, user_id: UUID, connector_type: str
    ) -> tuple[ColumnElement[bool], ...]:
        return (
            OAuthNonce.tenant_id == tenant_id,
            OAuthNonce.nonce_sha256 == _sha256(nonce),
            OAuthNonce.user_id == user_id,
            OAuthNonce.connector_type == connector_type,
            OAuthNonce.used_at.is_(None),
            OAuthNonce.expires_at > func.now(),
            _is_active(),
        )

    def _explain(
        self, tenant_id: UUID, nonce: str, user_id: UUID, connector_type: str, *, browser: str | None
    ) -> NoReturn:
        """Says why a statement took nothing: a begin (`browser` None), or a consumption by `browser`."""
        row = self._session.execute(
            select(OAuthNonce, OAuthNonce.expires_at <= func.now(), _is_active()).where(
                OAuthNonce.tenant_id == tenant_id, OAuthNonce.nonce_sha256 == _sha256(nonce)
            )
        ).one_or_none()
        if row is None:
            raise NonceNotFound
        found, is_expired, is_active = row
        if (found.user_id, found.connector_type) != (user_id, connector_type):
            raise NonceMismatch
        if found.used_at is not None or (browser is None and found.begun_at is not None):
            raise NonceAlreadyUsed
        if not is_active:
            raise NonceMismatch("This account has been deactivated.")
        if is_expired:
            raise NonceExpired
        if browser is not None and found.browser_sha256 != _sha256(browser):
            raise NonceOfAnotherBrowser
        # Activated again since the statement looked.
        raise NonceMismatch("This account has been deactivated.")


def _is_active() -> ColumnElement[bool]:
    """Whether the nonce's user and tenant are."""
    return exists().where(
        User.tenant_id == OAuthNonce.tenant_id,
        User.id == OAuthNonce.user_id,
        User.deactivated_at.is_(None),
        Tenant.id == OAuthNonce.tenant_id,
        Tenant.deactivated_at.is_(None),
    )


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

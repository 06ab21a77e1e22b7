"""Issue, begin, consume (once), purge."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NoReturn
from uuid import UUID

from sqlalchemy import text

from backend.db.transaction import Unit
from backend.errors import Conflict, Expired, Forbidden, NotFound

# Texts, so that each can be a transaction of its own in one round trip.
_ISSUE: Final = text(
    """
    INSERT INTO oauth_nonces (tenant_id, nonce_sha256, user_id, connector_type, expires_at)
    VALUES (:tenant_id, :nonce, :user_id, :connector_type, now() + :lifetime)
    """
)
_IS_ACTIVE: Final = """
    EXISTS (SELECT FROM users AS u JOIN tenants AS t ON t.id = u.tenant_id
            WHERE u.tenant_id = n.tenant_id AND u.id = n.user_id
              AND u.deactivated_at IS NULL AND t.deactivated_at IS NULL)
"""
_COUNTS: Final = f"""
    n.tenant_id = :tenant_id AND n.nonce_sha256 = :nonce AND n.user_id = :user_id
    AND n.connector_type = :connector_type AND n.used_at IS NULL AND n.expires_at > now()
    AND {_IS_ACTIVE}
"""
_BEGIN: Final = text(
    f"""
    UPDATE oauth_nonces AS n SET begun_at = now(), browser_sha256 = :browser
    WHERE {_COUNTS} AND n.begun_at IS NULL RETURNING n.tenant_id
    """  # noqa: S608 - put together from constants of this module
)
_CONSUME: Final = text(
    f"""
    UPDATE oauth_nonces AS n SET used_at = now()
    WHERE {_COUNTS} AND n.browser_sha256 = :browser RETURNING n.tenant_id
    """  # noqa: S608
)
_FIND: Final = text(
    f"""
    SELECT n.user_id, n.connector_type, n.begun_at IS NOT NULL, n.used_at IS NOT NULL, n.expires_at <= now(),
           n.browser_sha256, {_IS_ACTIVE}
    FROM oauth_nonces AS n WHERE n.tenant_id = :tenant_id AND n.nonce_sha256 = :nonce
    """  # noqa: S608
)
_VOID: Final = text(
    """
    UPDATE oauth_nonces SET expires_at = now()
    WHERE tenant_id = :tenant_id AND user_id = coalesce(:user_id, user_id)
      AND used_at IS NULL AND expires_at > now()
    """
)
_PURGE: Final = text(
    """
    DELETE FROM oauth_nonces WHERE (tenant_id, nonce_sha256) IN (
        SELECT tenant_id, nonce_sha256 FROM oauth_nonces WHERE expires_at < now() - :older_than LIMIT :limit)
    RETURNING tenant_id
    """
)


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
    """One-time nonces, within the caller's unit of work. `nonce` and `browser` are the secrets, never stored.

    Each method is one statement that may write, so it can be a transaction by itself.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def issue(
        self, tenant_id: UUID, nonce: str, *, user_id: UUID, connector_type: str, lifetime: timedelta
    ) -> None:
        """Records a fresh nonce that counts for `lifetime`."""
        self._unit.execute(
            _ISSUE,
            {
                "tenant_id": tenant_id,
                "nonce": _sha256(nonce),
                "user_id": user_id,
                "connector_type": connector_type,
                "lifetime": lifetime,
            },
        )

    def begin(self, tenant_id: UUID, nonce: str, *, user_id: UUID, connector_type: str, browser: str) -> None:
        """Binds the nonce to the browser that goes on to the provider; succeeds once.

        Raises:
            NonceAlreadyUsed: a browser has begun it before.
            NonceNotFound, NonceExpired, NonceMismatch: it does not count (any more).
        """
        values = _values(tenant_id, nonce, user_id, connector_type, browser)
        if self._unit.execute(_BEGIN, values).one_or_none() is None:
            self._explain(values, is_beginning=True)

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
        values = _values(tenant_id, nonce, user_id, connector_type, browser)
        if self._unit.execute(_CONSUME, values).one_or_none() is None:
            self._explain(values, is_beginning=False)

    def void(self, tenant_id: UUID, *, user_id: UUID | None = None) -> None:
        """Ends every attempt of the tenant, or of one user of it, that has not been used."""
        self._unit.execute(_VOID, {"tenant_id": tenant_id, "user_id": user_id})

    def purge_expired(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes nonces that expired more than `older_than` ago, at most `limit`; returns how many.

        For the operator transaction. Expiry itself is judged when a nonce is read; this only reclaims space.
        """
        return len(self._unit.execute(_PURGE, {"older_than": older_than, "limit": limit}).all())

    def _explain(self, values: Mapping[str, Any], *, is_beginning: bool) -> NoReturn:
        """Says why a statement with `values` took nothing."""
        row = self._unit.execute(_FIND, values).one_or_none()
        if row is None:
            raise NonceNotFound
        user_id, connector_type, is_begun, is_used, is_expired, browser, is_active = row
        if (user_id, connector_type) != (values["user_id"], values["connector_type"]):
            raise NonceMismatch
        if is_used or (is_beginning and is_begun):
            raise NonceAlreadyUsed
        if not is_active:
            raise NonceMismatch("This account has been deactivated.")
        if is_expired:
            raise NonceExpired
        if not is_beginning and browser != values["browser"]:
            raise NonceOfAnotherBrowser
        # Activated again since the statement looked.
        raise NonceMismatch("This account has been deactivated.")


def _values(
    tenant_id: UUID, nonce: str, user_id: UUID, connector_type: str, browser: str
) -> Mapping[str, Any]:
    return {
        "tenant_id": tenant_id,
        "nonce": _sha256(nonce),
        "user_id": user_id,
        "connector_type": connector_type,
        "browser": _sha256(browser),
    }


def _sha256(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

"""Store, open, claim a renewal, store what it brought, give it up."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.connectors.models import Credential
from backend.errors import NotFound
from backend.keyring import Keyring

_PURPOSE: Final = "credentials"

#: An access token is renewed this long before its end: a page may take a while to read.
STALE_SECONDS: Final = 120


class CredentialsNotFound(NotFound):
    """There are no credentials for this source; connect it again."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Credentials as they are stored now."""

    secret: bytes = field(repr=False)
    version: int
    is_stale: bool
    """Whether the access token has expired, or will within `STALE_SECONDS`, by the database's clock."""


class CredentialRepository:
    """Sealed credentials, within the caller's transaction. A row moved to another owner does not open."""

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring

    def store(
        self, tenant_id: UUID, connector_id: UUID, secret: bytes, *, expires_at: datetime | None
    ) -> None:
        """Seals `secret` and replaces what was there; a renewal under way comes too late."""
        values = self._values(tenant_id, connector_id, secret, expires_at)
        self._session.execute(
            insert(Credential)
            .values(tenant_id=tenant_id, connector_id=connector_id, **values)
            .on_conflict_do_update(
                constraint="pk_credentials", set_={**values, "version": Credential.version + 1}
            )
        )

    def open(self, tenant_id: UUID, connector_id: UUID) -> Opened:
        """What was stored. Raises CredentialsNotFound, or SealBroken when the key is missing."""
        row = self._session.execute(
            select(
                Credential.sealed,
                Credential.version,
                func.coalesce(Credential.expires_at < func.now() + timedelta(seconds=STALE_SECONDS), False),
            ).where(Credential.tenant_id == tenant_id, Credential.connector_id == connector_id)
        ).one_or_none()
        if row is None:
            raise CredentialsNotFound
        secret = self._keyring.open(_PURPOSE, row[0], bound_to=_owner(tenant_id, connector_id))
        return Opened(secret, row[1], row[2])

    def forget(self, tenant_id: UUID, connector_id: UUID) -> None:
        """Forgets what was stored; a renewal under way comes too late."""
        self._session.execute(
            delete(Credential).where(
                Credential.tenant_id == tenant_id, Credential.connector_id == connector_id
            )
        )

    def claim_renewal(
        self, tenant_id: UUID, connector_id: UUID, *, version: int, renewer: UUID, term: timedelta
    ) -> bool:
        """Whether `renewer`, and nobody else for `term`, may renew the credentials of that version.

        A provider may take a refresh token once only, so two that renew at once would lock each other out.
        """
        claimed = self._session.scalar(
            update(Credential)
            .where(
                Credential.tenant_id == tenant_id,
                Credential.connector_id == connector_id,
                Credential.version == version,
                or_(Credential.renewing_until.is_(None), Credential.renewing_until <= func.now()),
            )
            .values(renewer=renewer, renewing_until=func.now() + term)
            .returning(Credential.version)
        )
        return claimed is not None

    def store_renewed(
        self,
        tenant_id: UUID,
        connector_id: UUID,
        secret: bytes,
        *,
        expires_at: datetime | None,
        version: int,
    ) -> bool:
        """Seals and stores what came for the credentials of `version`; False when they have been replaced since.

        Whose turn it is to renew does not matter any more: a refresh token that works once was spent for these.
        """
        stored = self._session.scalar(
            update(Credential)
            .where(
                Credential.tenant_id == tenant_id,
                Credential.connector_id == connector_id,
                Credential.version == version,
            )
            .values(
                **self._values(tenant_id, connector_id, secret, expires_at), version=Credential.version + 1
            )
            .returning(Credential.version)
        )
        return stored is not None

    def give_up_renewal(self, tenant_id: UUID, connector_id: UUID, *, renewer: UUID) -> None:
        """Lets others renew them at once."""
        self._session.execute(
            update(Credential)
            .where(
                Credential.tenant_id == tenant_id,
                Credential.connector_id == connector_id,
                Credential.renewer == renewer,
            )
            .values(renewer=None, renewing_until=None)
        )

    def _values(
        self, tenant_id: UUID, connector_id: UUID, secret: bytes, expires_at: datetime | None
    ) -> dict[str, Any]:
        return {
            "sealed": self._keyring.seal(_PURPOSE, secret, bound_to=_owner(tenant_id, connector_id)),
            "expires_at": expires_at,
            "updated_at": func.now(),
            "renewer": None,
            "renewing_until": None,
        }


def _owner(tenant_id: UUID, connector_id: UUID) -> bytes:
    return tenant_id.bytes + connector_id.bytes

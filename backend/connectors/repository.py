"""Connect, read, configure, disconnect."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.connectors.models import Connector, Credential
from backend.errors import NotFound


class NotConnected(NotFound):
    """This source is not connected."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A connector as operators see it."""

    tenant: str
    type: str
    status: str
    status_reason: str | None
    account: str | None
    last_sync: str | None
    last_sync_at: datetime | None
    last_error: str | None
    next_sync_at: datetime | None
    is_paused: bool | None
    failing: int


class ConnectorRepository:
    """Connectors of one tenant, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def connect(
        self,
        tenant_id: UUID,
        connector_type: str,
        *,
        connected_by: UUID,
        account_id: str | None,
        account_label: str | None,
    ) -> Connector:
        """The tenant's one connector of this type, made or connected again; settings are kept."""
        values = {
            "status": "connected",
            "status_reason": None,
            "account_id": account_id,
            "account_label": account_label,
            "connected_by": connected_by,
            "connected_at": func.now(),
            "updated_at": func.now(),
        }
        return self._session.scalars(
            insert(Connector)
            .values(tenant_id=tenant_id, type=connector_type, **values)
            .on_conflict_do_update(constraint="uq_connectors_type", set_=values)
            .returning(Connector),
            execution_options={"populate_existing": True},
        ).one()

    def find(self, tenant_id: UUID, connector_type: str) -> Connector | None:
        """The tenant's connector of this type."""
        return self._session.scalar(
            select(Connector).where(Connector.tenant_id == tenant_id, Connector.type == connector_type)
        )

    def get(self, tenant_id: UUID, connector_type: str) -> Connector:
        """The same, if it is connected or was until its credentials broke. Raises NotConnected."""
        connector = self.find(tenant_id, connector_type)
        if connector is None or connector.status == "disconnected":
            raise NotConnected
        return connector

    def get_by_id(self, tenant_id: UUID, connector_id: UUID) -> Connector:
        """The connector, whatever its status. Raises NotConnected."""
        connector = self._session.get(Connector, (tenant_id, connector_id))
        if connector is None:
            raise NotConnected
        return connector

    def lock(self, tenant_id: UUID, connector_id: UUID) -> Connector | None:
        """The connector, which nobody else changes or locks until the transaction ends."""
        return self._session.scalar(
            select(Connector)
            .where(Connector.tenant_id == tenant_id, Connector.id == connector_id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )

    def list_by_account(self, connector_type: str, account_ids: Collection[str]) -> list[tuple[UUID, UUID]]:
        """(tenant id, id) of every tenant's connector of one of these accounts (operator transaction)."""
        rows = self._session.execute(
            select(Connector.tenant_id, Connector.id)
            .where(
                Connector.type == connector_type,
                Connector.account_id == func.any(list(account_ids)),
                Connector.status == "connected",
            )
            .order_by(Connector.tenant_id)
        )
        return [(tenant_id, connector_id) for tenant_id, connector_id in rows]

    def list_everywhere(self, slug: str | None = None) -> list[Overview]:
        """What operators see of all connectors, or of the workspace `slug`'s (operator transaction)."""
        rows = self._session.execute(
            text(
                """
                SELECT tenant, type, status, status_reason, account, last_sync, last_sync_at, last_error, next_sync_at,
                       is_paused, failing
                FROM ops.connectors WHERE CAST(:slug AS text) IS NULL OR tenant = :slug
                """
            ),
            {"slug": slug},
        )
        return [Overview(*row) for row in rows]

    def list_all(self, tenant_id: UUID) -> Sequence[Connector]:
        """All of the tenant's connectors, by type."""
        return self._session.scalars(
            select(Connector).where(Connector.tenant_id == tenant_id).order_by(Connector.type)
        ).all()

    def configure(self, tenant_id: UUID, connector_id: UUID, settings: Mapping[str, Any]) -> None:
        """Replaces what is to be synced; the values have been validated."""
        self._session.execute(
            update(Connector)
            .where(Connector.tenant_id == tenant_id, Connector.id == connector_id)
            .values(settings=dict(settings), updated_at=func.now())
        )

    def need_reconnect(self, tenant_id: UUID, connector_id: UUID, reason: str) -> None:
        """Records that the provider refuses the credentials; documents stay."""
        self._session.execute(
            update(Connector)
            .where(
                Connector.tenant_id == tenant_id,
                Connector.id == connector_id,
                Connector.status == "connected",
            )
            .values(status="needs_reconnect", status_reason=reason, updated_at=func.now())
        )

    def disconnect(self, tenant_id: UUID, connector_id: UUID) -> None:
        """Forgets the credentials; documents stay."""
        self._session.execute(
            delete(Credential).where(
                Credential.tenant_id == tenant_id, Credential.connector_id == connector_id
            )
        )
        self._session.execute(
            update(Connector)
            .where(Connector.tenant_id == tenant_id, Connector.id == connector_id)
            .values(status="disconnected", status_reason=None, updated_at=func.now())
        )

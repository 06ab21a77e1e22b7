"""Find, put, note a refusal, forget."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.connectors.models import WatchChannel


class ChannelRepository:
    """Channels of one tenant, within the caller's transaction; one a connector."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, tenant_id: UUID, connector_id: UUID) -> WatchChannel | None:
        """The connector's channel, or why there is none."""
        return self._session.scalar(
            select(WatchChannel).where(
                WatchChannel.tenant_id == tenant_id, WatchChannel.connector_id == connector_id
            ),
            execution_options={"populate_existing": True},
        )

    def put(
        self,
        tenant_id: UUID,
        connector_id: UUID,
        *,
        channel_id: str,
        resource: str,
        account_id: str | None,
        address_sha256: bytes,
        expires_at: datetime,
    ) -> None:
        """The connector's channel from now on."""
        self._put(
            tenant_id,
            connector_id,
            channel_id=channel_id,
            resource=resource,
            account_id=account_id,
            address_sha256=address_sha256,
            opened_at=func.now(),
            expires_at=expires_at,
            error=None,
        )

    def note_refusal(self, tenant_id: UUID, connector_id: UUID, error: str) -> None:
        """Why none could be opened; one that is open stays."""
        self._put(tenant_id, connector_id, error=error)

    def forget(self, tenant_id: UUID, connector_id: UUID) -> None:
        """The connector has none."""
        self._session.execute(
            delete(WatchChannel).where(
                WatchChannel.tenant_id == tenant_id, WatchChannel.connector_id == connector_id
            )
        )

    def _put(self, tenant_id: UUID, connector_id: UUID, **values: object) -> None:
        self._session.execute(
            insert(WatchChannel)
            .values(tenant_id=tenant_id, connector_id=connector_id, **values)
            .on_conflict_do_update(constraint="pk_watch_channels", set_={**values, "updated_at": func.now()})
        )

"""What a connector has brought: count it, and find some of it to be deleted."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.documents.models import Document


class SourceDocumentRepository:
    """Documents of one tenant's connectors, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list_some(self, tenant_id: UUID, connector_id: UUID, *, limit: int) -> Sequence[UUID]:
        """Ids of up to `limit` documents of the connector, tombstones included; locks them until the transaction
        ends."""
        some = (
            select(Document.id)
            .where(Document.tenant_id == tenant_id, Document.connector_id == connector_id)
            # As the index has them: what is taken next time is beside what is gone.
            .order_by(Document.external_id)
            .limit(limit)
        )
        return self._session.scalars(
            select(Document.id)
            .where(Document.tenant_id == tenant_id, Document.id.in_(some.scalar_subquery()))
            .order_by(Document.id)
            .with_for_update()
        ).all()

    def count_of(self, tenant_id: UUID, connector_id: UUID) -> int:
        """How many documents of the connector there are, tombstones included."""
        return (
            self._session.scalar(
                select(func.count())
                .select_from(Document)
                .where(Document.tenant_id == tenant_id, Document.connector_id == connector_id)
            )
            or 0
        )

    def count_by_connector(self, tenant_id: UUID) -> dict[UUID, int]:
        """How many documents each of the tenant's connectors has brought that are here."""
        rows = self._session.execute(
            select(Document.connector_id, func.count())
            .where(
                Document.tenant_id == tenant_id,
                Document.connector_id.is_not(None),
                Document.deleted_at.is_(None),
            )
            .group_by(Document.connector_id)
        )
        return {connector_id: count for connector_id, count in rows if connector_id is not None}

"""Record (once), settle, purge."""

import hashlib
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.connectors.models import WebhookDelivery

#: Longer names are kept as their hash.
_LONGEST: Final = 200


class DeliveryRepository:
    """Deliveries of one tenant, within the caller's transaction; `purge` in an operator's."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, tenant_id: UUID, connector_id: UUID, delivery_id: str) -> bool:
        """Whether it is the first of its name; of several at once, one is."""
        recorded = self._session.scalar(
            insert(WebhookDelivery)
            .values(
                tenant_id=tenant_id, connector_id=connector_id, delivery_id=_name(delivery_id), effect="sync"
            )
            .on_conflict_do_nothing()
            .returning(WebhookDelivery.delivery_id)
        )
        return recorded is not None

    def settle(self, tenant_id: UUID, connector_id: UUID, delivery_id: str, *, effect: str) -> None:
        """Writes down what it led to: sync or joined."""
        self._session.execute(
            update(WebhookDelivery)
            .where(
                WebhookDelivery.tenant_id == tenant_id,
                WebhookDelivery.connector_id == connector_id,
                WebhookDelivery.delivery_id == _name(delivery_id),
            )
            .values(effect=effect)
        )

    def purge(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes what came more than `older_than` ago, at most `limit` (operator transaction)."""
        rows = self._session.execute(
            text(
                """
                DELETE FROM webhook_deliveries AS d WHERE (d.tenant_id, d.connector_id, d.delivery_id) IN (
                    SELECT tenant_id, connector_id, delivery_id FROM webhook_deliveries
                    WHERE received_at < now() - :older_than ORDER BY received_at LIMIT :limit
                ) RETURNING d.delivery_id
                """
            ),
            {"older_than": older_than, "limit": limit},
        )
        return len(rows.all())


def _name(delivery_id: str) -> str:
    name = delivery_id.replace("\x00", "")
    return name if len(name) <= _LONGEST else f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"

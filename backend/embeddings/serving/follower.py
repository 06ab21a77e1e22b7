"""What serves a tenant, as this process knows it: seconds old at most."""

from typing import Final
from uuid import UUID

from backend.db.transaction import Database
from backend.embeddings.serving.repository import ServingModelRepository
from backend.lru import ByteLRU

#: Shorter than what the previous model's vectors outlive a switch by.
SECONDS: Final = 5.0
_BYTES: Final = 1024 * 1024
_ENTRY_BYTES: Final = 400


class ServingModels:
    """Reads through a copy in memory; safe to share between threads."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._copies: ByteLRU[UUID, tuple[str, str | None]] = ByteLRU(_BYTES, seconds=SECONDS)

    def find(self, tenant_id: UUID) -> tuple[str, str | None] | None:
        """(the model that serves, the one whose vectors are being made); None before the first document.

        Raises DatabaseUnavailable.
        """
        known = self._copies.get(tenant_id)
        if known is not None:
            return known
        with self._db.transaction(tenant_id) as session:
            row = ServingModelRepository(session).find(tenant_id)
        if row is None:
            # Not remembered: with its first document it is found at once.
            return None
        self._copies.put(tenant_id, (row.model, row.next_model), _ENTRY_BYTES)
        return row.model, row.next_model

    def forget(self, tenant_id: UUID) -> None:
        """The next look is at the row."""
        self._copies.discard(tenant_id)

"""Which of many holders still count."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text

from backend.db.transaction import Unit

_COUNTING: Final = text(
    """
    SELECT asked.place
    FROM jsonb_to_recordset(CAST(:holders AS jsonb)) AS asked (
        place int, tenant_id uuid, user_id uuid, session_id uuid, key_id uuid)
    JOIN tenants AS t ON t.id = asked.tenant_id
    LEFT JOIN users AS u ON (u.tenant_id, u.id) = (asked.tenant_id, asked.user_id)
    LEFT JOIN sessions AS s ON (s.tenant_id, s.id) = (asked.tenant_id, asked.session_id)
    LEFT JOIN api_keys AS k ON (k.tenant_id, k.id) = (asked.tenant_id, asked.key_id)
    WHERE t.deactivated_at IS NULL
      AND (asked.user_id IS NULL OR (u.id IS NOT NULL AND u.deactivated_at IS NULL))
      AND (asked.session_id IS NULL OR (s.id IS NOT NULL AND s.ended_at IS NULL AND s.expires_at > now()))
      AND (asked.key_id IS NULL OR (
          k.id IS NOT NULL AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())))
    """
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose door it is: a workspace's, and if given, a person's, by a session or an API key."""

    tenant_id: UUID
    user_id: UUID | None = None
    session_id: UUID | None = None
    key_id: UUID | None = None


class HolderRepository:
    """Across tenants: within an operator's unit of work, of one statement."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def find_counting(self, holders: Sequence[Holder]) -> frozenset[Holder]:
        """Those of which nothing has ended, expired, been revoked or been deactivated."""
        asked = [
            {
                "place": place,
                **{
                    name: None if value is None else str(value)
                    for name, value in (
                        ("tenant_id", holder.tenant_id),
                        ("user_id", holder.user_id),
                        ("session_id", holder.session_id),
                        ("key_id", holder.key_id),
                    )
                },
            }
            for place, holder in enumerate(holders)
        ]
        rows = self._unit.execute(_COUNTING, {"holders": json.dumps(asked)}).all()
        return frozenset(holders[row[0]] for row in rows)

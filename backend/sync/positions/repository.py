"""Get, move, begin anew, end a pass."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.sync.models import SyncItem, SyncPosition


class SyncPositionRepository:
    """Where reading goes on, of one tenant's connectors, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, tenant_id: UUID, connector_id: UUID) -> SyncPosition:
        """The connector's position; the beginning of a pass over everything if it has none yet."""
        self._session.execute(
            insert(SyncPosition)
            .values(tenant_id=tenant_id, connector_id=connector_id)
            .on_conflict_do_nothing()
        )
        return self._session.scalars(
            select(SyncPosition).where(
                SyncPosition.tenant_id == tenant_id, SyncPosition.connector_id == connector_id
            ),
            execution_options={"populate_existing": True},
        ).one()

    def is_full_due(self, tenant_id: UUID, connector_id: UUID, *, every: timedelta) -> bool:
        """Whether only changes are being read, and everything was last listed longer than `every` ago."""
        return bool(
            self._session.scalar(
                select(SyncPosition.full_at < func.now() - every).where(
                    SyncPosition.tenant_id == tenant_id,
                    SyncPosition.connector_id == connector_id,
                    SyncPosition.is_full.is_(False),
                )
            )
        )

    def move(
        self,
        tenant_id: UUID,
        connector_id: UUID,
        cursor: Mapping[str, Any],
        *,
        unlisted: Collection[str] = (),
    ) -> None:
        """Goes on after a page whose items have all been dealt with. `unlisted`: beginnings of the external ids that
        what could not be listed there may hide; an empty one hides everything."""
        values: dict[str, Any] = {"cursor": dict(cursor)}
        if unlisted:
            values["is_whole"] = False
            values["unlisted"] = SyncPosition.unlisted + sorted(set(unlisted))
        self._change(tenant_id, connector_id, **values)

    def begin_anew(self, tenant_id: UUID, connector_id: UUID) -> None:
        """The next page is the first of a pass over everything. What is unchanged is not read again."""
        self.get(tenant_id, connector_id)
        self._change(
            tenant_id,
            connector_id,
            cursor=None,
            is_full=True,
            is_whole=True,
            unlisted=[],
            pass_number=SyncPosition.pass_number + 1,
        )

    def end_pass(self, tenant_id: UUID, connector_id: UUID) -> int:
        """The pass under way is over; from here on only changes are read. How many items it has missed.

        A pass over everything counts a miss for what it did not show, unless something that it could not list may
        hide it.
        """
        position = self.get(tenant_id, connector_id)
        if not position.is_full:
            return 0
        hidden = func.unnest(literal(position.unlisted, SyncPosition.unlisted.type)).column_valued("hidden")
        missed = self._session.scalars(
            update(SyncItem)
            .where(
                SyncItem.tenant_id == tenant_id,
                SyncItem.connector_id == connector_id,
                SyncItem.pass_number < position.pass_number,
                ~select(hidden).where(func.starts_with(SyncItem.external_id, hidden)).exists(),
            )
            .values(missed_count=SyncItem.missed_count + 1)
            .returning(SyncItem.missed_count)
        ).all()
        self._change(tenant_id, connector_id, is_full=False, full_at=func.now())
        return len(missed)

    def _change(self, tenant_id: UUID, connector_id: UUID, **values: Any) -> None:
        self._session.execute(
            update(SyncPosition)
            .where(SyncPosition.tenant_id == tenant_id, SyncPosition.connector_id == connector_id)
            .values(updated_at=func.now(), **values)
            .execution_options(synchronize_session=False)
        )

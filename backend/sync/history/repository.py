"""The runs of a connector, page by page."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from backend.sync.models import SyncRun


class SyncHistoryRepository:
    """Runs of one tenant's connectors, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list_runs(
        self, tenant_id: UUID, connector_id: UUID, *, limit: int, before: tuple[datetime, UUID] | None = None
    ) -> Sequence[SyncRun]:
        """Runs, the newest first; `before` is the last one's (created_at, id) of the page before."""
        query = (
            select(SyncRun)
            .where(SyncRun.tenant_id == tenant_id, SyncRun.connector_id == connector_id)
            .order_by(SyncRun.created_at.desc(), SyncRun.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(tuple_(SyncRun.created_at, SyncRun.id) < before)
        return self._session.scalars(query).all()

    def list_unfinished_since(self, tenant_id: UUID, connector_id: UUID, moment: datetime) -> Sequence[UUID]:
        """Ids of unfinished runs that were asked for at `moment` or before."""
        return self._session.scalars(
            select(SyncRun.id).where(
                SyncRun.tenant_id == tenant_id,
                SyncRun.connector_id == connector_id,
                SyncRun.finished_at.is_(None),
                SyncRun.created_at <= moment,
            )
        ).all()

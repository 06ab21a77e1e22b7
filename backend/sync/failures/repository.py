"""Failures of a run: record, forget, list. Items that fail now: count, list, make due."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.sync.models import SyncError, SyncItem


@dataclass(frozen=True, slots=True)
class Failure:
    """One item a run could not take."""

    external_id: str
    url: str | None
    stage: str
    reason: str


class SyncErrorRepository:
    """Failures of one tenant's runs, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, tenant_id: UUID, run_id: UUID, failures: Iterable[Failure]) -> int:
        """Writes failures; a page done again after a crash does not count the same item twice."""
        rows = {
            f.external_id: {
                "tenant_id": tenant_id,
                "run_id": run_id,
                "external_id": f.external_id,
                "url": f.url,
                "stage": f.stage,
                "reason": f.reason,
            }
            for f in failures
        }
        if not rows:
            return 0
        written = self._session.scalars(
            insert(SyncError)
            .values(list(rows.values()))
            .on_conflict_do_nothing(constraint="pk_sync_errors")
            .returning(SyncError.external_id)
        ).all()
        return len(written)

    def forget(self, tenant_id: UUID, run_id: UUID, external_ids: Collection[str]) -> int:
        """Takes back failures of items that could be taken after all; how many there were."""
        return len(
            self._session.scalars(
                delete(SyncError)
                .where(
                    SyncError.tenant_id == tenant_id,
                    SyncError.run_id == run_id,
                    SyncError.external_id == func.any(list(external_ids)),
                )
                .returning(SyncError.external_id)
            ).all()
        )

    def list_of(
        self, tenant_id: UUID, run_id: UUID, *, limit: int = 200, after: str = ""
    ) -> Sequence[SyncError]:
        """The items the run could not take, at most `limit`, by id, beginning after the id `after`."""
        return self._session.scalars(
            select(SyncError)
            .where(
                SyncError.tenant_id == tenant_id, SyncError.run_id == run_id, SyncError.external_id > after
            )
            .order_by(SyncError.external_id)
            .limit(limit)
        ).all()


class FailingItemRepository:
    """Items of one tenant's connectors that cannot be taken now, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count_failing(self, tenant_id: UUID, connector_id: UUID) -> int:
        """How many items the source has that could not be taken."""
        return (
            self._session.scalar(
                select(func.count())
                .select_from(SyncItem)
                .where(
                    SyncItem.tenant_id == tenant_id,
                    SyncItem.connector_id == connector_id,
                    SyncItem.state == "failed",
                )
            )
            or 0
        )

    def list_failing(
        self, tenant_id: UUID, connector_id: UUID, *, limit: int, after: str = ""
    ) -> Sequence[SyncItem]:
        """Items that could not be taken, by id, beginning after the id `after`."""
        return self._session.scalars(
            select(SyncItem)
            .where(
                SyncItem.tenant_id == tenant_id,
                SyncItem.connector_id == connector_id,
                SyncItem.state == "failed",
                SyncItem.external_id > after,
            )
            .order_by(SyncItem.external_id)
            .limit(limit)
        ).all()

    def make_due(
        self, tenant_id: UUID, connector_id: UUID, external_ids: Collection[str] | None = None
    ) -> int:
        """Lets the next run try failed items again, all or those of `external_ids`; how many there are."""
        query = update(SyncItem).where(
            SyncItem.tenant_id == tenant_id, SyncItem.connector_id == connector_id, SyncItem.state == "failed"
        )
        if external_ids is not None:
            query = query.where(SyncItem.external_id == func.any(list(external_ids)))
        due = query.values(retry_at=func.now()).returning(SyncItem.external_id)
        return len(self._session.scalars(due.execution_options(synchronize_session=False)).all())

"""Request, get on, finish, give up, find."""

from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.connectors.models import SourceRemoval


class RemovalRepository:
    """Removals of one tenant, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def request(
        self, tenant_id: UUID, connector_id: UUID, *, requested_by: UUID | None, total: int
    ) -> SourceRemoval | None:
        """A new removal of `total` documents; None when one is under way already, which goes on."""
        values = {
            "job_id": None,
            "requested_by": requested_by,
            "total_count": total,
            "removed_count": 0,
            "requested_at": func.now(),
            "updated_at": func.now(),
            "finished_at": None,
            "error": None,
        }
        return self._session.scalar(
            insert(SourceRemoval)
            .values(tenant_id=tenant_id, connector_id=connector_id, **values)
            .on_conflict_do_update(
                constraint="pk_source_removals", set_=values, where=SourceRemoval.finished_at.is_not(None)
            )
            .returning(SourceRemoval),
            execution_options={"populate_existing": True},
        )

    def attach_job(self, tenant_id: UUID, connector_id: UUID, job_id: UUID) -> None:
        """Names the job that carries it out."""
        self._change(tenant_id, connector_id, job_id=job_id)

    def advance(self, tenant_id: UUID, connector_id: UUID, *, removed: int) -> None:
        """So many more documents are gone."""
        count = SourceRemoval.removed_count + removed
        self._change(
            tenant_id,
            connector_id,
            removed_count=count,
            # What a sync still wrote when this was asked for is removed as well.
            total_count=func.greatest(SourceRemoval.total_count, count),
        )

    def finish(self, tenant_id: UUID, connector_id: UUID) -> None:
        """Nothing is left. What somebody deleted one by one meanwhile counts as removed."""
        self._change(tenant_id, connector_id, removed_count=SourceRemoval.total_count, finished_at=func.now())

    def give_up(self, tenant_id: UUID, connector_id: UUID, error: str) -> None:
        """Ends it before its end; what is gone is gone, the rest stays until it is asked for again."""
        self._change(tenant_id, connector_id, error=error, finished_at=func.now())

    def find(self, tenant_id: UUID, connector_id: UUID) -> SourceRemoval | None:
        """The connector's removal, the one under way or the last one."""
        return self._session.scalar(
            select(SourceRemoval).where(
                SourceRemoval.tenant_id == tenant_id, SourceRemoval.connector_id == connector_id
            ),
            execution_options={"populate_existing": True},
        )

    def list_open(self, tenant_id: UUID) -> dict[UUID, SourceRemoval]:
        """Removals that are under way or were given up, by connector."""
        rows = self._session.scalars(
            select(SourceRemoval).where(
                SourceRemoval.tenant_id == tenant_id,
                SourceRemoval.finished_at.is_(None) | SourceRemoval.error.is_not(None),
            )
        )
        return {row.connector_id: row for row in rows}

    def _change(self, tenant_id: UUID, connector_id: UUID, **values: object) -> None:
        self._session.execute(
            update(SourceRemoval)
            .where(
                SourceRemoval.tenant_id == tenant_id,
                SourceRemoval.connector_id == connector_id,
                SourceRemoval.finished_at.is_(None),
            )
            .values(updated_at=func.now(), **values)
            .execution_options(synchronize_session=False)
        )

"""Find, keep (whoever stores passages), begin, advance, switch, finish, give up."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.embeddings.models import ServingModel


class ServingModelRepository:
    """Serving models, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, tenant_id: UUID) -> ServingModel | None:
        """What serves; None before the first document."""
        return self._session.scalar(
            select(ServingModel).where(ServingModel.tenant_id == tenant_id),
            execution_options={"populate_existing": True},
        )

    def keep(self, tenant_id: UUID, model: str) -> ServingModel:
        """What serves: `model` if nothing does yet. No other begins to serve until the transaction ends."""
        held = (
            select(ServingModel)
            .where(ServingModel.tenant_id == tenant_id)
            .with_for_update(read=True)
            .execution_options(populate_existing=True)
        )
        serving = self._session.scalar(held)
        if serving is None:
            # The first document, or one of several that are stored at the same moment.
            self._session.execute(
                insert(ServingModel).values(tenant_id=tenant_id, model=model).on_conflict_do_nothing()
            )
            serving = self._session.execute(held).scalar_one()
        return serving

    def lock(self, tenant_id: UUID) -> ServingModel | None:
        """The row, for a change of it: waits for whoever stores passages at this moment."""
        return self._session.scalar(
            select(ServingModel)
            .where(ServingModel.tenant_id == tenant_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    def begin(
        self, tenant_id: UUID, next_model: str, *, total: int, done: int, requested_by: UUID | None
    ) -> None:
        """`next_model` is to serve; its vectors are made from now on."""
        self._change(
            tenant_id,
            next_model=next_model,
            state="embedding",
            requested_by=requested_by,
            total_count=func.greatest(total, done),
            done_count=done,
            started_at=func.now(),
            switched_at=None,
            finished_at=None,
            error=None,
        )

    def attach_job(self, tenant_id: UUID, job_id: UUID) -> None:
        """Names the job that carries it out."""
        self._change(tenant_id, job_id=job_id)

    def advance(self, tenant_id: UUID, *, done: int) -> None:
        """So many more passages have a vector of the next model."""
        count = ServingModel.done_count + done
        self._change(tenant_id, done_count=count, total_count=func.greatest(ServingModel.total_count, count))

    def switch(self, tenant_id: UUID) -> None:
        """The next model serves, from the commit on."""
        self._change(
            tenant_id,
            previous_model=ServingModel.model,
            model=ServingModel.next_model,
            next_model=None,
            state="purging",
            done_count=ServingModel.total_count,
            switched_at=func.now(),
        )

    def is_settled(self, tenant_id: UUID, grace: timedelta) -> bool:
        """Whether the switch was longer ago than `grace`, by the database's clock."""
        return bool(
            self._session.scalar(
                select(ServingModel.switched_at < func.now() - grace).where(
                    ServingModel.tenant_id == tenant_id
                )
            )
        )

    def finish(self, tenant_id: UUID) -> None:
        """Nothing of the previous model is left."""
        self._change(tenant_id, state="serving", finished_at=func.now())

    def give_up(self, tenant_id: UUID, error: str) -> None:
        """The model that serves goes on; what was made of the next one's vectors is kept for another try."""
        self._change(tenant_id, next_model=None, state="serving", finished_at=func.now(), error=error[:2000])

    def list_outdated(self, configured: str, *, limit: int) -> Sequence[UUID]:
        """Tenants whom another model than `configured` serves, and that has not begun to change, in an operator's
        transaction. Not those whom `configured` served before: two processes that are configured differently must not
        change it to and fro; nor those whose last try was given up within an hour."""
        return self._session.scalars(
            select(ServingModel.tenant_id)
            .where(
                ServingModel.model != configured,
                ServingModel.state == "serving",
                ServingModel.previous_model.is_distinct_from(configured),
                ServingModel.error.is_(None) | (ServingModel.finished_at < func.now() - timedelta(hours=1)),
            )
            .order_by(ServingModel.tenant_id)
            .limit(limit)
        ).all()

    def _change(self, tenant_id: UUID, **values: object) -> None:
        self._session.execute(
            update(ServingModel)
            .where(ServingModel.tenant_id == tenant_id)
            .values(**values, updated_at=func.now())
        )

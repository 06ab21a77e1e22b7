"""Begins a change of a tenant's embedding model."""

from typing import Final
from uuid import UUID

import structlog

from backend.db.transaction import Database, Session
from backend.documents.vectors.repository import VectorRepository
from backend.embeddings.models import ServingModel
from backend.embeddings.serving.repository import ServingModelRepository
from backend.errors import Conflict
from backend.flows.ingest_document.store import REEMBED_KIND
from backend.jobs.repository import JobRepository

_log = structlog.get_logger(__name__)

#: Tenants that a worker begins with at a time; the others follow when the chore comes round again.
_TENANTS: Final = 20


class ChangeUnderWay(Conflict):
    """Another change of the embedding model is under way; wait until it is finished."""


def begin_change(
    session: Session, tenant_id: UUID, model: str, *, requested_by: UUID | None = None
) -> ServingModel | None:
    """Has the tenant's passages embedded by `model`, which serves once all are; what the row says now.

    Again while that is under way, and nothing more happens; for the model that serves already, what it lacks is made.
    None when the tenant has no documents, so that the first one decides. Raises ChangeUnderWay.
    """
    serving = ServingModelRepository(session)
    row = serving.lock(tenant_id)
    if row is None:
        return None
    if row.state == "embedding" and row.next_model == model:
        return row
    if row.state != "serving":
        raise ChangeUnderWay
    vectors = VectorRepository(session)
    if row.model != model:
        total, done = vectors.count_passages(tenant_id), vectors.count_of(tenant_id, model)
        serving.begin(tenant_id, model, total=total, done=done, requested_by=requested_by)
    elif not vectors.list_missing(tenant_id, model, after=None, limit=1):
        return row
    serving.attach_job(tenant_id, JobRepository(session).enqueue(tenant_id, REEMBED_KIND, {}))
    return serving.find(tenant_id)


def begin_due_changes(session: Session, db: Database, configured: str) -> int:
    """Begins to change tenants that another model than the `configured` one serves; how many.

    `session` is an operator's, to find them; each is changed in a transaction of its own.
    """
    tenants = ServingModelRepository(session).list_outdated(configured, limit=_TENANTS)
    begun = 0
    for tenant_id in tenants:
        try:
            with db.transaction(tenant_id) as own:
                begin_change(own, tenant_id, configured)
        except ChangeUnderWay:
            continue
        begun += 1
        _log.info("embedding model is being changed", tenant=str(tenant_id), model=configured)
    return begun

"""/api/admin/reindex."""

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.embeddings.models import ServingModel
from backend.embeddings.serving.repository import ServingModelRepository
from backend.flows.reembed.flow import begin_change
from backend.web import Answer, administrator, answer, services

api = APIBlueprint(
    "reindex",
    __name__,
    url_prefix="/api/admin",
    abp_tags=[Tag(name="reindex", description="Changing the embedding model")],
)


class ChangeView(BaseModel):
    """How far a change is, or the last one was."""

    model: str = Field(description="Whose vectors searches compare")
    next_model: str | None = Field(description="Whose vectors are being made; it serves once all are there")
    state: str = Field(description="serving, embedding, or purging: the previous model's vectors are deleted")
    done: int = Field(description="Passages that have a vector of the next model")
    total: int
    started_at: str | None
    switched_at: str | None
    finished_at: str | None
    error: str | None = Field(description="Why the last change was given up")


class Reindexing(Answer):
    configured_model: str = Field(description="The model this instance is configured for")
    change: ChangeView | None = Field(description="null before the first document")


@api.get("/reindex", responses={200: Reindexing})
def get_reindex() -> Response:
    """Which embedding model serves the workspace, and how far a change to another is."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        row = ServingModelRepository(session).find(who.tenant_id)
    return answer(_view(row))


@api.post("/reindex", responses={202: Reindexing})
def reindex() -> Response:
    """Have all passages embedded by the configured model, in the background; the old vectors serve until then.

    Again while that is under way, and nothing more happens; 409 while another change is.
    """
    who = administrator()
    s = services()
    with s.db.transaction(who.tenant_id) as session:
        row = begin_change(session, who.tenant_id, s.embedder.model, requested_by=who.user_id)
    s.serving_models.forget(who.tenant_id)
    return answer(_view(row), status=202)


def _view(row: ServingModel | None) -> Reindexing:
    return Reindexing(
        configured_model=services().embedder.model,
        change=None
        if row is None
        else ChangeView(
            model=row.model,
            next_model=row.next_model,
            state=row.state,
            done=row.done_count,
            total=row.total_count,
            started_at=row.started_at and row.started_at.isoformat(),
            switched_at=row.switched_at and row.switched_at.isoformat(),
            finished_at=row.finished_at and row.finished_at.isoformat(),
            error=row.error,
        ),
    )

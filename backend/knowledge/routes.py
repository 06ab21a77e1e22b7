"""/api/knowledge: entities by name, and what is around one of them."""

from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.knowledge.repository import FoundEntity, GraphRepository
from backend.web import Answer, answer, principal, services

api = APIBlueprint(
    "knowledge",
    __name__,
    url_prefix="/api/knowledge",
    abp_tags=[Tag(name="knowledge", description="What the documents are about")],
)


class EntitySearch(BaseModel):
    query: str = Field("", max_length=200, description="How the name begins; case does not matter")
    kind: str | None = Field(
        None, max_length=50, pattern="^[a-z][a-z_]*$", description="person, repository, document or label"
    )
    limit: int = Field(50, ge=1, le=200)


class Around(BaseModel):
    entity: UUID = Field(description="The id of an entity, from /api/knowledge/entities")
    depth: int = Field(1, ge=1, le=3, description="Over how many relations at most")
    limit: int = Field(100, ge=1, le=500, description="How many neighbours at most, the nearest first")


class EntityView(BaseModel):
    id: UUID
    kind: str
    provider: str
    external_key: str = Field(description="Its identity at the provider: a login, owner/name, an id")
    name: str


class NeighbourView(EntityView):
    distance: int = Field(description="Relations between it and the entity asked for, which has 0")


class RelationView(BaseModel):
    subject: UUID
    kind: str = Field(description="authored, belongs_to or labelled")
    object: UUID
    documents: int = Field(description="How many documents say so")
    document_ids: list[UUID] = Field(description="Three of them at most")


class Entities(Answer):
    entities: list[EntityView]


class Neighbours(Answer):
    entity: NeighbourView
    neighbours: list[NeighbourView]
    relations: list[RelationView] = Field(description="Among all entities of this answer")
    is_truncated: bool = Field(description="There is more than is shown")


@api.get("/entities", responses={200: Entities})
def list_entities(query: EntitySearch) -> Response:
    """Entities of the workspace by the beginning of their name; people of one name stay apart."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        found = GraphRepository(session).list_entities(
            who.tenant_id, prefix=query.query, kind=query.kind, limit=query.limit
        )
    return answer(Entities(entities=[_view(one) for one in found]))


@api.get("/graph/neighbours", responses={200: Neighbours})
def list_neighbours(query: Around) -> Response:
    """What is up to three relations away from an entity, in either direction, and the relations between."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        around = GraphRepository(session).neighbours(
            who.tenant_id, query.entity, depth=query.depth, limit=query.limit
        )
    centre, *others = around.entities
    return answer(
        Neighbours(
            entity=_view(centre),
            neighbours=[_view(one) for one in others],
            relations=[
                RelationView(
                    subject=r.subject_id,
                    kind=r.kind,
                    object=r.object_id,
                    documents=r.documents,
                    document_ids=list(r.document_ids),
                )
                for r in around.relations
            ],
            is_truncated=around.is_truncated,
        )
    )


def _view(found: FoundEntity) -> NeighbourView:
    entity = found.entity
    return NeighbourView(
        id=found.id,
        kind=entity.kind,
        provider=entity.provider,
        external_key=entity.external_key,
        name=entity.name,
        distance=found.distance,
    )

"""DELETE /api/documents/{id}, POST /api/documents/bulk/delete, DELETE /api/documents/all."""

from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.documents.listing.repository import DocumentListing
from backend.documents.repository import DocumentNotFound
from backend.documents.views import DocumentPath
from backend.flows.delete_documents.flow import delete_documents
from backend.web import Answer, administrator, answer, editor, services

api = APIBlueprint(
    "delete_documents", __name__, abp_tags=[Tag(name="documents", description="What is known")]
)

#: Documents of one transaction when all go.
_BATCH = 500


class Hardness(BaseModel):
    hard: bool = Field(False, description="Also forget what it was called; it stays deleted all the same")


class BulkDeleting(Hardness):
    document_ids: list[UUID] = Field(max_length=500)


class DocumentDeleted(Answer):
    hard_deleted: bool
    embeddings_deleted: int


class DeletedCount(BaseModel):
    deleted: int
    not_found: int
    tracked: int = Field(description="Tombstones kept, so that no sync brings them back")
    embeddings_deleted: int
    errors: list[str] = Field(default_factory=list)


class DeletedMany(Answer):
    results: DeletedCount
    hard_deleted: bool


class AllDeleted(Answer):
    deleted_count: int


@api.delete("/api/documents/<document_id>", responses={200: DocumentDeleted})
def delete(path: DocumentPath, query: Hardness) -> Response:
    """Take a document out of search and out of the graph at once; a later sync does not bring it back."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        deleted, chunks = delete_documents(
            session, who.tenant_id, [path.document_id], by=who.user_id, is_hard=query.hard
        )
        if not deleted:
            raise DocumentNotFound
    return answer(DocumentDeleted(hard_deleted=query.hard, embeddings_deleted=chunks))


@api.post("/api/documents/bulk/delete", responses={200: DeletedMany})
def bulk_delete(body: BulkDeleting) -> Response:
    """The same for many, all in one transaction."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        deleted, chunks = delete_documents(
            session, who.tenant_id, body.document_ids, by=who.user_id, is_hard=body.hard
        )
    results = DeletedCount(
        deleted=len(deleted),
        not_found=len(set(body.document_ids)) - len(deleted),
        tracked=len(deleted),
        embeddings_deleted=chunks,
    )
    return answer(DeletedMany(results=results, hard_deleted=body.hard))


@api.delete("/api/documents/all", responses={200: AllDeleted})
def delete_all() -> Response:
    """Delete every document of the workspace, some hundreds in a transaction; administrators only."""
    who = administrator()
    count = 0
    while True:
        with services().db.transaction(who.tenant_id) as session:
            ids = DocumentListing(session).list_ids(who.tenant_id, limit=_BATCH)
            if not ids:
                return answer(AllDeleted(deleted_count=count))
            deleted, _ = delete_documents(session, who.tenant_id, ids, by=who.user_id)
        count += len(deleted)

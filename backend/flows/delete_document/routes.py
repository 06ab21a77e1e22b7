"""DELETE /api/documents/{id}."""

from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel

from backend.flows.delete_document.flow import delete_document
from backend.web import Answer, answer, editor, services

api = APIBlueprint("delete_document", __name__, abp_tags=[Tag(name="documents", description="What is known")])


class DocumentPath(BaseModel):
    document_id: UUID


class DocumentDeleted(Answer):
    hard_deleted: bool = False
    embeddings_deleted: int


@api.delete("/api/documents/<document_id>", responses={200: DocumentDeleted})
def delete(path: DocumentPath) -> Response:
    """Take a document out of search and out of the graph at once; a later sync does not bring it back."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        chunks = delete_document(session, who.tenant_id, path.document_id)
    return answer(DocumentDeleted(embeddings_deleted=chunks))

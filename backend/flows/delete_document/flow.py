"""Deletes a document and what it said."""

from uuid import UUID

from backend.db.transaction import Session
from backend.documents.repository import DocumentRepository
from backend.knowledge.repository import GraphRepository


def delete_document(session: Session, tenant_id: UUID, document_id: UUID) -> int:
    """Keeps a tombstone, so that no sync brings it back; returns how many chunks went.

    Raises DocumentNotFound.
    """
    chunks = DocumentRepository(session).delete(tenant_id, document_id)
    GraphRepository(session).forget(tenant_id, [document_id])
    return chunks

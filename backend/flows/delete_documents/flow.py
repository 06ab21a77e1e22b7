"""Deletes documents, the files they were made of, and what they said."""

from collections.abc import Collection, Sequence
from uuid import UUID

from backend.db.transaction import Session
from backend.documents.repository import DocumentRepository
from backend.documents.uploads.repository import UploadRepository
from backend.knowledge.repository import GraphRepository


def delete_documents(
    session: Session,
    tenant_id: UUID,
    document_ids: Collection[UUID],
    *,
    by: UUID | None = None,
    is_hard: bool = False,
) -> tuple[Sequence[UUID], int]:
    """Keeps tombstones, so that no sync brings them back, which say who it was; without their titles if `is_hard`.

    (ids of those that were here, how many chunks went.)
    """
    deleted, chunks = DocumentRepository(session).delete_many(tenant_id, document_ids, by=by, is_hard=is_hard)
    if deleted:
        UploadRepository(session).delete(tenant_id, deleted)
        GraphRepository(session).forget(tenant_id, deleted)
    return deleted, chunks

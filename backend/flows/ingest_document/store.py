"""Writes prepared documents, and what they say into the graph, in the caller's transaction; and takes both back."""

from collections.abc import Collection, Iterable
from uuid import UUID

from backend.db.transaction import Session
from backend.documents.repository import DocumentRepository, NewDocument
from backend.flows.ingest_document.facts import facts_of
from backend.knowledge.repository import GraphRepository


def store_all(
    session: Session, tenant_id: UUID, connector_id: UUID | None, documents: Iterable[NewDocument]
) -> frozenset[str]:
    """External ids of the `documents` that were stored; the others were deleted here and stay deleted.

    Each replaces what was there under its external id, and so does what it says. Once a transaction: the graph is
    written for all of them together, which is how two transactions never wait for each other in a circle.
    """
    repository = DocumentRepository(session)
    stored: set[str] = set()
    facts = {}
    for document in documents:
        document_id = repository.store(tenant_id, connector_id, document)
        if document_id is not None:
            stored.add(document.external_id)
            facts[document_id] = facts_of(document)
    if facts:
        GraphRepository(session).replace(tenant_id, facts)
    return frozenset(stored)


def remove_all(
    session: Session, tenant_id: UUID, connector_id: UUID | None, external_ids: Collection[str]
) -> int:
    """Removes documents that their source no longer has, and what they said; how many there were.

    What was deleted here keeps its tombstone.
    """
    if not external_ids:
        return 0
    repository = DocumentRepository(session)
    document_ids = repository.find_ids(tenant_id, connector_id, external_ids)
    if not document_ids:
        return 0
    GraphRepository(session).forget(tenant_id, document_ids)
    return repository.remove(tenant_id, document_ids)

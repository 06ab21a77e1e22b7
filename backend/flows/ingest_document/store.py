"""Writes prepared documents, and what they say into the graph, in the caller's transaction."""

from collections.abc import Iterable
from uuid import UUID

from backend.db.transaction import Session
from backend.documents.repository import DocumentRepository, NewDocument
from backend.flows.ingest_document.facts import facts_of
from backend.knowledge.repository import GraphRepository


def store_all(
    session: Session, tenant_id: UUID, connector_id: UUID | None, documents: Iterable[NewDocument]
) -> int:
    """How many of `documents` were stored; the others were deleted here and stay deleted.

    Each replaces what was there under its external id, and so does what it says. Once a transaction: the graph is
    written for all of them together, which is how two transactions never wait for each other in a circle.
    """
    repository = DocumentRepository(session)
    facts = {
        document_id: facts_of(document)
        for document in documents
        if (document_id := repository.store(tenant_id, connector_id, document)) is not None
    }
    if facts:
        GraphRepository(session).replace(tenant_id, facts)
    return len(facts)

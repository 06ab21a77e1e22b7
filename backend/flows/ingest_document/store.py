"""Writes prepared documents, and what they say into the graph, in the caller's transaction; and takes both back."""

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from backend.db.transaction import Session
from backend.documents.repository import DocumentRepository, NewDocument
from backend.embeddings.serving.repository import ServingModelRepository
from backend.flows.ingest_document.facts import facts_of
from backend.jobs.repository import JobRepository
from backend.knowledge.repository import GraphRepository

#: Jobs of this kind make what vectors are missing.
REEMBED_KIND: Final = "reembed"


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
    lacking = False
    for document in documents:
        lacking |= _lacks_vectors(session, tenant_id, document)
        document_id = repository.store(tenant_id, connector_id, document)
        if document_id is not None:
            stored.add(document.external_id)
            facts[document_id] = facts_of(document)
    if facts:
        GraphRepository(session).replace(tenant_id, facts)
    if lacking and stored:
        JobRepository(session).enqueue(tenant_id, REEMBED_KIND, {})
    return frozenset(stored)


def _lacks_vectors(session: Session, tenant_id: UUID, document: NewDocument) -> bool:
    """Whether another model serves now than when the document was embedded, and the change is over: else its job looks
    for what is missing before it ends. A model that nobody has changed to yet is not missed."""
    serving = ServingModelRepository(session).keep(tenant_id, document.embedding_model)
    made = {document.embedding_model, *(model for c in document.chunks for model in c.more_embeddings)}
    return serving.state == "serving" and serving.model not in made and serving.previous_model in made


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

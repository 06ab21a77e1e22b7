"""Writes prepared documents, and what they say into the graph, in the caller's transaction; and takes both back."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final
from uuid import UUID

from backend.db.transaction import Session
from backend.documents.repository import DocumentRepository
from backend.documents.rows import NewDocument
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
    given = list(documents)
    by_model: dict[str, list[NewDocument]] = {}
    for document in given:
        by_model.setdefault(document.embedding_model, []).append(document)
    lacking = any([_lacks_vectors(session, tenant_id, of_model) for of_model in by_model.values()])
    stored = DocumentRepository(session).store_many(tenant_id, connector_id, given)
    if stored:
        facts = {stored[d.external_id].id: facts_of(d) for d in given if d.external_id in stored}
        GraphRepository(session).replace(
            tenant_id, facts, new=[document.id for document in stored.values() if document.is_new]
        )
    if lacking and stored:
        JobRepository(session).enqueue(tenant_id, REEMBED_KIND, {})
    return frozenset(stored)


def _lacks_vectors(session: Session, tenant_id: UUID, documents: Sequence[NewDocument]) -> bool:
    """Whether another model serves now than when one of the documents, all embedded by one model, was embedded, and the
    change is over: else its job looks for what is missing before it ends. A model that nobody has changed to yet is not
    missed."""
    own = documents[0].embedding_model
    serving = ServingModelRepository(session).keep(tenant_id, own)
    if serving.state != "serving":
        return False
    made = ({own, *(model for c in d.chunks for model in c.more_embeddings)} for d in documents)
    return any(serving.model not in models and serving.previous_model in models for models in made)


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

"""From a question to ranked passages: count its words, embed it, rank; and rank again, where a reranker is set up."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import structlog

from backend.db.transaction import Database
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LocalEmbedder
from backend.errors import Unavailable
from backend.search.repository import Filters, Hit, SearchRepository
from backend.search.rerank import CANDIDATES, Reranker

_log = structlog.get_logger(__name__)


def retrieve(
    db: Database,
    embedder: Embedder,
    tenant_id: UUID,
    question: str,
    *,
    limit: int,
    words: tuple[int, Mapping[str, int]] | None = None,
    filters: Filters | None = None,
    reranker: Reranker | None = None,
) -> list[Hit]:
    """Up to `limit` passages, the best first; `words` is what is known of how frequent words are.

    A `reranker` that does not answer is done without. Raises EmbeddingFailed, DatabaseUnavailable.
    """
    if reranker is not None:
        wide = max(limit, CANDIDATES)
        found = retrieve(db, embedder, tenant_id, question, limit=wide, words=words, filters=filters)
        return _reranked(reranker, question, found)[:limit]
    if isinstance(embedder, LocalEmbedder):
        # It knows no word order and no sentence; which of the words matter is for us to say.
        with db.transaction(tenant_id) as session:
            weighed = SearchRepository(session).weigh(tenant_id, question, words=words)
        words = weighed.words
        vector = embedder.embed_weighted(question, weighed.spans)
    else:
        vector = embedder.embed([question])[0]
    with db.transaction(tenant_id) as session:
        return SearchRepository(session).search(
            tenant_id,
            question,
            vector.tolist(),
            model=embedder.model,
            limit=limit,
            words=words,
            filters=filters,
        )


def _reranked(reranker: Reranker, question: str, hits: list[Hit]) -> list[Hit]:
    if not hits:
        return hits
    try:
        scores = reranker.rate(question, [f"{hit.title}\n{hit.text}" for hit in hits])
    except Unavailable as error:
        _log.warning("reranker not available, the search's order stands", error=error.error_code)
        return hits
    rated = [replace(hit, rerank_score=score) for hit, score in zip(hits, scores, strict=True)]
    # Stable: among equals the search's order stands.
    return sorted(rated, key=lambda hit: -(hit.rerank_score or 0.0))

"""From a question to ranked passages: count its words, embed it, rank."""

from collections.abc import Mapping
from uuid import UUID

from backend.db.transaction import Database
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LocalEmbedder
from backend.search.repository import Filters, Hit, SearchRepository


def retrieve(
    db: Database,
    embedder: Embedder | None,
    tenant_id: UUID,
    question: str,
    *,
    limit: int,
    words: tuple[int, Mapping[str, int]] | None = None,
    filters: Filters | None = None,
) -> list[Hit]:
    """Up to `limit` passages, the best first; `words` is what is known of how frequent words are. Without an `embedder`
    by words alone.

    Raises EmbeddingFailed, DatabaseUnavailable.
    """
    if embedder is None:
        # The model that serves is out of reach; another one's vector would be compared with nothing.
        with db.transaction(tenant_id) as session:
            return SearchRepository(session).search(
                tenant_id,
                question,
                (1.0,),
                model="",
                limit=limit,
                dense_weight=0.0,
                words=words,
                filters=filters,
            )
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

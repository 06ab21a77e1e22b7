"""The hybrid query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Passages each of the two rankings puts forward.
CANDIDATES = 100

#: Weight of the score by meaning; the rest is the weight of the score by words. The largest of a few tried with
#: which the vectors of the default model never made an answer worse than words alone.
DENSE_WEIGHT = 0.3

_LEXEMES = text("SELECT tsvector_to_array(to_tsvector('english', :question))")

# A question's lexemes count each on its own: people ask in sentences, and no passage has all their words.
_SEARCH = text(
    """
    SELECT s.chunk_id, s.document_id, s.score, s.lexical_score, s.similarity,
           c.text, c.heading_path, c.start_offset, c.end_offset,
           d.title, d.source_type, d.kind, d.url, d.author, d.metadata, d.source_updated_at, d.created_at
    FROM search_chunks(
        :lexemes, CAST(:embedding AS halfvec), :model, :candidates, :results, :dense_weight,
        :counted_lexemes, :frequencies, :passages) AS s
    JOIN chunks AS c ON c.tenant_id = :tenant_id AND c.id = s.chunk_id
    JOIN documents AS d ON d.tenant_id = :tenant_id AND d.id = s.document_id
    WHERE d.deleted_at IS NULL AND d.classification IN ('work', 'unknown') AND d.status <> 'rejected'
    ORDER BY s.score DESC, s.chunk_id
    """
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that may answer, with its document.

    `score` 0 to 1; `lexical_score` 0 to 1, the best passage by words having 1, None if no word matched;
    `similarity`: cosine, None for a passage embedded by another model.
    """

    chunk_id: UUID
    document_id: UUID
    score: float
    lexical_score: float | None
    similarity: float | None
    text: str
    heading_path: Sequence[str]
    start_offset: int
    end_offset: int
    title: str
    source_type: str
    kind: str
    url: str | None
    author: str | None
    metadata: Mapping[str, Any]
    source_updated_at: datetime | None
    created_at: datetime


class SearchRepository:
    """Ranked passages of one tenant, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def search(
        self,
        tenant_id: UUID,
        question: str,
        embedding: Sequence[float],
        *,
        model: str,
        limit: int,
        dense_weight: float = DENSE_WEIGHT,
        words: tuple[int, Mapping[str, int]] | None = None,
    ) -> list[Hit]:
        """Up to `limit` passages, the best first.

        `embedding` is the question's unit vector made by `model`; passages embedded by another model are ranked
        by their words alone. `words` is what is known already: how many passages there are, and in about how many of
        them frequent lexemes stand; what it does not say is counted.
        """
        lexemes: list[str] = self._session.execute(_LEXEMES, {"question": question}).scalar_one()
        passages, known = words or (None, {})
        counted = [lexeme for lexeme in lexemes if lexeme in known]
        rows = self._session.execute(
            _SEARCH,
            {
                "tenant_id": tenant_id,
                "lexemes": lexemes,
                "counted_lexemes": counted,
                "frequencies": [known[lexeme] for lexeme in counted],
                "passages": passages,
                "embedding": "[" + ",".join(f"{x:.6g}" for x in embedding) + "]",
                "model": model,
                "candidates": CANDIDATES,
                "results": limit,
                "dense_weight": dense_weight,
            },
        ).all()
        return [Hit(*row) for row in rows]

    def has_documents(self, tenant_id: UUID) -> bool:
        """Whether there is anything to search."""
        return bool(
            self._session.scalar(
                text("SELECT EXISTS (SELECT FROM chunks WHERE tenant_id = :tenant_id)"),
                {"tenant_id": tenant_id},
            )
        )

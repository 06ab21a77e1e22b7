"""Count, list missing, add, purge."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

_COUNT = text("SELECT count(*) FROM chunks WHERE tenant_id = :tenant_id")

_COUNT_OF = text(
    "SELECT count(*) FROM chunk_vectors WHERE tenant_id = :tenant_id AND embedding_model = :model"
)

_MISSING = text(
    """
    SELECT c.id, d.title, c.heading_path, c.text
    FROM chunks AS c JOIN documents AS d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
    WHERE c.tenant_id = :tenant_id AND (CAST(:after AS uuid) IS NULL OR c.id > :after) AND NOT EXISTS (
        SELECT FROM chunk_vectors AS v
        WHERE v.tenant_id = c.tenant_id AND v.chunk_id = c.id AND v.embedding_model = :model
    )
    ORDER BY c.id LIMIT :limit
    """
)

# A passage that has gone meanwhile needs none. Its row is held, so that it does not go at this moment.
_ADD = text(
    """
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (chunk_id uuid, embedding text)
    ), there AS MATERIALIZED (
        SELECT c.id, c.document_id FROM chunks AS c
        WHERE c.tenant_id = :tenant_id AND c.id IN (SELECT chunk_id FROM given) ORDER BY c.id FOR KEY SHARE
    )
    INSERT INTO chunk_vectors (tenant_id, chunk_id, document_id, embedding_model, embedding)
    SELECT :tenant_id, there.id, there.document_id, :model, given.embedding::halfvec
    FROM there JOIN given ON given.chunk_id = there.id
    ON CONFLICT DO NOTHING RETURNING 1
    """
)

_PURGE = text(
    """
    DELETE FROM chunk_vectors AS v USING (
        SELECT chunk_id, embedding_model FROM chunk_vectors
        WHERE tenant_id = :tenant_id AND embedding_model <> :keep LIMIT :limit FOR UPDATE SKIP LOCKED
    ) AS doomed
    WHERE v.tenant_id = :tenant_id AND v.chunk_id = doomed.chunk_id AND v.embedding_model = doomed.embedding_model
    RETURNING 1
    """
)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored passage and what it stands under."""

    id: UUID
    title: str
    heading_path: Sequence[str]
    text: str


class VectorRepository:
    """Vectors of one tenant's passages, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count_passages(self, tenant_id: UUID) -> int:
        """How many passages there are."""
        return int(self._session.execute(_COUNT, {"tenant_id": tenant_id}).scalar_one())

    def count_of(self, tenant_id: UUID, model: str) -> int:
        """How many of them have a vector of `model`."""
        return int(self._session.execute(_COUNT_OF, {"tenant_id": tenant_id, "model": model}).scalar_one())

    def list_missing(self, tenant_id: UUID, model: str, *, after: UUID | None, limit: int) -> list[Passage]:
        """The first `limit` passages with an id beyond `after` that have no vector of `model`."""
        rows = self._session.execute(
            _MISSING, {"tenant_id": tenant_id, "model": model, "after": after, "limit": limit}
        )
        return [Passage(*row) for row in rows]

    def add(self, tenant_id: UUID, model: str, vectors: Mapping[UUID, NDArray[np.float32]]) -> int:
        """Stores vectors by passage, those that are there already excepted; how many."""
        rows = [
            {"chunk_id": str(key), "embedding": "[" + ",".join(f"{x:.5g}" for x in vector) + "]"}
            for key, vector in vectors.items()
        ]
        added = self._session.execute(
            _ADD, {"tenant_id": tenant_id, "model": model, "rows": json.dumps(rows)}
        )
        return len(added.all())

    def purge(self, tenant_id: UUID, *, keep: str, limit: int) -> int:
        """Deletes up to `limit` vectors of other models than `keep`; how many."""
        gone = self._session.execute(_PURGE, {"tenant_id": tenant_id, "keep": keep, "limit": limit})
        return len(gone.all())

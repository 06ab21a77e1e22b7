"""The product's own way from a file to a ranking: parse, cut, embed, store; count, embed, search as a tenant."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.documents.parsing.failures import ParseFailed
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ask.retrieve import retrieve
from backend.flows.ingest_document.flow import prepare
from backend.flows.ingest_document.store import store_all
from tests.bench.quality.baselines import Passage
from tests.conftest import TestDatabase
from tests.readers import shared_reader

#: Passages a search returns; enough that ten documents are among them.
_DEPTH = 100

_PASSAGES = """
SELECT d.external_id, v.embedding::real[],
       (SELECT coalesce(jsonb_object_agg(lexeme, cardinality(positions)), '{}') FROM unnest(c.search))
FROM chunks AS c JOIN documents AS d ON (d.tenant_id, d.id) = (c.tenant_id, c.document_id)
JOIN chunk_vectors AS v ON (v.tenant_id, v.chunk_id) = (c.tenant_id, c.id)
WHERE c.tenant_id = %s ORDER BY c.id
"""


class Tenant:
    """A tenant whose only documents are one collection in one format."""

    def __init__(self, database: TestDatabase, embedder: LocalEmbedder, tenant_id: UUID) -> None:
        self._database = database
        self._embedder = embedder
        self._tenant_id = tenant_id
        with database.admin() as connection:
            named = connection.execute(
                "SELECT id, external_id FROM documents WHERE tenant_id = %s", (tenant_id,)
            )
            self._names = {UUID(str(key)): str(name) for key, name in named.fetchall()}

    def search(self, question: str) -> list[str]:
        """Documents as the product ranks their passages."""
        found = retrieve(self._database.db, self._embedder, self._tenant_id, question, limit=_DEPTH)
        ranked = sorted(found.hits, key=lambda hit: -hit.score)
        return list(dict.fromkeys(self._names[hit.document_id] for hit in ranked))

    def embed(self, question: str) -> NDArray[np.float32]:
        """The question as a passage would be embedded."""
        vector: NDArray[np.float32] = self._embedder.embed([question])[0]
        return vector

    def lexemes(self, question: str) -> list[str]:
        """The question's words as Postgres stems them."""
        with self._database.admin() as connection:
            row = connection.execute("SELECT tsvector_to_array(words_of(%s))", (question,)).fetchone()
        assert row is not None
        lexemes: list[str] = row[0]  # type: ignore[assignment]
        return lexemes

    def passages(self) -> list[Passage]:
        """Everything that is stored, for other ways of ranking it."""
        with self._database.admin() as connection:
            rows = connection.execute(_PASSAGES, (self._tenant_id,)).fetchall()
        return [
            Passage(str(name), terms, np.array(vector, dtype=np.float32))  # type: ignore[arg-type]
            for name, vector, terms in rows
        ]


def ingest(
    database: TestDatabase, embedder: LocalEmbedder, documents: Sequence[SourceItem]
) -> tuple[Tenant, Mapping[str, str]]:
    """(a new tenant with `documents`, those that cannot be read with the reason)."""
    tenant_id = database.make_tenant("Quality").tenant_id
    failed = {}
    for item in documents:
        try:
            document = prepare(
                item, source_type="file", embedder=embedder, config=ParserConfig(), reader=shared_reader()
            )
        except ParseFailed as error:
            failed[item.external_id] = error.message
            continue
        with database.db.transaction(tenant_id) as session:
            store_all(session, tenant_id, None, [document])
    with database.admin() as connection:
        connection.execute("ANALYZE chunks")
    return Tenant(database, embedder, tenant_id), failed

"""Fills a database quickly: COPY, without indexes and checks, which are made afterwards."""

import struct
import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import psycopg

from tests.bench.search.material import PER_DOCUMENT, Material, Passages, sizes
from tests.conftest import TestDatabase

_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0)
_STAGING: Final = "CREATE TEMP TABLE staging (document UUID, ordinal INT, words TEXT, vector HALFVEC)"
_DOCUMENTS: Final = """
INSERT INTO documents (tenant_id, id, external_id, source_type, kind, title, file_name, mime_type, content,
                       content_sha256, byte_size, source_updated_at)
SELECT %(tenant)s, document, document, CASE WHEN uuid_hash(document) %% 20 = 0 THEN 'slack' ELSE 'file' END, 'file',
       document, 'a.txt', 'text/plain', 'a', sha256('a'), 1, now() - uuid_hash(document) %% 1000 * interval '1 day'
FROM staging WHERE ordinal = 0
"""
_CHUNKS: Final = """
WITH made AS (
    INSERT INTO chunks (tenant_id, document_id, ordinal, text, start_offset, end_offset, search)
    SELECT %(tenant)s, document, ordinal, words, 0, length(words), words_of(words) FROM staging
    RETURNING id, document_id, ordinal
)
INSERT INTO chunk_vectors (tenant_id, chunk_id, document_id, embedding_model, embedding)
SELECT %(tenant)s, m.id, m.document_id, %(model)s, s.vector
FROM made AS m JOIN staging AS s ON s.document = m.document_id AND s.ordinal = m.ordinal
ORDER BY m.id
"""
_DROPPED: Final = ("ix_chunks_search", "uq_chunks_ordinal")


@dataclass(frozen=True, slots=True)
class Filled:
    """A tenant with its passages, and questions about them."""

    id: UUID
    chunks: int
    questions: list[str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """All tenants, the largest first, and how long it took: seconds."""

    tenants: list[Filled]
    seconds: float
    indexing_seconds: float


def load(
    database: TestDatabase, material: Material, model: str, *, chunks: int, tenants: int, questions: int
) -> Loaded:
    """Tenants of very different size, with `chunks` passages in all and vectors of `model`."""
    filled = []
    started = time.perf_counter()
    with database.admin() as connection:
        made = _without_indexes(connection)
        # No foreign key is checked: half of the time, for what is known.
        connection.execute("SET session_replication_role = replica")
        for count in sizes(chunks, tenants):
            tenant, topics = uuid4(), material.topics(count)
            connection.execute(
                "INSERT INTO tenants (id, slug, name) VALUES (%s, 't-' || left(md5(%s), 20), 'T')",
                (tenant, str(tenant)),
            )
            for batch in material.passages(topics, count):
                _store(connection, tenant, batch, model)
            filled.append(Filled(tenant, count, material.questions(topics, questions)))
        indexing = time.perf_counter()
        connection.execute("SET maintenance_work_mem = '1GB'")
        for statement in made:
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE chunks")
        connection.execute("VACUUM ANALYZE documents")
        connection.execute("CHECKPOINT")
    ended = time.perf_counter()
    return Loaded(filled, ended - started, ended - indexing)


def _without_indexes(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """Drops what is cheaper to make afterwards; how to make it."""
    definitions = [
        str(definition)
        for (definition,) in connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'chunks' AND indexname = ANY (%s)",
            (list(_DROPPED),),
        ).fetchall()
    ]
    for name in _DROPPED:
        connection.execute(f"DROP INDEX {name}".encode())
    return definitions


def _store(
    connection: psycopg.Connection[tuple[object, ...]], tenant: UUID, batch: Passages, model: str
) -> None:
    connection.execute(_STAGING)
    with connection.cursor() as cursor, cursor.copy("COPY staging FROM STDIN (FORMAT binary)") as copy:
        copy.write(_HEADER)
        dimensions = batch.vectors.shape[1]
        big_endian = batch.vectors.astype(">f2")
        document = b""
        for place, text in enumerate(batch.texts):
            if place % PER_DOCUMENT == 0:
                document = uuid4().bytes
            words, vector = text.encode(), big_endian[place].tobytes()
            copy.write(
                struct.pack("!hi", 4, 16)
                + document
                + struct.pack("!iii", 4, place % PER_DOCUMENT, len(words))
                + words
                + struct.pack("!ihh", 4 + len(vector), dimensions, 0)
                + vector
            )
        copy.write(struct.pack("!h", -1))
    connection.execute(_DOCUMENTS, {"tenant": tenant})
    connection.execute(_CHUNKS, {"tenant": tenant, "model": model})
    connection.execute("DROP TABLE staging")

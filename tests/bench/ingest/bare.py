"""The script somebody would write who needs none of the rest: parse, cut, embed, COPY; no jobs, no fences, no updates."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Self
from uuid import uuid4

import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb

from backend.documents.chunking import chunk
from backend.documents.parsing.engine import warm_up
from backend.documents.parsing.failures import ParseFailed
from backend.documents.parsing.parser import parse
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ingest_document.context import in_context
from tests.bench.ingest.documents import File
from tests.conftest import TestDatabase

_AT_ONCE = 100

#: Columns, indexes and checks as the product's; what a passage is found by is made by the server from the passage.
_TABLES = """
DROP SCHEMA IF EXISTS {schema} CASCADE;
CREATE SCHEMA {schema};
CREATE TABLE {schema}.documents (LIKE public.documents INCLUDING ALL);
CREATE TABLE {schema}.chunks (LIKE public.chunks INCLUDING ALL);
CREATE TABLE {schema}.chunk_vectors (LIKE public.chunk_vectors INCLUDING ALL);
"""
_PLAIN = """
ALTER TABLE bare.chunks DROP COLUMN search;
ALTER TABLE bare.chunks ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('english', text)) STORED;
CREATE INDEX ON bare.chunks USING gin ((ARRAY[tenant_id]), search);
"""
_OUR_WORDS = """
CREATE FUNCTION bare_our_words.search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search := setweight(words_of(array_to_string(NEW.heading_path, E'\\n')), 'B') || words_of(NEW.text);
    RETURN NEW;
END $$;
CREATE TRIGGER search BEFORE INSERT ON bare_our_words.chunks
FOR EACH ROW EXECUTE FUNCTION bare_our_words.search();
"""


class Bare:
    """The script in `processes` processes, each with its model loaded and its connection open. A context manager."""

    def __init__(self, database: TestDatabase, processes: int) -> None:
        with database.admin() as connection:
            connection.execute((_TABLES.format(schema="bare") + _PLAIN).encode())
            connection.execute((_TABLES.format(schema="bare_our_words") + _OUR_WORDS).encode())
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(processes)]
        self._pipes = [ours for ours, _ in pipes]
        self._processes = [
            context.Process(target=_serve, args=(theirs, database.admin_url), daemon=True)
            for _, theirs in pipes
        ]
        for process in self._processes:
            process.start()
        for pipe in self._pipes:
            pipe.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join()

    def run(self, files: Sequence[File], *, processes: int, our_words: bool = False) -> None:
        """All of `files`, dealt out to `processes` of them."""
        for place, pipe in enumerate(self._pipes[:processes]):
            pipe.send(("bare_our_words" if our_words else "bare", files[place::processes]))
        for pipe in self._pipes[:processes]:
            pipe.recv()


def _serve(pipe: Connection, url: str) -> None:
    warm_up()
    embedder = LocalEmbedder()
    with psycopg.connect(url) as connection:
        register_vector(connection)
        pipe.send(None)
        while (asked := pipe.recv()) is not None:
            schema, files = asked
            for start in range(0, len(files), _AT_ONCE):
                _take_in(connection, schema, embedder, files[start : start + _AT_ONCE])
            pipe.send(None)


def _take_in(
    connection: psycopg.Connection[Any], schema: str, embedder: LocalEmbedder, files: Sequence[File]
) -> None:
    tenant_id = uuid4()
    documents, chunks, vectors = [], [], []
    for file in files:
        try:
            parsed = parse(file.body, file_name=file.name)
        except ParseFailed:
            continue
        passages = chunk(parsed.text, is_markdown=parsed.is_markdown)
        title = parsed.title or file.name
        made = embedder.embed([in_context(title, p.heading_path, p.text) for p in passages])
        document_id = uuid4()
        documents.append(
            (
                *(tenant_id, document_id, f"{document_id}", "file", "file", title, file.name),
                *(parsed.mime_type, parsed.text, bytes(32), len(file.body), Jsonb(dict(parsed.metadata))),
            )
        )
        for passage, vector in zip(passages, made, strict=True):
            chunk_id = uuid4()
            chunks.append(
                (
                    *(tenant_id, chunk_id, document_id, passage.ordinal, passage.text),
                    *(list(passage.heading_path), passage.start, passage.end),
                )
            )
            vectors.append((tenant_id, chunk_id, embedder.model, document_id, HalfVector(vector)))
    with connection.transaction(), connection.cursor() as cursor:
        for table, columns, types, rows in (
            (
                "documents",
                "tenant_id, id, external_id, source_type, kind, title, file_name, mime_type, content,"
                " content_sha256, byte_size, metadata",
                ["uuid", "uuid", *["text"] * 7, "bytea", "int4", "jsonb"],
                documents,
            ),
            (
                "chunks",
                "tenant_id, id, document_id, ordinal, text, heading_path, start_offset, end_offset",
                ["uuid", "uuid", "uuid", "int4", "text", "text[]", "int4", "int4"],
                chunks,
            ),
            (
                "chunk_vectors",
                "tenant_id, chunk_id, embedding_model, document_id, embedding",
                ["uuid", "uuid", "text", "uuid", "halfvec"],
                vectors,
            ),
        ):
            with cursor.copy(f"COPY {schema}.{table} ({columns}) FROM STDIN BINARY".encode()) as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)

"""By which words a passage is found: its own, those of the headings above it, and those of its document's title."""

import re
from pathlib import PurePath
from typing import Final

#: Writes `:rows`, those deleted here excepted, and says of each whether it was there before. What a person has decided
#: stays, and what a language model has said of the same content.
STORE_DOCUMENTS: Final = """
    INSERT INTO documents AS d (
        tenant_id, id, connector_id, external_id, source_type, kind, title, file_name, mime_type, url, author, content,
        content_sha256, byte_size, metadata, cut_as, page_bounds, source_created_at, source_updated_at,
        classification, classification_confidence, classification_reason)
    SELECT CAST(:tenant_id AS uuid), coalesce(id, uuidv7()), CAST(:connector_id AS uuid), external_id, source_type, kind,
           title, file_name, mime_type, url, author, content, content_sha256, byte_size, metadata, cut_as, page_bounds,
           source_created_at, source_updated_at, classification, classification_confidence, classification_reason
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (
        id uuid, external_id text, source_type text, kind text, title text, file_name text, mime_type text, url text,
        author text, content text, content_sha256 bytea, byte_size integer, metadata jsonb, cut_as text, page_bounds integer[],
        source_created_at timestamptz, source_updated_at timestamptz,
        classification text, classification_confidence double precision, classification_reason text)
    ON CONFLICT (tenant_id, connector_id, external_id) DO UPDATE SET
        source_type = excluded.source_type, kind = excluded.kind, title = excluded.title,
        file_name = excluded.file_name, mime_type = excluded.mime_type, url = excluded.url, author = excluded.author,
        content = excluded.content, content_sha256 = excluded.content_sha256, byte_size = excluded.byte_size,
        metadata = excluded.metadata, cut_as = excluded.cut_as, page_bounds = excluded.page_bounds,
        source_created_at = excluded.source_created_at,
        source_updated_at = excluded.source_updated_at, updated_at = now(),
        is_judged = d.is_judged AND d.content_sha256 = excluded.content_sha256,
        classification = CASE WHEN d.status <> 'classified' OR d.is_judged AND d.content_sha256 = excluded.content_sha256
                              THEN d.classification ELSE excluded.classification END,
        classification_confidence =
            CASE WHEN d.status <> 'classified' OR d.is_judged AND d.content_sha256 = excluded.content_sha256
                 THEN d.classification_confidence ELSE excluded.classification_confidence END,
        classification_reason =
            CASE WHEN d.status <> 'classified' OR d.is_judged AND d.content_sha256 = excluded.content_sha256
                 THEN d.classification_reason ELSE excluded.classification_reason END
    WHERE d.deleted_at IS NULL
    RETURNING d.external_id, d.id, old.id IS NULL AS is_new
"""

# `words_of` is how questions become lexemes, too. It takes longer than all the rest: titles are asked once a document,
# headings once for all passages under them.
STORE_CHUNKS: Final = """
    WITH given AS MATERIALIZED (
        SELECT uuidv7() AS id, row.* FROM ROWS FROM (
            jsonb_to_recordset(CAST(:rows AS jsonb))
                AS (document_id uuid, place integer, ordinal integer, text text, start_offset integer, end_offset integer),
            unnest(:vectors)
        ) AS row (document_id, place, ordinal, text, start_offset, end_offset, embedding)
    ), titled AS MATERIALIZED (
        SELECT document_id, setweight(words_of(title), 'A') AS words
        FROM jsonb_to_recordset(CAST(:titles AS jsonb)) AS row (document_id uuid, title text)
    ), headed AS MATERIALIZED (
        SELECT place, path, setweight(words_of(array_to_string(path, E'\\n')), 'B') AS words
        FROM jsonb_to_recordset(CAST(:headings AS jsonb)) AS row (place integer, path text[])
    ), stored AS (
        INSERT INTO chunks (tenant_id, id, document_id, ordinal, text, heading_path, start_offset, end_offset, search)
        SELECT CAST(:tenant_id AS uuid), given.id, document_id, ordinal, text, headed.path, start_offset, end_offset,
               titled.words || headed.words || words_of(text)
        FROM given JOIN titled USING (document_id) JOIN headed USING (place)
    )
    INSERT INTO chunk_vectors (tenant_id, chunk_id, document_id, embedding_model, embedding)
    SELECT CAST(:tenant_id AS uuid), id, document_id, :model, embedding FROM given
"""

#: Vectors of one more model of passages that are there.
STORE_MORE_VECTORS: Final = """
    INSERT INTO chunk_vectors (tenant_id, chunk_id, document_id, embedding_model, embedding)
    SELECT c.tenant_id, c.id, c.document_id, :model, given.embedding
    FROM ROWS FROM (
        jsonb_to_recordset(CAST(:rows AS jsonb)) AS (document_id uuid, ordinal integer), unnest(:vectors)
    ) AS given (document_id, ordinal, embedding)
    JOIN chunks AS c ON c.tenant_id = :tenant_id AND (c.document_id, c.ordinal) = (given.document_id, given.ordinal)
"""

_NAME_MARKS = re.compile(r"[\W_]+")


def searched_title(title: str, file_name: str) -> str:
    """The title, and the words of the file's name that it lacks: people look for both."""
    name = _NAME_MARKS.sub(" ", PurePath(file_name).stem)
    # What looks like a file or a host would become one word.
    shown = _NAME_MARKS.sub(" ", title) if title == file_name else title
    said = shown.casefold()
    return " ".join((shown, *(word for word in name.split() if word.casefold() not in said)))

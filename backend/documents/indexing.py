"""By which words a passage is found: its own, those of the headings above it, and those of its document's title."""

import re
from pathlib import PurePath
from typing import Final

# `words_of` is how questions become lexemes, too.
STORE_CHUNKS: Final = """
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (
            ordinal integer, text text, heading_path jsonb, start_offset integer, end_offset integer, embeddings jsonb)
    ), stored AS (
        INSERT INTO chunks (tenant_id, document_id, ordinal, text, heading_path, start_offset, end_offset, search)
        SELECT :tenant_id, :document_id, ordinal, text, ARRAY(SELECT jsonb_array_elements_text(heading_path)),
               start_offset, end_offset,
               setweight(words_of(:title), 'A')
               || setweight(
                      words_of(array_to_string(ARRAY(SELECT jsonb_array_elements_text(heading_path)), E'\\n')), 'B')
               || words_of(text)
        FROM given
        RETURNING id, ordinal
    )
    INSERT INTO chunk_vectors (tenant_id, chunk_id, document_id, embedding_model, embedding)
    SELECT :tenant_id, stored.id, :document_id, made.model, made.vector::halfvec
    FROM stored JOIN given ON given.ordinal = stored.ordinal
    CROSS JOIN jsonb_each_text(given.embeddings) AS made (model, vector)
"""

_NAME_MARKS = re.compile(r"[\W_]+")


def searched_title(title: str, file_name: str) -> str:
    """The title, and the words of the file's name that it lacks: people look for both."""
    name = _NAME_MARKS.sub(" ", PurePath(file_name).stem)
    # What looks like a file or a host would become one word.
    shown = _NAME_MARKS.sub(" ", title) if title == file_name else title
    said = shown.casefold()
    return " ".join((shown, *(word for word in name.split() if word.casefold() not in said)))

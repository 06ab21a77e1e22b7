"""Everything known: documents as text with their origin, and the passages that search ranks.

    (new) ──► stored ──► replaced, replaced … ──► deleted (kept as a tombstone, so a sync does not bring it back)

A document, its chunks, their words and their vectors are written in one transaction: what is stored is
searchable, and a changed document is searchable throughout. `content_sha256` covers what the source sent; if it
is the same, nothing is parsed and nothing is embedded.

    SELECT source_type, title, length(content), (SELECT count(*) FROM chunks c
    WHERE (c.tenant_id, c.document_id) = (d.tenant_id, d.id)) AS chunks FROM documents d ORDER BY created_at DESC;

Bytes become text in `parsing/`, text becomes passages in `chunking.py`.
"""

from typing import Final

#: Among what a document says about itself: it was too long, and of what its text is the beginning.
TRUNCATED: Final = "truncated"

"""Cuts one document anew; knows no transaction."""

from typing import Final

from backend.configs.schemas import ParserConfig
from backend.documents.cuts.repository import StoredText, cut_as
from backend.documents.parsing.reader import DocumentReader
from backend.documents.rows import NewDocument
from backend.embeddings.providers.contract import Embedder
from backend.flows.ingest_document.flow import chunks_of, embedding_wanted, limits_of

_PLAIN: Final = "text/plain"
_MARKDOWN: Final = "text/markdown"
_MAIL: Final = "message/rfc822"


def cut_again(
    stored: StoredText,
    *,
    shortened_to: int | None,
    embedder: Embedder,
    config: ParserConfig,
    reader: DocumentReader,
) -> NewDocument:
    """The document with passages and vectors as `config` says, from the text that is stored: no source is asked.

    `shortened_to` is what it says of itself if that text is a beginning only: of how many characters it was kept.

    Slow: no transaction may be open. Raises ParseFailed, ReaderUnavailable, EmbeddingFailed.
    """
    body = stored.content.encode()
    read = reader.read(
        body,
        file_name="text",
        mime_type=_MARKDOWN if _is_markdown(stored) else _PLAIN,
        # It has been let in once; only how long it takes is still to be bounded.
        limits=limits_of(config, max_bytes=len(body), max_characters=len(stored.content)),
        max_characters=config.chunk_characters,
        overlap=config.chunk_overlap,
        embedding=embedding_wanted(reader, embedder, stored.title),
    )
    return NewDocument(
        external_id=stored.external_id,
        source_type=stored.source_type,
        kind=stored.kind,
        title=stored.title,
        file_name=stored.file_name,
        mime_type=stored.mime_type,
        url=stored.url,
        author=stored.author,
        content=read.document.text,
        content_sha256=stored.content_sha256,
        byte_size=stored.byte_size,
        metadata=stored.metadata,
        # Counted in the text as it was.
        page_bounds=(stored.page_bounds or ()) if read.document.text == stored.content else (),
        source_created_at=stored.source_created_at,
        source_updated_at=stored.source_updated_at,
        embedding_model=embedder.model,
        chunks=chunks_of(stored.title, read, embedder),
        cut_as=cut_as(
            config.chunk_characters, config.chunk_overlap, shortened_to if stored.is_shortened else None
        ),
    )


def _is_markdown(stored: StoredText) -> bool:
    if stored.mime_type == _MAIL:
        # Its head's lines are kept apart by two blanks where the mail was HTML.
        return stored.content.partition("\n")[0].endswith("  ")
    return stored.mime_type != _PLAIN

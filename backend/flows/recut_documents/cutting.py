"""Cuts one document anew; knows no transaction."""

from typing import Final

from backend.configs.schemas import ParserConfig
from backend.documents.cuts.repository import StoredText
from backend.documents.parsing.document import TRUNCATED
from backend.documents.parsing.reader import DocumentReader
from backend.documents.rows import NewDocument
from backend.embeddings.providers.contract import Embedder
from backend.flows.ingest_document.flow import chunks_of, embedding_wanted, limits_of
from backend.flows.recut_documents.flow import wanted_cuts

_PLAIN: Final = "text/plain"
_MARKDOWN: Final = "text/markdown"
_MAIL: Final = "message/rfc822"
#: No document has it.
UNKNOWN_HASH: Final = bytes(32)


def cut_again(
    stored: StoredText, *, embedder: Embedder, config: ParserConfig, reader: DocumentReader
) -> NewDocument:
    """The document with passages and vectors as `config` says, from the text that is stored: no source is asked.

    Of one that was too long for the settings before there is more at its source: its hash is one that nothing has, so
    that it is read when it is seen the next time.

    Slow: no transaction may be open. Raises ParseFailed, ReaderUnavailable, EmbeddingFailed.
    """
    body = stored.content.encode()
    plain, shortened = wanted_cuts(config)
    is_shortened = TRUNCATED in stored.metadata
    there_is_more = is_shortened and not stored.is_shortened_to(config.max_characters)
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
        content_sha256=UNKNOWN_HASH if there_is_more else stored.content_sha256,
        byte_size=stored.byte_size,
        metadata=stored.metadata,
        # Counted in the text as it was.
        page_bounds=(stored.page_bounds or ()) if read.document.text == stored.content else (),
        source_created_at=stored.source_created_at,
        source_updated_at=stored.source_updated_at,
        embedding_model=embedder.model,
        chunks=chunks_of(stored.title, read, embedder),
        cut_as=shortened if is_shortened else plain,
    )


def _is_markdown(stored: StoredText) -> bool:
    if stored.mime_type == _MAIL:
        # Its head's lines are kept apart by two blanks where the mail was HTML.
        return stored.content.partition("\n")[0].endswith("  ")
    return stored.mime_type != _PLAIN

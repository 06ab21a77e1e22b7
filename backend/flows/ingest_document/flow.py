"""Parse, cut and embed a source's item; knows no transaction."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import structlog

from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.documents import TRUNCATED
from backend.documents.cuts.repository import cut_as
from backend.documents.parsing.document import ReadDocument
from backend.documents.parsing.framing import EmbeddingWanted
from backend.documents.parsing.limits import Limits
from backend.documents.parsing.reader import DocumentReader
from backend.documents.rows import NewChunk, NewDocument
from backend.embeddings.known import EmbedderPair
from backend.embeddings.providers.contract import Embedder
from backend.errors import StateError, Unavailable
from backend.flows.ingest_document.context import in_context

_log = structlog.get_logger(__name__)


def fingerprint(item: SourceItem) -> bytes:
    """SHA-256 over everything of the item that is stored: the same means there is nothing to do."""
    facts = json.dumps(
        [item.title, item.file_name, item.mime_type, item.kind, item.url, item.author, dict(item.metadata)],
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(hashlib.sha256(item.body).digest() + facts.encode()).digest()


def prepare(
    item: SourceItem, *, source_type: str, embedder: Embedder, config: ParserConfig, reader: DocumentReader
) -> NewDocument:
    """The item as a document with chunks and vectors, as `config` says. Slow: no transaction may be open.

    Raises:
        ParseFailed: it cannot be read, with the reason for a person.
        ReaderUnavailable: nothing can be read here now, which is no fault of the item.
        EmbeddingFailed: the model does not answer; nothing is stored with a missing vector.
    """
    title, file_name = _storable(item.title), _storable(item.file_name)
    read = reader.read(
        item.body,
        file_name=file_name,
        mime_type=item.mime_type,
        limits=limits_of(config),
        max_characters=config.chunk_characters,
        overlap=config.chunk_overlap,
        embedding=embedding_wanted(reader, embedder, title, file_name),
    )
    parsed = read.document
    title = title or parsed.title or file_name
    return NewDocument(
        external_id=item.external_id,
        source_type=source_type,
        kind=item.kind,
        title=title,
        file_name=file_name,
        mime_type=parsed.mime_type,
        url=_storable(item.url),
        author=_storable(item.author),
        content=parsed.text,
        content_sha256=fingerprint(item),
        byte_size=len(item.body),
        metadata=_storable({**parsed.metadata, **item.metadata}),
        source_created_at=item.created_at,
        source_updated_at=item.updated_at,
        embedding_model=embedder.model,
        chunks=chunks_of(title, read, embedder),
        cut_as=cut_as(
            config.chunk_characters,
            config.chunk_overlap,
            config.max_characters if TRUNCATED in parsed.metadata else None,
        ),
        page_bounds=parsed.page_bounds,
    )


def embedding_wanted(
    reader: DocumentReader, embedder: Embedder, title: str, other_title: str = ""
) -> EmbeddingWanted | None:
    """Has passages embedded where the document is read, if that is where the model is."""
    if reader.model != embedder.model:
        return None
    return EmbeddingWanted(title, other_title, embedder.dimensions)


def chunks_of(title: str, read: ReadDocument, embedder: Embedder) -> list[NewChunk]:
    """Passages of the document called `title`, with their vectors; those it was not read with are made here. Raises
    EmbeddingFailed."""
    texts = [in_context(title, p.heading_path, p.text) for p in read.passages]
    vectors = embedder.embed(texts) if read.vectors is None else read.vectors
    more = {}
    if isinstance(embedder, EmbedderPair):
        more[embedder.following.model] = embedder.following.embed(texts)
    return [
        NewChunk(
            ordinal=passage.ordinal,
            text=passage.text,
            heading_path=passage.heading_path,
            start_offset=passage.start,
            end_offset=passage.end,
            embedding=vector,
            more_embeddings={model: made[place] for model, made in more.items()},
        )
        for place, (passage, vector) in enumerate(zip(read.passages, vectors, strict=True))
    ]


def limits_of(
    config: ParserConfig, *, max_bytes: int | None = None, max_characters: int | None = None
) -> Limits:
    """What reading a document may take, as `config` says, unless more is known."""
    return Limits(
        max_bytes=config.max_bytes if max_bytes is None else max_bytes,
        max_characters=config.max_characters if max_characters is None else max_characters,
        timeout_seconds=config.timeout_seconds,
        max_memory_bytes=config.max_memory_bytes,
        max_expanded_bytes=config.max_expanded_bytes,
        max_expansion_ratio=config.max_expansion_ratio,
        max_archive_entries=config.max_archive_entries,
    )


def try_to_prepare(
    item: SourceItem, *, source_type: str, embedder: Embedder, config: ParserConfig, reader: DocumentReader
) -> NewDocument | str:
    """What `prepare` makes of the item, or why it cannot be taken, for a person: one item that breaks a parser must
    not stop all others.

    Raises what is no fault of the item: EmbeddingFailed and other kinds of Unavailable.
    """
    try:
        return prepare(item, source_type=source_type, embedder=embedder, config=config, reader=reader)
    except Unavailable:
        raise
    except StateError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 - logged
        _log.exception("item failed", item=item.external_id)
        return f"Internal error ({type(error).__name__})."


def _storable(value: Any) -> Any:
    """`value` without what Postgres keeps in no text, at any depth: NUL characters and halves of characters."""
    match value:
        case str():
            return value.replace("\x00", "").encode(errors="replace").decode()
        case Mapping():
            return {_storable(k): _storable(v) for k, v in value.items()}
        case list() | tuple():
            return [_storable(v) for v in value]
        case _:
            return value

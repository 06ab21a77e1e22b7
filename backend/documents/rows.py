"""Documents ready to be stored, and as parameters of the statements that store them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.db.halves import Halves
from backend.documents.classification import classify
from backend.documents.indexing import searched_title

Vector: TypeAlias = Sequence[float] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A passage with its vector (`embedding`: floats of a unit vector), and those of other models that are wanted,
    by the model's name."""

    ordinal: int
    text: str
    heading_path: Sequence[str]
    start_offset: int
    end_offset: int
    embedding: Vector
    more_embeddings: Mapping[str, Vector] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document ready to be stored: parsed, cut and embedded."""

    external_id: str
    source_type: str
    kind: str
    title: str
    file_name: str
    mime_type: str
    url: str | None
    author: str | None
    content: str
    content_sha256: bytes
    byte_size: int
    metadata: Mapping[str, Any]
    source_created_at: datetime | None
    source_updated_at: datetime | None
    embedding_model: str
    chunks: Sequence[NewChunk]
    cut_as: str | None = None
    """How its passages were cut, as `cuts` says it."""
    page_bounds: Sequence[int] = ()
    """Where its pages begin in `content`, and where the last one ends; empty without pages."""
    id: UUID | None = None
    """Its identity here, if it has one already; else it gets one."""


def document_row(new: NewDocument) -> dict[str, Any]:
    """A row of STORE_DOCUMENTS, as JSON has it."""
    taken_for = classify(
        source_type=new.source_type, title=new.title, author=new.author, metadata=new.metadata
    )
    return {
        "id": str(new.id) if new.id is not None else None,
        "external_id": new.external_id,
        "source_type": new.source_type,
        "kind": new.kind,
        "title": new.title,
        "file_name": new.file_name,
        "mime_type": new.mime_type,
        "url": new.url,
        "author": new.author,
        "content": new.content,
        "content_sha256": f"\\x{new.content_sha256.hex()}",
        "byte_size": new.byte_size,
        "metadata": dict(new.metadata),
        "cut_as": new.cut_as,
        "page_bounds": list(new.page_bounds) or None,
        "source_created_at": new.source_created_at.isoformat() if new.source_created_at else None,
        "source_updated_at": new.source_updated_at.isoformat() if new.source_updated_at else None,
        "classification": taken_for.classification,
        "classification_confidence": taken_for.confidence,
        "classification_reason": taken_for.reason,
    }


def chunk_values(documents: Sequence[tuple[UUID, NewDocument]]) -> dict[str, Any] | None:
    """Values of STORE_CHUNKS for documents (id, document) of one model; None if they have no chunks."""
    places: dict[tuple[str, ...], int] = {}
    rows = [
        {
            "document_id": str(document_id),
            "place": places.setdefault(tuple(chunk.heading_path), len(places)),
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start_offset": chunk.start_offset,
            "end_offset": chunk.end_offset,
        }
        for document_id, new in documents
        for chunk in new.chunks
    ]
    if not rows:
        return None
    titles = [
        {"document_id": str(document_id), "title": searched_title(new.title, new.file_name)}
        for document_id, new in documents
    ]
    return {
        "rows": json.dumps(rows),
        "titles": json.dumps(titles),
        "headings": json.dumps([{"place": place, "path": path} for path, place in places.items()]),
        "vectors": _halves(chunk.embedding for _, new in documents for chunk in new.chunks),
    }


def more_vectors(documents: Sequence[tuple[UUID, NewDocument]]) -> Iterator[dict[str, Any]]:
    """Values of STORE_MORE_VECTORS, for each model that is not the documents' own."""
    chunks = [(document_id, chunk) for document_id, new in documents for chunk in new.chunks]
    for model in sorted({model for _, chunk in chunks for model in chunk.more_embeddings}):
        made = [(document_id, chunk) for document_id, chunk in chunks if model in chunk.more_embeddings]
        yield {
            "model": model,
            "rows": json.dumps([{"document_id": str(key), "ordinal": chunk.ordinal} for key, chunk in made]),
            "vectors": _halves(chunk.more_embeddings[model] for _, chunk in made),
        }


def _halves(vectors: Iterable[Vector]) -> Halves:
    return Halves(np.array(list(vectors), dtype=np.float32))

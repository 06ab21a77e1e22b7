"""Store (whole or not at all), what is known already, get, delete."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.documents.classification import classify
from backend.documents.indexing import STORE_CHUNKS, searched_title
from backend.documents.models import Chunk, Document
from backend.errors import NotFound


class DocumentNotFound(NotFound):
    """There is no such document."""


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A passage with its vector (`embedding`: floats of a unit vector), and those of other models that are wanted,
    by the model's name."""

    ordinal: int
    text: str
    heading_path: Sequence[str]
    start_offset: int
    end_offset: int
    embedding: Sequence[float]
    more_embeddings: Mapping[str, Sequence[float]] = field(default_factory=dict)


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
    id: UUID | None = None
    """Its identity here, if it has one already; else it gets one."""


class DocumentRepository:
    """Documents and chunks of one tenant, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list_unchanged(
        self, tenant_id: UUID, connector_id: UUID | None, hashes: Mapping[str, bytes]
    ) -> frozenset[str]:
        """Which of `hashes` (external id -> content hash) need nothing: stored the same, or deleted here."""
        if not hashes:
            return frozenset()
        rows = self._session.execute(
            select(Document.external_id, Document.content_sha256, Document.deleted_at).where(
                Document.tenant_id == tenant_id,
                Document.connector_id.is_not_distinct_from(connector_id),
                Document.external_id.in_(hashes),
            )
        )
        return frozenset(
            external_id
            for external_id, sha256, deleted_at in rows
            if deleted_at is not None or sha256 == hashes[external_id]
        )

    def list_deleted_here(
        self, tenant_id: UUID, connector_id: UUID | None, external_ids: Collection[str]
    ) -> frozenset[str]:
        """Which of `external_ids` somebody deleted here: they stay deleted, whatever the source has."""
        if not external_ids:
            return frozenset()
        return frozenset(
            self._session.scalars(
                select(Document.external_id).where(
                    Document.tenant_id == tenant_id,
                    Document.connector_id.is_not_distinct_from(connector_id),
                    Document.external_id == func.any(list(external_ids)),
                    Document.deleted_at.is_not(None),
                )
            )
        )

    def find_ids(
        self, tenant_id: UUID, connector_id: UUID | None, external_ids: Collection[str]
    ) -> Sequence[UUID]:
        """Ids of documents that are here, and locks them until the transaction ends."""
        return self._session.scalars(
            select(Document.id)
            .where(
                Document.tenant_id == tenant_id,
                Document.connector_id.is_not_distinct_from(connector_id),
                Document.external_id == func.any(list(external_ids)),
                Document.deleted_at.is_(None),
            )
            .order_by(Document.id)
            .with_for_update()
        ).all()

    def remove(self, tenant_id: UUID, document_ids: Collection[UUID]) -> int:
        """Removes documents with their chunks and keeps no tombstone: the source may bring them again.

        Nothing may cite them any more. How many there were.
        """
        return len(
            self._session.scalars(
                delete(Document)
                .where(Document.tenant_id == tenant_id, Document.id == func.any(list(document_ids)))
                .returning(Document.id)
            ).all()
        )

    def store(self, tenant_id: UUID, connector_id: UUID | None, new: NewDocument) -> UUID | None:
        """Writes the document and its chunks, replacing what was there under the same external id.

        What it is taken for is told by the rules; what a person has decided about it stays.

        Returns its id, or None when it was deleted here in the meantime and therefore stays deleted.
        """
        taken_for = classify(
            source_type=new.source_type, title=new.title, author=new.author, metadata=new.metadata
        )
        values = {
            "source_type": new.source_type,
            "kind": new.kind,
            "title": new.title,
            "file_name": new.file_name,
            "mime_type": new.mime_type,
            "url": new.url,
            "author": new.author,
            "content": new.content,
            "content_sha256": new.content_sha256,
            "byte_size": new.byte_size,
            Document.details: dict(new.metadata),
            "cut_as": new.cut_as,
            "source_created_at": new.source_created_at,
            "source_updated_at": new.source_updated_at,
            "updated_at": func.now(),
        }
        rules = {
            "classification": taken_for.classification,
            "classification_confidence": taken_for.confidence,
            "classification_reason": taken_for.reason,
        }
        is_undecided = Document.status == "classified"
        document_id: UUID | None = self._session.scalar(
            insert(Document)
            .values(
                {
                    **values,
                    **rules,
                    **({} if new.id is None else {"id": new.id}),
                    "tenant_id": tenant_id,
                    "connector_id": connector_id,
                    "external_id": new.external_id,
                }
            )
            .on_conflict_do_update(
                index_elements=["tenant_id", "connector_id", "external_id"],
                set_={
                    **values,
                    **{
                        name: case((is_undecided, value), else_=getattr(Document, name))
                        for name, value in rules.items()
                    },
                },
                where=Document.deleted_at.is_(None),
            )
            .returning(Document.id)
        )
        if document_id is None:
            return None
        self._session.execute(
            delete(Chunk).where(Chunk.tenant_id == tenant_id, Chunk.document_id == document_id)
        )
        self._session.execute(
            text(STORE_CHUNKS),
            {
                "tenant_id": tenant_id,
                "document_id": document_id,
                "title": searched_title(new.title, new.file_name),
                "rows": _rows(new),
            },
        )
        return document_id

    def get(self, tenant_id: UUID, document_id: UUID) -> Document:
        """The document. Raises DocumentNotFound, also for deleted ones."""
        document = self._session.scalar(
            select(Document).where(
                Document.tenant_id == tenant_id, Document.id == document_id, Document.deleted_at.is_(None)
            )
        )
        if document is None:
            raise DocumentNotFound
        return document

    def delete(
        self, tenant_id: UUID, document_id: UUID, *, by: UUID | None = None, is_hard: bool = False
    ) -> int:
        """`delete_many` of one; returns how many chunks went. Raises DocumentNotFound."""
        deleted, chunks = self.delete_many(tenant_id, [document_id], by=by, is_hard=is_hard)
        if not deleted:
            raise DocumentNotFound
        return chunks

    def delete_many(
        self,
        tenant_id: UUID,
        document_ids: Collection[UUID],
        *,
        by: UUID | None = None,
        is_hard: bool = False,
    ) -> tuple[Sequence[UUID], int]:
        """Takes documents out of search and keeps tombstones: (ids of those that were here, how many chunks went).

        A tombstone keeps what the document was called, unless `is_hard`.
        """
        # Locked in one order for everybody, so that two bulk deletions never wait for each other in a circle.
        there = self._session.scalars(
            select(Document.id)
            .where(
                Document.tenant_id == tenant_id,
                Document.id == func.any(list(document_ids)),
                Document.deleted_at.is_(None),
            )
            .order_by(Document.id)
            .with_for_update()
        ).all()
        values: dict[str, Any] = {"content": "(deleted)", "review_note": None}
        if is_hard:
            values |= {"title": "(deleted)", "file_name": "(deleted)", "url": None, "author": None}
        self._session.execute(
            update(Document)
            .where(Document.tenant_id == tenant_id, Document.id == func.any(list(there)))
            .values(
                {**values, Document.deleted_at: func.now(), Document.deleted_by: by, Document.details: {}}
            )
        )
        chunks = self._session.scalars(
            delete(Chunk)
            .where(Chunk.tenant_id == tenant_id, Chunk.document_id == func.any(list(there)))
            .returning(Chunk.id)
        ).all()
        return there, len(chunks)


def _rows(new: NewDocument) -> str:
    return json.dumps(
        [
            {
                "ordinal": c.ordinal,
                "text": c.text,
                "heading_path": list(c.heading_path),
                "start_offset": c.start_offset,
                "end_offset": c.end_offset,
                "embeddings": {
                    model: "[" + ",".join(f"{x:.5g}" for x in vector) + "]"
                    for model, vector in {new.embedding_model: c.embedding, **c.more_embeddings}.items()
                },
            }
            for c in new.chunks
        ]
    )

"""Store (whole or not at all), what is known already, get, delete."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from backend.documents.indexing import STORE_CHUNKS, STORE_DOCUMENTS, STORE_MORE_VECTORS
from backend.documents.models import Chunk, Document
from backend.documents.rows import NewDocument, chunk_values, document_row, more_vectors
from backend.errors import NotFound

#: External id -> content hash; None of what somebody deleted here.
Hashes: TypeAlias = Mapping[str, bytes | None]


class DocumentNotFound(NotFound):
    """There is no such document."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A document that was stored: its id, and whether there was none under its external id before."""

    id: UUID
    is_new: bool


class DocumentRepository:
    """Documents and chunks of one tenant, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find_hashes(
        self, tenant_id: UUID, connector_id: UUID | None, external_ids: Collection[str]
    ) -> Hashes:
        """Content hashes of those of `external_ids` that are known here; None of what somebody deleted here, which stays
        deleted, whatever the source has."""
        if not external_ids:
            return {}
        rows = self._session.execute(
            select(Document.external_id, Document.content_sha256, Document.deleted_at).where(
                Document.tenant_id == tenant_id,
                Document.connector_id.is_not_distinct_from(connector_id),
                Document.external_id == func.any(list(external_ids)),
            )
        )
        return {name: None if deleted_at is not None else sha256 for name, sha256, deleted_at in rows}

    def list_unchanged(
        self, tenant_id: UUID, connector_id: UUID | None, hashes: Mapping[str, bytes]
    ) -> frozenset[str]:
        """Which of `hashes` (external id -> content hash) need nothing: stored the same, or deleted here."""
        known = self.find_hashes(tenant_id, connector_id, hashes)
        return frozenset(name for name, sha256 in known.items() if sha256 is None or sha256 == hashes[name])

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
        """`store_many` of one; its id, or None when it was deleted here in the meantime."""
        stored = self.store_many(tenant_id, connector_id, [new]).get(new.external_id)
        return stored.id if stored is not None else None

    def store_many(
        self, tenant_id: UUID, connector_id: UUID | None, documents: Iterable[NewDocument]
    ) -> Mapping[str, Stored]:
        """Writes documents and their chunks, replacing what was there under the same external ids: external id -> what
        became of it. Those that were deleted here in the meantime stay deleted and are left out.

        What they are taken for is told by the rules; what a person has decided about one stays. Of two with the same
        external id the last one counts. As many statements for a hundred as for one.
        """
        by_name = {new.external_id: new for new in documents}
        if not by_name:
            return {}
        of_tenant = {"tenant_id": tenant_id}
        rows = self._session.execute(
            text(STORE_DOCUMENTS),
            of_tenant
            | {"connector_id": connector_id, "rows": json.dumps([*map(document_row, by_name.values())])},
        )
        stored = {name: Stored(key, is_new) for name, key, is_new in rows}
        replaced = [each.id for each in stored.values() if not each.is_new]
        if replaced:
            self._session.execute(
                delete(Chunk).where(Chunk.tenant_id == tenant_id, Chunk.document_id == func.any(replaced))
            )
        by_model: dict[str, list[tuple[UUID, NewDocument]]] = {}
        for name, each in stored.items():
            by_model.setdefault(by_name[name].embedding_model, []).append((each.id, by_name[name]))
        for model, of_model in by_model.items():
            values = chunk_values(of_model)
            if values is not None:
                self._session.execute(text(STORE_CHUNKS), of_tenant | {"model": model} | values)
            for values in more_vectors(of_model):
                self._session.execute(text(STORE_MORE_VECTORS), of_tenant | values)
        return stored

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

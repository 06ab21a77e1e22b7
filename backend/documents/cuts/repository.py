"""Count and list what was cut otherwise, and hold one that has not changed since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from backend.documents import TRUNCATED
from backend.documents.models import Document

#: Raised when the same settings make other passages or other lexemes of a document than before.
EDITION: Final = 1

#: No document has it.
UNKNOWN_HASH: Final = bytes(32)


def cut_as(characters: int, overlap: int, shortened_to: int | None = None) -> str:
    """What a document says that was cut into passages of at most `characters`, neighbours sharing `overlap`; and, if it
    was too long, of how many characters its beginning was kept."""
    return f"{characters}/{overlap}/{EDITION}" + (f"/{shortened_to}" if shortened_to is not None else "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What documents say that were cut as the settings are now: those that are `whole`, and those that were too long."""

    whole: str
    shortened: str


@dataclass(frozen=True, slots=True)
class StoredText:
    """A document as it is stored, without its passages."""

    id: UUID
    connector_id: UUID | None
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
    page_bounds: Sequence[int] | None
    cut_as: str | None
    source_created_at: datetime | None
    source_updated_at: datetime | None
    updated_at: datetime

    @property
    def is_shortened(self) -> bool:
        """Whether this is a beginning only."""
        return TRUNCATED in self.metadata

    @property
    def shortened_to(self) -> int | None:
        """Of how many characters its beginning was kept; None if that was not written down, or it is whole."""
        limit = (self.cut_as or "").split("/")[3:]
        return int(limit[0]) if limit else None


_COLUMNS: Final[tuple[Any, ...]] = tuple(
    Document.details if field.name == "metadata" else getattr(Document, field.name)
    for field in fields(StoredText)
)


class CutRepository:
    """One tenant's documents, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def count_outdated(self, tenant_id: UUID, wanted: Wanted) -> int:
        """How many documents were cut otherwise."""
        return self._session.execute(
            select(func.count()).select_from(Document).where(_outdated(tenant_id, wanted))
        ).scalar_one()

    def list_outdated(
        self, tenant_id: UUID, wanted: Wanted, *, after: UUID | None, limit: int
    ) -> Sequence[StoredText]:
        """Up to `limit` of them, by id, those behind `after`."""
        rows = self._session.execute(
            select(*_COLUMNS)
            .where(_outdated(tenant_id, wanted), *([] if after is None else [Document.id > after]))
            .order_by(Document.id)
            .limit(limit)
        )
        return [StoredText(*row) for row in rows]

    def forget_content(self, tenant_id: UUID, document_id: UUID) -> None:
        """Its hash becomes one that nothing has, so that it is taken for changed when its source is read the next time;
        what it was judged to be stays until then."""
        self._session.execute(
            update(Document)
            .where(Document.tenant_id == tenant_id, Document.id == document_id)
            .values(content_sha256=UNKNOWN_HASH)
        )

    def hold(self, tenant_id: UUID, stored: StoredText) -> bool:
        """Whether the document still is what `stored` says; nobody changes it before the transaction ends."""
        held = self._session.scalar(
            select(Document.id)
            .where(
                Document.tenant_id == tenant_id,
                Document.id == stored.id,
                Document.updated_at == stored.updated_at,
                Document.deleted_at.is_(None),
            )
            .with_for_update()
        )
        return held is not None


def _outdated(tenant_id: UUID, wanted: Wanted) -> ColumnElement[bool]:
    return and_(
        Document.tenant_id == tenant_id,
        Document.deleted_at.is_(None),
        or_(
            Document.cut_as.is_(None),
            Document.cut_as.not_in((wanted.whole, wanted.shortened)),
            # By a version that did not write down of how many characters a beginning was kept.
            and_(Document.cut_as == wanted.whole, Document.details.has_key(TRUNCATED)),
        ),
    )

"""Pages of documents by filter and order, how many there are, and statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, tuple_
from sqlalchemy.orm import Session, defer

from backend.documents.classification import SURE, UNKNOWN
from backend.documents.models import Document

#: Characters of the text that come with each document of a page, instead of all of it.
TEASER_CHARACTERS: Final = 400

#: What `after` may hold; the same type as the column's.
SortValue = datetime | str | int | float


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents; None and False do not restrict. `search` is looked for in titles, file names and authors."""

    status: str | None = None
    classification: str | None = None
    source_type: str | None = None
    search: str | None = None
    needs_review: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """A document without its text, the beginning of that, and its place in the order asked for."""

    document: Document
    teaser: str
    sort_value: SortValue


@dataclass(frozen=True, slots=True)
class Statistics:
    """How many documents there are of each; `average_confidence` 0 to 1, None without any."""

    by_status: Mapping[str, int]
    by_classification: Mapping[str, int]
    by_source_type: Mapping[str, int]
    needs_review: int
    average_confidence: float | None
    total: int


class DocumentListing:
    """Documents of one tenant that are not deleted, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def list_page(
        self,
        tenant_id: UUID,
        which: Filter,
        *,
        limit: int,
        offset: int = 0,
        sort: str = "created_at",
        is_descending: bool = True,
        after: tuple[SortValue, UUID] | None = None,
    ) -> Sequence[Listed]:
        """Documents in the order of `sort` (see `_sorted_by`); `after` is the last one's (sort value, id) of the page
        before. Raises ValueError for another sort."""
        column = _sorted_by(sort)
        query = (
            select(Document, func.left(Document.content, TEASER_CHARACTERS), column)
            .options(defer(Document.content, raiseload=True))
            .where(*_matching(tenant_id, which))
            .limit(limit)
            .offset(offset)
        )
        place = tuple_(column, Document.id)
        if is_descending:
            query = query.order_by(column.desc(), Document.id.desc())
            query = query if after is None else query.where(place < after)
        else:
            query = query.order_by(column, Document.id)
            query = query if after is None else query.where(place > after)
        return [Listed(*row) for row in self._session.execute(query)]

    def list_ids(self, tenant_id: UUID, *, limit: int) -> Sequence[UUID]:
        """Ids of documents, the newest first."""
        return self._session.scalars(
            select(Document.id)
            .where(*_matching(tenant_id, Filter()))
            .order_by(Document.created_at.desc(), Document.id)
            .limit(limit)
        ).all()

    def count(self, tenant_id: UUID, which: Filter) -> int:
        """How many documents match."""
        query = select(func.count()).select_from(Document).where(*_matching(tenant_id, which))
        return self._session.scalar(query) or 0

    def statistics(self, tenant_id: UUID) -> Statistics:
        """Everything counted."""
        there = (Document.tenant_id == tenant_id, Document.deleted_at.is_(None))
        query: Select[Any] = select(
            func.count(),
            func.count().filter(_needs_review()),
            func.avg(Document.classification_confidence),
        ).where(*there)
        total, needs_review, average = self._session.execute(query).one()

        def by(column: Any) -> dict[str, int]:
            rows = self._session.execute(select(column, func.count()).where(*there).group_by(column))
            return {name: count for name, count in rows}

        return Statistics(
            by_status=by(Document.status),
            by_classification=by(Document.classification),
            by_source_type=by(Document.source_type),
            needs_review=needs_review,
            average_confidence=average,
            total=total,
        )


def _sorted_by(sort: str) -> Any:
    """A column or expression that is never NULL, so that a page can begin after any row."""
    match sort:
        case "created_at" | "updated_at" | "title" | "byte_size":
            return getattr(Document, sort)
        case "source_created_at":
            return func.coalesce(Document.source_created_at, Document.created_at)
        case "confidence":
            return func.coalesce(Document.classification_confidence, 0.0)
    raise ValueError(f"Documents cannot be sorted by {sort!r}.")


def _matching(tenant_id: UUID, which: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Document.tenant_id == tenant_id, Document.deleted_at.is_(None)]
    if which.status is not None:
        conditions.append(Document.status == which.status)
    if which.classification is not None:
        conditions.append(Document.classification == which.classification)
    if which.source_type is not None:
        conditions.append(Document.source_type == which.source_type)
    if which.needs_review:
        conditions.append(_needs_review())
    if which.search:
        conditions.append(
            or_(
                *(
                    column.icontains(which.search, autoescape=True)
                    for column in (Document.title, Document.file_name, Document.author)
                )
            )
        )
    return conditions


def _needs_review() -> ColumnElement[bool]:
    """Nobody has decided yet, and the rules were not sure."""
    unsure = case((Document.classification == UNKNOWN, True), else_=Document.classification_confidence < SURE)
    return and_(Document.status == "classified", func.coalesce(unsure, False))

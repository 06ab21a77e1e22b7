"""/api/documents: list, count, get; /api/document/{id}/view: a page a citation opens. Changing them is elsewhere."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.documents.listing.repository import DocumentListing, Filter, Listed, SortValue
from backend.documents.page import CONTENT_SECURITY_POLICY, page
from backend.documents.repository import DocumentRepository
from backend.documents.uploads.repository import UploadRepository
from backend.documents.views import (
    Classification,
    DocumentPath,
    DocumentSummary,
    DocumentWhole,
    Status,
    summary_of,
    whole_of,
)
from backend.errors import Invalid
from backend.marks import cookie_allowed, shows_pages
from backend.web import Answer, answer, principal, services

api = APIBlueprint("documents", __name__, abp_tags=[Tag(name="documents", description="What is known")])


class CursorInvalid(Invalid):
    """This cursor is not one of ours, or belongs to a list sorted otherwise."""


class Listing(BaseModel):
    limit: int = Field(50, ge=1, le=200)
    offset: int = Field(0, ge=0, le=100_000)
    cursor: str | None = Field(
        None, max_length=8000, description="next_cursor of the page before; wins over offset"
    )
    status: Status | None = None
    classification: Classification | None = None
    source_type: str | None = Field(None, max_length=100)
    needs_review: bool = Field(False, description="Only those nobody has decided on and the rules doubt")
    search: str | None = Field(None, max_length=200, description="Part of a title, a file name or an author")
    sort: Literal["created_at", "updated_at", "source_created_at", "title", "byte_size", "confidence"] = (
        "created_at"
    )
    order: Literal["asc", "desc"] = "desc"


class Reviewing(BaseModel):
    classification: Classification | None = None
    limit: int = Field(20, ge=1, le=100)
    offset: int = Field(0, ge=0, le=100_000)


class Place(BaseModel):
    start: int | None = Field(None, ge=0, description="First character to show marked")
    end: int | None = Field(None, ge=0, description="One past the last")


class Pagination(BaseModel):
    total: int
    limit: int
    offset: int
    has_more: bool
    next_cursor: str | None


class DocumentList(Answer):
    documents: list[DocumentSummary]
    pagination: Pagination


class DocumentAnswer(Answer):
    document: DocumentWhole


class StatisticsView(BaseModel):
    by_status: dict[str, int]
    by_classification: dict[str, int]
    by_source_type: dict[str, int]
    needs_review: int
    average_confidence: float | None
    total_documents: int
    uploaded_files: int
    uploaded_bytes: int


class StatisticsAnswer(Answer):
    stats: StatisticsView


@api.get("/api/documents", responses={200: DocumentList})
def list_documents(query: Listing) -> Response:
    """The workspace's documents, the newest first unless sorted otherwise."""
    which = Filter(
        status=query.status,
        classification=query.classification,
        source_type=query.source_type,
        search=query.search,
        needs_review=query.needs_review,
    )
    return _page_of(which, query)


@api.get("/api/documents/review", responses={200: DocumentList})
def list_for_review(query: Reviewing) -> Response:
    """What a person should look at, the most doubtful first."""
    which = Filter(classification=query.classification, needs_review=True)
    listing = Listing(limit=query.limit, offset=query.offset, sort="confidence", order="asc", cursor=None)
    return _page_of(which, listing)


@api.get("/api/documents/stats", responses={200: StatisticsAnswer})
def statistics() -> Response:
    """How many documents there are, by status, classification and source."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        found = DocumentListing(session).statistics(who.tenant_id)
        files, size = UploadRepository(session).usage(who.tenant_id)
    stats = StatisticsView(
        by_status=dict(found.by_status),
        by_classification=dict(found.by_classification),
        by_source_type=dict(found.by_source_type),
        needs_review=found.needs_review,
        average_confidence=found.average_confidence,
        total_documents=found.total,
        uploaded_files=files,
        uploaded_bytes=size,
    )
    return answer(StatisticsAnswer(stats=stats))


@api.get("/api/documents/<document_id>", responses={200: DocumentAnswer})
def get_document(path: DocumentPath) -> Response:
    """One document, whole."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        document = DocumentRepository(session).get(who.tenant_id, path.document_id)
        has_original = UploadRepository(session).list_with_original(who.tenant_id, [document.id])
    return answer(DocumentAnswer(document=whole_of(document, file_url=_file_url(document.id, has_original))))


@api.get("/api/document/<document_id>/view", responses={200: None})
@cookie_allowed
@shows_pages
def view_document(path: DocumentPath, query: Place) -> Response:
    """A page that shows the document, for the links in answers; the session cookie opens it.

    `start` and `end` of a passage mark it, and `#passage` goes there.
    """
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        document = DocumentRepository(session).get(who.tenant_id, path.document_id)
    response = Response(page(document, query.start, query.end), mimetype="text/html")
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


def _page_of(which: Filter, query: Listing) -> Response:
    who = principal()
    after = _read_cursor(query) if query.cursor else None
    with services().db.transaction(who.tenant_id) as session:
        listing = DocumentListing(session)
        rows = listing.list_page(
            who.tenant_id,
            which,
            limit=query.limit + 1,
            offset=0 if after else query.offset,
            sort=query.sort,
            is_descending=query.order == "desc",
            after=after,
        )
        total = listing.count(who.tenant_id, which)
        shown = rows[: query.limit]
        ids = [row.document.id for row in shown]
        has_original = UploadRepository(session).list_with_original(who.tenant_id, ids)
    has_more = len(rows) > query.limit
    pagination = Pagination(
        total=total,
        limit=query.limit,
        offset=query.offset,
        has_more=has_more,
        next_cursor=_cursor(query, shown[-1]) if has_more else None,
    )
    documents = [
        summary_of(row.document, row.teaser, file_url=_file_url(row.document.id, has_original))
        for row in shown
    ]
    return answer(DocumentList(documents=documents, pagination=pagination))


def _file_url(document_id: UUID, has_original: frozenset[UUID]) -> str | None:
    if document_id not in has_original:
        return None
    return f"{services().settings.public_url}/api/documents/{document_id}/download"


def _cursor(query: Listing, last: Listed) -> str:
    value = last.sort_value
    place = [
        query.sort,
        query.order,
        value.isoformat() if isinstance(value, datetime) else value,
        str(last.document.id),
    ]
    return base64.urlsafe_b64encode(json.dumps(place, ensure_ascii=False).encode()).decode()


def _read_cursor(query: Listing) -> tuple[SortValue, UUID]:
    """(sort value, id) of the last document of the page before. Raises CursorInvalid."""
    try:
        place: Any = json.loads(base64.urlsafe_b64decode((query.cursor or "").encode()))
        sort, order, value, document_id = place
        if (sort, order) != (query.sort, query.order):
            raise CursorInvalid
        if sort.endswith("_at"):
            return datetime.fromisoformat(value), UUID(document_id)
        expected = str if sort == "title" else (int, float)
        if not isinstance(value, expected) or isinstance(value, bool):
            raise CursorInvalid
        return value, UUID(document_id)
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        raise CursorInvalid from error

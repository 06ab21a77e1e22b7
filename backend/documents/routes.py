"""/api/documents: list, get; /api/document/{id}/view: a page a citation opens. Deleting is a flow."""

import base64
import binascii
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.documents.models import Document
from backend.documents.repository import DocumentRepository
from backend.errors import Invalid
from backend.web import Answer, answer, cookie_allowed, principal, services

api = APIBlueprint("documents", __name__, abp_tags=[Tag(name="documents", description="What is known")])

_SUMMARY_CHARACTERS = 200


class CursorInvalid(Invalid):
    """This cursor is not one of ours."""


class DocumentPath(BaseModel):
    document_id: UUID


class Listing(BaseModel):
    limit: int = Field(50, ge=1, le=200)
    offset: int = Field(0, ge=0, le=100_000)
    cursor: str | None = Field(
        None, max_length=200, description="next_cursor of the page before; wins over offset"
    )


class DocumentSummary(BaseModel):
    id: str
    tenant_id: str
    connector_id: str | None
    external_id: str
    title: str
    summary: str
    source_type: str
    kind: str
    classification: str
    status: str = "classified"
    sender: str | None
    url: str | None
    created_at: str
    updated_at: str
    source_created_at: str | None
    source_updated_at: str | None
    metadata: dict[str, Any]
    structured_summary: dict[str, str] | None = None
    is_deleted: bool = False


class DocumentWhole(DocumentSummary):
    content: str
    content_html: str | None = None
    sender_email: str | None = None
    recipients: list[str] | None = None


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


@api.get("/api/documents", responses={200: DocumentList})
def list_documents(query: Listing) -> Response:
    """The workspace's documents, the newest first."""
    who = principal()
    before = _read_cursor(query.cursor) if query.cursor else None
    with services().db.transaction(who.tenant_id) as session:
        repository = DocumentRepository(session)
        rows = list(
            repository.list_newest(
                who.tenant_id, limit=query.limit + 1, offset=0 if before else query.offset, before=before
            )
        )
        total = repository.count_all(who.tenant_id)
    page = rows[: query.limit]
    has_more = len(rows) > query.limit
    pagination = Pagination(
        total=total,
        limit=query.limit,
        offset=query.offset,
        has_more=has_more,
        next_cursor=_cursor(page[-1]) if has_more else None,
    )
    return answer(
        DocumentList(documents=[DocumentSummary(**_summary(d)) for d in page], pagination=pagination)
    )


@api.get("/api/documents/<document_id>", responses={200: DocumentAnswer})
def get_document(path: DocumentPath) -> Response:
    """One document, whole."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        document = DocumentRepository(session).get(who.tenant_id, path.document_id)
    return answer(DocumentAnswer(document=DocumentWhole(**_summary(document), content=document.content)))


@api.get("/api/document/<document_id>/view", responses={200: None})
@cookie_allowed
def view_document(path: DocumentPath) -> Response:
    """A page that shows the document, for the links in answers; the session cookie opens it."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        document = DocumentRepository(session).get(who.tenant_id, path.document_id)
    response = Response(_page(document), mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    )
    return response


def _summary(document: Document) -> dict[str, Any]:
    return {
        "id": str(document.id),
        "tenant_id": str(document.tenant_id),
        "connector_id": str(document.connector_id) if document.connector_id else None,
        "external_id": document.external_id,
        "title": document.title,
        "summary": " ".join(document.content[: 2 * _SUMMARY_CHARACTERS].split())[:_SUMMARY_CHARACTERS],
        "source_type": document.source_type,
        "kind": document.kind,
        "classification": document.classification,
        "sender": document.author,
        "url": document.url,
        "created_at": document.created_at.isoformat(),
        "updated_at": document.updated_at.isoformat(),
        "source_created_at": _iso(document.source_created_at),
        "source_updated_at": _iso(document.source_updated_at),
        "metadata": {
            **document.details,
            "source_url": document.url,
            "url": document.url,
            "file_name": document.file_name,
        },
    }


def _page(document: Document) -> str:
    facts = " · ".join(
        escape(fact)
        for fact in (document.source_type, document.author, _iso(document.source_updated_at))
        if fact
    )
    link = ""
    if document.url and urlsplit(document.url).scheme in ("http", "https"):
        link = f'<p><a href="{escape(document.url)}" rel="noreferrer noopener">Open the original</a></p>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(document.title)}</title><style>body{{font:1rem/1.6 system-ui,sans-serif;max-width:50rem;"
        "margin:2rem auto;padding:0 1rem}pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}"
        f"</style></head><body><h1>{escape(document.title)}</h1><p>{facts}</p>{link}"
        f"<pre>{escape(document.content)}</pre></body></html>"
    )


def _cursor(document: Document) -> str:
    raw = f"{document.created_at.isoformat()} {document.id}"
    return base64.urlsafe_b64encode(raw.encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        moment, _, document_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        return datetime.fromisoformat(moment), UUID(document_id)
    except (ValueError, binascii.Error) as error:
        raise CursorInvalid from error


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

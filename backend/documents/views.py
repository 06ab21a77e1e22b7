"""Documents and uploads as the API shows them."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, Field

from backend.documents.listing.repository import TEASER_CHARACTERS
from backend.documents.models import Document, Upload

Classification: TypeAlias = Literal["work", "personal", "spam", "unknown"]
Status: TypeAlias = Literal["pending", "processing", "classified", "confirmed", "rejected", "archived"]

_SUMMARY_CHARACTERS: Final = 200
#: Clients take these for texts; anything else there would keep them from showing any document.
_TEXTS: Final = ("description", "file_type", "folder_path")


class DocumentPath(BaseModel):
    document_id: UUID


class DocumentSummary(BaseModel):
    id: str
    tenant_id: str
    connector_id: str | None
    external_id: str
    title: str
    summary: str
    source_type: str
    kind: str
    classification: Classification
    classification_confidence: float | None = Field(description="0 to 1; null if nothing has looked at it")
    classification_reason: str | None
    status: Status
    user_confirmed: bool
    sender: str | None
    sender_email: str | None
    recipients: list[str] | None
    url: str | None
    created_at: str
    updated_at: str
    source_created_at: str | None
    source_updated_at: str | None
    metadata: dict[str, Any]
    project_id: str | None = None
    structured_summary: dict[str, str] | None = None
    has_structured_summary: bool = False
    is_deleted: bool = False


class DocumentWhole(DocumentSummary):
    content: str
    content_html: str | None = None
    review_note: str | None
    reviewed_at: str | None


class UploadView(BaseModel):
    id: str = Field(description="Of the upload, and of the document that is made of it")
    file_name: str
    title: str | None
    byte_size: int
    state: Literal["waiting", "stored", "failed"]
    reason: str | None = Field(description="Why it failed")
    sha256: str
    url: str | None
    uploaded_by: str | None
    created_at: str
    finished_at: str | None


def summary_of(document: Document, teaser: str, *, file_url: str | None = None) -> DocumentSummary:
    """A document by the beginning of its text; `file_url` is where the original can be downloaded."""
    return DocumentSummary(**_fields(document, teaser, file_url))


def whole_of(document: Document, *, file_url: str | None = None) -> DocumentWhole:
    """A document with its text."""
    return DocumentWhole(
        **_fields(document, document.content[:TEASER_CHARACTERS], file_url),
        content=document.content,
        review_note=document.review_note,
        reviewed_at=iso(document.reviewed_at),
    )


def upload_view(upload: Upload) -> UploadView:
    """An upload without its bytes."""
    return UploadView(
        id=str(upload.id),
        file_name=upload.file_name,
        title=upload.title,
        byte_size=upload.byte_size,
        state=upload.state,
        reason=upload.reason,
        sha256=upload.sha256.hex(),
        url=upload.url,
        uploaded_by=str(upload.uploaded_by) if upload.uploaded_by else None,
        created_at=upload.created_at.isoformat(),
        finished_at=iso(upload.finished_at),
    )


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 with its offset."""
    return None if moment is None else moment.isoformat()


def _fields(document: Document, teaser: str, file_url: str | None) -> dict[str, Any]:
    details = document.details
    recipients = details.get("recipients")
    sender_email = details.get("sender_email")
    sender = details.get("sender")
    return {
        "id": str(document.id),
        "tenant_id": str(document.tenant_id),
        "connector_id": str(document.connector_id) if document.connector_id else None,
        "external_id": document.external_id,
        "title": document.title,
        "summary": " ".join(teaser.split())[:_SUMMARY_CHARACTERS],
        "source_type": document.source_type,
        "kind": document.kind,
        "classification": document.classification,
        "classification_confidence": document.classification_confidence,
        "classification_reason": document.classification_reason,
        "status": document.status,
        "user_confirmed": document.status == "confirmed",
        "sender": sender if isinstance(sender, str) else document.author,
        "sender_email": sender_email if isinstance(sender_email, str) else None,
        "recipients": [r for r in recipients if isinstance(r, str)] if isinstance(recipients, list) else None,
        "url": document.url,
        "created_at": document.created_at.isoformat(),
        "updated_at": document.updated_at.isoformat(),
        "source_created_at": iso(document.source_created_at),
        "source_updated_at": iso(document.source_updated_at),
        "metadata": _metadata(document, details, file_url),
    }


def _metadata(document: Document, details: Mapping[str, Any], file_url: str | None) -> dict[str, Any]:
    suffix = PurePath(document.file_name).suffix.lower().lstrip(".")
    texts = {name: details.get(name) for name in _TEXTS}
    return {
        **details,
        **{name: value if isinstance(value, str) else None for name, value in texts.items()},
        "file_type": "code" if document.kind == "code" else details.get("file_type") or suffix or None,
        "source_url": document.url,
        "url": document.url,
        "file_name": document.file_name,
        "file_url": file_url,
    }

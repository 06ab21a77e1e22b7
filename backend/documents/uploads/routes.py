"""/api/documents/uploads: what became of files handed in; /api/documents/{id}/download: one as it was handed in."""

from typing import Literal
from urllib.parse import quote

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.documents.uploads.repository import UploadRepository
from backend.documents.views import DocumentPath, UploadView, upload_view
from backend.marks import cookie_allowed, shows_pages
from backend.web import Answer, answer, principal, services

api = APIBlueprint("uploads", __name__, abp_tags=[Tag(name="documents", description="What is known")])


class Listing(BaseModel):
    state: Literal["waiting", "stored", "failed"] | None = None
    limit: int = Field(50, ge=1, le=200)
    offset: int = Field(0, ge=0, le=100_000)


class UploadList(Answer):
    uploads: list[UploadView]


@api.get("/api/documents/uploads", responses={200: UploadList})
def list_uploads(query: Listing) -> Response:
    """Files handed in, the newest first: which wait, which are stored, which failed and why."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        rows = UploadRepository(session).list_newest(
            who.tenant_id, state=query.state, limit=query.limit, offset=query.offset
        )
    return answer(UploadList(uploads=[upload_view(upload) for upload in rows]))


@api.get("/api/documents/<document_id>/download", responses={200: None})
@cookie_allowed
@shows_pages
def download(path: DocumentPath) -> Response:
    """The file that a document was made of, as it was handed in; the session cookie opens it."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        file_name, body = UploadRepository(session).get_original(who.tenant_id, path.document_id)
    # Never shown in place: whatever is in there, the browser only keeps it.
    response = Response(body, mimetype="application/octet-stream")
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response

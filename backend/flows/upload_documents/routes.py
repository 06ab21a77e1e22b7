"""POST /api/documents/upload, POST /api/documents/upload-url."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Literal

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, StringConstraints, TypeAdapter

from backend.configs.schemas import ParserConfig, UploadConfig
from backend.documents.models import Upload
from backend.documents.uploads.repository import MOST_FILES, NewUpload
from backend.documents.views import Classification
from backend.errors import Invalid
from backend.flows.upload_documents.flow import NothingUploaded, fetch_upload, new_upload, take_in, wait_for
from backend.outside.fetch import Fetcher
from backend.web import Answer, answer, editor, problem, services

api = APIBlueprint(
    "upload_documents", __name__, abp_tags=[Tag(name="documents", description="What is known")]
)


class TooManyFiles(Invalid):
    """One request may bring up to fifty files; send the others in a second one."""


class Text(BaseModel):
    title: str = Field(min_length=1, max_length=300)
    content: str = Field(min_length=1, description="Plain text or Markdown")
    classification: Classification | None = None


class Link(BaseModel):
    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    classification: Classification | None = None


class Waiting(BaseModel):
    wait: float = Field(5, ge=0, le=20, description="Seconds to wait for what becomes of the files")


class UploadedView(BaseModel):
    id: str = Field(description="Of the document, also while it is not there yet")
    title: str
    status: Literal["classified", "processing"] = Field(description="processing: a worker will read it")


class Uploaded(Answer):
    documents: list[UploadedView]
    count: int


@api.post("/api/documents/upload", responses={200: Uploaded, 202: Uploaded})
def upload(query: Waiting) -> Response:
    """Hand in files (multipart, parts called `files`) or a text (JSON with `title` and `content`).

    The same bytes are the same document. When the answer is 202, some files are still to be read; what becomes of them
    shows in GET /api/documents/uploads. Files that cannot be read are named in the error, and the others stay.
    """
    editor()
    return _handed_in(_files(), query.wait)


@api.post("/api/documents/upload-url", responses={200: Uploaded, 202: Uploaded})
def upload_url(body: Link, query: Waiting) -> Response:
    """Hand in what is at a public web address; it is read once, now, and not followed."""
    who = editor()
    s = services()
    most = min(s.configs.current(who.tenant_id, ParserConfig).max_bytes, s.settings.max_request_bytes)
    with Fetcher(allow_private_addresses=s.settings.allow_private_addresses) as fetcher:
        file = fetch_upload(fetcher, body.url, max_bytes=most, classification=body.classification)
    return _handed_in([file], query.wait)


def _handed_in(files: Sequence[NewUpload], seconds: float) -> Response:
    """Keeps the files, waits up to `seconds` for what becomes of them, and says it."""
    who = editor()
    s = services()
    quota = s.configs.current(who.tenant_id, UploadConfig).quota_bytes
    uploads = take_in(s.db, who.tenant_id, files, by=who.user_id, quota_bytes=quota)
    ids = list(dict.fromkeys(upload.id for upload in uploads))
    found = wait_for(s.db, s.listener, who.tenant_id, ids, seconds=seconds)
    # One that is not found was stored and deleted by somebody meanwhile.
    ended = [found[upload_id] for upload_id in ids if upload_id in found]
    failed = [one for one in ended if one.state == "failed"]
    documents = [_view(one) for one in ended if one.state != "failed"]
    if failed:
        return _failed(failed, documents)
    is_over = all(one.status == "classified" for one in documents)
    body = Uploaded(documents=documents, count=len(documents))
    return answer(body, HTTPStatus.OK if is_over else HTTPStatus.ACCEPTED)


def _files() -> list[NewUpload]:
    """Raises NothingUploaded, TooManyFiles, ValidationError."""
    if request.mimetype == "application/json":
        text = TypeAdapter(Text).validate_json(request.get_data())
        # A title may hold anything; the name only says how to read it.
        return [
            new_upload(
                text.content.encode("utf-8", errors="replace"),
                file_name="text.md",
                mime_type="text/markdown",
                title=text.title,
                classification=text.classification,
            )
        ]
    parts = request.files.getlist("files")
    if len(parts) > MOST_FILES:
        raise TooManyFiles
    classification = TypeAdapter(Classification | None).validate_python(
        request.form.get("classification") or None
    )
    files = [
        new_upload(
            part.stream.read(),
            file_name=part.filename or "",
            mime_type=part.mimetype or "",
            classification=classification,
        )
        for part in parts
        # A form without a chosen file sends a part without a name.
        if part.filename
    ]
    if not files:
        raise NothingUploaded
    return files


def _view(one: Upload) -> UploadedView:
    return UploadedView(
        id=str(one.id),
        title=one.title or one.file_name,
        status="classified" if one.state == "stored" else "processing",
    )


def _failed(failed: list[Upload], documents: list[UploadedView]) -> Response:
    """Names each that failed, and says what became of the others."""
    reasons = [f"{one.file_name}: {one.reason}" for one in failed]
    words = " ".join(reasons)
    if documents:
        words += (
            f" The other {len(documents)} were taken." if len(documents) > 1 else " The other one was taken."
        )
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY if documents else HTTPStatus.BAD_REQUEST,
        words,
        "UPLOAD_FAILED",
        parsing_errors=reasons,
        documents=[one.model_dump() for one in documents],
        count=len(documents),
    )

"""Takes files in, and waits for what becomes of them."""

import hashlib
import mimetypes
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.documents.models import Upload
from backend.documents.uploads.repository import NewUpload, UploadRepository
from backend.errors import Unprocessable
from backend.jobs.repository import JobRepository
from backend.outside.fetch import Fetcher

#: Jobs of this kind have `upload_id`.
JOB_KIND: Final = "ingest_upload"
#: A file that ends its worker this many times is given up.
MAX_ATTEMPTS: Final = 4
#: A hint may be lost: the rows are read this often even without one.
_POLL_SECONDS: Final = 0.5
_FETCH_SECONDS: Final = 30.0


class NothingThere(Unprocessable):
    """There is nothing to read at this address."""


def new_upload(
    body: bytes,
    *,
    file_name: str,
    mime_type: str = "",
    title: str | None = None,
    url: str | None = None,
    classification: str | None = None,
) -> NewUpload:
    """A file as it came, with its hash. `file_name` may be whatever a browser sends: paths and NULs are taken out."""
    name = file_name.replace("\x00", "").replace("\\", "/").rpartition("/")[2].strip() or "document"
    return NewUpload(
        file_name=name[-255:],
        mime_type=mime_type.replace("\x00", "")[:255],
        body=body,
        sha256=hashlib.sha256(body).digest(),
        title=(title or "").replace("\x00", "").strip()[:300] or None,
        url=url,
        classification=classification,
    )


def fetch_upload(fetcher: Fetcher, url: str, *, max_bytes: int, classification: str | None) -> NewUpload:
    """What is at a public address, as a file to hand in. Slow: no transaction may be open.

    Raises AddressRefused, TooManyRedirects, AnswerTooLarge, AnswerNotUnderstood, HostUnavailable, NothingThere.
    """
    found = fetcher.fetch(url, limit=lambda _url, _type: max_bytes, seconds=_FETCH_SECONDS)
    if found.status != HTTPStatus.OK or not found.body:
        raise NothingThere(f"There is nothing to read at this address (status {found.status}).")
    parts = urlsplit(found.url)
    name = unquote(parts.path.rstrip("/").rpartition("/")[2])
    if "." not in name:
        # A page is called after its site; what it is, its type says.
        name = f"{name or parts.hostname}{mimetypes.guess_extension(found.content_type) or '.html'}"
    return new_upload(
        found.body,
        file_name=name,
        mime_type=found.headers.get("content-type", ""),
        url=found.url,
        classification=classification,
    )


def take_in(
    db: Database, tenant_id: UUID, files: Sequence[NewUpload], *, by: UUID, quota_bytes: int
) -> list[Upload]:
    """Keeps `files` and enqueues their reading, in one transaction: all of them or none.

    Raises QuotaExceeded.
    """
    uploads = []
    with db.transaction(tenant_id) as session:
        repository, jobs = UploadRepository(session), JobRepository(session)
        for upload, is_new in repository.add_many(tenant_id, files, by=by, quota_bytes=quota_bytes):
            if is_new:
                # Before what syncs bring: somebody waits for it.
                jobs.enqueue(
                    tenant_id,
                    JOB_KIND,
                    {"upload_id": str(upload.id)},
                    priority=10,
                    max_attempts=MAX_ATTEMPTS,
                )
            uploads.append(upload)
    return uploads


def wait_for(
    db: Database, listener: Listener, tenant_id: UUID, upload_ids: Collection[UUID], *, seconds: float
) -> Mapping[UUID, Upload]:
    """The uploads once none waits any more, or after `seconds`."""
    deadline = time.monotonic() + seconds
    with ExitStack() as stack:
        hints = [
            stack.enter_context(listener.subscribe(Channel.UPLOADS, f"{tenant_id}:{upload_id}"))
            for upload_id in upload_ids
        ]
        while True:
            with db.transaction(tenant_id) as session:
                uploads = UploadRepository(session).find_many(tenant_id, upload_ids)
            waiting = [
                hint
                for hint, upload_id in zip(hints, upload_ids, strict=True)
                if upload_id in uploads and uploads[upload_id].state == "waiting"
            ]
            left = deadline - time.monotonic()
            if not waiting or left <= 0:
                return uploads
            waiting[0].wait(min(left, _POLL_SECONDS))

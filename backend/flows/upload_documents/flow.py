"""Takes files in, and waits for what becomes of them."""

import hashlib
import mimetypes
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database, Session
from backend.documents.models import Upload
from backend.documents.uploads.repository import NewUpload, UploadRepository
from backend.errors import Invalid, Unprocessable
from backend.jobs.repository import JobRepository
from backend.outside.fetch import Fetcher

#: Jobs of this kind have `upload_ids`.
JOB_KIND: Final = "ingest_uploads"
#: Jobs of this kind have `upload_id`: enqueued before an upgrade, when each file had a job of its own.
OLD_JOB_KIND: Final = "ingest_upload"
#: Files of one request are read by one job, up to so many and so many bytes of them; a large one by a job of its own.
_TOGETHER: Final = 10
_BYTES_TOGETHER: Final = 1024 * 1024
#: A file that ends its worker this many times is given up.
MAX_ATTEMPTS: Final = 4
#: A hint may be lost: the rows are read this often even without one.
_POLL_SECONDS: Final = 0.5
_FETCH_SECONDS: Final = 30.0


class NothingUploaded(Invalid):
    """Send one or more files as parts called `files`, or JSON with `title` and `content`."""


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
    with db.transaction(tenant_id) as session:
        added = UploadRepository(session).add_many(tenant_id, files, by=by, quota_bytes=quota_bytes)
        for together in _groups([upload for upload, is_new in added if is_new]):
            enqueue_reading(session, tenant_id, together)
    return [upload for upload, _ in added]


def enqueue_reading(session: Session, tenant_id: UUID, upload_ids: Sequence[UUID]) -> None:
    """Has a worker read them, one after another."""
    # Before what syncs bring: somebody waits for it.
    JobRepository(session).enqueue(
        tenant_id,
        JOB_KIND,
        {"upload_ids": [str(upload_id) for upload_id in upload_ids]},
        priority=10,
        max_attempts=MAX_ATTEMPTS,
    )


def upload_ids_of(args: Mapping[str, Any]) -> list[UUID]:
    """What a job of `JOB_KIND` or `OLD_JOB_KIND` is to read."""
    ids = args["upload_ids"] if "upload_ids" in args else [args["upload_id"]]
    return [UUID(str(upload_id)) for upload_id in ids]


def _groups(uploads: Sequence[Upload]) -> Iterator[list[UUID]]:
    """Ids of what one job reads, in order. Each job has its transactions and its round trips: most files are small, and
    reading one takes less than these."""
    group: list[UUID] = []
    size = 0
    for upload in uploads:
        if group and (len(group) == _TOGETHER or size + upload.byte_size > _BYTES_TOGETHER):
            yield group
            group, size = [], 0
        group.append(upload.id)
        size += upload.byte_size
    if group:
        yield group


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

"""Takes files in, and waits for what becomes of them."""

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Final
from uuid import UUID

from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.documents.models import Upload
from backend.documents.uploads.repository import NewUpload, UploadRepository
from backend.jobs.repository import JobRepository

#: Jobs of this kind have `upload_id`.
JOB_KIND: Final = "ingest_upload"
#: A file that ends its worker this many times is given up.
MAX_ATTEMPTS: Final = 4
#: A hint may be lost: the rows are read this often even without one.
_POLL_SECONDS: Final = 0.5


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


def take_in(
    db: Database, tenant_id: UUID, files: Sequence[NewUpload], *, by: UUID, quota_bytes: int
) -> list[Upload]:
    """Keeps `files` and enqueues their reading, in one transaction: all of them or none.

    Raises QuotaExceeded.
    """
    uploads = []
    with db.transaction(tenant_id) as session:
        repository, jobs = UploadRepository(session), JobRepository(session)
        for file in files:
            upload, is_new = repository.add(tenant_id, file, by=by, quota_bytes=quota_bytes)
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

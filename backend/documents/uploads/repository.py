"""Hand in (the same bytes once), take for reading, end, list, download, purge."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.db.notify import Channel
from backend.db.transaction import Unit, has_carried, hint
from backend.documents.models import Document, Upload
from backend.errors import NotFound, TooLarge

#: How many an INSERT of one request can bring; the size of a request is bounded besides.
MOST_FILES: Final = 50


class QuotaExceeded(TooLarge):
    """The workspace's room for uploaded files is used up; delete some of them first."""


class OriginalNotFound(NotFound):
    """There is no original file of this document here."""


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A file as it came."""

    file_name: str
    mime_type: str
    body: bytes
    sha256: bytes
    title: str | None = None
    url: str | None = None
    classification: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a workspace's files are: `waiting` of `total` wait, the others ended since the oldest of these came."""

    waiting: int
    total: int


_TAKEN: Final = (
    "id",
    "file_name",
    "title",
    "mime_type",
    "url",
    "classification",
    "body",
    "uploaded_by",
    "created_at",
)
_TAKE: Final = text(
    f"""
    SELECT {", ".join(_TAKEN)} FROM uploads
    WHERE tenant_id = :tenant_id AND id = ANY (:upload_ids) AND state = :state
    """  # noqa: S608 - constants
)
# Locked by id, as `add_many` locks them: or two transactions would wait for each other.
_END: Final = text(
    """
    WITH ended AS (
        SELECT u.id, e.reason
        FROM uploads AS u
        JOIN unnest(CAST(:upload_ids AS uuid[]), CAST(:reasons AS text[])) AS e (id, reason) ON e.id = u.id
        WHERE u.tenant_id = :tenant_id AND u.state = 'waiting' ORDER BY u.id FOR UPDATE OF u
    )
    UPDATE uploads AS u SET state = CASE WHEN e.reason IS NULL THEN 'stored' ELSE 'failed' END, reason = e.reason,
        finished_at = now(), body = CASE WHEN e.reason IS NULL THEN u.body END
    FROM ended AS e WHERE u.tenant_id = :tenant_id AND u.id = e.id
    RETURNING u.id
    """
)


class UploadRepository:
    """Uploads of one tenant, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_many(
        self, tenant_id: UUID, files: Sequence[NewUpload], *, by: UUID, quota_bytes: int
    ) -> list[tuple[Upload, bool]]:
        """Keeps the files: for each (upload, whether a worker has to read it).

        The same bytes are the same upload, whoever hands them in under whatever name; one that failed gets
        another try. Raises QuotaExceeded.
        """
        # One at a time, or files that fit each alone would not fit together.
        self._session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('uploads ' || :tenant_id, 5003))"),
            {"tenant_id": str(tenant_id)},
        )
        known = {
            upload.sha256: upload
            for upload in self._session.scalars(
                select(Upload)
                .where(
                    Upload.tenant_id == tenant_id, Upload.sha256 == func.any([file.sha256 for file in files])
                )
                .order_by(Upload.id)
                .with_for_update()
            )
            if upload.state != "failed"
        }
        new = {file.sha256: len(file.body) for file in files if file.sha256 not in known}
        if not new:
            return [(known[file.sha256], False) for file in files]
        used = self._session.scalar(
            select(func.coalesce(func.sum(Upload.byte_size), 0)).where(
                Upload.tenant_id == tenant_id, Upload.state != "failed"
            )
        )
        if int(used or 0) + sum(new.values()) > quota_bytes:
            raise QuotaExceeded
        # The first of equal ones, as the others are told.
        added = self._insert(
            tenant_id, {file.sha256: file for file in reversed(files) if file.sha256 in new}, by
        )
        return [
            (known[file.sha256], False)
            if file.sha256 in known
            # Of equal ones only the first is to be read.
            else (added[file.sha256], new.pop(file.sha256, None) is not None)
            for file in files
        ]

    def _insert(self, tenant_id: UUID, files: Mapping[bytes, NewUpload], by: UUID) -> Mapping[bytes, Upload]:
        insertion = insert(Upload).values(
            [
                {
                    "tenant_id": tenant_id,
                    "file_name": file.file_name,
                    "title": file.title,
                    "mime_type": file.mime_type,
                    "url": file.url,
                    "classification": file.classification,
                    "byte_size": len(file.body),
                    "sha256": file.sha256,
                    "body": file.body,
                    "state": "waiting",
                    "reason": None,
                    "uploaded_by": by,
                    "finished_at": None,
                }
                # In one order whoever hands them in.
                for _, file in sorted(files.items())
            ]
        )
        replaced = {
            name: insertion.excluded[name]
            for name in (
                *("file_name", "title", "mime_type", "url", "classification", "byte_size", "body", "state"),
                *("reason", "uploaded_by", "finished_at"),
            )
        }
        uploads = self._session.scalars(
            insertion.on_conflict_do_update(
                index_elements=["tenant_id", "sha256"], set_={**replaced, "created_at": func.now()}
            ).returning(Upload),
            execution_options={"populate_existing": True},
        )
        has_carried(self._session, sum(len(file.body) for file in files.values()))
        return {upload.sha256: upload for upload in uploads}

    def end_many(self, tenant_id: UUID, reasons: Mapping[UUID, str | None]) -> frozenset[UUID]:
        """Documents are made of them in this transaction; those with a reason are none: their bytes go, it stays. Returns
        those that still waited."""
        values = {"tenant_id": tenant_id, "upload_ids": list(reasons), "reasons": list(reasons.values())}
        ended = self._session.scalars(_END, values).all()
        for upload_id in reasons:
            hint(self._session, Channel.UPLOADS, tenant_id, upload_id)
        return frozenset(ended)

    def fail_many(self, tenant_id: UUID, upload_ids: Collection[UUID], reason: str) -> frozenset[UUID]:
        """None of them can be read, for that reason. Those that still waited."""
        return self.end_many(tenant_id, dict.fromkeys(upload_ids, reason))

    def find_many(self, tenant_id: UUID, upload_ids: Collection[UUID]) -> Mapping[UUID, Upload]:
        """Uploads by id, without their bytes."""
        rows = self._session.scalars(
            select(Upload).where(Upload.tenant_id == tenant_id, Upload.id == func.any(list(upload_ids)))
        )
        return {upload.id: upload for upload in rows}

    def list_newest(
        self, tenant_id: UUID, *, state: str | None = None, limit: int = 50, offset: int = 0
    ) -> Sequence[Upload]:
        """Uploads without their bytes, the newest first."""
        query = select(Upload).where(Upload.tenant_id == tenant_id)
        if state is not None:
            query = query.where(Upload.state == state)
        query = query.order_by(Upload.created_at.desc(), Upload.id.desc())
        return self._session.scalars(query.limit(limit).offset(offset)).all()

    def reading(self, tenant_id: UUID) -> Reading:
        """How far those are that were handed in last, in one request or many."""
        oldest = (
            select(func.min(Upload.created_at))
            .where(Upload.tenant_id == tenant_id, Upload.state == "waiting")
            .scalar_subquery()
        )
        # Not by when they were handed in: the oldest that waits is ever younger.
        counts = (
            func.count().filter(Upload.state == "waiting"),
            func.count().filter(Upload.finished_at >= oldest),
        )
        waiting, done = self._session.execute(select(*counts).where(Upload.tenant_id == tenant_id)).one()
        return Reading(waiting, waiting + done)

    def usage(self, tenant_id: UUID) -> tuple[int, int]:
        """(files, bytes) kept."""
        row = self._session.execute(
            select(func.count(), func.coalesce(func.sum(Upload.byte_size), 0)).where(
                Upload.tenant_id == tenant_id, Upload.state != "failed"
            )
        ).one()
        return row[0], int(row[1])

    def get_original(self, tenant_id: UUID, document_id: UUID) -> tuple[str, bytes]:
        """(file name, bytes) of a document as it was handed in. Raises OriginalNotFound."""
        row = self._session.execute(
            select(Upload.file_name, Upload.body)
            .join(Document, (Document.tenant_id == Upload.tenant_id) & (Document.id == Upload.id))
            .where(
                Upload.tenant_id == tenant_id,
                Upload.id == document_id,
                Upload.state == "stored",
                Document.deleted_at.is_(None),
            )
        ).one_or_none()
        if row is None or row[1] is None:
            raise OriginalNotFound
        has_carried(self._session, len(row[1]))
        return row[0], row[1]

    def list_with_original(self, tenant_id: UUID, document_ids: Collection[UUID]) -> frozenset[UUID]:
        """Which of these documents can be downloaded as they were handed in."""
        return frozenset(
            self._session.scalars(
                select(Upload.id).where(
                    Upload.tenant_id == tenant_id,
                    Upload.id == func.any(list(document_ids)),
                    Upload.state == "stored",
                )
            )
        )

    def delete(self, tenant_id: UUID, document_ids: Collection[UUID]) -> int:
        """Deletes the files that these documents were made of; how many there were."""
        return len(
            self._session.scalars(
                delete(Upload)
                .where(Upload.tenant_id == tenant_id, Upload.id == func.any(list(document_ids)))
                .returning(Upload.id)
            ).all()
        )

    def purge_failed(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes failures of more than `older_than` ago (operator transaction); how many."""
        old = (
            select(Upload.tenant_id, Upload.id)
            .where(Upload.state == "failed", Upload.finished_at < func.now() - older_than)
            .limit(limit)
            .subquery()
        )
        rows = self._session.execute(
            delete(Upload)
            .where(Upload.tenant_id == old.c.tenant_id, Upload.id == old.c.id, Upload.state == "failed")
            .returning(Upload.id)
        )
        return len(rows.all())


def take(unit: Unit, tenant_id: UUID, upload_ids: Sequence[UUID]) -> list[Upload]:
    """Those that wait, with their bytes, to be read; in the order given. One statement."""
    return _with_bytes(unit, tenant_id, upload_ids, "waiting")


def take_again(unit: Unit, tenant_id: UUID, upload_id: UUID) -> Upload | None:
    """One that was stored, with its bytes, to be read once more; None if there is none. One statement."""
    return next(iter(_with_bytes(unit, tenant_id, [upload_id], "stored")), None)


def _with_bytes(unit: Unit, tenant_id: UUID, upload_ids: Sequence[UUID], state: str) -> list[Upload]:
    values = {"tenant_id": tenant_id, "upload_ids": list(upload_ids), "state": state}
    rows = (dict(zip(_TAKEN, row, strict=True)) for row in unit.execute(_TAKE, values).all())
    found = {row["id"]: Upload(tenant_id=tenant_id, **row) for row in rows}
    has_carried(unit, sum(len(upload.body or b"") for upload in found.values()))
    return [found[upload_id] for upload_id in upload_ids if upload_id in found]

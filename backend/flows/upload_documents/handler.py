"""What a worker does with files that were handed in."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from prometheus_client import Counter

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.db.transaction import Database, Session
from backend.documents.models import Upload
from backend.documents.parsing.reader import DocumentReader
from backend.documents.review.repository import ReviewRepository
from backend.documents.rows import NewDocument
from backend.documents.uploads.repository import UploadRepository, take
from backend.embeddings.providers.contract import Embedder, EmbeddingRefused
from backend.errors import Unavailable
from backend.flows.ingest_document.store import store_all
from backend.flows.upload_documents.flow import enqueue_reading, upload_ids_of
from backend.flows.upload_documents.reading import read_upload
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository

UPLOADS = Counter("secondbrain_uploads_total", "Files handed in that this process has read", ["outcome"])

#: After so long what was read is stored, and the rest is for whoever is free.
_SECONDS: Final = 2.0
#: What is not there for a while, such as a model's server, is waited for: the files are nowhere else.
_PATIENCE: Final = timedelta(days=1)
_FIRST_LOOK: Final = timedelta(minutes=1)
_LAST_LOOK: Final = timedelta(hours=1)
#: Of a job's args: since when it waits.
_SINCE: Final = "waiting_since"
_CANCELLED: Final = "It was cancelled."


@dataclass(frozen=True, slots=True)
class UploadHandler:
    """Carries out jobs that read uploads."""

    db: Database
    embedder_for: Callable[[UUID], Embedder]
    configs: ConfigFollower
    reader: DocumentReader

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        """Makes documents of the files, or writes down why they cannot be any; once, whoever tries how often.

        Raises LeaseLost, and what is no fault of the files: EmbeddingFailed, ReaderUnavailable, DatabaseUnavailable.
        """
        upload_ids = upload_ids_of(claim.args)
        if claim.attempt > 1 and len(upload_ids) > 1:
            # One of them may have ended the worker: the others are not to be given up with it.
            with self.db.transaction(claim.tenant_id) as session:
                if self._goes_on(session, claim):
                    JobRepository(session).complete(claim)
                    for upload_id in upload_ids:
                        enqueue_reading(session, claim.tenant_id, [upload_id])
            return
        with self.db.statement(claim.tenant_id) as unit:
            uploads = take(unit, claim.tenant_id, upload_ids)
        try:
            made = list(self._read(claim, uploads, should_stop))
        except Unavailable as error:
            # Of several each is tried alone first.
            if len(upload_ids) > 1 or isinstance(error, EmbeddingRefused) or not self._wait(claim, error):
                raise
            return
        with self.db.transaction(claim.tenant_id) as session:
            # First: what follows is written only by whom the job belongs to.
            if not self._goes_on(session, claim):
                return
            JobRepository(session).complete(claim)
            if rest := [upload.id for upload in uploads[len(made) :]]:
                enqueue_reading(session, claim.tenant_id, rest)
            _store(session, claim.tenant_id, made)
        for _, document in made:
            UPLOADS.labels("failed" if isinstance(document, str) else "stored").inc()

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """They ended every worker that tried, or something they need was not there for a long time."""
        failed = UploadRepository(session).fail_many(tenant_id, upload_ids_of(args), reason)
        UPLOADS.labels("failed").inc(len(failed))

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """They will not be read."""
        UploadRepository(session).fail_many(tenant_id, upload_ids_of(args), _CANCELLED)

    def _read(
        self, claim: Claim, uploads: Sequence[Upload], should_stop: Callable[[], bool]
    ) -> Iterator[tuple[Upload, NewDocument | str]]:
        """What becomes of the first ones, one at least."""
        until = time.monotonic() + _SECONDS
        for place, upload in enumerate(uploads):
            if place and (should_stop() or time.monotonic() >= until):
                return
            embedder = self.embedder_for(claim.tenant_id)
            config = self.configs.current(claim.tenant_id, ParserConfig)
            yield upload, read_upload(upload, embedder=embedder, config=config, reader=self.reader)

    def _wait(self, claim: Claim, error: Unavailable) -> bool:
        """Has the job tried again later, ever more rarely and without counting tries; False if it has waited long."""
        now = datetime.now(UTC)
        since = datetime.fromisoformat(str(claim.args.get(_SINCE, now.isoformat())))
        if now - since > _PATIENCE:
            return False
        delay = min(max((now - since) / 4, _FIRST_LOOK), _LAST_LOOK)
        args = {**claim.args, _SINCE: since.isoformat()}
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).postpone(claim, delay, because=error.message, args=args)
        return True

    def _goes_on(self, session: Session, claim: Claim) -> bool:
        """Whether nobody has cancelled the job; else it ends here, and none of its files becomes a document."""
        if JobRepository(session).hold(claim):
            return True
        JobRepository(session).end_cancelled(claim)
        self.on_cancelled(session, claim.tenant_id, claim.args)
        return False


def _store(session: Session, tenant_id: UUID, made: Sequence[tuple[Upload, NewDocument | str]]) -> None:
    """Writes the documents, which have the uploads' ids, and why the others are none."""
    documents = {upload.id: replace(d, id=upload.id) for upload, d in made if not isinstance(d, str)}
    reasons = {upload.id: document if isinstance(document, str) else None for upload, document in made}
    # One that was deleted or cancelled meanwhile is not waiting any more.
    stored = UploadRepository(session).end_many(tenant_id, reasons) & documents.keys()
    store_all(
        session, tenant_id, None, [documents[upload_id] for upload_id in documents if upload_id in stored]
    )
    for upload, _ in made:
        if upload.id in stored and upload.classification is not None and upload.uploaded_by is not None:
            ReviewRepository(session).reclassify(
                tenant_id, [upload.id], upload.classification, by=upload.uploaded_by
            )

"""What a worker does with a file that was handed in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from prometheus_client import Counter

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.db.transaction import Database, Session
from backend.documents.models import Upload
from backend.documents.parsing.reader import DocumentReader
from backend.documents.review.repository import ReviewRepository
from backend.documents.rows import NewDocument
from backend.documents.uploads.repository import UploadRepository, take
from backend.embeddings.providers.contract import Embedder
from backend.flows.ingest_document.flow import try_to_prepare
from backend.flows.ingest_document.store import store_all
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository, JobStatements

UPLOADS = Counter("secondbrain_uploads_total", "Files handed in that this process has read", ["outcome"])


@dataclass(frozen=True, slots=True)
class UploadHandler:
    """Carries out `ingest_upload` jobs."""

    db: Database
    embedder_for: Callable[[UUID], Embedder]
    configs: ConfigFollower
    reader: DocumentReader

    def run(self, claim: Claim, _should_stop: Callable[[], bool]) -> None:
        """Makes a document of the file, or writes down why it cannot be one; once, whoever tries how often.

        Raises LeaseLost, and what is no fault of the file: EmbeddingFailed, DatabaseUnavailable.
        """
        upload_id = UUID(str(claim.args["upload_id"]))
        with self.db.statement(claim.tenant_id) as unit:
            upload = take(unit, claim.tenant_id, upload_id)
        if upload is None:
            with self.db.statement(claim.tenant_id) as unit:
                JobStatements(unit).complete(claim)
            return
        made = self._read(upload)
        with self.db.transaction(claim.tenant_id) as session:
            # First: what follows is written only by whom the job belongs to.
            JobRepository(session).complete(claim)
            uploads = UploadRepository(session)
            if isinstance(made, str):
                uploads.fail(claim.tenant_id, upload_id, made)
            elif uploads.finish(claim.tenant_id, upload_id):
                _store(session, upload, made)
        UPLOADS.labels("failed" if isinstance(made, str) else "stored").inc()

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """It ended every worker that tried, or something it needs was not there for a long time."""
        UploadRepository(session).fail(tenant_id, UUID(str(args["upload_id"])), reason)
        UPLOADS.labels("failed").inc()

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """It will not be read."""
        UploadRepository(session).fail(tenant_id, UUID(str(args["upload_id"])), "It was cancelled.")

    def _read(self, upload: Upload) -> NewDocument | str:
        item = SourceItem(
            external_id=f"upload:{upload.id}",
            title=upload.title or "",
            body=upload.body or b"",
            mime_type=upload.mime_type,
            file_name=upload.file_name,
            kind="upload",
            url=upload.url,
            author=None,
            created_at=None,
            updated_at=upload.created_at,
            metadata={"uploaded_by": str(upload.uploaded_by) if upload.uploaded_by else None},
        )
        return try_to_prepare(
            item,
            source_type="file",
            embedder=self.embedder_for(upload.tenant_id),
            config=self.configs.current(upload.tenant_id, ParserConfig),
            reader=self.reader,
        )


def _store(session: Session, upload: Upload, document: NewDocument) -> None:
    """The document has the upload's id."""
    store_all(session, upload.tenant_id, None, [replace(document, id=upload.id)])
    if upload.classification is not None and upload.uploaded_by is not None:
        ReviewRepository(session).reclassify(
            upload.tenant_id, [upload.id], upload.classification, by=upload.uploaded_by
        )

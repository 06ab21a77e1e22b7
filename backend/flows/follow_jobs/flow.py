"""A job with how far it is, and stopping one."""

from dataclasses import dataclass
from uuid import UUID

from backend.db.transaction import Session
from backend.documents.uploads.repository import UploadRepository
from backend.errors import Conflict, NotFound
from backend.flows.recut_documents.flow import RECUT_KIND
from backend.flows.sync_connector.flow import JOB_KIND as SYNC_KIND
from backend.flows.sync_connector.flow import cancel_sync
from backend.flows.upload_documents.flow import JOB_KIND as UPLOAD_KIND
from backend.flows.upload_documents.flow import OLD_JOB_KIND as OLD_UPLOAD_KIND
from backend.flows.upload_documents.flow import upload_ids_of
from backend.jobs.models import Job
from backend.jobs.repository import JobRepository
from backend.sync.models import SyncRun
from backend.sync.repository import SyncRunNotFound, SyncRunRepository


class JobNotFound(NotFound):
    """There is no such job."""


class JobNotStoppable(Conflict):
    """This job cannot be stopped; it goes on by itself to its end."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A job, and the sync it carries out if it is one."""

    job: Job
    run: SyncRun | None


def follow_job(session: Session, tenant_id: UUID, job_id: UUID) -> Followed:
    """The tenant's job. Raises JobNotFound."""
    job = JobRepository(session).find(tenant_id, job_id)
    if job is None:
        raise JobNotFound
    run = None
    if job.kind == SYNC_KIND:
        try:
            run = SyncRunRepository(session).get(tenant_id, UUID(str(job.args["run_id"])))
        except SyncRunNotFound:
            # Its history was purged, or its source is gone.
            run = None
    return Followed(job, run)


def stop_job(session: Session, tenant_id: UUID, job_id: UUID, *, by: UUID) -> Followed:
    """The job, cancelled at once or, if a worker has it, asked to stop; one that is over stays as it is.

    Raises JobNotFound, JobNotStoppable.
    """
    followed = follow_job(session, tenant_id, job_id)
    job = followed.job
    is_upload = job.kind in (UPLOAD_KIND, OLD_UPLOAD_KIND)
    if not is_upload and job.kind not in (SYNC_KIND, RECUT_KIND):
        raise JobNotStoppable
    if job.finished_at is not None:
        return followed
    if followed.run is not None:
        cancel_sync(session, followed.run, cancelled_by=by)
    elif JobRepository(session).cancel(tenant_id, job_id) == "cancelled" and is_upload:
        UploadRepository(session).fail_many(tenant_id, upload_ids_of(job.args), "It was cancelled.")
    session.expire_all()
    return follow_job(session, tenant_id, job_id)

"""/api/jobs/{id}: how far a job of the workspace is, and stopping it."""

from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.flows.follow_jobs.flow import Followed, follow_job, stop_job
from backend.web import Answer, answer, editor, principal, services

api = APIBlueprint(
    "jobs", __name__, url_prefix="/api/jobs", abp_tags=[Tag(name="jobs", description="Work going on")]
)

_WORDS: Final = MappingProxyType(
    {
        "queued": "Waiting",
        "running": "Running",
        "succeeded": "Done",
        "dead": "Failed",
        "cancelled": "Cancelled",
    }
)


class JobPath(BaseModel):
    job_id: UUID


class JobView(BaseModel):
    id: str
    task_id: str = Field(description="The same, as existing clients call it")
    kind: str
    state: Literal["queued", "running", "succeeded", "dead", "cancelled"]
    status: str = Field(description="The state, for a person")
    current: int = Field(description="Steps done, such as items of a sync; 0 or 1 where a job has no steps")
    total: int | None = Field(description="Steps in all; null while that is not known")
    percent: float = Field(description="0 to 100")
    attempts: int = Field(description="Tries since progress was last made")
    max_attempts: int
    run_at: str = Field(description="While it waits: not before this time")
    created_at: str
    started_at: str | None = Field(description="When a worker last took it")
    finished_at: str | None
    last_error: str | None = Field(description="Why the last try failed, for a person")
    is_stopping: bool = Field(description="Whether somebody asked it to stop")
    result: dict[str, Any] | None = Field(description="Of a sync that is over: what became of its items")


class JobAnswer(Answer):
    job: JobView


@api.get("/<job_id>", responses={200: JobAnswer})
def get_job(path: JobPath) -> Response:
    """How far a job is; it is kept for a while after it has ended."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        followed = follow_job(session, who.tenant_id, path.job_id)
    return answer(JobAnswer(job=_view(followed)))


@api.post("/<job_id>/cancel", responses={200: JobAnswer})
def cancel_job(path: JobPath) -> Response:
    """Stop a sync or the reading of an upload; what is stored stays. One that is over stays as it is."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        followed = stop_job(session, who.tenant_id, path.job_id, by=who.user_id)
    return answer(JobAnswer(job=_view(followed)))


def _view(followed: Followed) -> JobView:
    job, run = followed.job, followed.run
    is_done = job.state == "succeeded"
    current, total = (run.processed_count, run.total_count) if run else (int(is_done), 1)
    percent = 100.0 if is_done else min(99.0, round(100.0 * current / total, 1)) if total else 0.0
    result = None
    if run is not None and run.is_finished:
        result = {
            "run_id": str(run.id),
            "state": run.state,
            "processed": run.processed_count,
            "failed": run.failed_count,
        }
    return JobView(
        id=str(job.id),
        task_id=str(job.id),
        kind=job.kind,
        state=job.state,
        status=_WORDS[job.state],
        current=current,
        total=total,
        percent=percent,
        attempts=job.attempt,
        max_attempts=job.max_attempts,
        run_at=job.run_at.isoformat(),
        created_at=job.created_at.isoformat(),
        started_at=job.claimed_at.isoformat() if job.claimed_at else None,
        finished_at=job.finished_at.isoformat() if job.finished_at else None,
        last_error=job.last_error,
        is_stopping=job.cancel_requested_at is not None and job.finished_at is None,
        result=result,
    )

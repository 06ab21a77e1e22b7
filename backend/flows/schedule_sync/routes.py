"""/api/integrations/{type}/schedule: how often a source is synced by itself."""

from datetime import timedelta
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.connectors.repository import ConnectorRepository
from backend.errors import NotFound
from backend.flows.list_sources.flow import SourcePath, schedule_name
from backend.flows.schedule_sync.flow import plan, set_interval, set_paused
from backend.jobs.models import Schedule
from backend.jobs.schedules.repository import ScheduleRepository
from backend.web import Answer, answer, editor, principal, services

api = APIBlueprint(
    "schedules",
    __name__,
    url_prefix="/api/integrations",
    abp_tags=[Tag(name="sync", description="Syncing sources")],
)


class NotScheduled(NotFound):
    """This source has no schedule; connect it, or set one."""


class ScheduleBody(BaseModel):
    every_minutes: int | None = Field(
        None, ge=5, le=43200, description="How often, at least; up to a tenth more by chance"
    )
    is_paused: bool | None = None


class ScheduleView(BaseModel):
    every_minutes: int
    is_paused: bool
    next_run_at: str | None = Field(description="None while it is paused")
    last_run_at: str | None
    skipped_because: str | None = Field(description="Why the last turn began nothing")


class ScheduleAnswer(Answer):
    schedule: ScheduleView


@api.get("/<connector_type>/schedule", responses={200: ScheduleAnswer})
def get_schedule(path: SourcePath) -> Response:
    """How often a source is synced by itself, and when next."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        ConnectorRepository(session).get(who.tenant_id, path.connector_type)
        schedule = ScheduleRepository(session).find(who.tenant_id, schedule_name(path.connector_type))
    if schedule is None:
        raise NotScheduled
    return _shown(schedule)


@api.put("/<connector_type>/schedule", responses={200: ScheduleAnswer})
def put_schedule(path: SourcePath, body: ScheduleBody) -> Response:
    """Sync a source more or less often, pause its schedule or resume it; what is not named stays."""
    return _changed(editor().tenant_id, path.connector_type, body)


@api.post("/<connector_type>/schedule/pause", responses={200: ScheduleAnswer})
def pause_schedule(path: SourcePath) -> Response:
    """Sync a source by hand only, until its schedule is resumed."""
    return _changed(editor().tenant_id, path.connector_type, ScheduleBody(is_paused=True))


@api.post("/<connector_type>/schedule/resume", responses={200: ScheduleAnswer})
def resume_schedule(path: SourcePath) -> Response:
    """Sync a source by itself again; at once, if a turn was missed."""
    return _changed(editor().tenant_id, path.connector_type, ScheduleBody(is_paused=False))


def _changed(tenant_id: UUID, connector_type: str, body: ScheduleBody) -> Response:
    with services().db.transaction(tenant_id) as session:
        connector = ConnectorRepository(session).get(tenant_id, connector_type)
        schedule = plan(session, connector)
        if body.every_minutes is not None:
            schedule = set_interval(session, connector, timedelta(minutes=body.every_minutes))
        if body.is_paused is not None:
            schedule = set_paused(session, connector, body.is_paused)
    return _shown(schedule)


def _shown(schedule: Schedule) -> Response:
    return answer(
        ScheduleAnswer(
            schedule=ScheduleView(
                every_minutes=round(schedule.every.total_seconds() / 60),
                is_paused=schedule.paused_at is not None,
                next_run_at=None if schedule.paused_at else schedule.next_run_at.isoformat(),
                last_run_at=schedule.last_run_at.isoformat() if schedule.last_run_at else None,
                skipped_because=schedule.skipped_because,
            )
        )
    )

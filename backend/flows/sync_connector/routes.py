"""/api/integrations/{type}/sync… and /api/sync-progress: start, status, cancel, follow."""

import time
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.connectors.repository import ConnectorRepository, NotConnected
from backend.errors import NotFound
from backend.flows.list_sources.flow import SourcePath
from backend.flows.sync_connector.flow import cancel_sync, read_stream_id, start_sync, stream_id
from backend.marks import public
from backend.sync.failures.repository import FailingItemRepository
from backend.sync.models import SyncRun
from backend.sync.progress.repository import SyncProgressRepository
from backend.sync.repository import IDLE_AFTER_SECONDS, SyncRunNotFound, SyncRunRepository
from backend.sync.stream import Viewer, error_of, follow, progress_of
from backend.tenants.watch.repository import Holder
from backend.web import Answer, answer, cookie_principal, editor, found_principal, principal, services

api = APIBlueprint("sync", __name__, abp_tags=[Tag(name="sync", description="Syncing sources")])

#: Whoever holds only a run's name may follow it for this long after its end.
_NAME_LIVES_SECONDS = 3600

_SINCE = (
    "`since` changes nothing: a sync goes on where the last one ended, whenever that was. Ask with `full_sync` to go over"
    " everything; what is unchanged is not read again."
)

#: What is shown of a run that has been over for a day.
_IDLE = MappingProxyType(
    {
        "status": "idle",
        "state": "idle",
        "stage": "Nothing to sync right now",
        "total_items": 0,
        "processed_items": 0,
        "failed_items": 0,
        "percent_complete": 0.0,
        "current_item": None,
        "error_message": None,
    }
)


class RunPath(BaseModel):
    sync_id: str = Field(max_length=200)


class StartBody(BaseModel):
    full_sync: bool = Field(False, description="Go over everything there is, not only what has changed")
    since: datetime | None = Field(
        None,
        description="Of no effect, and named in `ignored`: a sync goes on where the last one ended, so nothing since any"
        " time is missed; `full_sync` goes over everything",
    )


class SyncStarted(Answer):
    message: str
    connector_id: str
    run_id: str
    job_id: str | None = Field(description="See /api/jobs/{id}")
    sync_id: str | None = Field(None, description="Name under which any instance streams the progress")
    stream_url: str
    already_running: bool
    ignored: list[str] = Field([], description="What was asked for and changes nothing; `message` says why")


class SyncStatus(BaseModel):
    status: str = Field(description="idle, syncing, embedding, completed or error")
    state: str
    progress: float = Field(description="0 to 100; estimated only from totals the provider named")
    documents_found: int
    documents_parsed: int
    documents_embedded: int
    documents_skipped: int
    documents_failed: int
    failing_count: int = Field(description="Items the source has that cannot be taken now, of whichever sync")
    chunks_created: int
    current_file: str | None
    error: str | None
    run_id: str | None
    started_at: str | None
    finished_at: str | None


class SyncStatusAnswer(Answer):
    status: SyncStatus


class AllCancelled(Answer):
    message: str
    cancelled: list[str] = Field(description="Types of the sources whose syncs were running")


class ProgressAnswer(Answer):
    progress: dict[str, Any]


@api.post("/api/integrations/<connector_type>/sync", responses={200: SyncStarted})
def start(path: SourcePath) -> Response:
    """Sync a source from where the last sync ended, or join the sync that is running."""
    # Not a model in the signature: existing clients send no body, or one that is not marked as JSON.
    wishes = StartBody.model_validate(request.get_json(silent=True, force=True) or {})
    who = editor()
    s = services()
    with s.db.transaction(who.tenant_id) as session:
        connector = ConnectorRepository(session).get(who.tenant_id, path.connector_type)
        run, is_new = start_sync(session, connector, requested_by=who.user_id, is_full=wishes.full_sync)
    message = "Sync started." if is_new else "This source is being synced already."
    if wishes.full_sync and not is_new and not run.is_full:
        message += " Ask again for everything when that is over."
    if wishes.since is not None:
        message += f" {_SINCE}"
    name = stream_id(s.keyring, who.tenant_id, run.id)
    body = SyncStarted(
        message=message,
        connector_id=str(connector.id),
        run_id=str(run.id),
        job_id=str(run.job_id) if run.job_id else None,
        sync_id=name,
        stream_url=f"{s.settings.public_url}/api/sync-progress/{name}/stream",
        already_running=not is_new,
        ignored=[] if wishes.since is None else ["since"],
    )
    # A browser client opens the stream at a fixed local origin when it is given `sync_id`, and hangs if that
    # is not us; without the field it polls.
    exclude = {"sync_id"} if request.headers.get("Origin") and not _is_local(s.settings.public_url) else None
    return Response(body.model_dump_json(exclude=exclude), mimetype="application/json")


@api.get("/api/integrations/<connector_type>/sync/status", responses={200: SyncStatusAnswer})
def status(path: SourcePath) -> Response:
    """How far the newest sync of a source is."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        connector = ConnectorRepository(session).find(who.tenant_id, path.connector_type)
        run = connector and SyncRunRepository(session).find_current(who.tenant_id, connector.id)
        failing = (
            FailingItemRepository(session).count_failing(who.tenant_id, connector.id) if connector else 0
        )
    return answer(SyncStatusAnswer(status=_status(run or None, failing)))


@api.post("/api/integrations/<connector_type>/sync/cancel", responses={200: Answer})
def cancel(path: SourcePath) -> Response:
    """Stop the running sync within one page; what it stored stays."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        connector = ConnectorRepository(session).find(who.tenant_id, path.connector_type)
        if connector is None:
            raise NotConnected
        run = SyncRunRepository(session).find_latest(who.tenant_id, connector.id)
        if run is not None and not run.is_finished:
            cancel_sync(session, run, cancelled_by=who.user_id)
    return answer(Answer())


@api.post("/api/integrations/sync/cancel-all", responses={200: AllCancelled})
def cancel_all() -> Response:
    """Stop every running sync of the workspace within one page; what they stored stays."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        runs = sorted(
            (
                run
                for run in SyncRunRepository(session).list_latest(who.tenant_id).values()
                if not run.is_finished
            ),
            key=lambda run: run.connector_type,
        )
        for run in runs:
            cancel_sync(session, run, cancelled_by=who.user_id)
    types = [run.connector_type for run in runs]
    return answer(AllCancelled(message=f"{len(types)} syncs are stopped.", cancelled=types))


@api.get("/api/sync-progress/<sync_id>", responses={200: ProgressAnswer})
def progress(path: RunPath) -> Response:
    """How far a sync is, once."""
    who = principal()
    run_id = _run_of(path.sync_id, who.tenant_id)
    with services().db.statement(who.tenant_id) as unit:
        runs = SyncProgressRepository(unit)
        run = runs.get(who.tenant_id, run_id)
        is_idle = run.is_finished and runs.ended_longer_ago(who.tenant_id, run_id, seconds=IDLE_AFTER_SECONDS)
    data = progress_of(run, sync_id=path.sync_id).data
    return answer(ProgressAnswer(progress={**data, **_IDLE} if is_idle else data))


@api.get("/api/sync-progress/<sync_id>/stream", responses={200: None})
@public
def stream(path: RunPath) -> Response:
    """Follow a sync as server-sent events, on any instance.

    Opened by the access token, by the session cookie, or, because a browser's EventSource can send neither across
    origins, by the run's name itself, which cannot be guessed; it then shows no titles and ends an hour after the
    run. It ends within seconds when the session or key does, or whoever it belongs to is deactivated.
    """
    s = services()
    who = found_principal() or cookie_principal()
    if who is not None:
        tenant_id, run_id = who.tenant_id, _run_of(path.sync_id, who.tenant_id)
    else:
        tenant_id, run_id = read_stream_id(s.keyring, path.sync_id)
    run = s.feeds.reads.read(tenant_id, run_id, since=time.monotonic()).run
    # The name counts as long as the workspace does, and whoever asked for the run.
    holder = who.holder if who is not None else Holder(tenant_id, run.requested_by)
    if who is None and not s.holders.counts(holder):
        raise SyncRunNotFound
    if who is None and run.is_finished:
        with s.db.transaction(tenant_id) as session:
            if SyncRunRepository(session).ended_longer_ago(tenant_id, run_id, seconds=_NAME_LIVES_SECONDS):
                raise SyncRunNotFound
    last_seen = request.headers.get("Last-Event-ID", "")
    if run.is_finished and last_seen.isdecimal() and int(last_seen) >= run.seq:
        return Response(status=204)

    viewer = Viewer(path.sync_id, with_note=who is not None)
    return Response(
        follow(s.feeds, tenant_id, run_id, viewer, holders=s.holders, holder=holder),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _run_of(sync_id: str, tenant_id: UUID) -> UUID:
    """The run of a plain id or a stream name; another tenant's is not found."""
    try:
        return UUID(sync_id)
    except ValueError:
        owner, run_id = read_stream_id(services().keyring, sync_id)
    if owner != tenant_id:
        raise NotFound("There is no such sync.")
    return run_id


def _is_local(public_url: str) -> bool:
    parts = urlsplit(public_url)
    return (parts.scheme, parts.hostname, parts.port) == ("http", "localhost", 5003)


def _status(run: SyncRun | None, failing: int) -> SyncStatus:
    if run is None:
        wire, share = "idle", 0.0
    elif run.state in ("completed", "completed_with_errors"):
        wire, share = "completed", 100.0
    elif run.is_finished:
        wire, share = "error", 0.0
    else:
        wire = "embedding" if run.stage == "indexing" else "syncing"
        share = min(99.0, 100.0 * run.processed_count / run.total_count) if run.total_count else 0.0
    return SyncStatus(
        status=wire,
        state=run.state if run else "idle",
        progress=round(share, 1),
        documents_found=run.found_count if run else 0,
        documents_parsed=run.processed_count if run else 0,
        documents_embedded=run.stored_count + run.unchanged_count if run else 0,
        documents_skipped=run.unchanged_count if run else 0,
        documents_failed=run.failed_count if run else 0,
        failing_count=failing,
        chunks_created=run.chunk_count if run else 0,
        current_file=run.note if run else None,
        error=error_of(run) if run else None,
        run_id=str(run.id) if run else None,
        started_at=run.started_at.isoformat() if run and run.started_at else None,
        finished_at=run.finished_at.isoformat() if run and run.finished_at else None,
    )

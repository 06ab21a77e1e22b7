"""/api/integrations/{type}/sync/runs, …/sync/failures and …/items: what was synced, and what could not be taken."""

from collections.abc import Sequence
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.connectors.repository import ConnectorRepository, NotConnected
from backend.db.transaction import Session
from backend.flows.list_sources.flow import SourcePath
from backend.flows.sync_history.flow import cursor_of, read_cursor, read_text_cursor, text_cursor
from backend.sync.failures.repository import FailingItemRepository, SyncErrorRepository
from backend.sync.history.repository import SyncHistoryRepository
from backend.sync.models import SyncError, SyncItem, SyncRun
from backend.sync.repository import SyncRunNotFound, SyncRunRepository
from backend.sync.stream import error_of
from backend.tenants.deactivation.repository import DeactivationRepository
from backend.web import Answer, answer, editor, principal, services

api = APIBlueprint(
    "sync_history",
    __name__,
    url_prefix="/api/integrations",
    abp_tags=[Tag(name="sync", description="Syncing sources")],
)


class RunPath(SourcePath):
    run_id: UUID


class Paged(BaseModel):
    limit: int = Field(50, ge=1, le=200)
    cursor: str = Field("", max_length=3000, description="`next_cursor` of the page before")


class RunView(BaseModel):
    id: str
    state: str
    trigger: str = Field(description="user, schedule or webhook")
    requested_by: str | None = Field(description="Id of the user who asked for it")
    requested_by_name: str | None
    is_full: bool
    created_at: str
    started_at: str | None
    finished_at: str | None
    resume_at: str | None = Field(description="While waiting: when it goes on")
    reason: str | None = Field(description="Why it did not end well")
    note: str | None = Field(description="What it is busy with")
    total: int | None = Field(description="Items in the whole run when the provider says so")
    found: int
    processed: int
    stored: int
    unchanged: int
    failed: int
    deleted: int
    chunks: int


class Runs(Answer):
    runs: list[RunView]
    next_cursor: str | None


class TransitionView(BaseModel):
    state: str
    at: str
    actor: str = Field(description="user, schedule, webhook or worker, with its id")
    reason: str | None


class SyncFailure(BaseModel):
    external_id: str
    url: str | None
    stage: str
    reason: str


class OneRun(Answer):
    run: RunView
    transitions: list[TransitionView]
    failures: list[SyncFailure]
    next_cursor: str | None = Field(description="For more failures")


class SyncFailures(Answer):
    failures: list[SyncFailure]
    total: int


class FailingItem(BaseModel):
    external_id: str
    title: str | None
    url: str | None
    stage: str | None
    reason: str | None
    attempts: int
    failed_at: str
    next_try_at: str | None = Field(description="None: only when it changes, or when it is asked for")


class FailingItems(Answer):
    items: list[FailingItem]
    total: int
    next_cursor: str | None


class RetryBody(BaseModel):
    external_ids: list[str] | None = Field(None, max_length=1000, description="None means all that fail")


class Retried(Answer):
    message: str
    count: int


@api.get("/<connector_type>/sync/runs", responses={200: Runs})
def list_runs(path: SourcePath, query: Paged) -> Response:
    """What was synced, the newest first."""
    who = principal()
    before = read_cursor(query.cursor) if query.cursor else None
    with services().db.transaction(who.tenant_id) as session:
        rows = SyncHistoryRepository(session).list_runs(
            who.tenant_id, _connector_id(session, who.tenant_id, path), limit=query.limit + 1, before=before
        )
        names = _names(session, who.tenant_id)
    page = rows[: query.limit]
    more = cursor_of(page[-1]) if len(rows) > query.limit else None
    return answer(Runs(runs=[_run(run, names) for run in page], next_cursor=more))


@api.get("/<connector_type>/sync/runs/<run_id>", responses={200: OneRun})
def get_run(path: RunPath, query: Paged) -> Response:
    """One sync: how it came to its state, and the items it could not take."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        runs = SyncRunRepository(session)
        run = runs.get(who.tenant_id, path.run_id)
        if run.connector_type != path.connector_type:
            raise SyncRunNotFound
        transitions = runs.list_transitions(who.tenant_id, run.id)
        rows = SyncErrorRepository(session).list_of(
            who.tenant_id, run.id, limit=query.limit + 1, after=read_text_cursor(query.cursor)
        )
        names = _names(session, who.tenant_id)
    page = rows[: query.limit]
    return answer(
        OneRun(
            run=_run(run, names),
            transitions=[
                TransitionView(state=t.state, at=t.created_at.isoformat(), actor=t.actor, reason=t.reason)
                for t in transitions
            ],
            failures=[_failure(row) for row in page],
            next_cursor=text_cursor(page[-1].external_id) if len(rows) > query.limit else None,
        )
    )


@api.get("/<connector_type>/sync/failures", responses={200: SyncFailures})
def failures(path: SourcePath) -> Response:
    """Which items the newest sync could not take, each with its reason."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        connector = ConnectorRepository(session).find(who.tenant_id, path.connector_type)
        run = connector and SyncRunRepository(session).find_latest(who.tenant_id, connector.id)
        rows: Sequence[SyncError] = SyncErrorRepository(session).list_of(who.tenant_id, run.id) if run else ()
    return answer(
        SyncFailures(failures=[_failure(row) for row in rows], total=run.failed_count if run else 0)
    )


@api.get("/<connector_type>/items/failing", responses={200: FailingItems})
def failing_items(path: SourcePath, query: Paged) -> Response:
    """Items that the source has and that cannot be taken now, each with its reason and when it is tried again."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        items, connector_id = FailingItemRepository(session), _connector_id(session, who.tenant_id, path)
        rows = items.list_failing(
            who.tenant_id, connector_id, limit=query.limit + 1, after=read_text_cursor(query.cursor)
        )
        total = items.count_failing(who.tenant_id, connector_id)
    page = rows[: query.limit]
    return answer(
        FailingItems(
            items=[_item(row) for row in page],
            total=total,
            next_cursor=text_cursor(page[-1].external_id) if len(rows) > query.limit else None,
        )
    )


@api.post("/<connector_type>/items/retry", responses={200: Retried})
def retry_items(path: SourcePath, body: RetryBody) -> Response:
    """Let the next sync try failed items again, whatever their turn."""
    who = editor()
    with services().db.transaction(who.tenant_id) as session:
        count = FailingItemRepository(session).make_due(
            who.tenant_id, _connector_id(session, who.tenant_id, path), body.external_ids
        )
    return answer(Retried(message=f"{count} items are tried again with the next sync.", count=count))


def _connector_id(session: Session, tenant_id: UUID, path: SourcePath) -> UUID:
    # Disconnected ones too: what was synced stays to be looked at.
    connector = ConnectorRepository(session).find(tenant_id, path.connector_type)
    if connector is None:
        raise NotConnected
    return connector.id


def _names(session: Session, tenant_id: UUID) -> dict[UUID, str]:
    return {user.id: user.full_name for user in DeactivationRepository(session).list_users(tenant_id)}


def _run(run: SyncRun, names: dict[UUID, str]) -> RunView:
    return RunView(
        id=str(run.id),
        state=run.state,
        trigger=run.trigger,
        requested_by=str(run.requested_by) if run.requested_by else None,
        requested_by_name=names.get(run.requested_by) if run.requested_by else None,
        is_full=run.is_full,
        created_at=run.created_at.isoformat(),
        started_at=run.started_at.isoformat() if run.started_at else None,
        finished_at=run.finished_at.isoformat() if run.finished_at else None,
        resume_at=run.resume_at.isoformat() if run.resume_at else None,
        reason=error_of(run),
        note=run.note,
        total=run.total_count,
        found=run.found_count,
        processed=run.processed_count,
        stored=run.stored_count,
        unchanged=run.unchanged_count,
        failed=run.failed_count,
        deleted=run.deleted_count,
        chunks=run.chunk_count,
    )


def _failure(row: SyncError) -> SyncFailure:
    return SyncFailure(external_id=row.external_id, url=row.url, stage=row.stage, reason=row.reason)


def _item(item: SyncItem) -> FailingItem:
    return FailingItem(
        external_id=item.external_id,
        title=item.title,
        url=item.url,
        stage=item.stage,
        reason=item.reason,
        attempts=item.attempt,
        failed_at=item.updated_at.isoformat(),
        next_try_at=item.retry_at.isoformat() if item.retry_at else None,
    )

"""Commands about sources: which there are and how they are, and sync one now."""

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from backend.administration import Slug, installed_services, tenant_id_of
from backend.errors import StateError

if TYPE_CHECKING:
    from backend.connectors.repository import Overview
    from backend.sync.models import SyncRun
    from backend.wiring import Services

_POLL_SECONDS: Final = 0.5
_HEADINGS: Final = ("WORKSPACE", "SOURCE", "STATUS", "ACCOUNT", "LAST SYNC", "NEXT SYNC", "FAILING")
_WELL: Final = ("completed", "completed_with_errors")


def connectors(
    slug: Annotated[str | None, typer.Argument(metavar="TENANT", help="One workspace; all without.")] = None,
) -> None:
    """List connected sources: status, account, last and next sync, items that fail."""
    from backend.connectors.repository import ConnectorRepository

    with installed_services() as services:
        if slug is not None:
            tenant_id_of(services, slug)
        with services.db.operator_transaction() as session:
            found = ConnectorRepository(session).list_everywhere(slug)
    if not found:
        print("Nothing is connected.")
        return
    rows = [_HEADINGS, *(_row(overview) for overview in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for overview in found:
        reason = overview.status_reason or overview.last_error
        if reason:
            print(f"{overview.tenant} {overview.type}: {reason}")


def sync(
    slug: Slug,
    source: Annotated[str, typer.Argument(metavar="TYPE", help="github, gmail, slack, …")],
    full: Annotated[
        bool, typer.Option("--full", help="Go over everything, not only what has changed.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when it is over; 2 when it ended badly.")
    ] = False,
) -> None:
    """Sync a source now, or join the sync that is running."""
    from backend.connectors.repository import ConnectorRepository
    from backend.flows.sync_connector.flow import start_sync

    with installed_services() as services:
        tenant_id = tenant_id_of(services, slug)
        with services.db.transaction(tenant_id) as session:
            connector = ConnectorRepository(session).get(tenant_id, source)
            run, is_new = start_sync(session, connector, trigger="command line", is_full=full)
        print(f"Sync {run.id} {'is queued' if is_new else 'is running already'}.")
        if not wait:
            return
        run = _ended(services, tenant_id, run.id)
    print(
        f"{run.state}: {run.stored_count} stored, {run.unchanged_count} unchanged, {run.deleted_count} deleted,"
        f" {run.failed_count} failed{f'. {run.error}' if run.error else ''}"
    )
    if run.state not in _WELL:
        raise typer.Exit(2)


def _ended(services: "Services", tenant_id: UUID, run_id: UUID) -> "SyncRun":
    from backend.sync.repository import SyncRunRepository

    said = ""
    while True:
        try:
            with services.db.transaction(tenant_id) as session:
                run = SyncRunRepository(session).get(tenant_id, run_id)
        except StateError as error:
            now = error.message
        else:
            if run.is_finished:
                return run
            of = f" of {run.total_count}" if run.total_count else ""
            now = f"{run.state}: {run.processed_count}{of}"
        if now != said:
            print(now, flush=True)
            said = now
        time.sleep(_POLL_SECONDS)


def _row(overview: "Overview") -> tuple[str, ...]:
    last = "never"
    if overview.last_sync is not None and overview.last_sync_at is not None:
        last = f"{_minute(overview.last_sync_at)} {overview.last_sync}"
    upcoming = (
        _minute(overview.next_sync_at) if overview.next_sync_at else "paused" if overview.is_paused else "-"
    )
    return (
        overview.tenant,
        overview.type,
        overview.status,
        overview.account or "-",
        last,
        upcoming,
        str(overview.failing),
    )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"

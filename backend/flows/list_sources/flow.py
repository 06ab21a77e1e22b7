"""Reads what is known of a workspace's sources in one transaction, and shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from backend.connectors.catalogue import NOT_AVAILABLE
from backend.connectors.models import Connector, SourceRemoval
from backend.connectors.providers.provider import Provider
from backend.connectors.removals.repository import RemovalRepository
from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Session
from backend.documents.sources.repository import SourceDocumentRepository
from backend.jobs.models import Schedule
from backend.jobs.schedules.repository import ScheduleRepository
from backend.sync.models import SyncRun
from backend.sync.repository import SyncRunRepository
from backend.sync.stream import error_of


class SourcePath(BaseModel):
    connector_type: str = Field(description="github, gmail, slack, …")


class Removal(BaseModel):
    """The documents of a disconnected source being deleted."""

    state: str = Field(description="running, or failed: ask for it again")
    removed: int
    total: int
    error: str | None


class Integration(BaseModel):
    """A source as clients see it."""

    type: str
    status: str = Field(description="connected, error (connect again), disconnected or not_configured")
    name: str
    description: str
    icon: str
    auth_type: str
    connector_id: str | None = None
    account: str | None = Field(None, description="The connected account's name at the provider")
    last_sync_at: str | None = None
    next_sync_at: str | None = Field(None, description="When its schedule has it synced next")
    total_items_synced: int = Field(0, description="Its documents that are here")
    error_message: str | None = None
    sync_state: str | None = Field(None, description="State of the newest sync")
    settings: dict[str, Any] = Field(default_factory=dict, description="What to sync; never a secret")
    removal: Removal | None = Field(None, description="Its documents being deleted after it was disconnected")


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read of a workspace's sources."""

    connectors: Mapping[str, Connector]
    runs: Mapping[UUID, SyncRun]
    schedules: Mapping[str, Schedule]
    documents: Mapping[UUID, int]
    removals: Mapping[UUID, SourceRemoval]


def schedule_name(connector_type: str) -> str:
    """What the schedule of a source is called in its workspace."""
    return f"sync:{connector_type}"


def read_sources(session: Session, tenant_id: UUID) -> Sources:
    """Everything `show` needs."""
    return Sources(
        connectors={c.type: c for c in ConnectorRepository(session).list_all(tenant_id)},
        runs=SyncRunRepository(session).list_latest(tenant_id),
        schedules={s.name: s for s in ScheduleRepository(session).list_schedules(tenant_id)},
        documents=SourceDocumentRepository(session).count_by_connector(tenant_id),
        removals=RemovalRepository(session).list_open(tenant_id),
    )


def show(provider: Provider, sources: Sources) -> Integration:
    """A source as clients see it, connected or not."""
    integration = Integration(
        type=provider.type,
        status="not_configured",
        name=provider.name,
        description=provider.description,
        icon=provider.icon,
        auth_type=provider.auth_type,
    )
    connector = sources.connectors.get(provider.type)
    if connector is None:
        return integration
    run = sources.runs.get(connector.id)
    schedule = sources.schedules.get(schedule_name(provider.type))
    is_planned = schedule is not None and schedule.paused_at is None and connector.status == "connected"
    return integration.model_copy(
        update={
            "status": "error" if connector.status == "needs_reconnect" else connector.status,
            "connector_id": str(connector.id),
            "account": connector.account_label,
            "last_sync_at": run.finished_at.isoformat() if run and run.finished_at else None,
            "next_sync_at": schedule.next_run_at.isoformat() if schedule and is_planned else None,
            "total_items_synced": sources.documents.get(connector.id, 0),
            "error_message": connector.status_reason or (run and error_of(run)) or None,
            "sync_state": run.state if run else None,
            "settings": connector.settings,
            "removal": _removal(sources.removals.get(connector.id)),
        }
    )


def show_all(providers: Mapping[str, Provider], sources: Sources) -> list[Integration]:
    """Every source there is, and the names that clients show although nothing can be connected under them."""
    return [show(provider, sources) for provider in providers.values()] + [
        Integration(
            type=type_,
            status="not_configured",
            name=name,
            description=description,
            icon=type_,
            auth_type="config",
        )
        for type_, (name, description) in NOT_AVAILABLE.items()
    ]


def _removal(removal: SourceRemoval | None) -> Removal | None:
    if removal is None:
        return None
    return Removal(
        state="failed" if removal.error else "running",
        removed=removal.removed_count,
        total=removal.total_count,
        error=removal.error,
    )

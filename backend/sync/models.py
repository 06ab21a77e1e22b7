"""sync_runs, sync_errors."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Key, Moment, TenantKey, Words

UNFINISHED = ("queued", "running", "waiting")
FINISHED = ("completed", "completed_with_errors", "failed", "cancelled")


class SyncRun(Base):
    __tablename__ = "sync_runs"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connector_id"],
            ["connectors.tenant_id", "connectors.id"],
            ondelete="CASCADE",
            name="fk_sync_runs_connector",
        ),
        Index(
            "uq_sync_runs_unfinished",
            "tenant_id",
            "connector_id",
            unique=True,
            postgresql_where="finished_at IS NULL",
        ),
        Index("ix_sync_runs_latest", "tenant_id", "connector_id", "created_at"),
        Index("ix_sync_runs_finished_at", "finished_at"),
        CheckConstraint(
            "state IN ('queued', 'running', 'waiting', 'completed', 'completed_with_errors', 'failed', 'cancelled')",
            name="state_is_known",
        ),
        CheckConstraint("stage IN ('connecting', 'fetching', 'indexing', 'done')", name="stage_is_known"),
        CheckConstraint(
            "(state IN ('queued', 'running', 'waiting')) = (finished_at IS NULL)", name="finished_has_a_time"
        ),
        CheckConstraint("state <> 'failed' OR error IS NOT NULL", name="failed_has_a_reason"),
        {"comment": "Sync runs: how far each is, with the checkpoint from which it goes on"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    connector_id: Mapped[UUID] = mapped_column(comment="What is being synced")
    connector_type: Mapped[Words] = mapped_column(comment="github, gmail, slack, …")
    job_id: Mapped[UUID | None] = mapped_column(comment="The job that carries it out")
    requested_by: Mapped[UUID | None] = mapped_column(
        comment="The user who asked for it; none for a schedule"
    )
    state: Mapped[Words] = mapped_column(
        server_default="queued", comment="queued, running, waiting, or how it ended"
    )
    stage: Mapped[Words] = mapped_column(
        server_default="connecting", comment="connecting, fetching, indexing or done"
    )
    seq: Mapped[int] = mapped_column(
        BigInteger, server_default="1", comment="Raised by every change; the event id of streams"
    )
    note: Mapped[Words | None] = mapped_column(comment="What it is busy with, for a person")
    total_count: Mapped[int | None] = mapped_column(
        comment="Items in the whole run when the provider says so"
    )
    found_count: Mapped[int] = mapped_column(server_default="0", comment="Items the provider has handed over")
    processed_count: Mapped[int] = mapped_column(
        server_default="0", comment="Items dealt with: stored, unchanged or failed"
    )
    stored_count: Mapped[int] = mapped_column(
        server_default="0", comment="Items stored with chunks and vectors"
    )
    unchanged_count: Mapped[int] = mapped_column(
        server_default="0", comment="Items that were there already, the same"
    )
    failed_count: Mapped[int] = mapped_column(server_default="0", comment="Items with a row in sync_errors")
    chunk_count: Mapped[int] = mapped_column(server_default="0", comment="Chunks written")
    cursor: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB, comment="Where the provider goes on after the last stored page"
    )
    error: Mapped[Words | None] = mapped_column(comment="Why it failed, for a person")
    resume_at: Mapped[Moment | None] = mapped_column(comment="While waiting: when it goes on")
    created_at: Mapped[CreatedAt]
    started_at: Mapped[Moment | None] = mapped_column(comment="When a worker first took it")
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When it last changed")
    finished_at: Mapped[Moment | None] = mapped_column(comment="When it ended, in whichever way")

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None


class SyncError(Base):
    __tablename__ = "sync_errors"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "run_id"],
            ["sync_runs.tenant_id", "sync_runs.id"],
            ondelete="CASCADE",
            name="fk_sync_errors_run",
        ),
        {"comment": "Items a run could not take, each with its reason"},
    )

    tenant_id: Mapped[TenantKey]
    run_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Which run")
    external_id: Mapped[Words] = mapped_column(primary_key=True, comment="The item's id at the provider")
    url: Mapped[Words | None] = mapped_column(comment="Where a person finds the item")
    stage: Mapped[Words] = mapped_column(comment="fetch, parse, embed or store")
    reason: Mapped[Words] = mapped_column(comment="Why, for a person")
    created_at: Mapped[CreatedAt]

"""sync_runs, sync_transitions, sync_errors, sync_positions, sync_items."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Key, Moment, TenantKey, Words

UNFINISHED = ("queued", "running", "waiting")
FINISHED = ("completed", "completed_with_errors", "interrupted", "failed", "cancelled")


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
            "state IN ('queued', 'running', 'waiting', 'completed', 'completed_with_errors', 'interrupted', 'failed',"
            " 'cancelled')",
            name="state_is_known",
        ),
        CheckConstraint("stage IN ('connecting', 'fetching', 'indexing', 'done')", name="stage_is_known"),
        CheckConstraint(
            "(state IN ('queued', 'running', 'waiting')) = (finished_at IS NULL)", name="finished_has_a_time"
        ),
        CheckConstraint(
            "state NOT IN ('failed', 'interrupted') OR error IS NOT NULL", name="failed_has_a_reason"
        ),
        {"comment": "Sync runs: how far each is, and how it ended"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    connector_id: Mapped[UUID] = mapped_column(comment="What is being synced")
    connector_type: Mapped[Words] = mapped_column(comment="github, gmail, slack, …")
    job_id: Mapped[UUID | None] = mapped_column(comment="The job that carries it out")
    requested_by: Mapped[UUID | None] = mapped_column(
        comment="The user who asked for it; none for a schedule"
    )
    trigger: Mapped[Words] = mapped_column(
        server_default="user", comment="What started it: user, schedule, webhook or command line"
    )
    is_full: Mapped[bool] = mapped_column(
        server_default="false", comment="Whether it goes over everything there is, not only what has changed"
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
    deleted_count: Mapped[int] = mapped_column(
        server_default="0", comment="Documents removed because the source no longer has them"
    )
    chunk_count: Mapped[int] = mapped_column(server_default="0", comment="Chunks written")
    cursor: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB, comment="Where it began: its connector's place when a worker first took it"
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


class SyncTransition(Base):
    __tablename__ = "sync_transitions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "run_id"],
            ["sync_runs.tenant_id", "sync_runs.id"],
            ondelete="CASCADE",
            name="fk_sync_transitions_run",
        ),
        {"comment": "Every change of a run's state: when, to what, by whom and why"},
    )

    tenant_id: Mapped[TenantKey]
    run_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Which run")
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, comment="The run's seq at that moment")
    state: Mapped[Words] = mapped_column(comment="What it became")
    actor: Mapped[Words] = mapped_column(comment="Who did it: user, schedule, webhook or worker, with its id")
    reason: Mapped[Words | None] = mapped_column(comment="Why, for a person")
    created_at: Mapped[CreatedAt]


class SyncPosition(Base):
    __tablename__ = "sync_positions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connector_id"],
            ["connectors.tenant_id", "connectors.id"],
            ondelete="CASCADE",
            name="fk_sync_positions_connector",
        ),
        {"comment": "Where the next run of a connector goes on: the checkpoint that survives runs"},
    )

    tenant_id: Mapped[TenantKey]
    connector_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Whose place it is")
    cursor: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB,
        comment="The provider's own words for the place after the last stored page; none: the beginning",
    )
    pass_number: Mapped[int] = mapped_column(
        BigInteger,
        server_default="1",
        comment="Counts passes over everything; items remember the last that saw them",
    )
    is_full: Mapped[bool] = mapped_column(
        server_default="true", comment="Whether a pass over everything is under way or comes next"
    )
    is_whole: Mapped[bool] = mapped_column(
        server_default="true",
        comment="Whether nothing failed to be listed in that pass",
    )
    unlisted: Mapped[list[str]] = mapped_column(
        ARRAY(Text),
        server_default=sql("'{}'"),
        comment="Beginnings of the external ids that what could not be listed in that pass may hide",
    )
    full_at: Mapped[Moment | None] = mapped_column(comment="When the last pass over everything was over")
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When it last moved")


class SyncItem(Base):
    __tablename__ = "sync_items"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connector_id"],
            ["connectors.tenant_id", "connectors.id"],
            ondelete="CASCADE",
            name="fk_sync_items_connector",
        ),
        Index(
            "ix_sync_items_due", "tenant_id", "connector_id", "retry_at", postgresql_where="state = 'failed'"
        ),
        Index(
            "ix_sync_items_missed",
            "tenant_id",
            "connector_id",
            "missed_count",
            postgresql_where="missed_count > 0",
        ),
        CheckConstraint("state IN ('stored', 'failed')", name="state_is_known"),
        CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="failed_has_a_reason"),
        {
            "comment": "What a source has shown of each item: unchanged ones are not read again, failed ones are",
            "postgresql_with": {"fillfactor": 85, "autovacuum_vacuum_scale_factor": 0.02},
        },
    )

    tenant_id: Mapped[TenantKey]
    connector_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Whose item it is")
    external_id: Mapped[Words] = mapped_column(primary_key=True, comment="Its id at the provider")
    revision: Mapped[Words | None] = mapped_column(
        comment="The provider's word for the version that was dealt with; none: it must be read to know"
    )
    state: Mapped[Words] = mapped_column(comment="stored (with its chunks and vectors) or failed")
    run_id: Mapped[UUID] = mapped_column(comment="The run that last counted it; a run counts an item once")
    pass_number: Mapped[int] = mapped_column(BigInteger, comment="The last pass over everything that saw it")
    missed_count: Mapped[int] = mapped_column(
        server_default="0",
        comment="Passes over everything, in a row, that did not see it; after two it is deleted",
    )
    title: Mapped[Words | None] = mapped_column(comment="Of a failed one: what people call it")
    url: Mapped[Words | None] = mapped_column(comment="Of a failed one: where a person finds it")
    locator: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB, comment="Of a failed one: how the provider finds it"
    )
    stage: Mapped[Words | None] = mapped_column(comment="Of a failed one: fetch, parse, embed or store")
    reason: Mapped[Words | None] = mapped_column(comment="Of a failed one: why, for a person")
    attempt: Mapped[int] = mapped_column(server_default="0", comment="Failed tries in a row")
    retry_at: Mapped[Moment | None] = mapped_column(
        comment="When it is tried again at the earliest; none: only when it changes or everything is read anew"
    )
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When it was last dealt with")

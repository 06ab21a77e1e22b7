"""jobs, workers, schedules."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Double, ForeignKey, Index, Interval, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Json, Key, Moment, TenantKey, Words


class Job(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "ix_jobs_queued",
            "tenant_id",
            text("priority DESC"),
            "run_at",
            "id",
            postgresql_where="state = 'queued'",
        ),
        Index("ix_jobs_running", "tenant_id", "worker_id", postgresql_where="state = 'running'"),
        Index("ix_jobs_finished_at", "finished_at", postgresql_where="finished_at IS NOT NULL"),
        CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'dead', 'cancelled')", name="state_is_known"
        ),
        CheckConstraint("(state = 'running') = (worker_id IS NOT NULL)", name="running_has_a_worker"),
        CheckConstraint(
            "(state IN ('succeeded', 'dead', 'cancelled')) = (finished_at IS NOT NULL)",
            name="finished_has_a_time",
        ),
        CheckConstraint("attempt >= 0 AND max_attempts > 0", name="attempts_are_counted"),
        {
            "comment": "Work to be done, fenced by a lease number that only grows",
            # Room on the page for the writes of a running job, and vacuuming before the dead rows of a busy
            # queue slow its claims down.
            "postgresql_with": {"fillfactor": 85, "autovacuum_vacuum_scale_factor": 0.02},
        },
    )

    id: Mapped[Key]
    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), comment="For whom the work is done"
    )
    kind: Mapped[Words] = mapped_column(comment="What to do, such as sync")
    args: Mapped[Json] = mapped_column(server_default=text("'{}'"), comment="Ids of what to do it with")
    state: Mapped[Words] = mapped_column(
        server_default="queued", comment="queued, running, succeeded, dead or cancelled"
    )
    priority: Mapped[int] = mapped_column(
        SmallInteger, server_default="0", comment="Higher goes first within a tenant"
    )
    run_at: Mapped[CreatedAt] = mapped_column(comment="Not before this time")
    attempt: Mapped[int] = mapped_column(server_default="0", comment="Tries since progress was last made")
    max_attempts: Mapped[int] = mapped_column(
        server_default="10", comment="Tries without progress before it is dead"
    )
    lease: Mapped[int] = mapped_column(
        BigInteger,
        server_default="0",
        comment="Raised by every claim and release; fences off whoever held it before",
    )
    worker_id: Mapped[UUID | None] = mapped_column(comment="Who holds it while running")
    created_at: Mapped[CreatedAt]
    claimed_at: Mapped[Moment | None] = mapped_column(comment="When it was last claimed")
    progressed_at: Mapped[Moment | None] = mapped_column(
        comment="When its worker last wrote something that counts"
    )
    cancel_requested_at: Mapped[Moment | None] = mapped_column(
        comment="When somebody asked the running job to stop"
    )
    finished_at: Mapped[Moment | None] = mapped_column(comment="When it ended, in whichever way")
    last_error: Mapped[Words | None] = mapped_column(comment="Why the last try failed")


class Worker(Base):
    __tablename__ = "workers"
    __table_args__ = (
        Index("ix_workers_heartbeat_at", "heartbeat_at"),
        {"comment": "Worker processes; one heartbeat each stands for all the jobs it holds"},
    )

    id: Mapped[Key]
    name: Mapped[Words] = mapped_column(comment="Instance name of the process")
    version: Mapped[Words] = mapped_column(comment="Version of the product it runs")
    started_at: Mapped[CreatedAt] = mapped_column(comment="When the process registered")
    lease_term: Mapped[timedelta] = mapped_column(
        Interval, comment="How long it may be silent before its jobs go to others"
    )
    heartbeat_at: Mapped[CreatedAt] = mapped_column(comment="When it last said that it lives")
    stopped_at: Mapped[Moment | None] = mapped_column(comment="When it said goodbye; never, if it was killed")


class Schedule(Base):
    __tablename__ = "schedules"
    __table_args__ = (
        Index("uq_schedules_name", "tenant_id", "name", unique=True),
        Index("ix_schedules_due", "next_run_at", postgresql_where="paused_at IS NULL"),
        # Looked into for every job that a turn adds, by the policy that allows it.
        Index("ix_schedules_last_job", "tenant_id", "last_job_id"),
        CheckConstraint("every >= interval '1 second'", name="every_is_a_second_at_least"),
        CheckConstraint("jitter BETWEEN 0 AND 1", name="jitter_is_a_share"),
        CheckConstraint(
            "skipped_because IN ('unfinished', 'deactivated')", name="reason_for_skipping_is_known"
        ),
        {
            "comment": "What becomes a job again and again; whichever worker finds a turn due enqueues it, once",
            # Room on the page for what every turn changes.
            "postgresql_with": {"fillfactor": 85},
        },
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    name: Mapped[Words] = mapped_column(comment="What it is called in its tenant, such as sync:github")
    kind: Mapped[Words] = mapped_column(comment="Of the jobs it enqueues")
    args: Mapped[Json] = mapped_column(server_default=text("'{}'"), comment="Of the jobs it enqueues")
    priority: Mapped[int] = mapped_column(
        SmallInteger, server_default="0", comment="Of the jobs it enqueues; higher goes first within a tenant"
    )
    every: Mapped[timedelta] = mapped_column(Interval, comment="From one turn to the next, at least")
    jitter: Mapped[float] = mapped_column(
        Double, server_default="0.1", comment="Up to this share of `every` is added to each turn, by chance"
    )
    next_run_at: Mapped[Moment] = mapped_column(comment="When its next turn is due, by the database's clock")
    paused_at: Mapped[Moment | None] = mapped_column(comment="Since when it has no turns")
    last_run_at: Mapped[Moment | None] = mapped_column(comment="When a turn last enqueued a job")
    last_job_id: Mapped[UUID | None] = mapped_column(comment="That job; it may be purged by now")
    skipped_because: Mapped[Words | None] = mapped_column(
        comment="Why the last turn enqueued nothing: its job before was unfinished, or the tenant deactivated"
    )
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When somebody last changed it")

"""Schedules, and what lets the operator role turn them into jobs."""

from alembic import op

from backend.db.isolation import isolate

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE schedules (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    args JSONB DEFAULT '{}' NOT NULL,
    priority SMALLINT DEFAULT '0' NOT NULL,
    every INTERVAL NOT NULL,
    jitter DOUBLE PRECISION DEFAULT '0.1' NOT NULL,
    next_run_at TIMESTAMP WITH TIME ZONE NOT NULL,
    paused_at TIMESTAMP WITH TIME ZONE,
    last_run_at TIMESTAMP WITH TIME ZONE,
    last_job_id UUID,
    skipped_because TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_schedules PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_schedules_every_is_a_second_at_least CHECK (every >= interval '1 second'),
    CONSTRAINT ck_schedules_jitter_is_a_share CHECK (jitter BETWEEN 0 AND 1),
    CONSTRAINT ck_schedules_reason_for_skipping_is_known CHECK (skipped_because IN ('unfinished', 'deactivated')),
    CONSTRAINT fk_schedules_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
) WITH (fillfactor = 85);

CREATE INDEX ix_tenants_deactivated ON tenants (id) WHERE deactivated_at IS NOT NULL;
CREATE INDEX ix_schedules_due ON schedules (next_run_at) WHERE paused_at IS NULL;
CREATE INDEX ix_schedules_last_job ON schedules (tenant_id, last_job_id);
CREATE UNIQUE INDEX uq_schedules_name ON schedules (tenant_id, name);
COMMENT ON TABLE schedules IS 'What becomes a job again and again; whichever worker finds a turn due enqueues it, once';
COMMENT ON COLUMN schedules.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN schedules.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN schedules.name IS 'What it is called in its tenant, such as sync:<connector id>';
COMMENT ON COLUMN schedules.kind IS 'Of the jobs it enqueues';
COMMENT ON COLUMN schedules.args IS 'Of the jobs it enqueues';
COMMENT ON COLUMN schedules.priority IS 'Of the jobs it enqueues; higher goes first within a tenant';
COMMENT ON COLUMN schedules.every IS 'From one turn to the next, at least';
COMMENT ON COLUMN schedules.jitter IS 'Up to this share of `every` is added to each turn, by chance';
COMMENT ON COLUMN schedules.next_run_at IS 'When its next turn is due, by the database''s clock';
COMMENT ON COLUMN schedules.paused_at IS 'Since when it has no turns';
COMMENT ON COLUMN schedules.last_run_at IS 'When a turn last enqueued a job';
COMMENT ON COLUMN schedules.last_job_id IS 'That job; it may be purged by now';
COMMENT ON COLUMN schedules.skipped_because IS 'Why the last turn enqueued nothing: its job before was unfinished, or the tenant deactivated';
COMMENT ON COLUMN schedules.created_at IS 'When the row was written';
COMMENT ON COLUMN schedules.updated_at IS 'When somebody last changed it';
"""

VIEW = """
CREATE VIEW ops.schedules AS
SELECT t.slug AS tenant, s.name, s.kind, s.every,
       CASE WHEN s.paused_at IS NOT NULL THEN 'paused' WHEN t.deactivated_at IS NOT NULL THEN 'deactivated'
            WHEN s.next_run_at < now() - interval '10 seconds' THEN 'late' ELSE 'waiting' END AS state,
       s.next_run_at,
       CASE WHEN s.paused_at IS NULL AND s.next_run_at < now() THEN now() - s.next_run_at END AS late_by,
       s.last_run_at, j.state AS last_job, s.skipped_because, s.paused_at, s.id
FROM schedules AS s JOIN tenants AS t ON t.id = s.tenant_id LEFT JOIN jobs AS j ON j.id = s.last_job_id
ORDER BY s.paused_at IS NOT NULL, s.next_run_at;
COMMENT ON VIEW ops.schedules IS 'What becomes a job again and again: when next, how late, what became of the last turn';
GRANT SELECT ON ops.schedules TO secondbrain_readonly
"""

# The operator role adds a job only as a tenant has scheduled it, and only the one that the schedule's row names: to
# add another it would have to take the schedule's next turn. Restrictive: it narrows the policy for all commands.
SCHEDULED_ONLY = """
CREATE POLICY scheduled ON jobs AS RESTRICTIVE FOR INSERT TO secondbrain_operator WITH CHECK (EXISTS (
    SELECT FROM schedules AS s WHERE s.tenant_id = jobs.tenant_id AND s.last_job_id = jobs.id
    AND s.kind = jobs.kind AND s.args = jobs.args AND s.priority = jobs.priority))
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate(
        "schedules",
        operator=("SELECT", "UPDATE (next_run_at, last_run_at, last_job_id, skipped_because)"),
    ):
        op.execute(statement)
    op.execute("GRANT INSERT (id, tenant_id, kind, args, priority) ON jobs TO secondbrain_operator")
    op.execute(SCHEDULED_ONLY)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.schedules")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP POLICY scheduled ON jobs")
    op.execute("REVOKE INSERT (id, tenant_id, kind, args, priority) ON jobs FROM secondbrain_operator")
    op.execute("DROP TABLE schedules")
    op.execute("DROP INDEX ix_tenants_deactivated")

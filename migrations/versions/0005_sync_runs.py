"""How far a sync is, and what it could not take."""

from alembic import op

from backend.db.isolation import isolate

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE sync_runs (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    connector_id UUID NOT NULL,
    connector_type TEXT NOT NULL,
    job_id UUID,
    requested_by UUID,
    state TEXT DEFAULT 'queued' NOT NULL,
    stage TEXT DEFAULT 'connecting' NOT NULL,
    seq BIGINT DEFAULT '1' NOT NULL,
    note TEXT,
    total_count INTEGER,
    found_count INTEGER DEFAULT '0' NOT NULL,
    processed_count INTEGER DEFAULT '0' NOT NULL,
    stored_count INTEGER DEFAULT '0' NOT NULL,
    unchanged_count INTEGER DEFAULT '0' NOT NULL,
    failed_count INTEGER DEFAULT '0' NOT NULL,
    chunk_count INTEGER DEFAULT '0' NOT NULL,
    cursor JSONB,
    error TEXT,
    resume_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sync_runs PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_sync_runs_connector FOREIGN KEY(tenant_id, connector_id) REFERENCES connectors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_sync_runs_state_is_known CHECK (state IN ('queued', 'running', 'waiting', 'completed', 'completed_with_errors', 'failed', 'cancelled')),
    CONSTRAINT ck_sync_runs_stage_is_known CHECK (stage IN ('connecting', 'fetching', 'indexing', 'done')),
    CONSTRAINT ck_sync_runs_finished_has_a_time CHECK ((state IN ('queued', 'running', 'waiting')) = (finished_at IS NULL)),
    CONSTRAINT ck_sync_runs_failed_has_a_reason CHECK (state <> 'failed' OR error IS NOT NULL),
    CONSTRAINT fk_sync_runs_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_sync_runs_finished_at ON sync_runs (finished_at);

CREATE INDEX ix_sync_runs_latest ON sync_runs (tenant_id, connector_id, created_at);

CREATE UNIQUE INDEX uq_sync_runs_unfinished ON sync_runs (tenant_id, connector_id) WHERE finished_at IS NULL;
COMMENT ON TABLE sync_runs IS 'Sync runs: how far each is, with the checkpoint from which it goes on';
COMMENT ON COLUMN sync_runs.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN sync_runs.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN sync_runs.connector_id IS 'What is being synced';
COMMENT ON COLUMN sync_runs.connector_type IS 'github, gmail, slack, …';
COMMENT ON COLUMN sync_runs.job_id IS 'The job that carries it out';
COMMENT ON COLUMN sync_runs.requested_by IS 'The user who asked for it; none for a schedule';
COMMENT ON COLUMN sync_runs.state IS 'queued, running, waiting, or how it ended';
COMMENT ON COLUMN sync_runs.stage IS 'connecting, fetching, indexing or done';
COMMENT ON COLUMN sync_runs.seq IS 'Raised by every change; the event id of streams';
COMMENT ON COLUMN sync_runs.note IS 'What it is busy with, for a person';
COMMENT ON COLUMN sync_runs.total_count IS 'Items in the whole run when the provider says so';
COMMENT ON COLUMN sync_runs.found_count IS 'Items the provider has handed over';
COMMENT ON COLUMN sync_runs.processed_count IS 'Items dealt with: stored, unchanged or failed';
COMMENT ON COLUMN sync_runs.stored_count IS 'Items stored with chunks and vectors';
COMMENT ON COLUMN sync_runs.unchanged_count IS 'Items that were there already, the same';
COMMENT ON COLUMN sync_runs.failed_count IS 'Items with a row in sync_errors';
COMMENT ON COLUMN sync_runs.chunk_count IS 'Chunks written';
COMMENT ON COLUMN sync_runs.cursor IS 'Where the provider goes on after the last stored page';
COMMENT ON COLUMN sync_runs.error IS 'Why it failed, for a person';
COMMENT ON COLUMN sync_runs.resume_at IS 'While waiting: when it goes on';
COMMENT ON COLUMN sync_runs.created_at IS 'When the row was written';
COMMENT ON COLUMN sync_runs.started_at IS 'When a worker first took it';
COMMENT ON COLUMN sync_runs.updated_at IS 'When it last changed';
COMMENT ON COLUMN sync_runs.finished_at IS 'When it ended, in whichever way';

CREATE TABLE sync_errors (
    tenant_id UUID NOT NULL,
    run_id UUID NOT NULL,
    external_id TEXT NOT NULL,
    url TEXT,
    stage TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sync_errors PRIMARY KEY (tenant_id, run_id, external_id),
    CONSTRAINT fk_sync_errors_run FOREIGN KEY(tenant_id, run_id) REFERENCES sync_runs (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_sync_errors_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
COMMENT ON TABLE sync_errors IS 'Items a run could not take, each with its reason';
COMMENT ON COLUMN sync_errors.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN sync_errors.run_id IS 'Which run';
COMMENT ON COLUMN sync_errors.external_id IS 'The item''s id at the provider';
COMMENT ON COLUMN sync_errors.url IS 'Where a person finds the item';
COMMENT ON COLUMN sync_errors.stage IS 'fetch, parse, embed or store';
COMMENT ON COLUMN sync_errors.reason IS 'Why, for a person';
COMMENT ON COLUMN sync_errors.created_at IS 'When the row was written';
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate("sync_runs", app="SELECT, INSERT, UPDATE", operator="SELECT, DELETE"):
        op.execute(statement)
    for statement in isolate("sync_errors", operator="SELECT, DELETE"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE sync_errors")
    op.execute("DROP TABLE sync_runs")

"""The job queue and its workers."""

from alembic import op

from backend.db.isolation import isolate

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE workers (
    id UUID DEFAULT uuidv7() NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    lease_term INTERVAL NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    stopped_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_workers PRIMARY KEY (id)
);

CREATE INDEX ix_workers_heartbeat_at ON workers (heartbeat_at);
COMMENT ON TABLE workers IS 'Worker processes; one heartbeat each stands for all the jobs it holds';
COMMENT ON COLUMN workers.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN workers.name IS 'Instance name of the process';
COMMENT ON COLUMN workers.version IS 'Version of the product it runs';
COMMENT ON COLUMN workers.started_at IS 'When the process registered';
COMMENT ON COLUMN workers.lease_term IS 'How long it may be silent before its jobs go to others';
COMMENT ON COLUMN workers.heartbeat_at IS 'When it last said that it lives';
COMMENT ON COLUMN workers.stopped_at IS 'When it said goodbye; never, if it was killed';

CREATE TABLE jobs (
    id UUID DEFAULT uuidv7() NOT NULL,
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL,
    args JSONB DEFAULT '{}' NOT NULL,
    state TEXT DEFAULT 'queued' NOT NULL,
    priority SMALLINT DEFAULT '0' NOT NULL,
    run_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    attempt INTEGER DEFAULT '0' NOT NULL,
    max_attempts INTEGER DEFAULT '10' NOT NULL,
    lease BIGINT DEFAULT '0' NOT NULL,
    worker_id UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    claimed_at TIMESTAMP WITH TIME ZONE,
    progressed_at TIMESTAMP WITH TIME ZONE,
    cancel_requested_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    CONSTRAINT pk_jobs PRIMARY KEY (id),
    CONSTRAINT ck_jobs_state_is_known CHECK (state IN ('queued', 'running', 'succeeded', 'dead', 'cancelled')),
    CONSTRAINT ck_jobs_running_has_a_worker CHECK ((state = 'running') = (worker_id IS NOT NULL)),
    CONSTRAINT ck_jobs_finished_has_a_time CHECK ((state IN ('succeeded', 'dead', 'cancelled')) = (finished_at IS NOT NULL)),
    CONSTRAINT ck_jobs_attempts_are_counted CHECK (attempt >= 0 AND max_attempts > 0),
    CONSTRAINT fk_jobs_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ix_jobs_finished_at ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX ix_jobs_queued ON jobs (tenant_id, priority DESC, run_at, id) WHERE state = 'queued';

CREATE INDEX ix_jobs_running ON jobs (tenant_id, worker_id) WHERE state = 'running';
COMMENT ON TABLE jobs IS 'Work to be done, fenced by a lease number that only grows';
COMMENT ON COLUMN jobs.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN jobs.tenant_id IS 'For whom the work is done';
COMMENT ON COLUMN jobs.kind IS 'What to do, such as sync';
COMMENT ON COLUMN jobs.args IS 'Ids of what to do it with';
COMMENT ON COLUMN jobs.state IS 'queued, running, succeeded, dead or cancelled';
COMMENT ON COLUMN jobs.priority IS 'Higher goes first within a tenant';
COMMENT ON COLUMN jobs.run_at IS 'Not before this time';
COMMENT ON COLUMN jobs.attempt IS 'Tries since progress was last made';
COMMENT ON COLUMN jobs.max_attempts IS 'Tries without progress before it is dead';
COMMENT ON COLUMN jobs.lease IS 'Raised by every claim and release; fences off whoever held it before';
COMMENT ON COLUMN jobs.worker_id IS 'Who holds it while running';
COMMENT ON COLUMN jobs.created_at IS 'When the row was written';
COMMENT ON COLUMN jobs.claimed_at IS 'When it was last claimed';
COMMENT ON COLUMN jobs.progressed_at IS 'When its worker last wrote something that counts';
COMMENT ON COLUMN jobs.cancel_requested_at IS 'When somebody asked the running job to stop';
COMMENT ON COLUMN jobs.finished_at IS 'When it ended, in whichever way';
COMMENT ON COLUMN jobs.last_error IS 'Why the last try failed';
"""


# Without `finished_at` no job can be ended (ck_jobs_finished_has_a_time): only a tenant's transaction does that,
# because only it can write in the same breath what the end means to others.
OPERATOR_UPDATES = "UPDATE (state, lease, attempt, worker_id, run_at, claimed_at, progressed_at, last_error)"


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate(
        "jobs", app="SELECT, INSERT, UPDATE", operator=("SELECT, DELETE", OPERATOR_UPDATES)
    ):
        op.execute(statement)
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON workers TO secondbrain_operator")


def downgrade() -> None:
    op.execute("DROP TABLE jobs")
    op.execute("DROP TABLE workers")

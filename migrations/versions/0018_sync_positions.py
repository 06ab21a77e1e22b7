"""Where reading goes on between runs, what is known of each item, and how a run came to its state."""

from alembic import op

from backend.db.isolation import isolate

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE sync_transitions (
    tenant_id UUID NOT NULL,
    run_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    state TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sync_transitions PRIMARY KEY (tenant_id, run_id, seq),
    CONSTRAINT fk_sync_transitions_run FOREIGN KEY(tenant_id, run_id) REFERENCES sync_runs (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_sync_transitions_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
COMMENT ON TABLE sync_transitions IS 'Every change of a run''s state: when, to what, by whom and why';
COMMENT ON COLUMN sync_transitions.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN sync_transitions.run_id IS 'Which run';
COMMENT ON COLUMN sync_transitions.seq IS 'The run''s seq at that moment';
COMMENT ON COLUMN sync_transitions.state IS 'What it became';
COMMENT ON COLUMN sync_transitions.actor IS 'Who did it: user, schedule, webhook or worker, with its id';
COMMENT ON COLUMN sync_transitions.reason IS 'Why, for a person';
COMMENT ON COLUMN sync_transitions.created_at IS 'When the row was written';
CREATE TABLE sync_positions (
    tenant_id UUID NOT NULL,
    connector_id UUID NOT NULL,
    cursor JSONB,
    pass_number BIGINT DEFAULT '1' NOT NULL,
    is_full BOOLEAN DEFAULT 'true' NOT NULL,
    is_whole BOOLEAN DEFAULT 'true' NOT NULL,
    unlisted TEXT[] DEFAULT '{}' NOT NULL,
    full_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sync_positions PRIMARY KEY (tenant_id, connector_id),
    CONSTRAINT fk_sync_positions_connector FOREIGN KEY(tenant_id, connector_id) REFERENCES connectors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_sync_positions_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
COMMENT ON TABLE sync_positions IS 'Where the next run of a connector goes on: the checkpoint that survives runs';
COMMENT ON COLUMN sync_positions.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN sync_positions.connector_id IS 'Whose place it is';
COMMENT ON COLUMN sync_positions.cursor IS 'The provider''s own words for the place after the last stored page; none: the beginning';
COMMENT ON COLUMN sync_positions.pass_number IS 'Counts passes over everything; items remember the last that saw them';
COMMENT ON COLUMN sync_positions.is_full IS 'Whether a pass over everything is under way or comes next';
COMMENT ON COLUMN sync_positions.is_whole IS 'Whether nothing failed to be listed in that pass';
COMMENT ON COLUMN sync_positions.unlisted IS 'Beginnings of the external ids that what could not be listed in that pass may hide';
COMMENT ON COLUMN sync_positions.full_at IS 'When the last pass over everything was over';
COMMENT ON COLUMN sync_positions.updated_at IS 'When it last moved';
CREATE TABLE sync_items (
    tenant_id UUID NOT NULL,
    connector_id UUID NOT NULL,
    external_id TEXT NOT NULL,
    revision TEXT,
    state TEXT NOT NULL,
    run_id UUID NOT NULL,
    pass_number BIGINT NOT NULL,
    missed_count INTEGER DEFAULT '0' NOT NULL,
    title TEXT,
    url TEXT,
    locator JSONB,
    stage TEXT,
    reason TEXT,
    attempt INTEGER DEFAULT '0' NOT NULL,
    retry_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_sync_items PRIMARY KEY (tenant_id, connector_id, external_id),
    CONSTRAINT fk_sync_items_connector FOREIGN KEY(tenant_id, connector_id) REFERENCES connectors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_sync_items_state_is_known CHECK (state IN ('stored', 'failed')),
    CONSTRAINT ck_sync_items_failed_has_a_reason CHECK ((state = 'failed') = (reason IS NOT NULL)),
    CONSTRAINT fk_sync_items_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
)
 WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX ix_sync_items_due ON sync_items (tenant_id, connector_id, retry_at) WHERE state = 'failed';
CREATE INDEX ix_sync_items_missed ON sync_items (tenant_id, connector_id, missed_count) WHERE missed_count > 0;
COMMENT ON TABLE sync_items IS 'What a source has shown of each item: unchanged ones are not read again, failed ones are';
COMMENT ON COLUMN sync_items.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN sync_items.connector_id IS 'Whose item it is';
COMMENT ON COLUMN sync_items.external_id IS 'Its id at the provider';
COMMENT ON COLUMN sync_items.revision IS 'The provider''s word for the version that was dealt with; none: it must be read to know';
COMMENT ON COLUMN sync_items.state IS 'stored (with its chunks and vectors) or failed';
COMMENT ON COLUMN sync_items.run_id IS 'The run that last counted it; a run counts an item once';
COMMENT ON COLUMN sync_items.pass_number IS 'The last pass over everything that saw it';
COMMENT ON COLUMN sync_items.missed_count IS 'Passes over everything, in a row, that did not see it; after two it is deleted';
COMMENT ON COLUMN sync_items.title IS 'Of a failed one: what people call it';
COMMENT ON COLUMN sync_items.url IS 'Of a failed one: where a person finds it';
COMMENT ON COLUMN sync_items.locator IS 'Of a failed one: how the provider finds it';
COMMENT ON COLUMN sync_items.stage IS 'Of a failed one: fetch, parse, embed or store';
COMMENT ON COLUMN sync_items.reason IS 'Of a failed one: why, for a person';
COMMENT ON COLUMN sync_items.attempt IS 'Failed tries in a row';
COMMENT ON COLUMN sync_items.retry_at IS 'When it is tried again at the earliest; none: only when it changes or everything is read anew';
COMMENT ON COLUMN sync_items.updated_at IS 'When it was last dealt with';

ALTER TABLE sync_runs ADD COLUMN trigger TEXT DEFAULT 'user' NOT NULL;
ALTER TABLE sync_runs ADD COLUMN is_full BOOLEAN DEFAULT 'false' NOT NULL;
ALTER TABLE sync_runs ADD COLUMN deleted_count INTEGER DEFAULT '0' NOT NULL;
COMMENT ON COLUMN sync_runs.cursor IS 'Where it began: its connector''s place when a worker first took it';
ALTER TABLE sync_runs DROP CONSTRAINT ck_sync_runs_state_is_known;
ALTER TABLE sync_runs ADD CONSTRAINT ck_sync_runs_state_is_known CHECK (state IN ('queued', 'running', 'waiting', 'completed', 'completed_with_errors', 'interrupted', 'failed', 'cancelled'));
ALTER TABLE sync_runs DROP CONSTRAINT ck_sync_runs_failed_has_a_reason;
ALTER TABLE sync_runs ADD CONSTRAINT ck_sync_runs_failed_has_a_reason CHECK (state NOT IN ('failed', 'interrupted') OR error IS NOT NULL);
COMMENT ON TABLE sync_runs IS 'Sync runs: how far each is, and how it ended';
COMMENT ON COLUMN sync_runs.trigger IS 'What started it: user, schedule or webhook';
COMMENT ON COLUMN sync_runs.is_full IS 'Whether it goes over everything there is, not only what has changed';
COMMENT ON COLUMN sync_runs.deleted_count IS 'Documents removed because the source no longer has them';

ALTER TABLE credentials ADD COLUMN version BIGINT DEFAULT '1' NOT NULL;
ALTER TABLE credentials ADD COLUMN renewer UUID;
ALTER TABLE credentials ADD COLUMN renewing_until TIMESTAMP WITH TIME ZONE;
COMMENT ON COLUMN credentials.version IS 'Raised whenever they are replaced; tells whether a refusal is news';
COMMENT ON COLUMN credentials.renewer IS 'Who is renewing them; only its answer is stored';
COMMENT ON COLUMN credentials.renewing_until IS 'Until when it may take to renew them; then somebody else may';
"""

#: A run is not what it was before this revision: its place is its connector's now.
TAKE_BACK = """
UPDATE sync_runs SET state = 'failed' WHERE state = 'interrupted';
ALTER TABLE sync_runs DROP CONSTRAINT ck_sync_runs_state_is_known;
ALTER TABLE sync_runs ADD CONSTRAINT ck_sync_runs_state_is_known CHECK (state IN ('queued', 'running', 'waiting', 'completed', 'completed_with_errors', 'failed', 'cancelled'));
ALTER TABLE sync_runs DROP CONSTRAINT ck_sync_runs_failed_has_a_reason;
ALTER TABLE sync_runs ADD CONSTRAINT ck_sync_runs_failed_has_a_reason CHECK (state <> 'failed' OR error IS NOT NULL);
ALTER TABLE sync_runs DROP COLUMN deleted_count;
ALTER TABLE sync_runs DROP COLUMN is_full;
ALTER TABLE sync_runs DROP COLUMN trigger;
COMMENT ON COLUMN sync_runs.cursor IS 'Where the provider goes on after the last stored page';
COMMENT ON TABLE sync_runs IS 'Sync runs: how far each is, with the checkpoint from which it goes on';
ALTER TABLE credentials DROP COLUMN renewing_until;
ALTER TABLE credentials DROP COLUMN renewer;
ALTER TABLE credentials DROP COLUMN version;
DROP TABLE sync_items;
DROP TABLE sync_positions;
DROP TABLE sync_transitions;
"""

VIEWS = """
DROP VIEW ops.sync_runs;
CREATE VIEW ops.sync_runs AS
SELECT t.slug AS tenant, r.connector_type AS connector, r.trigger, r.is_full, r.state, r.stage,
       r.processed_count AS processed, r.total_count AS total, r.stored_count AS stored, r.unchanged_count AS unchanged,
       r.failed_count AS failed, r.deleted_count AS deleted, r.note, r.error, r.resume_at, w.name AS worker,
       now() - r.updated_at AS silent_for,
       coalesce(r.finished_at, now()) - coalesce(r.started_at, r.created_at) AS took, r.created_at, r.id
FROM sync_runs AS r JOIN tenants AS t ON t.id = r.tenant_id
LEFT JOIN jobs AS j ON j.id = r.job_id LEFT JOIN workers AS w ON w.id = j.worker_id
ORDER BY r.finished_at IS NOT NULL, r.created_at DESC;
COMMENT ON VIEW ops.sync_runs IS 'What is being synced and how far it is; unfinished runs first';
GRANT SELECT ON ops.sync_runs TO secondbrain_readonly;

CREATE VIEW ops.sync_transitions AS
SELECT t.slug AS tenant, r.connector_type AS connector, s.created_at, s.state, s.actor, s.reason, s.run_id, s.seq
FROM sync_transitions AS s JOIN sync_runs AS r ON (r.tenant_id, r.id) = (s.tenant_id, s.run_id)
JOIN tenants AS t ON t.id = s.tenant_id ORDER BY s.created_at DESC, s.seq DESC;
COMMENT ON VIEW ops.sync_transitions IS 'How runs came to their states: when, by whom and why; the newest first';
GRANT SELECT ON ops.sync_transitions TO secondbrain_readonly;

CREATE VIEW ops.sync_positions AS
SELECT t.slug AS tenant, c.type AS connector, p.is_full, p.is_whole, p.full_at, p.updated_at, i.items, i.failing,
       i.next_retry_at, i.missed, c.id
FROM sync_positions AS p JOIN tenants AS t ON t.id = p.tenant_id
JOIN connectors AS c ON (c.tenant_id, c.id) = (p.tenant_id, p.connector_id) CROSS JOIN LATERAL (
    SELECT count(*) AS items, count(*) FILTER (WHERE state = 'failed') AS failing,
           min(retry_at) FILTER (WHERE state = 'failed') AS next_retry_at,
           count(*) FILTER (WHERE missed_count > 0) AS missed
    FROM sync_items AS s WHERE s.tenant_id = p.tenant_id AND s.connector_id = p.connector_id
) AS i ORDER BY t.slug, c.type;
COMMENT ON VIEW ops.sync_positions IS 'Where connectors go on, how many items each has, and how many of them fail or were missed';
GRANT SELECT ON ops.sync_positions TO secondbrain_readonly
"""

OLD_VIEWS = """
DROP VIEW ops.sync_positions;
DROP VIEW ops.sync_transitions;
DROP VIEW ops.sync_runs
"""

OLD_VIEW = """
CREATE VIEW ops.sync_runs AS
SELECT t.slug AS tenant, r.connector_type AS connector, r.state, r.stage, r.processed_count AS processed,
       r.total_count AS total, r.stored_count AS stored, r.unchanged_count AS unchanged, r.failed_count AS failed,
       r.note, r.error, r.resume_at, w.name AS worker, now() - r.updated_at AS silent_for,
       coalesce(r.finished_at, now()) - coalesce(r.started_at, r.created_at) AS took, r.created_at, r.id
FROM sync_runs AS r JOIN tenants AS t ON t.id = r.tenant_id
LEFT JOIN jobs AS j ON j.id = r.job_id LEFT JOIN workers AS w ON w.id = j.worker_id
ORDER BY r.finished_at IS NOT NULL, r.created_at DESC;
COMMENT ON VIEW ops.sync_runs IS 'What is being synced and how far it is; unfinished runs first';
GRANT SELECT ON ops.sync_runs TO secondbrain_readonly
"""

#: The operator counts, and reads no item's name, address or place.
RIGHTS = (
    ("sync_transitions", "SELECT"),
    (
        "sync_positions",
        "SELECT (tenant_id, connector_id, pass_number, is_full, is_whole, full_at, updated_at)",
    ),
    ("sync_items", "SELECT (tenant_id, connector_id, state, missed_count, retry_at)"),
)


def upgrade() -> None:
    op.execute(SCHEMA)
    for table, operator in RIGHTS:
        for statement in isolate(table, operator=operator):
            op.execute(statement)
    _as_operator(VIEWS)


def downgrade() -> None:
    _as_operator(OLD_VIEWS)
    op.execute(TAKE_BACK)
    _as_operator(OLD_VIEW)


def _as_operator(statements: str) -> None:
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(statements)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")

"""Calls of providers, each once; documents of disconnected sources being deleted; what operators see of sources."""

from alembic import op

from backend.db.isolation import isolate

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE INDEX ix_connectors_account ON connectors (type, account_id);

CREATE TABLE source_removals (
    tenant_id UUID NOT NULL,
    connector_id UUID NOT NULL,
    job_id UUID,
    requested_by UUID,
    total_count BIGINT NOT NULL,
    removed_count BIGINT DEFAULT '0' NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    CONSTRAINT pk_source_removals PRIMARY KEY (tenant_id, connector_id),
    CONSTRAINT fk_source_removals_connector FOREIGN KEY(tenant_id, connector_id) REFERENCES connectors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_source_removals_removed_are_counted CHECK (removed_count BETWEEN 0 AND total_count),
    CONSTRAINT ck_source_removals_failed_is_finished CHECK (error IS NULL OR finished_at IS NOT NULL),
    CONSTRAINT fk_source_removals_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_source_removals_unfinished ON source_removals (tenant_id) WHERE finished_at IS NULL;
COMMENT ON TABLE source_removals IS 'The documents of a source being deleted, or the last time they were; one row a connector';
COMMENT ON COLUMN source_removals.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN source_removals.connector_id IS 'Whose documents are deleted';
COMMENT ON COLUMN source_removals.job_id IS 'The job that carries it out';
COMMENT ON COLUMN source_removals.requested_by IS 'Who asked for it';
COMMENT ON COLUMN source_removals.total_count IS 'Documents there were when it was asked for, and any that came after';
COMMENT ON COLUMN source_removals.removed_count IS 'Documents that are gone';
COMMENT ON COLUMN source_removals.requested_at IS 'When it was asked for; syncs that are asked for later wait for its end';
COMMENT ON COLUMN source_removals.updated_at IS 'When it last got on';
COMMENT ON COLUMN source_removals.finished_at IS 'When it was over, in whichever way';
COMMENT ON COLUMN source_removals.error IS 'Why it was given up, for a person';

CREATE TABLE webhook_deliveries (
    tenant_id UUID NOT NULL,
    connector_id UUID NOT NULL,
    delivery_id TEXT NOT NULL,
    effect TEXT NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_webhook_deliveries PRIMARY KEY (tenant_id, connector_id, delivery_id),
    CONSTRAINT fk_webhook_deliveries_connector FOREIGN KEY(tenant_id, connector_id) REFERENCES connectors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_webhook_deliveries_effect_is_known CHECK (effect IN ('sync', 'joined')),
    CONSTRAINT fk_webhook_deliveries_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_webhook_deliveries_received_at ON webhook_deliveries (received_at);
COMMENT ON TABLE webhook_deliveries IS 'Genuine calls of providers that said something changed, each once; kept for three days';
COMMENT ON COLUMN webhook_deliveries.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN webhook_deliveries.connector_id IS 'Which connector it concerns';
COMMENT ON COLUMN webhook_deliveries.delivery_id IS 'The provider''s name for it, the same when it sends it again';
COMMENT ON COLUMN webhook_deliveries.effect IS 'sync: a sync was asked for; joined: one was asked for already and will see it';
COMMENT ON COLUMN webhook_deliveries.received_at IS 'When it first came';

COMMENT ON COLUMN sync_runs.trigger IS 'What started it: user, schedule, webhook or command line';
COMMENT ON COLUMN schedules.name IS 'What it is called in its tenant, such as sync:github';
"""

VIEWS = """
DROP VIEW ops.connectors;
CREATE VIEW ops.connectors AS
SELECT t.slug AS tenant, c.type, c.status, c.status_reason, c.account_label AS account, c.connected_at,
       k.expires_at AS credentials_expire_at, r.state AS last_sync, coalesce(r.finished_at, r.created_at) AS last_sync_at,
       r.error AS last_error,
       CASE WHEN c.status <> 'connected' OR s.paused_at IS NOT NULL THEN NULL ELSE s.next_run_at END AS next_sync_at,
       s.every, s.paused_at IS NOT NULL AS is_paused,
       (SELECT count(*) FROM sync_items AS i WHERE i.tenant_id = c.tenant_id AND i.connector_id = c.id
        AND i.state = 'failed') AS failing, c.id
FROM connectors AS c JOIN tenants AS t ON t.id = c.tenant_id
LEFT JOIN credentials AS k ON (k.tenant_id, k.connector_id) = (c.tenant_id, c.id)
LEFT JOIN schedules AS s ON (s.tenant_id, s.name) = (c.tenant_id, 'sync:' || c.type)
LEFT JOIN LATERAL (
    SELECT n.state, n.created_at, n.finished_at, n.error FROM sync_runs AS n
    WHERE n.tenant_id = c.tenant_id AND n.connector_id = c.id ORDER BY n.created_at DESC, n.id DESC LIMIT 1
) AS r ON true
ORDER BY t.slug, c.type;
COMMENT ON VIEW ops.connectors IS 'What is connected, what needs to be reconnected, when it was and will be synced, how many items fail';
GRANT SELECT ON ops.connectors TO secondbrain_readonly;

CREATE VIEW ops.source_removals AS
SELECT t.slug AS tenant, c.type AS connector,
       CASE WHEN r.error IS NOT NULL THEN 'failed' WHEN r.finished_at IS NOT NULL THEN 'done' ELSE 'running' END AS state,
       r.removed_count AS removed, r.total_count AS total, r.requested_at, r.updated_at, r.finished_at, r.error,
       w.name AS worker, c.id
FROM source_removals AS r JOIN connectors AS c ON (c.tenant_id, c.id) = (r.tenant_id, r.connector_id)
JOIN tenants AS t ON t.id = r.tenant_id LEFT JOIN jobs AS j ON j.id = r.job_id LEFT JOIN workers AS w ON w.id = j.worker_id
ORDER BY r.finished_at IS NOT NULL, r.requested_at DESC;
COMMENT ON VIEW ops.source_removals IS 'Documents of disconnected sources being deleted: how many of how many';
GRANT SELECT ON ops.source_removals TO secondbrain_readonly;

CREATE VIEW ops.webhook_deliveries AS
SELECT t.slug AS tenant, c.type AS connector, d.delivery_id, d.effect, d.received_at
FROM webhook_deliveries AS d JOIN connectors AS c ON (c.tenant_id, c.id) = (d.tenant_id, d.connector_id)
JOIN tenants AS t ON t.id = d.tenant_id ORDER BY d.received_at DESC;
COMMENT ON VIEW ops.webhook_deliveries IS 'Calls of providers of the last three days, and what each led to; the newest first';
GRANT SELECT ON ops.webhook_deliveries TO secondbrain_readonly
"""

OLD_VIEWS = """
DROP VIEW ops.webhook_deliveries;
DROP VIEW ops.source_removals;
DROP VIEW ops.connectors;
CREATE VIEW ops.connectors AS
SELECT t.slug AS tenant, c.type, c.status, c.status_reason, c.account_label AS account, c.connected_at,
       k.expires_at AS credentials_expire_at, c.id
FROM connectors AS c JOIN tenants AS t ON t.id = c.tenant_id
LEFT JOIN credentials AS k ON (k.tenant_id, k.connector_id) = (c.tenant_id, c.id) ORDER BY t.slug, c.type;
COMMENT ON VIEW ops.connectors IS 'What is connected, and what needs to be reconnected';
GRANT SELECT ON ops.connectors TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate("source_removals", operator="SELECT"):
        op.execute(statement)
    for statement in isolate(
        "webhook_deliveries", app="SELECT, INSERT, UPDATE", operator=("SELECT", "DELETE")
    ):
        op.execute(statement)
    _as_operator(VIEWS)


def downgrade() -> None:
    _as_operator(OLD_VIEWS)
    op.execute("DROP TABLE webhook_deliveries")
    op.execute("DROP TABLE source_removals")
    op.execute("DROP INDEX ix_connectors_account")
    op.execute("COMMENT ON COLUMN sync_runs.trigger IS 'What started it: user, schedule or webhook'")
    op.execute(
        "COMMENT ON COLUMN schedules.name IS 'What it is called in its tenant, such as sync:<connector id>'"
    )


def _as_operator(statements: str) -> None:
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(statements)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")

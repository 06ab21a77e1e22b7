"""Views for operators: schema `ops`, readable by `secondbrain_readonly`.

They belong to the operator role, so they see across tenants what that role was granted, and no content.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE SCHEMA ops;
COMMENT ON SCHEMA ops IS 'Questions operators ask, as views; no content, no secret';
GRANT USAGE, CREATE ON SCHEMA ops TO secondbrain_operator;
GRANT USAGE ON SCHEMA ops TO secondbrain_readonly;
GRANT USAGE ON SCHEMA public TO secondbrain_readonly
"""

VIEWS = """
CREATE VIEW ops.sync_runs AS
SELECT t.slug AS tenant, r.connector_type AS connector, r.state, r.stage, r.processed_count AS processed,
       r.total_count AS total, r.stored_count AS stored, r.unchanged_count AS unchanged, r.failed_count AS failed,
       r.note, r.error, r.resume_at, w.name AS worker, now() - r.updated_at AS silent_for,
       coalesce(r.finished_at, now()) - coalesce(r.started_at, r.created_at) AS took, r.created_at, r.id
FROM sync_runs AS r JOIN tenants AS t ON t.id = r.tenant_id
LEFT JOIN jobs AS j ON j.id = r.job_id LEFT JOIN workers AS w ON w.id = j.worker_id
ORDER BY r.finished_at IS NOT NULL, r.created_at DESC;
COMMENT ON VIEW ops.sync_runs IS 'What is being synced and how far it is; unfinished runs first';

CREATE VIEW ops.sync_errors AS
SELECT t.slug AS tenant, r.connector_type AS connector, e.external_id, e.stage, e.reason, e.url, e.created_at
FROM sync_errors AS e JOIN sync_runs AS r ON (r.tenant_id, r.id) = (e.tenant_id, e.run_id)
JOIN tenants AS t ON t.id = e.tenant_id ORDER BY e.created_at DESC;
COMMENT ON VIEW ops.sync_errors IS 'Which items could not be taken, and why';

CREATE VIEW ops.queue AS
SELECT t.slug AS tenant, j.kind,
       count(*) FILTER (WHERE j.state = 'queued' AND j.run_at <= now()) AS ready,
       count(*) FILTER (WHERE j.state = 'queued' AND j.run_at > now()) AS later,
       count(*) FILTER (WHERE j.state = 'running') AS running,
       count(*) FILTER (WHERE j.state = 'dead') AS dead,
       now() - min(j.run_at) FILTER (WHERE j.state = 'queued' AND j.run_at <= now()) AS oldest_waits
FROM jobs AS j JOIN tenants AS t ON t.id = j.tenant_id
WHERE j.state IN ('queued', 'running', 'dead') GROUP BY t.slug, j.kind ORDER BY ready DESC, tenant, kind;
COMMENT ON VIEW ops.queue IS 'How much work waits for whom, and for how long';

CREATE VIEW ops.stuck_jobs AS
SELECT t.slug AS tenant, j.kind, j.state, j.attempt, j.max_attempts, j.run_at, j.last_error,
       w.name AS worker, now() - w.heartbeat_at AS worker_silent_for,
       now() - coalesce(j.progressed_at, j.claimed_at) AS no_progress_for, j.id
FROM jobs AS j JOIN tenants AS t ON t.id = j.tenant_id LEFT JOIN workers AS w ON w.id = j.worker_id
WHERE j.state = 'dead' OR (j.state = 'queued' AND j.attempt > 0)
   OR (j.state = 'running' AND (w.heartbeat_at < now() - w.lease_term
       OR coalesce(j.progressed_at, j.claimed_at) < now() - interval '5 minutes'))
ORDER BY j.created_at DESC;
COMMENT ON VIEW ops.stuck_jobs IS 'What does not go on: dead, failing, or held by a silent worker; and why';

CREATE VIEW ops.workers AS
SELECT w.name, w.version, w.started_at, now() - w.heartbeat_at AS silent_for,
       CASE WHEN w.stopped_at IS NOT NULL THEN 'stopped'
            WHEN w.heartbeat_at < now() - w.lease_term THEN 'silent' ELSE 'alive' END AS state,
       (SELECT count(*) FROM jobs AS j WHERE j.state = 'running' AND j.worker_id = w.id) AS jobs, w.id
FROM workers AS w ORDER BY w.heartbeat_at DESC;
COMMENT ON VIEW ops.workers IS 'Worker processes: which live, which fell silent, what they hold';

CREATE VIEW ops.oauth_nonces AS
SELECT t.slug AS tenant, n.connector_type AS connector,
       CASE WHEN n.used_at IS NOT NULL THEN 'used' WHEN n.expires_at <= now() THEN 'expired'
            WHEN n.begun_at IS NOT NULL THEN 'begun' ELSE 'issued' END AS state,
       n.created_at, n.begun_at, n.used_at, n.expires_at
FROM oauth_nonces AS n JOIN tenants AS t ON t.id = n.tenant_id ORDER BY n.created_at DESC;
COMMENT ON VIEW ops.oauth_nonces IS 'Connection attempts: issued, begun, used, expired';

CREATE VIEW ops.sessions AS
SELECT t.slug AS tenant, u.email, s.created_at, s.last_used_at, s.expires_at, s.ended_at, s.end_reason,
       s.ip_address, s.id
FROM sessions AS s JOIN users AS u ON (u.tenant_id, u.id) = (s.tenant_id, s.user_id)
JOIN tenants AS t ON t.id = s.tenant_id ORDER BY s.created_at DESC;
COMMENT ON VIEW ops.sessions IS 'Who is signed in, since when, and how sessions ended';

CREATE VIEW ops.connectors AS
SELECT t.slug AS tenant, c.type, c.status, c.status_reason, c.account_label AS account, c.connected_at,
       k.expires_at AS credentials_expire_at, c.id
FROM connectors AS c JOIN tenants AS t ON t.id = c.tenant_id
LEFT JOIN credentials AS k ON (k.tenant_id, k.connector_id) = (c.tenant_id, c.id) ORDER BY t.slug, c.type;
COMMENT ON VIEW ops.connectors IS 'What is connected, and what needs to be reconnected';

CREATE VIEW ops.tenants AS
SELECT t.slug AS tenant, t.name, t.plan, t.deactivated_at,
       (SELECT count(*) FROM users AS u WHERE u.tenant_id = t.id) AS users,
       d.documents, d.bytes, (SELECT count(*) FROM chunks AS c WHERE c.tenant_id = t.id) AS chunks, t.created_at, t.id
FROM tenants AS t CROSS JOIN LATERAL (
    SELECT count(*) AS documents, coalesce(sum(byte_size), 0) AS bytes
    FROM documents AS d WHERE d.tenant_id = t.id AND d.deleted_at IS NULL
) AS d ORDER BY d.bytes DESC;
COMMENT ON VIEW ops.tenants IS 'Who uses how much; the biggest first'
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEWS)
    op.execute("GRANT SELECT ON ALL TABLES IN SCHEMA ops TO secondbrain_readonly")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(
        "DO $$ DECLARE v text; BEGIN FOR v IN SELECT viewname FROM pg_views WHERE schemaname = 'ops' LOOP"
        " EXECUTE format('DROP VIEW ops.%I', v); END LOOP; END $$"
    )
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP SCHEMA ops")
    op.execute("REVOKE USAGE ON SCHEMA public FROM secondbrain_readonly")

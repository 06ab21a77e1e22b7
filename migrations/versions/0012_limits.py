"""Token buckets and idempotency keys."""

from alembic import op

from backend.db.isolation import isolate

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE UNLOGGED TABLE rate_limits (
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    full_at TIMESTAMP WITH TIME ZONE NOT NULL,
    refused_count BIGINT DEFAULT '0' NOT NULL,
    refused_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_rate_limits PRIMARY KEY (rule, subject),
    CONSTRAINT ck_rate_limits_refusals_are_counted CHECK (refused_count >= 0),
    CONSTRAINT ck_rate_limits_refused_has_a_time CHECK ((refused_count = 0) = (refused_at IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
COMMENT ON TABLE rate_limits IS 'Token buckets: how often somebody may still ask; emptied by a crash, which only forgives';
COMMENT ON COLUMN rate_limits.rule IS 'Which limit, such as search or login';
COMMENT ON COLUMN rate_limits.subject IS 'Whose bucket: a user id, a network address or the hash of an account''s name';
COMMENT ON COLUMN rate_limits.full_at IS 'When the bucket is full again; each token pushes it on';
COMMENT ON COLUMN rate_limits.refused_count IS 'Requests that found it empty since the row was made';
COMMENT ON COLUMN rate_limits.refused_at IS 'When a request last found it empty';

CREATE TABLE idempotency_keys (
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    key_sha256 BYTEA NOT NULL,
    fingerprint_sha256 BYTEA NOT NULL,
    request TEXT NOT NULL,
    lease BIGINT NOT NULL,
    leased_until TIMESTAMP WITH TIME ZONE NOT NULL,
    status_code SMALLINT,
    sealed_answer BYTEA,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    answered_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (tenant_id, user_id, key_sha256),
    CONSTRAINT fk_idempotency_keys_user FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_idempotency_keys_key_is_hashed CHECK (length(key_sha256) = 32),
    CONSTRAINT ck_idempotency_keys_request_is_hashed CHECK (length(fingerprint_sha256) = 32),
    CONSTRAINT ck_idempotency_keys_answered_has_a_time CHECK ((status_code IS NULL) = (answered_at IS NULL)),
    CONSTRAINT ck_idempotency_keys_answer_has_a_status CHECK (sealed_answer IS NULL OR status_code IS NOT NULL),
    CONSTRAINT fk_idempotency_keys_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys (expires_at);
COMMENT ON TABLE idempotency_keys IS 'Requests that must happen once, with the answer a repeat is given';
COMMENT ON COLUMN idempotency_keys.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN idempotency_keys.user_id IS 'Who asked';
COMMENT ON COLUMN idempotency_keys.key_sha256 IS 'SHA-256 of the Idempotency-Key header';
COMMENT ON COLUMN idempotency_keys.fingerprint_sha256 IS 'SHA-256 of method, path, query and body: another request may not use the key';
COMMENT ON COLUMN idempotency_keys.request IS 'Method and route, for a person';
COMMENT ON COLUMN idempotency_keys.lease IS 'Raised by whoever takes over; fences off whoever held it before';
COMMENT ON COLUMN idempotency_keys.leased_until IS 'Until when nobody else may take over while it runs';
COMMENT ON COLUMN idempotency_keys.status_code IS 'Of the answer; none while it runs';
COMMENT ON COLUMN idempotency_keys.sealed_answer IS 'Headers and body, encrypted for this row; none if they were too large to keep';
COMMENT ON COLUMN idempotency_keys.created_at IS 'When the row was written';
COMMENT ON COLUMN idempotency_keys.answered_at IS 'When the answer was stored';
COMMENT ON COLUMN idempotency_keys.expires_at IS 'Until when the key stands for this request'
"""

# Belongs to the operator role, which sees across tenants what it was granted: neither keys nor answers.
VIEWS = """
CREATE VIEW ops.rate_limits AS
SELECT b.rule, b.subject, b.refused_count AS refused, b.refused_at,
       greatest(b.full_at - now(), interval '0') AS full_in
FROM rate_limits AS b ORDER BY b.refused_at DESC NULLS LAST, b.full_at DESC;
COMMENT ON VIEW ops.rate_limits IS 'Who asks often, and who was refused; the latest refusals first';

CREATE VIEW ops.idempotency_keys AS
SELECT t.slug AS tenant, u.email, k.request,
       CASE WHEN k.expires_at <= now() THEN 'expired' WHEN k.status_code IS NOT NULL THEN 'answered'
            WHEN k.leased_until <= now() THEN 'stalled' ELSE 'running' END AS state,
       k.status_code AS status, k.lease AS attempt, k.created_at, k.answered_at, k.leased_until, k.expires_at
FROM idempotency_keys AS k JOIN tenants AS t ON t.id = k.tenant_id
JOIN users AS u ON (u.tenant_id, u.id) = (k.tenant_id, k.user_id) ORDER BY k.created_at DESC;
COMMENT ON VIEW ops.idempotency_keys IS 'Requests that must happen once: running, stalled, answered, expired';

GRANT SELECT ON ops.rate_limits, ops.idempotency_keys TO secondbrain_readonly
"""

OPERATOR_READS = (
    "SELECT (tenant_id, user_id, key_sha256, request, lease, leased_until, status_code, created_at,"
    " answered_at, expires_at)"
)


def upgrade() -> None:
    op.execute(SCHEMA)
    # Most of its rows are of people who have not signed in yet, so it belongs to no tenant.
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limits TO secondbrain_operator")
    for statement in isolate("idempotency_keys", operator=(OPERATOR_READS, "DELETE")):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEWS)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.idempotency_keys")
    op.execute("DROP VIEW ops.rate_limits")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP TABLE idempotency_keys")
    op.execute("DROP TABLE rate_limits")

"""API keys."""

from alembic import op

from backend.db.isolation import isolate

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE api_keys (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    user_id UUID NOT NULL,
    name TEXT NOT NULL,
    secret_sha256 BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_api_keys PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_api_keys_user FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_api_keys_secret_is_hashed CHECK (length(secret_sha256) = 32),
    CONSTRAINT ck_api_keys_scopes_are_known CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'admin']),
    CONSTRAINT fk_api_keys_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_api_keys_user ON api_keys (tenant_id, user_id);
COMMENT ON TABLE api_keys IS 'Keys of programs that act for a user, as hashes; revoked, not deleted';
COMMENT ON COLUMN api_keys.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN api_keys.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN api_keys.user_id IS 'For whom it acts';
COMMENT ON COLUMN api_keys.name IS 'What it is for, as its maker wrote it';
COMMENT ON COLUMN api_keys.secret_sha256 IS 'SHA-256 of the key; the key itself is nowhere';
COMMENT ON COLUMN api_keys.scopes IS 'What it may do at most: read, write, admin';
COMMENT ON COLUMN api_keys.created_at IS 'When the row was written';
COMMENT ON COLUMN api_keys.last_used_at IS 'Last seen, to about five minutes';
COMMENT ON COLUMN api_keys.expires_at IS 'When it stops being accepted; never if empty';
COMMENT ON COLUMN api_keys.revoked_at IS 'When it was revoked; it is dead since'
"""

# Belongs to the operator role, which was not granted the hashes.
VIEW = """
CREATE VIEW ops.api_keys AS
SELECT t.slug AS tenant, u.email, k.name, k.scopes,
       CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.expires_at <= now() THEN 'expired'
            WHEN u.deactivated_at IS NOT NULL OR t.deactivated_at IS NOT NULL THEN 'void' ELSE 'active' END AS state,
       k.created_at, k.last_used_at, k.expires_at, k.revoked_at, k.id
FROM api_keys AS k JOIN tenants AS t ON t.id = k.tenant_id
JOIN users AS u ON (u.tenant_id, u.id) = (k.tenant_id, k.user_id) ORDER BY k.created_at DESC;
COMMENT ON VIEW ops.api_keys IS 'Keys of programs: whose, what for, last used, and whether they still count';

GRANT SELECT ON ops.api_keys TO secondbrain_readonly
"""

OPERATOR_READS = (
    "SELECT (tenant_id, id, user_id, name, scopes, created_at, last_used_at, expires_at, revoked_at)"
)


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate("api_keys", app="SELECT, INSERT, UPDATE", operator=OPERATOR_READS):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.api_keys")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP TABLE api_keys")

"""One-time OAuth nonces."""

from alembic import op

from backend.db.isolation import isolate

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE oauth_nonces (
    tenant_id UUID NOT NULL,
    nonce_sha256 BYTEA NOT NULL,
    user_id UUID NOT NULL,
    connector_type TEXT NOT NULL,
    browser_sha256 BYTEA,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    begun_at TIMESTAMP WITH TIME ZONE,
    used_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_oauth_nonces PRIMARY KEY (tenant_id, nonce_sha256),
    CONSTRAINT fk_oauth_nonces_user FOREIGN KEY(tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_oauth_nonces_nonce_is_hashed CHECK (length(nonce_sha256) = 32),
    CONSTRAINT ck_oauth_nonces_browser_is_hashed CHECK (length(browser_sha256) = 32),
    CONSTRAINT ck_oauth_nonces_begun_by_a_browser CHECK ((browser_sha256 IS NULL) = (begun_at IS NULL)),
    CONSTRAINT ck_oauth_nonces_used_after_begun CHECK (used_at IS NULL OR begun_at IS NOT NULL),
    CONSTRAINT fk_oauth_nonces_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_oauth_nonces_expires_at ON oauth_nonces (expires_at);
COMMENT ON TABLE oauth_nonces IS 'One-time OAuth nonces: issued, begun by one browser, used once or expired';
COMMENT ON COLUMN oauth_nonces.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN oauth_nonces.nonce_sha256 IS 'SHA-256 of the nonce inside the state';
COMMENT ON COLUMN oauth_nonces.user_id IS 'Who is connecting';
COMMENT ON COLUMN oauth_nonces.connector_type IS 'What is being connected, such as github';
COMMENT ON COLUMN oauth_nonces.browser_sha256 IS 'SHA-256 of the binding cookie''s value';
COMMENT ON COLUMN oauth_nonces.created_at IS 'When the row was written';
COMMENT ON COLUMN oauth_nonces.begun_at IS 'When a browser went on to the provider with it';
COMMENT ON COLUMN oauth_nonces.used_at IS 'When the callback consumed it; never twice';
COMMENT ON COLUMN oauth_nonces.expires_at IS 'When it stops counting, by the database''s clock';
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate("oauth_nonces", app="SELECT, INSERT, UPDATE", operator="SELECT, DELETE"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE oauth_nonces")

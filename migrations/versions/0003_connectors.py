"""Connections to sources and their sealed credentials."""

from alembic import op

from backend.db.isolation import isolate

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE connectors (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    account_id TEXT,
    account_label TEXT,
    settings JSONB DEFAULT '{}' NOT NULL,
    connected_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    connected_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_connectors PRIMARY KEY (tenant_id, id),
    CONSTRAINT uq_connectors_type UNIQUE (tenant_id, type),
    CONSTRAINT fk_connectors_connected_by FOREIGN KEY(tenant_id, connected_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (connected_by),
    CONSTRAINT ck_connectors_status_is_known CHECK (status IN ('connected', 'needs_reconnect', 'disconnected')),
    CONSTRAINT fk_connectors_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
COMMENT ON TABLE connectors IS 'A tenant''s connection to one source; at most one per type';
COMMENT ON COLUMN connectors.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN connectors.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN connectors.type IS 'github, gmail, slack, …';
COMMENT ON COLUMN connectors.status IS 'connected, needs_reconnect or disconnected; a sync''s state is not here';
COMMENT ON COLUMN connectors.status_reason IS 'Why it needs to be reconnected, for a person';
COMMENT ON COLUMN connectors.account_id IS 'The connected account''s id at the provider';
COMMENT ON COLUMN connectors.account_label IS 'The connected account''s name at the provider';
COMMENT ON COLUMN connectors.settings IS 'What to sync, such as repositories; never a secret';
COMMENT ON COLUMN connectors.connected_by IS 'Who connected it';
COMMENT ON COLUMN connectors.created_at IS 'When the row was written';
COMMENT ON COLUMN connectors.connected_at IS 'When credentials were last obtained';
COMMENT ON COLUMN connectors.updated_at IS 'When the row last changed';

CREATE TABLE credentials (
    tenant_id UUID NOT NULL,
    connector_id UUID NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_credentials PRIMARY KEY (tenant_id, connector_id),
    CONSTRAINT fk_credentials_connector FOREIGN KEY(tenant_id, connector_id) REFERENCES connectors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_credentials_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
COMMENT ON TABLE credentials IS 'OAuth credentials, sealed with AES-256-GCM for exactly this tenant and connector';
COMMENT ON COLUMN credentials.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN credentials.connector_id IS 'Whose credentials these are';
COMMENT ON COLUMN credentials.sealed IS 'Ciphertext with its key id; opens only for this row';
COMMENT ON COLUMN credentials.expires_at IS 'When the access token expires, if it does';
COMMENT ON COLUMN credentials.updated_at IS 'When they were last obtained or refreshed';
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate("connectors", operator="SELECT"):
        op.execute(statement)
    for statement in isolate(
        "credentials", operator="SELECT (tenant_id, connector_id, expires_at, updated_at)"
    ):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE credentials")
    op.execute("DROP TABLE connectors")

"""Channels over which providers call, opened and renewed by the product."""

from alembic import op

from backend.db.isolation import isolate

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE watch_channels (
    tenant_id UUID NOT NULL,
    connector_id UUID NOT NULL,
    channel_id TEXT,
    resource TEXT,
    account_id TEXT,
    address_sha256 BYTEA,
    opened_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_watch_channels PRIMARY KEY (tenant_id, connector_id),
    CONSTRAINT fk_watch_channels_connector FOREIGN KEY(tenant_id, connector_id) REFERENCES connectors (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_watch_channels_open_is_whole CHECK ((channel_id IS NULL) = (expires_at IS NULL) AND (channel_id IS NULL) = (resource IS NULL)),
    CONSTRAINT fk_watch_channels_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

COMMENT ON TABLE watch_channels IS 'Over what a provider calls when something has changed; one row a connector';
COMMENT ON COLUMN watch_channels.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN watch_channels.connector_id IS 'Which connector is watched';
COMMENT ON COLUMN watch_channels.channel_id IS 'Our name for the channel at the provider; none: none could be opened yet';
COMMENT ON COLUMN watch_channels.resource IS 'The provider''s name for what it watches, needed to end it';
COMMENT ON COLUMN watch_channels.account_id IS 'The account it was opened with';
COMMENT ON COLUMN watch_channels.address_sha256 IS 'Of the address and the token it was opened with: with others it is opened anew';
COMMENT ON COLUMN watch_channels.opened_at IS 'When it was opened';
COMMENT ON COLUMN watch_channels.expires_at IS 'When it ends by itself';
COMMENT ON COLUMN watch_channels.error IS 'Why the last try to open one failed, for a person';
COMMENT ON COLUMN watch_channels.updated_at IS 'When the row last changed'
"""

VIEW = """
CREATE VIEW ops.watch_channels AS
SELECT t.slug AS tenant, c.type AS connector, w.channel_id, w.opened_at, w.expires_at, w.error
FROM watch_channels AS w JOIN connectors AS c ON (c.tenant_id, c.id) = (w.tenant_id, w.connector_id)
JOIN tenants AS t ON t.id = w.tenant_id ORDER BY w.error IS NULL, w.expires_at;
COMMENT ON VIEW ops.watch_channels IS 'Channels over which providers call, until when, and why one could not be opened';
GRANT SELECT ON ops.watch_channels TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate("watch_channels", operator="SELECT"):
        op.execute(statement)
    _as_operator(VIEW)


def downgrade() -> None:
    _as_operator("DROP VIEW ops.watch_channels")
    op.execute("DROP TABLE watch_channels")


def _as_operator(statements: str) -> None:
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(statements)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")

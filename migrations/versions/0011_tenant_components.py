"""What is computed from all of a tenant's knowledge."""

from alembic import op

from backend.db.isolation import isolate

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE component_contents (
    tenant_id UUID NOT NULL,
    sha256 BYTEA NOT NULL,
    content BYTEA NOT NULL,
    byte_size INTEGER NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_component_contents PRIMARY KEY (tenant_id, sha256),
    CONSTRAINT ck_component_contents_content_is_hashed CHECK (length(sha256) = 32),
    CONSTRAINT fk_component_contents_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
-- It is compressed already.
ALTER TABLE component_contents ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE component_contents IS 'Contents of components; a row never changes, so a new version rewrites nothing';
COMMENT ON COLUMN component_contents.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN component_contents.sha256 IS 'SHA-256 of the content as stored';
COMMENT ON COLUMN component_contents.content IS 'JSON, compressed with zlib';
COMMENT ON COLUMN component_contents.byte_size IS 'Bytes of the content as stored';
COMMENT ON COLUMN component_contents.used_at IS 'When a version was last saved with it';

CREATE TABLE tenant_components (
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    version INTEGER DEFAULT 0 NOT NULL,
    sha256 BYTEA,
    built_at TIMESTAMP WITH TIME ZONE,
    refresh_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    building_by UUID,
    building_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_tenant_components PRIMARY KEY (tenant_id, name),
    CONSTRAINT fk_tenant_components_content FOREIGN KEY(tenant_id, sha256) REFERENCES component_contents (tenant_id, sha256) ON DELETE CASCADE,
    CONSTRAINT ck_tenant_components_version_has_content CHECK ((version > 0) = (sha256 IS NOT NULL)),
    CONSTRAINT ck_tenant_components_version_has_a_time CHECK ((version > 0) = (built_at IS NOT NULL)),
    CONSTRAINT ck_tenant_components_claim_is_whole CHECK ((building_by IS NULL) = (building_until IS NULL)),
    CONSTRAINT fk_tenant_components_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_tenant_components_content ON tenant_components (tenant_id, sha256);
COMMENT ON TABLE tenant_components IS 'Things computed from all of a tenant''s knowledge: which version is current, who builds';
COMMENT ON COLUMN tenant_components.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN tenant_components.name IS 'What it is, such as lexicon';
COMMENT ON COLUMN tenant_components.version IS 'Grows with every change of the content; 0: never built';
COMMENT ON COLUMN tenant_components.sha256 IS 'Its content';
COMMENT ON COLUMN tenant_components.built_at IS 'When its content was last computed';
COMMENT ON COLUMN tenant_components.refresh_at IS 'From when on it is stale';
COMMENT ON COLUMN tenant_components.building_by IS 'Who builds it, until building_until at the latest';
COMMENT ON COLUMN tenant_components.building_until IS 'When the builder''s claim ends by itself';
"""

VIEW = """
CREATE VIEW ops.components AS
SELECT t.slug AS tenant, c.name, c.version, k.byte_size AS bytes, now() - c.built_at AS age,
       c.refresh_at <= now() AS stale, coalesce(c.building_until > now(), false) AS being_built
FROM tenant_components AS c JOIN tenants AS t ON t.id = c.tenant_id
LEFT JOIN component_contents AS k ON (k.tenant_id, k.sha256) = (c.tenant_id, c.sha256)
ORDER BY k.byte_size DESC NULLS LAST, t.slug, c.name;
COMMENT ON VIEW ops.components IS 'What was computed for whom, its size and age; the largest first'
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate(
        "component_contents", operator="SELECT (tenant_id, sha256, byte_size, used_at), DELETE"
    ):
        op.execute(statement)
    for statement in isolate("tenant_components", operator="SELECT, DELETE"):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("GRANT SELECT ON ops.components TO secondbrain_readonly")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.components")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP TABLE tenant_components")
    op.execute("DROP TABLE component_contents")

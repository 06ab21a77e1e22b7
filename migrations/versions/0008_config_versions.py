"""Versioned settings, per tenant and for the installation."""

from alembic import op

from backend.db.isolation import isolate

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE SEQUENCE config_revisions;
COMMENT ON SEQUENCE config_revisions IS 'Counts changes of configs; drawn under a lock, so in the order of commits';

CREATE TABLE config_versions (
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    settings JSONB,
    revision BIGINT NOT NULL,
    note TEXT,
    published_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_config_versions PRIMARY KEY (tenant_id, name, version),
    CONSTRAINT fk_config_versions_published_by FOREIGN KEY(tenant_id, published_by) REFERENCES users (tenant_id, id) ON DELETE SET NULL (published_by),
    CONSTRAINT ck_config_versions_version_is_counted CHECK (version > 0),
    CONSTRAINT ck_config_versions_settings_are_an_object CHECK (jsonb_typeof(settings) = 'object'),
    CONSTRAINT fk_config_versions_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_config_versions_revision ON config_versions (revision);
COMMENT ON TABLE config_versions IS 'A tenant''s own settings by name, append-only; the newest version of a name counts';
COMMENT ON COLUMN config_versions.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN config_versions.name IS 'What is configured, such as parser';
COMMENT ON COLUMN config_versions.version IS '1, 2, 3 … for each name';
COMMENT ON COLUMN config_versions.settings IS 'All settings of this version; none: the installation''s count again';
COMMENT ON COLUMN config_versions.revision IS 'Its place among all changes of configs, in the order of commits';
COMMENT ON COLUMN config_versions.note IS 'How it came about, if it was not simply published';
COMMENT ON COLUMN config_versions.published_by IS 'Who published it';
COMMENT ON COLUMN config_versions.created_at IS 'When the row was written';

CREATE TABLE installation_config_versions (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    settings JSONB NOT NULL,
    revision BIGINT NOT NULL,
    note TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_installation_config_versions PRIMARY KEY (name, version),
    CONSTRAINT ck_installation_config_versions_version_is_counted CHECK (version > 0),
    CONSTRAINT ck_installation_config_versions_settings_are_an_object CHECK (jsonb_typeof(settings) = 'object')
);

CREATE INDEX ix_installation_config_versions_revision ON installation_config_versions (revision);
COMMENT ON TABLE installation_config_versions IS 'Settings by name for all tenants without their own, append-only; the newest counts';
COMMENT ON COLUMN installation_config_versions.name IS 'What is configured, such as parser';
COMMENT ON COLUMN installation_config_versions.version IS '1, 2, 3 … for each name';
COMMENT ON COLUMN installation_config_versions.settings IS 'All settings of this version';
COMMENT ON COLUMN installation_config_versions.revision IS 'Its place among all changes of configs, in the order of commits';
COMMENT ON COLUMN installation_config_versions.note IS 'How it came about, if it was not simply published';
COMMENT ON COLUMN installation_config_versions.created_at IS 'When the row was written';
"""

VIEW = """
CREATE VIEW ops.config_versions AS
SELECT coalesce(t.slug, '(installation)') AS tenant, v.name, v.version, v.note, v.created_at, v.revision,
       row_number() OVER (PARTITION BY v.tenant_id, v.name ORDER BY v.version DESC) = 1 AS is_newest
FROM (
    SELECT tenant_id, name, version, note, created_at, revision FROM config_versions
    UNION ALL
    SELECT NULL::uuid AS tenant_id, name, version, note, created_at, revision FROM installation_config_versions
) AS v LEFT JOIN tenants AS t ON t.id = v.tenant_id ORDER BY v.revision DESC;
COMMENT ON VIEW ops.config_versions IS 'What was configured when, for whom; the newest first';
GRANT SELECT ON ops.config_versions TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    op.execute("GRANT USAGE ON SEQUENCE config_revisions TO secondbrain_app, secondbrain_operator")
    for statement in isolate(
        "config_versions",
        app="SELECT, INSERT",
        operator="SELECT (tenant_id, name, version, revision, note, published_by, created_at)",
    ):
        op.execute(statement)
    op.execute("GRANT SELECT ON installation_config_versions TO secondbrain_app")
    op.execute("GRANT SELECT, INSERT ON installation_config_versions TO secondbrain_operator")
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.config_versions")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP TABLE installation_config_versions")
    op.execute("DROP TABLE config_versions")
    op.execute("DROP SEQUENCE config_revisions")

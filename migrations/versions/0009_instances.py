"""Which processes run, as what, and how far they follow."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE instances (
    id UUID DEFAULT uuidv7() NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    config_revision BIGINT,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    stopped_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_instances PRIMARY KEY (id),
    CONSTRAINT ck_instances_kind_is_known CHECK (kind IN ('web', 'worker'))
) WITH (fillfactor = 70);

COMMENT ON TABLE instances IS 'Web and worker processes, for people to look at; nothing is decided by it';
COMMENT ON COLUMN instances.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN instances.name IS 'Instance name of the process';
COMMENT ON COLUMN instances.kind IS 'web or worker';
COMMENT ON COLUMN instances.version IS 'Version of the product it runs';
COMMENT ON COLUMN instances.host IS 'Name of its machine';
COMMENT ON COLUMN instances.pid IS 'Its process id on that machine';
COMMENT ON COLUMN instances.config_revision IS 'Newest change of a config that it has applied; none while it cannot follow';
COMMENT ON COLUMN instances.started_at IS 'When the process registered';
COMMENT ON COLUMN instances.heartbeat_at IS 'When it last said that it lives';
COMMENT ON COLUMN instances.stopped_at IS 'When it said goodbye; never, if it was killed';
"""

VIEW = """
CREATE VIEW ops.instances AS
SELECT i.name, i.kind, i.version,
       CASE WHEN i.stopped_at IS NOT NULL THEN 'stopped'
            WHEN i.heartbeat_at < now() - interval '20 seconds' THEN 'silent' ELSE 'alive' END AS state,
       now() - i.heartbeat_at AS silent_for, i.host, i.pid, i.config_revision,
       (SELECT count(*) FROM config_versions AS v WHERE v.revision > coalesce(i.config_revision, 0))
       + (SELECT count(*) FROM installation_config_versions AS v WHERE v.revision > coalesce(i.config_revision, 0))
       AS changes_behind,
       (SELECT jsonb_object_agg(g.name, g.version)
        FROM (SELECT name, max(version) AS version FROM installation_config_versions
              WHERE revision <= i.config_revision GROUP BY name) AS g) AS installation_configs,
       i.started_at, i.id
FROM instances AS i ORDER BY i.stopped_at IS NOT NULL, i.name, i.started_at DESC;
COMMENT ON VIEW ops.instances IS 'Processes: which live, which version they are, whether they follow the configs';
GRANT SELECT ON ops.instances TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON instances TO secondbrain_operator")
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.instances")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP TABLE instances")

"""How often each process found in its caches what it looked for."""

from alembic import op

revision = "0017"
down_revision = "0014"
branch_labels = None
depends_on = None

SCHEMA = """
ALTER TABLE instances ADD COLUMN cache_lookups JSONB DEFAULT '{}' NOT NULL;
COMMENT ON COLUMN instances.cache_lookups IS 'Of each of its caches: how often a look-up ended in which way since the process began';
"""

VIEW = """
CREATE VIEW ops.caches AS
SELECT i.name AS instance, c.cache, n.lookups, n.lookups - n.missed AS hits,
       round((n.lookups - n.missed) / nullif(n.lookups, 0), 3) AS hit_ratio, n.in_memory, n.in_database, n.missed,
       i.started_at AS counted_since,
       CASE WHEN i.stopped_at IS NOT NULL THEN 'stopped'
            WHEN i.heartbeat_at < now() - interval '20 seconds' THEN 'silent' ELSE 'alive' END AS state
FROM instances AS i CROSS JOIN LATERAL jsonb_each(i.cache_lookups) AS c (cache, outcomes)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(o.count::bigint), 0) AS lookups,
           coalesce(sum(o.count::bigint) FILTER (WHERE o.outcome = 'memory'), 0) AS in_memory,
           coalesce(sum(o.count::bigint) FILTER (WHERE o.outcome IN ('database', 'joined')), 0) AS in_database,
           coalesce(sum(o.count::bigint) FILTER (WHERE o.outcome IN ('computed', 'built')), 0) AS missed
    FROM jsonb_each_text(c.outcomes) AS o (outcome, count)) AS n
ORDER BY c.cache, i.stopped_at IS NOT NULL, i.name, i.started_at DESC;
COMMENT ON VIEW ops.caches IS 'How often each process found what it looked for in memory, in the database, or had to compute it';
GRANT SELECT ON ops.caches TO secondbrain_readonly
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.caches")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("ALTER TABLE instances DROP COLUMN cache_lookups")

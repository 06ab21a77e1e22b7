"""Of the keys whose time has come, the newest signs, as the view of signing keys says."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

VIEW = """
CREATE OR REPLACE VIEW ops.signing_keys AS
SELECT k.kid,
       CASE WHEN k.retires_at <= now() THEN 'retired' WHEN k.active_from > now() THEN 'published'
            WHEN k.{newest} = max(k.{newest}) FILTER (
                WHERE k.active_from <= now() AND (k.retires_at IS NULL OR k.retires_at > now())) OVER ()
            THEN 'signing' ELSE 'accepted' END AS state,
       k.created_at, k.active_from, k.retires_at, k.retired_because, k.made_by
FROM signing_keys AS k ORDER BY k.created_at DESC
"""


def upgrade() -> None:
    _replace("created_at")


def downgrade() -> None:
    _replace("active_from")


def _replace(newest: str) -> None:
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW.format(newest=newest))
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")

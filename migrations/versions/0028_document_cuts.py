"""A document says how its passages were cut, so that a change of the parser's settings finds what it affects."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

SCHEMA = """
ALTER TABLE documents ADD COLUMN cut_as TEXT;
COMMENT ON COLUMN documents.cut_as IS 'How its passages were cut and indexed: characters/overlap/edition; none before that was kept';
GRANT SELECT (cut_as) ON documents TO secondbrain_operator
"""

VIEW = """
CREATE VIEW ops.document_cuts AS
SELECT t.slug AS tenant, d.cut_as, count(*) AS documents
FROM documents AS d JOIN tenants AS t ON t.id = d.tenant_id WHERE d.deleted_at IS NULL
GROUP BY t.slug, d.cut_as ORDER BY t.slug, count(*) DESC;
COMMENT ON VIEW ops.document_cuts IS 'How many documents were cut by which settings; POST /api/admin/parser/apply cuts them anew';
GRANT SELECT ON ops.document_cuts TO secondbrain_readonly
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
    op.execute("DROP VIEW ops.document_cuts")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("ALTER TABLE documents DROP COLUMN cut_as")

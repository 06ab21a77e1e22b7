"""Documents the rules do not settle are put to the language model once for each of their contents."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE documents ADD COLUMN is_judged BOOLEAN NOT NULL DEFAULT false")
    op.execute(
        "COMMENT ON COLUMN documents.is_judged IS 'Whether a language model was asked to classify it as it is now'"
    )
    op.execute(
        "CREATE INDEX ix_documents_unjudged ON documents (tenant_id, id) WHERE deleted_at IS NULL AND status = 'classified'"
        " AND classification_confidence < 0.7 AND NOT is_judged"
    )
    op.execute("GRANT SELECT (is_judged, classification_confidence) ON documents TO secondbrain_operator")


def downgrade() -> None:
    op.execute("REVOKE SELECT (classification_confidence) ON documents FROM secondbrain_operator")
    op.execute("DROP INDEX ix_documents_unjudged")
    op.execute("ALTER TABLE documents DROP COLUMN is_judged")

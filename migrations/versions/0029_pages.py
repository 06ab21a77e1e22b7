"""A document knows where its pages begin, so that a citation names the page."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE documents ADD COLUMN page_bounds INTEGER[]")
    op.execute(
        "COMMENT ON COLUMN documents.page_bounds IS 'Offsets in content at which each page or slide begins, and at which"
        " the last one ends; none without pages'"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE documents DROP COLUMN page_bounds")

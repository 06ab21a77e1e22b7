"""Cached vectors as exact as the passages' they are compared with, in half the bytes; components as Zstandard."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _components("JSON, compressed with Zstandard")
    op.execute("ALTER TABLE embedding_cache DROP CONSTRAINT ck_embedding_cache_embedding_is_not_zero")
    op.execute("ALTER TABLE embedding_cache ALTER COLUMN embedding TYPE HALFVEC USING embedding::halfvec")
    op.execute(
        "ALTER TABLE embedding_cache ADD CONSTRAINT ck_embedding_cache_embedding_is_not_zero"
        " CHECK (embedding IS NULL OR l2_norm(embedding) > 0)"
    )
    op.execute(
        "COMMENT ON COLUMN embedding_cache.embedding IS"
        " 'The unit vector, as exact as passages keep theirs; empty while somebody computes it'"
    )


def downgrade() -> None:
    _components("JSON, compressed with zlib")
    op.execute("ALTER TABLE embedding_cache DROP CONSTRAINT ck_embedding_cache_embedding_is_not_zero")
    op.execute("ALTER TABLE embedding_cache ALTER COLUMN embedding TYPE VECTOR USING embedding::vector")
    op.execute(
        "ALTER TABLE embedding_cache ADD CONSTRAINT ck_embedding_cache_embedding_is_not_zero"
        " CHECK (embedding IS NULL OR vector_norm(embedding) > 0)"
    )
    op.execute(
        "COMMENT ON COLUMN embedding_cache.embedding IS 'The unit vector; empty while somebody computes it'"
    )


def _components(content: str) -> None:
    """Components are computed again by whoever asks next."""
    op.execute("TRUNCATE tenant_components, component_contents")
    op.execute(f"COMMENT ON COLUMN component_contents.content IS '{content}'")

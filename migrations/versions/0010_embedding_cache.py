"""The cache of embeddings."""

from alembic import op

from backend.db.isolation import isolate

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE embedding_cache (
    tenant_id UUID NOT NULL,
    model TEXT NOT NULL,
    text_sha256 BYTEA NOT NULL,
    embedding VECTOR,
    claimed_by UUID,
    byte_size INTEGER DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_embedding_cache PRIMARY KEY (tenant_id, model, text_sha256),
    CONSTRAINT ck_embedding_cache_text_is_hashed CHECK (length(text_sha256) = 32),
    CONSTRAINT ck_embedding_cache_claimed_until_it_is_there CHECK ((embedding IS NULL) = (claimed_by IS NOT NULL)),
    CONSTRAINT ck_embedding_cache_embedding_is_not_zero CHECK (embedding IS NULL OR vector_norm(embedding) > 0),
    CONSTRAINT ck_embedding_cache_size_is_counted CHECK (byte_size >= 0),
    CONSTRAINT fk_embedding_cache_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE INDEX ix_embedding_cache_expires_at ON embedding_cache (tenant_id, expires_at) INCLUDE (byte_size);
COMMENT ON TABLE embedding_cache IS 'Vectors that cost something to compute, for a day; what is gone is computed again';
COMMENT ON COLUMN embedding_cache.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN embedding_cache.model IS 'Which model made it, and its dimensions: text-embedding-3-small/1536';
COMMENT ON COLUMN embedding_cache.text_sha256 IS 'SHA-256 of the normalised text; the text itself is not kept';
COMMENT ON COLUMN embedding_cache.embedding IS 'The unit vector; empty while somebody computes it';
COMMENT ON COLUMN embedding_cache.claimed_by IS 'Who computes it, until expires_at at the latest';
COMMENT ON COLUMN embedding_cache.byte_size IS 'Bytes it counts for against the tenant''s limit';
COMMENT ON COLUMN embedding_cache.created_at IS 'When the row was written';
COMMENT ON COLUMN embedding_cache.expires_at IS 'When it (or the claim) stops counting, by the database''s clock';
"""

VIEW = """
CREATE VIEW ops.embedding_cache AS
SELECT t.slug AS tenant, c.model,
       count(*) FILTER (WHERE c.byte_size > 0 AND c.expires_at > now()) AS vectors,
       coalesce(sum(c.byte_size), 0) AS bytes,
       count(*) FILTER (WHERE c.byte_size = 0 AND c.expires_at > now()) AS being_computed,
       count(*) FILTER (WHERE c.expires_at <= now()) AS expired,
       now() - max(c.created_at) AS newest, now() - min(c.created_at) AS oldest
FROM embedding_cache AS c JOIN tenants AS t ON t.id = c.tenant_id GROUP BY t.slug, c.model ORDER BY bytes DESC;
COMMENT ON VIEW ops.embedding_cache IS 'Vectors kept for whom, and their bytes; hits are counted by /metrics'
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate(
        "embedding_cache", operator="SELECT (tenant_id, model, byte_size, created_at, expires_at), DELETE"
    ):
        op.execute(statement)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("GRANT SELECT ON ops.embedding_cache TO secondbrain_readonly")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.embedding_cache")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP TABLE embedding_cache")

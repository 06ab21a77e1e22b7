"""Documents and their chunks, and the search function."""

from alembic import op

from backend.db.isolation import isolate

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = """
CREATE TABLE documents (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    connector_id UUID,
    external_id TEXT NOT NULL,
    source_type TEXT NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    file_name TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    url TEXT,
    author TEXT,
    content TEXT NOT NULL,
    content_sha256 BYTEA NOT NULL,
    byte_size INTEGER NOT NULL,
    metadata JSONB DEFAULT '{}' NOT NULL,
    classification TEXT DEFAULT 'work' NOT NULL,
    source_created_at TIMESTAMP WITH TIME ZONE,
    source_updated_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_documents PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_documents_connector FOREIGN KEY(tenant_id, connector_id) REFERENCES connectors (tenant_id, id) ON DELETE SET NULL (connector_id),
    CONSTRAINT ck_documents_content_is_hashed CHECK (length(content_sha256) = 32),
    CONSTRAINT ck_documents_content_is_not_empty CHECK (content <> ''),
    CONSTRAINT ck_documents_classification_is_known CHECK (classification IN ('work', 'personal', 'spam', 'unknown')),
    CONSTRAINT fk_documents_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_documents_newest ON documents (tenant_id, created_at DESC, id) WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX uq_documents_external_id ON documents (tenant_id, connector_id, external_id) NULLS NOT DISTINCT;
COMMENT ON TABLE documents IS 'Everything known, as text with its origin; what search finds are its chunks';
COMMENT ON COLUMN documents.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN documents.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN documents.connector_id IS 'Where it came from; none for imports';
COMMENT ON COLUMN documents.external_id IS 'Its id at the source, such as a path';
COMMENT ON COLUMN documents.source_type IS 'github, file, email, …, as clients group it';
COMMENT ON COLUMN documents.kind IS 'readme, doc, code, issue, pull_request, file, …';
COMMENT ON COLUMN documents.title IS 'What people call it';
COMMENT ON COLUMN documents.file_name IS 'Name with the ending that says its format';
COMMENT ON COLUMN documents.mime_type IS 'Format found by the parser';
COMMENT ON COLUMN documents.url IS 'Where a person opens the original';
COMMENT ON COLUMN documents.author IS 'Who wrote it, as the source says';
COMMENT ON COLUMN documents.content IS 'The whole text; Markdown where the format has structure';
COMMENT ON COLUMN documents.content_sha256 IS 'SHA-256 of what the source sent; the same means nothing to do';
COMMENT ON COLUMN documents.byte_size IS 'Bytes the source sent';
COMMENT ON COLUMN documents.metadata IS 'Labels, path, repository, state and the like';
COMMENT ON COLUMN documents.classification IS 'work, personal, spam or unknown';
COMMENT ON COLUMN documents.source_created_at IS 'When it was written at the source';
COMMENT ON COLUMN documents.source_updated_at IS 'When it last changed at the source';
COMMENT ON COLUMN documents.created_at IS 'When the row was written';
COMMENT ON COLUMN documents.updated_at IS 'When its content was last replaced';
COMMENT ON COLUMN documents.deleted_at IS 'When it was deleted here; its chunks are gone, a sync will not bring it back';

CREATE TABLE chunks (
    tenant_id UUID NOT NULL,
    id UUID DEFAULT uuidv7() NOT NULL,
    document_id UUID NOT NULL,
    ordinal INTEGER NOT NULL,
    text TEXT NOT NULL,
    heading_path TEXT[] DEFAULT '{}' NOT NULL,
    start_offset INTEGER NOT NULL,
    end_offset INTEGER NOT NULL,
    search TSVECTOR NOT NULL,
    embedding HALFVEC NOT NULL,
    embedding_model TEXT NOT NULL,
    CONSTRAINT pk_chunks PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_chunks_document FOREIGN KEY(tenant_id, document_id) REFERENCES documents (tenant_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_chunks_place_is_a_range CHECK (start_offset >= 0 AND end_offset > start_offset),
    CONSTRAINT ck_chunks_embedding_is_not_zero CHECK (l2_norm(embedding) > 0),
    CONSTRAINT fk_chunks_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX ix_chunks_search ON chunks USING gin (search);

CREATE UNIQUE INDEX uq_chunks_ordinal ON chunks (tenant_id, document_id, ordinal);
COMMENT ON TABLE chunks IS 'Passages of documents: what search ranks and citations point to';
COMMENT ON COLUMN chunks.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN chunks.id IS 'Identity, ordered by creation';
COMMENT ON COLUMN chunks.document_id IS 'Which document it is part of';
COMMENT ON COLUMN chunks.ordinal IS 'Its place among the document''s chunks, from 0';
COMMENT ON COLUMN chunks.text IS 'The passage, whole';
COMMENT ON COLUMN chunks.heading_path IS 'Headings above it, outermost first';
COMMENT ON COLUMN chunks.start_offset IS 'First character within the document''s content';
COMMENT ON COLUMN chunks.end_offset IS 'One past its last character';
COMMENT ON COLUMN chunks.search IS 'Words of title (A), headings (B) and passage (D)';
COMMENT ON COLUMN chunks.embedding IS 'Meaning as a unit vector of embedding_model';
COMMENT ON COLUMN chunks.embedding_model IS 'Which model made the vector; only equals are compared';
"""


#: Full text under row level security cannot use its index: `@@` is not leakproof, so every row of the table would
#: be checked against the policy first. This function reads chunks as a role that sees them all, and takes the
#: tenant from the transaction's setting and from nowhere else.
#:
#: By words: ts_rank of each lexeme, weighted with its inverse document frequency (Robertson and Sparck Jones, 1976,
#: as BM25 uses it) within the tenant, over the passages that hold one of the rarest lexemes. A passage that only
#: has lexemes nearly every passage has cannot win and is not looked at. By meaning: cosine. Fused by a convex
#: combination of both scores, the first divided by its best (Bruch, Gai and Ingber, ACM TOIS 2023): fusing ranks
#: instead lost five points of nDCG where the small default model is the weaker of the two.
SEARCH = r"""
CREATE FUNCTION search_chunks(
    lexemes text[], meaning halfvec, model text, candidates integer, results integer, dense_weight double precision
) RETURNS TABLE (
    chunk_id uuid, document_id uuid, score double precision,
    lexical_score double precision, similarity double precision
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS query
        FROM unnest(lexemes) AS lexeme WHERE lexeme <> ''
    ), counted AS MATERIALIZED (
        SELECT query, (
            SELECT count(*) FROM chunks AS c
            WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
              AND c.search @@ query
        ) AS frequency
        FROM asked
    ), weighed AS MATERIALIZED (
        SELECT query, ln(1 + (size.chunks - frequency + 0.5) / (frequency + 0.5)) AS weight,
               sum(frequency) OVER (ORDER BY frequency, query::text ROWS UNBOUNDED PRECEDING) - frequency AS rarer
        FROM counted CROSS JOIN (
            SELECT count(*) AS chunks FROM chunks AS c
            WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
        ) AS size
        WHERE frequency > 0
    ), lexical AS MATERIALIZED (
        SELECT c.id, sum(w.weight * ts_rank('{0.4, 0.5, 0.6, 0.8}', c.search, w.query, 1)) AS score
        FROM chunks AS c CROSS JOIN weighed AS w
        WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
          AND c.search @@ (SELECT string_agg(query::text, ' | ')::tsquery FROM weighed WHERE rarer < 2000)
        GROUP BY c.tenant_id, c.id
        ORDER BY score DESC, c.id
        LIMIT candidates
    ), dense AS MATERIALIZED (
        SELECT c.id
        FROM chunks AS c
        WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
          AND c.embedding_model = model
        ORDER BY c.embedding <=> meaning, c.id
        LIMIT candidates
    ), found AS (
        SELECT c.id, c.document_id, l.score / (SELECT max(score) FROM lexical) AS words,
               CASE WHEN c.embedding_model = model THEN 1 - (c.embedding <=> meaning) END AS similarity
        FROM (SELECT id FROM lexical UNION SELECT id FROM dense) AS either
        JOIN chunks AS c
            ON c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
            AND c.id = either.id
        LEFT JOIN lexical AS l ON l.id = either.id
    )
    SELECT id, document_id,
           (1 - dense_weight) * coalesce(words, 0) + dense_weight * greatest(coalesce(similarity, 0), 0),
           words, similarity
    FROM found
    ORDER BY 3 DESC, 1
    LIMIT results
$$;
COMMENT ON FUNCTION search_chunks IS
    'Best chunks of the transaction''s tenant by words and by meaning, 0 to 1';
GRANT SELECT ON chunks TO secondbrain_search;
CREATE POLICY search ON chunks FOR SELECT TO secondbrain_search USING (true);
REVOKE ALL ON FUNCTION search_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_chunks TO secondbrain_app;
GRANT CREATE ON SCHEMA public TO secondbrain_search;
ALTER FUNCTION search_chunks OWNER TO secondbrain_search;
REVOKE CREATE ON SCHEMA public FROM secondbrain_search;
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate(
        "documents", operator="SELECT (tenant_id, id, source_type, byte_size, created_at, deleted_at)"
    ):
        op.execute(statement)
    for statement in isolate("chunks", operator="SELECT (tenant_id, document_id, id, embedding_model)"):
        op.execute(statement)
    op.execute(SEARCH)


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_search")
    op.execute("DROP FUNCTION search_chunks")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP TABLE chunks")
    op.execute("DROP TABLE documents")

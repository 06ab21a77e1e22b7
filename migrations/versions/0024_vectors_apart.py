"""Vectors have a table of their own, and a large tenant's an index of theirs; no search walks through others' words."""

from alembic import op
from sqlalchemy import text

from backend.db.isolation import isolate

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

#: Not pushed out of the row as long as it fits a page: a search that compares all of a tenant's vectors reads them one
#: after another.
SCHEMA = """
CREATE TABLE chunk_vectors (
    tenant_id UUID NOT NULL,
    chunk_id UUID NOT NULL,
    embedding_model TEXT NOT NULL,
    document_id UUID NOT NULL,
    embedding HALFVEC NOT NULL,
    CONSTRAINT pk_chunk_vectors PRIMARY KEY (tenant_id, chunk_id, embedding_model),
    CONSTRAINT ck_chunk_vectors_embedding_is_not_zero CHECK (l2_norm(embedding) > 0),
    CONSTRAINT fk_chunk_vectors_tenant_id_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
ALTER TABLE chunk_vectors ALTER COLUMN embedding SET STORAGE MAIN;
COMMENT ON TABLE chunk_vectors IS 'What passages mean, as vectors; of two models while one takes the other''s place';
COMMENT ON COLUMN chunk_vectors.tenant_id IS 'Whose row this is';
COMMENT ON COLUMN chunk_vectors.chunk_id IS 'Which passage';
COMMENT ON COLUMN chunk_vectors.embedding_model IS 'Which model made the vector; only equals are compared';
COMMENT ON COLUMN chunk_vectors.document_id IS 'Which document the passage is part of';
COMMENT ON COLUMN chunk_vectors.embedding IS 'Meaning as a unit vector of embedding_model'
"""

#: Rows are moved by the tables' owner, whom row level security binds as well unless told otherwise.
MOVE = """
ALTER TABLE chunks NO FORCE ROW LEVEL SECURITY;
INSERT INTO chunk_vectors (tenant_id, chunk_id, embedding_model, document_id, embedding)
SELECT tenant_id, id, embedding_model, document_id, embedding FROM chunks;
ALTER TABLE chunks FORCE ROW LEVEL SECURITY;
ALTER TABLE chunk_vectors ADD CONSTRAINT fk_chunk_vectors_chunk
    FOREIGN KEY(tenant_id, chunk_id) REFERENCES chunks (tenant_id, id) ON DELETE CASCADE;
ALTER TABLE chunks DROP COLUMN embedding, DROP COLUMN embedding_model
"""

MOVE_BACK = """
ALTER TABLE chunks ADD COLUMN embedding HALFVEC, ADD COLUMN embedding_model TEXT;
ALTER TABLE chunks NO FORCE ROW LEVEL SECURITY;
ALTER TABLE chunk_vectors NO FORCE ROW LEVEL SECURITY;
UPDATE chunks AS c SET embedding = v.embedding, embedding_model = v.embedding_model
FROM chunk_vectors AS v WHERE v.tenant_id = c.tenant_id AND v.chunk_id = c.id;
DELETE FROM chunks WHERE embedding IS NULL;
ALTER TABLE chunks FORCE ROW LEVEL SECURITY;
ALTER TABLE chunks ALTER COLUMN embedding SET NOT NULL, ALTER COLUMN embedding_model SET NOT NULL,
    ADD CONSTRAINT ck_chunks_embedding_is_not_zero CHECK (l2_norm(embedding) > 0);
GRANT SELECT (embedding_model) ON chunks TO secondbrain_operator;
COMMENT ON COLUMN chunks.embedding IS 'Meaning as a unit vector of embedding_model';
COMMENT ON COLUMN chunks.embedding_model IS 'Which model made the vector; only equals are compared'
"""

#: The candidates by meaning. A small tenant's vectors are all compared, which is exact; so are those of a large tenant
#: where a filter leaves few. Else through the tenant's own index, if `secondbrain index` has built one: no neighbour's
#: vectors are in it, so only filters thin out what it finds. It goes on until there are enough; should it give up before,
#: all are compared after all, so that there are always as many as match, up to `candidates`.
#:
#: The statement that uses the index is put together for the tenant: a partial index is used only where its condition
#: stands in the statement. Its rows come nearly in order and are put in order afterwards.
NEAREST = r"""
CREATE FUNCTION vector_index_name(tenant uuid, model text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN 'near_' || md5(tenant::text || model);
COMMENT ON FUNCTION vector_index_name IS 'What the index over a large tenant''s vectors of a model is called';
REVOKE ALL ON FUNCTION vector_index_name FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vector_index_name TO secondbrain_search, secondbrain_operator, secondbrain_readonly;

CREATE FUNCTION nearest_by_index(
    tenant uuid, meaning halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]
) RETURNS uuid[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET hnsw.iterative_scan = 'relaxed_order'
SET hnsw.ef_search = '400'
SET enable_sort = 'off'
AS $$
DECLARE
    nearest uuid[];
BEGIN
    -- The more vectors, the more have to be looked at for the same recall. Put back when the function ends.
    PERFORM set_config('hnsw.ef_search', least(1000, greatest(400, 1.42 * sqrt(greatest(i.reltuples, 0))))::int::text, true)
    FROM pg_class AS i WHERE i.oid = to_regclass(vector_index_name(tenant, model));
    EXECUTE format(
        $statement$
        SELECT array_agg(n.chunk_id) FROM (
            SELECT v.chunk_id FROM chunk_vectors AS v
            WHERE v.tenant_id = %L AND v.embedding_model = %L
              AND ($3 IS NULL OR v.document_id IN (SELECT unnest($3)))
              AND ($4 = '{}' OR v.document_id NOT IN (SELECT unnest($4)))
            ORDER BY (v.embedding::halfvec(%s)) <=> $1
            LIMIT $2
        ) AS n
        $statement$, tenant, model, vector_dims(meaning))
    INTO nearest USING meaning, candidates, allowed, hidden;
    RETURN nearest;
END
$$;
COMMENT ON FUNCTION nearest_by_index IS 'About the nearest chunks of a large tenant, in no order; perhaps fewer than there are';
REVOKE ALL ON FUNCTION nearest_by_index FROM PUBLIC;

CREATE FUNCTION nearest_chunks(meaning halfvec, model text, candidates integer, allowed uuid[], hidden uuid[])
RETURNS TABLE (id uuid)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 100
AS $$
#variable_conflict use_column
DECLARE
    tenant CONSTANT uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;
    nearest uuid[];
BEGIN
    IF EXISTS (
        SELECT FROM pg_index AS i WHERE i.indexrelid = to_regclass(vector_index_name(tenant, model)) AND i.indisvalid
    ) THEN
        IF allowed IS NOT NULL AND (
            SELECT count(*) FROM (
                SELECT FROM chunks AS c WHERE c.tenant_id = tenant AND c.document_id = ANY (allowed) LIMIT 5000
            ) AS few
        ) < 5000 THEN
            RETURN QUERY
            SELECT v.chunk_id FROM chunks AS c
            JOIN chunk_vectors AS v ON v.tenant_id = tenant AND v.chunk_id = c.id AND v.embedding_model = model
            WHERE c.tenant_id = tenant AND c.document_id = ANY (allowed)
              AND (hidden = '{}' OR c.document_id NOT IN (SELECT unnest(hidden)))
            ORDER BY v.embedding <=> meaning, v.chunk_id
            LIMIT candidates;
            RETURN;
        END IF;
        nearest := nearest_by_index(tenant, meaning, model, candidates, allowed, hidden);
        IF cardinality(nearest) = candidates THEN
            RETURN QUERY SELECT unnest(nearest);
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    SELECT v.chunk_id FROM chunk_vectors AS v
    WHERE v.tenant_id = tenant AND v.embedding_model = model
      AND (allowed IS NULL OR v.document_id IN (SELECT unnest(allowed)))
      AND (hidden = '{}' OR v.document_id NOT IN (SELECT unnest(hidden)))
    ORDER BY v.embedding <=> meaning, v.chunk_id
    LIMIT candidates;
END
$$;
COMMENT ON FUNCTION nearest_chunks IS 'The nearest chunks of the transaction''s tenant, for search_chunks';
REVOKE ALL ON FUNCTION nearest_chunks FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO secondbrain_search;
ALTER FUNCTION nearest_by_index OWNER TO secondbrain_search;
ALTER FUNCTION nearest_chunks OWNER TO secondbrain_search;
REVOKE CREATE ON SCHEMA public FROM secondbrain_search
"""

#: The operator counts vectors and reads none of them.
VIEW = """
CREATE VIEW ops.vector_indexes AS
SELECT t.slug AS tenant, v.embedding_model AS model, v.vectors,
       CASE WHEN i.indexrelid IS NULL THEN 'exact' WHEN i.indisvalid THEN 'index' ELSE 'being built' END AS found_by,
       pg_relation_size(i.indexrelid) AS index_bytes
FROM (
    SELECT tenant_id, embedding_model, count(*) AS vectors FROM chunk_vectors GROUP BY tenant_id, embedding_model
) AS v JOIN tenants AS t ON t.id = v.tenant_id
LEFT JOIN pg_index AS i ON i.indexrelid = to_regclass(vector_index_name(v.tenant_id, v.embedding_model))
ORDER BY v.vectors DESC, t.slug, v.embedding_model;
COMMENT ON VIEW ops.vector_indexes IS 'How many vectors of which model each tenant has, and whether they are found by an index';
GRANT SELECT ON ops.vector_indexes TO secondbrain_readonly
"""

#: The words of all tenants stand in one index. Asked for a word alone, it gives every tenant's passages: a tenant of a
#: thousand beside one of half a million waited 200 ms for what takes it 5. With the tenant as a key of its own (an array of
#: one, which needs no extension) the shorter list leads through the longer one.
WORDS = """
DROP INDEX ix_chunks_search;
CREATE INDEX ix_chunks_search ON chunks USING gin ((ARRAY[tenant_id]), search)
"""

WORDS_BEFORE = """
DROP INDEX ix_chunks_search;
CREATE INDEX ix_chunks_search ON chunks USING gin (search)
"""

TENANT = "(NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid"

#: What changes in the functions: (before, after, how often).
BY_WORDS = ("AND c.search @@", f"AND ARRAY[c.tenant_id] @> ARRAY[{TENANT}] AND c.search @@")
CHANGES = (
    ("STABLE PARALLEL SAFE SECURITY DEFINER", "STABLE PARALLEL RESTRICTED SECURITY DEFINER", 1),
    (*BY_WORDS, 2),
    (
        """
        SELECT c.id
        FROM chunks AS c
        WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
          AND c.embedding_model = model
          AND (allowed IS NULL OR c.document_id IN (SELECT unnest(allowed)))
          AND (hidden = '{}' OR c.document_id NOT IN (SELECT unnest(hidden)))
        ORDER BY c.embedding <=> meaning, c.id
        LIMIT candidates
""",
        """
        SELECT n.id FROM nearest_chunks(meaning, model, candidates, allowed, hidden) AS n
""",
        1,
    ),
    (
        "CASE WHEN c.embedding_model = model THEN 1 - (c.embedding <=> meaning) END AS similarity",
        """(
                   SELECT 1 - (v.embedding <=> meaning) FROM chunk_vectors AS v
                   WHERE v.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
                     AND v.chunk_id = c.id AND v.embedding_model = model
               ) AS similarity""",
        1,
    ),
)


def upgrade() -> None:
    op.execute(SCHEMA)
    for statement in isolate(
        "chunk_vectors", operator="SELECT (tenant_id, chunk_id, document_id, embedding_model)"
    ):
        op.execute(statement)
    op.execute("GRANT SELECT ON chunk_vectors TO secondbrain_search")
    op.execute("CREATE POLICY search ON chunk_vectors FOR SELECT TO secondbrain_search USING (true)")
    # The library must be there before a function may name its settings.
    op.execute("SELECT '[1]'::halfvec")
    op.execute(NEAREST)
    op.execute(WORDS)
    _rewrite("search_chunks", CHANGES)
    _rewrite("count_lexemes", ((*BY_WORDS, 1),))
    op.execute(MOVE)
    op.execute("GRANT CREATE ON SCHEMA ops TO secondbrain_operator")
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute(VIEW)
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("REVOKE CREATE ON SCHEMA ops FROM secondbrain_operator")


def downgrade() -> None:
    op.execute("SET LOCAL ROLE secondbrain_operator")
    op.execute("DROP VIEW ops.vector_indexes")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute(MOVE_BACK)
    op.execute(WORDS_BEFORE)
    _rewrite("search_chunks", tuple((after, before, times) for before, after, times in CHANGES))
    _rewrite("count_lexemes", ((*BY_WORDS[::-1], 1),))
    op.execute("SET LOCAL ROLE secondbrain_search")
    op.execute("DROP FUNCTION nearest_chunks, nearest_by_index")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute("DROP FUNCTION vector_index_name")
    op.execute("DROP TABLE chunk_vectors")


def _rewrite(function: str, changes: tuple[tuple[str, str, int], ...]) -> None:
    connection = op.get_bind()
    definition = connection.execute(
        text("SELECT pg_get_functiondef(CAST(:name AS regproc))"), {"name": function}
    ).scalar_one()
    for before, after, times in changes:
        if definition.count(before) != times:
            raise RuntimeError(f"{function} is not what this migration was written for")
        definition = definition.replace(before, after)
    connection.execute(text("GRANT CREATE ON SCHEMA public TO secondbrain_search"))
    connection.execute(text("SET LOCAL ROLE secondbrain_search"))
    connection.exec_driver_sql(definition.replace("%", "%%"))
    connection.execute(text("SET LOCAL ROLE secondbrain_owner"))
    connection.execute(text("REVOKE CREATE ON SCHEMA public FROM secondbrain_search"))

"""A search that can be told how frequent words are; how often each process found in its caches what it looked for."""

from alembic import op

revision = "0017"
down_revision = "0016"
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

#: As before (0006 explains it), but what is known of the frequency of a lexeme need not be counted: looking through all
#: passages for the most frequent ones was up to half of the work of a question. Calls without the new arguments count.
SEARCH = r"""
CREATE FUNCTION search_chunks(
    lexemes text[], meaning halfvec, model text, candidates integer, results integer, dense_weight double precision,
    counted_lexemes text[] DEFAULT '{}', frequencies integer[] DEFAULT '{}', passages bigint DEFAULT NULL
) RETURNS TABLE (
    chunk_id uuid, document_id uuid, score double precision,
    lexical_score double precision, similarity double precision
)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT lexeme, ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS query
        FROM unnest(lexemes) AS lexeme WHERE lexeme <> ''
    ), counted AS MATERIALIZED (
        SELECT query, coalesce(k.frequency, (
            SELECT count(*) FROM chunks AS c
            WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
              AND c.search @@ query
        )) AS frequency
        FROM asked LEFT JOIN unnest(counted_lexemes, frequencies) AS k (word, frequency) ON k.word = lexeme
    ), weighed AS MATERIALIZED (
        SELECT query, ln(1 + (greatest(size.chunks - frequency, 0) + 0.5) / (frequency + 0.5)) AS weight,
               sum(frequency) OVER (ORDER BY frequency, query::text ROWS UNBOUNDED PRECEDING) - frequency AS rarer
        FROM counted CROSS JOIN (
            SELECT coalesce(passages, (
                SELECT count(*) FROM chunks AS c
                WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
            )) AS chunks
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
REVOKE ALL ON FUNCTION search_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_chunks TO secondbrain_app;
GRANT CREATE ON SCHEMA public TO secondbrain_search;
ALTER FUNCTION search_chunks OWNER TO secondbrain_search;
REVOKE CREATE ON SCHEMA public FROM secondbrain_search;"""

#: What 0006 made.
SEARCH_BEFORE = r"""
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
REVOKE ALL ON FUNCTION search_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_chunks TO secondbrain_app;
GRANT CREATE ON SCHEMA public TO secondbrain_search;
ALTER FUNCTION search_chunks OWNER TO secondbrain_search;
REVOKE CREATE ON SCHEMA public FROM secondbrain_search;"""


def upgrade() -> None:
    _replace_search(SEARCH)
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
    _replace_search(SEARCH_BEFORE)


def _replace_search(definition: str) -> None:
    op.execute("SET LOCAL ROLE secondbrain_search")
    op.execute("DROP FUNCTION search_chunks")
    op.execute("SET LOCAL ROLE secondbrain_owner")
    op.execute(definition)

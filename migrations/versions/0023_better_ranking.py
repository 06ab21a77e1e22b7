"""Words rank as BM25 has it, with pairs of neighbouring words; filters, and not all passages of one document first."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

#: How text becomes lexemes, both when it is stored and when it is asked for. Where the database's locale is C, Postgres
#: takes every character beyond ASCII for a letter, so that a word in typographic quotes was found by nobody; and it takes
#: "storage/memory" for a path. So: one kind of apostrophe, and blanks for punctuation, symbols and Markdown's marks.
WORDS = r"""
CREATE FUNCTION words_of(passage text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT to_tsvector('pg_catalog.english'::regconfig, regexp_replace(
        translate(passage, E'\u2018\u2019\u02BC/_*`|~', '''''''      '),
        '[\u00A1-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u2010-\u206F\u20A0-\u20CF\u2190-\u2BFF\u3000-\u303F'
        '\uFE00-\uFE0F\uFF00-\uFF0F\U0001F000-\U0001FAFF]+', ' ', 'g'))
$$;
COMMENT ON FUNCTION words_of IS 'The lexemes of a text, for chunks and for questions alike';
REVOKE ALL ON FUNCTION words_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION words_of TO secondbrain_app;
"""

#: Few, and every search asks for them.
INDEX = """
CREATE INDEX ix_documents_hidden ON documents (tenant_id)
WHERE deleted_at IS NULL AND (classification IN ('personal', 'spam') OR status = 'rejected');
"""

#: As before (0006 explains whose rights it has and why), with other scores.
#:
#: By words: BM25 (Robertson and Zaragoza, 2009) with its usual k1 = 1.2 and b = 0.75, a word of the title or of a
#: heading counting three times (as in BM25F), in passages whose typical length is taken as 80 different words. How often
#: a word stands in a tsvector is what no function tells, short of taking it apart; but `ts_rank` adds up 1/n² for the n-th
#: time, of which 0.608 * (1 / (1 - rank) - 1) gives the number back to within a tenth. For the best of them, two words
#: that stand in the passage as they do in the question add up to 0.6 of their mean weight (Metzler and Croft, SIGIR 2005).
#:
#: Most of the time of a question of common words went into taking the compressed tsvector apart again for every word:
#: `search || ''` does it once a passage. The passages of the rarest lexemes are looked at, no more than 5,000: if a
#: question has nothing but common words, those of the least common one that come first.
#:
#: `allowed` (NULL: all) and `hidden` say which documents count. Passages beyond `per_document` of one document come after all others.
SEARCH = r"""
CREATE FUNCTION search_chunks(
    lexemes text[], meaning halfvec, model text, candidates integer, results integer, dense_weight double precision,
    counted_lexemes text[] DEFAULT '{}', frequencies integer[] DEFAULT '{}', passages bigint DEFAULT NULL,
    pair_firsts text[] DEFAULT '{}', pair_seconds text[] DEFAULT '{}', pair_gaps integer[] DEFAULT '{}',
    allowed uuid[] DEFAULT NULL, hidden uuid[] DEFAULT '{}', per_document integer DEFAULT 5
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
        SELECT lexeme, query, coalesce(k.frequency, (
            SELECT count(*) FROM chunks AS c
            WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
              AND c.search @@ query
        )) AS frequency
        FROM asked LEFT JOIN unnest(counted_lexemes, frequencies) AS k (word, frequency) ON k.word = lexeme
    ), weighed AS MATERIALIZED (
        SELECT lexeme, query, frequency, ln(1 + (greatest(size.chunks - frequency, 0) + 0.5) / (frequency + 0.5)) AS weight,
               sum(frequency) OVER (ORDER BY frequency, query::text ROWS UNBOUNDED PRECEDING) - frequency AS rarer
        FROM counted CROSS JOIN (
            SELECT coalesce(passages, (
                SELECT count(*) FROM chunks AS c
                WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
            )) AS chunks
        ) AS size
        WHERE frequency > 0
    ), paired AS MATERIALIZED (
        SELECT tsquery_phrase(a.query, b.query, least(greatest(p.gap, 1), 16)) AS query,
               0.3 * (a.weight + b.weight) AS weight
        FROM unnest(pair_firsts, pair_seconds, pair_gaps) AS p (one, other, gap)
        JOIN weighed AS a ON a.lexeme = p.one JOIN weighed AS b ON b.lexeme = p.other
    ), scored AS MATERIALIZED (
        SELECT m.id, r.score
        FROM (
            SELECT c.id, c.search || ''::tsvector AS words
            FROM chunks AS c
            WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
              AND c.search @@ (
                  SELECT string_agg(query::text, ' | ')::tsquery FROM weighed
                  WHERE rarer = 0 OR rarer < 2000 AND rarer + frequency <= 5000
              )
              AND (allowed IS NULL OR c.document_id IN (SELECT unnest(allowed)))
              AND (hidden = '{}' OR c.document_id NOT IN (SELECT unnest(hidden)))
            LIMIT 5000
        ) AS m CROSS JOIN LATERAL (
            SELECT sum(w.weight * 2.2 * (1 - n.typical / (n.typical + 0.608 * (
                       1 / (1 - least(ts_rank('{1, 1, 1, 1}', m.words, w.query, 0), 0.999))
                       + 2 / (1 - least(ts_rank('{0, 0, 1, 1}', m.words, w.query, 0), 0.999)) - 3)))) AS score
            FROM weighed AS w CROSS JOIN (SELECT 1.2 * (0.25 + 0.75 * length(m.words) / 80.0) AS typical) AS n
            OFFSET 0
        ) AS r
    ), lexical AS MATERIALIZED (
        SELECT b.id, b.score + coalesce((SELECT sum(p.weight) FROM paired AS p WHERE b.words @@ p.query), 0) AS score
        FROM (
            SELECT s.id, s.score, c.search || ''::tsvector AS words
            FROM (SELECT id, score FROM scored ORDER BY score DESC, id LIMIT 3 * candidates) AS s
            JOIN chunks AS c
                ON c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid AND c.id = s.id
            OFFSET 0
        ) AS b
    ), dense AS MATERIALIZED (
        SELECT c.id
        FROM chunks AS c
        WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
          AND c.embedding_model = model
          AND (allowed IS NULL OR c.document_id IN (SELECT unnest(allowed)))
          AND (hidden = '{}' OR c.document_id NOT IN (SELECT unnest(hidden)))
        ORDER BY c.embedding <=> meaning, c.id
        LIMIT candidates
    ), found AS (
        SELECT c.id, c.document_id, coalesce(l.score, s.score) / (SELECT max(score) FROM lexical) AS words,
               CASE WHEN c.embedding_model = model THEN 1 - (c.embedding <=> meaning) END AS similarity
        FROM (
            (SELECT id FROM lexical ORDER BY score DESC, id LIMIT candidates) UNION SELECT id FROM dense
        ) AS either
        JOIN chunks AS c
            ON c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
            AND c.id = either.id
        LEFT JOIN lexical AS l ON l.id = either.id
        LEFT JOIN scored AS s ON s.id = either.id
    ), fused AS (
        SELECT id, document_id,
               (1 - dense_weight) * coalesce(words, 0) + dense_weight * greatest(coalesce(similarity, 0), 0) AS score,
               words, similarity
        FROM found
    )
    SELECT id, document_id, score, words, similarity
    FROM (
        SELECT f.*, row_number() OVER (PARTITION BY f.document_id ORDER BY f.score DESC, f.id) AS place FROM fused AS f
    ) AS placed
    ORDER BY place > per_document, score DESC, id
    LIMIT results
$$;
COMMENT ON FUNCTION search_chunks IS
    'Best chunks of the transaction''s tenant by words and by meaning, 0 to 1';
REVOKE ALL ON FUNCTION search_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_chunks TO secondbrain_app;

CREATE FUNCTION count_lexemes(lexemes text[]) RETURNS TABLE (lexeme text, frequency bigint)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT asked.lexeme, (
        SELECT count(*) FROM chunks AS c
        WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
          AND c.search @@ ('''' || replace(replace(asked.lexeme, '\', '\\'), '''', '''''') || '''')::tsquery
    )
    FROM (SELECT DISTINCT word FROM unnest(lexemes) AS word WHERE word <> '') AS asked (lexeme)
$$;
COMMENT ON FUNCTION count_lexemes IS 'In how many chunks of the transaction''s tenant each of some lexemes stands';
REVOKE ALL ON FUNCTION count_lexemes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_lexemes TO secondbrain_app;

GRANT CREATE ON SCHEMA public TO secondbrain_search;
ALTER FUNCTION search_chunks OWNER TO secondbrain_search;
ALTER FUNCTION count_lexemes OWNER TO secondbrain_search;
REVOKE CREATE ON SCHEMA public FROM secondbrain_search;"""

#: What 0017 made.
SEARCH_BEFORE = r"""
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


def upgrade() -> None:
    op.execute(INDEX)
    op.execute(WORDS)
    _drop("search_chunks")
    op.execute(SEARCH)


def downgrade() -> None:
    _drop("search_chunks", "count_lexemes")
    op.execute(SEARCH_BEFORE)
    op.execute("DROP FUNCTION words_of")
    op.execute("DROP INDEX ix_documents_hidden")


def _drop(*functions: str) -> None:
    op.execute("SET LOCAL ROLE secondbrain_search")
    for function in functions:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("SET LOCAL ROLE secondbrain_owner")

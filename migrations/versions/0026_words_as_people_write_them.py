"""Quoted phrases, words that may not be there, words that count less, parts of identifiers, and copies of a passage last."""

from alembic import op
from alembic.script import ScriptDirectory

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

#: What 0023 had as `words_of` is `words_as_written` now. Beside it the parts of what Postgres takes for one word:
#: "maxUploadSize", "report.totals", "ERR-4012" ("-4012" to it), and "2.4" of "2.4.1". They stand behind the text, so that
#: the places of its own words stay as they are.
WORDS = r"""
ALTER FUNCTION words_of(text) RENAME TO words_as_written;
COMMENT ON FUNCTION words_as_written IS 'The lexemes of a text, identifiers whole';

CREATE FUNCTION words_of(passage text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT words_as_written(passage) || coalesce((
        SELECT words_as_written(string_agg(
            CASE WHEN found[1] ~ '^[0-9]' THEN substring(found[1] FROM '^[0-9]+[.][0-9]+')
                 ELSE regexp_replace(
                     regexp_replace(found[1], '([[:lower:]])([[:upper:]])|([[:upper:]])(?=[[:upper:]][[:lower:]]{2})', '\1\3 \2', 'g'),
                     '[.-]+', ' ', 'g')
            END, ' '))
        FROM regexp_matches(
            translate(passage, '/_', '  '),
            '\m([[:alpha:]][[:alnum:]]*(?:[.][[:alnum:]]{2,})+|[[:alpha:]]+-[0-9][[:alnum:]]*'
            '|[[:alpha:]][[:alnum:]]*[[:lower:]][[:upper:]][[:alnum:]]*|[[:upper:]]{2,}[[:lower:]]{2}[[:alnum:]]*'
            '|[0-9]+[.][0-9]+[.][0-9][0-9.]*)', 'g') AS found
    ), '')
$$;
COMMENT ON FUNCTION words_of IS 'The lexemes of a text and of its identifiers'' parts, for chunks and for questions alike';
REVOKE ALL ON FUNCTION words_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION words_of TO secondbrain_app;

CREATE FUNCTION phrase_of(passage text) RETURNS tsquery
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT string_agg(
        coalesce(' <' || gap || '> ', '') || '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''',
        '' ORDER BY place, lexeme
    )::tsquery
    FROM (
        SELECT lexeme, place, place - lag(place) OVER (ORDER BY place, lexeme) AS gap
        FROM unnest(words_as_written(passage)) AS w (lexeme, places, weights) CROSS JOIN unnest(w.places) AS place
    ) AS placed
$$;
COMMENT ON FUNCTION phrase_of IS 'Matches where the lexemes of a text stand as they do in it; NULL if it has none';
REVOKE ALL ON FUNCTION phrase_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION phrase_of TO secondbrain_app;
"""

WORDS_BEFORE = """
DROP FUNCTION phrase_of;
DROP FUNCTION words_of;
ALTER FUNCTION words_as_written(text) RENAME TO words_of;
COMMENT ON FUNCTION words_of IS 'The lexemes of a text, for chunks and for questions alike';
"""

#: As 0024 left it, and:
#:
#: The best passage by words has all of the words' weight in `score` only if its words score `enough_share` of what those of
#: the question weigh together, the ones that no passage has included (not `softened` ones, which nobody wrote). Before,
#: the only passage with one weak word of many had it all. `lexical_score` is relative to the best, as it was.
#:
#: `softened` lexemes count `factors` of their weight: words nobody has written in the question. Where `required` is given,
#: only passages that match it are found, and none that matches `refused`; both are looked for in the index, and once
#: more in the few that were chosen by meaning. Of passages with the same text, as of a mail that is quoted in the answer to it,
#: three keep their places; further ones come after all others.
SEARCH = r"""
CREATE FUNCTION search_chunks(
    lexemes text[], meaning halfvec, model text, candidates integer, results integer, dense_weight double precision,
    counted_lexemes text[] DEFAULT '{}', frequencies integer[] DEFAULT '{}', passages bigint DEFAULT NULL,
    pair_firsts text[] DEFAULT '{}', pair_seconds text[] DEFAULT '{}', pair_gaps integer[] DEFAULT '{}',
    allowed uuid[] DEFAULT NULL, hidden uuid[] DEFAULT '{}', per_document integer DEFAULT 5,
    softened text[] DEFAULT '{}', factors double precision[] DEFAULT '{}',
    required tsquery DEFAULT NULL, refused tsquery DEFAULT NULL, enough_share double precision DEFAULT 0.7
) RETURNS TABLE (
    chunk_id uuid, document_id uuid, score double precision,
    lexical_score double precision, similarity double precision
)
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT lexeme, ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS query
        FROM unnest(lexemes) AS lexeme WHERE lexeme <> ''
    ), counted AS MATERIALIZED (
        SELECT lexeme, query, coalesce(k.frequency, (
            SELECT count(*) FROM chunks AS c
            WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
              AND ARRAY[c.tenant_id] @> ARRAY[(NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid] AND c.search @@ query
        )) AS frequency
        FROM asked LEFT JOIN unnest(counted_lexemes, frequencies) AS k (word, frequency) ON k.word = lexeme
    ), rated AS MATERIALIZED (
        SELECT lexeme, query, frequency,
               ln(1 + (greatest(size.chunks - frequency, 0) + 0.5) / (frequency + 0.5))
               * coalesce((SELECT max(s.factor) FROM unnest(softened, factors) AS s (word, factor) WHERE s.word = lexeme), 1)
               AS weight
        FROM counted CROSS JOIN (
            SELECT coalesce(passages, (
                SELECT count(*) FROM chunks AS c
                WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
            )) AS chunks
        ) AS size
    ), weighed AS MATERIALIZED (
        SELECT lexeme, query, frequency, weight,
               sum(frequency) OVER (ORDER BY frequency, query::text ROWS UNBOUNDED PRECEDING) - frequency AS rarer
        FROM rated WHERE frequency > 0
    ), whole AS MATERIALIZED (
        SELECT enough_share * sum(weight) AS enough FROM rated WHERE lexeme <> ALL (softened)
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
              AND ARRAY[c.tenant_id] @> ARRAY[(NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid] AND c.search @@ (
                  SELECT CASE WHEN refused IS NULL THEN wanted.query ELSE wanted.query && !!refused END
                  FROM (
                      SELECT coalesce(required, string_agg(query::text, ' | ')::tsquery) AS query FROM weighed
                      WHERE rarer = 0 OR rarer < 2000 AND rarer + frequency <= 5000
                  ) AS wanted
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
        SELECT n.id FROM nearest_chunks(meaning, model, candidates, allowed, hidden) AS n
    ), found AS (
        SELECT c.id, c.document_id, coalesce(l.score, s.score) / (SELECT max(score) FROM lexical) AS words,
               coalesce(l.score, s.score) / greatest((SELECT max(score) FROM lexical), (SELECT enough FROM whole)) AS share,
               (
                   SELECT 1 - (v.embedding <=> meaning) FROM chunk_vectors AS v
                   WHERE v.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
                     AND v.chunk_id = c.id AND v.embedding_model = model
               ) AS similarity
        FROM (
            (SELECT id FROM lexical ORDER BY score DESC, id LIMIT candidates) UNION SELECT id FROM dense
        ) AS either
        JOIN chunks AS c
            ON c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
            AND c.id = either.id
        LEFT JOIN lexical AS l ON l.id = either.id
        LEFT JOIN scored AS s ON s.id = either.id
        WHERE (required IS NULL OR ts_match_vq(c.search, required))
          AND (refused IS NULL OR NOT ts_match_vq(c.search, refused))
    ), fused AS (
        SELECT id, document_id,
               (1 - dense_weight) * coalesce(share, 0) + dense_weight * greatest(coalesce(similarity, 0), 0) AS score,
               words, similarity
        FROM found
    )
    SELECT id, document_id, score, words, similarity
    FROM (
        SELECT p.*, row_number() OVER (
            PARTITION BY (
                SELECT md5(lower(translate(c.text, E' \n\r\t>', ''))) FROM chunks AS c
                WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid AND c.id = p.id
            ) ORDER BY p.score DESC, p.id
        ) AS copy
        FROM (
            SELECT f.*, row_number() OVER (PARTITION BY f.document_id ORDER BY f.score DESC, f.id) AS place FROM fused AS f
        ) AS p
    ) AS placed
    ORDER BY copy > 3, place > per_document, score DESC, id
    LIMIT results
$$;
COMMENT ON FUNCTION search_chunks IS
    'Best chunks of the transaction''s tenant by words and by meaning, 0 to 1';
REVOKE ALL ON FUNCTION search_chunks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_chunks TO secondbrain_app;"""

OWNER = """
GRANT CREATE ON SCHEMA public TO secondbrain_search;
ALTER FUNCTION search_chunks OWNER TO secondbrain_search;
REVOKE CREATE ON SCHEMA public FROM secondbrain_search;"""

#: Which revision made the search that this one replaces, and which one has changed it since.
SEARCH_BEFORE, SEARCH_CHANGED = "0023", "0024"


def upgrade() -> None:
    op.execute(WORDS)
    _drop("search_chunks")
    op.execute(SEARCH + OWNER)


def downgrade() -> None:
    _drop("search_chunks")
    config = op.get_context().config
    if config is None:
        raise RuntimeError("a revision is gone back from with alembic's own commands")
    scripts = ScriptDirectory.from_config(config)
    before, _, _ = scripts.get_revision(SEARCH_BEFORE).module.SEARCH.partition(
        "CREATE FUNCTION count_lexemes"
    )
    for was, became, _ in scripts.get_revision(SEARCH_CHANGED).module.CHANGES:
        before = before.replace(was, became)
    op.execute(before + OWNER)
    op.execute(WORDS_BEFORE)


def _drop(*functions: str) -> None:
    op.execute("SET LOCAL ROLE secondbrain_search")
    for function in functions:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("SET LOCAL ROLE secondbrain_owner")

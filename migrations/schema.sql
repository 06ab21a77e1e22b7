-- Written by scripts/schema from the migrations; do not edit.

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

-- Name: ops; Type: SCHEMA; Schema: -; Owner: secondbrain_owner

CREATE SCHEMA ops;

ALTER SCHEMA ops OWNER TO secondbrain_owner;

-- Name: SCHEMA ops; Type: COMMENT; Schema: -; Owner: secondbrain_owner

COMMENT ON SCHEMA ops IS 'Questions operators ask, as views; no content, no secret';

-- Name: vector; Type: EXTENSION; Schema: -; Owner: -

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

-- Name: EXTENSION vector; Type: COMMENT; Schema: -; Owner: 

COMMENT ON EXTENSION vector IS 'vector data type and ivfflat and hnsw access methods';

-- Name: count_lexemes(text[]); Type: FUNCTION; Schema: public; Owner: secondbrain_search

CREATE FUNCTION public.count_lexemes(lexemes text[]) RETURNS TABLE(lexeme text, frequency bigint)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT asked.lexeme, (
        SELECT count(*) FROM chunks AS c
        WHERE c.tenant_id = (NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid
          AND ARRAY[c.tenant_id] @> ARRAY[(NULLIF((SELECT current_setting('app.tenant_id', true)), ''))::uuid] AND c.search @@ ('''' || replace(replace(asked.lexeme, '\', '\\'), '''', '''''') || '''')::tsquery
    )
    FROM (SELECT DISTINCT word FROM unnest(lexemes) AS word WHERE word <> '') AS asked (lexeme)
$$;

ALTER FUNCTION public.count_lexemes(lexemes text[]) OWNER TO secondbrain_search;

-- Name: FUNCTION count_lexemes(lexemes text[]); Type: COMMENT; Schema: public; Owner: secondbrain_search

COMMENT ON FUNCTION public.count_lexemes(lexemes text[]) IS 'In how many chunks of the transaction''s tenant each of some lexemes stands';

-- Name: nearest_by_index(uuid, public.halfvec, text, integer, uuid[], uuid[]); Type: FUNCTION; Schema: public; Owner: secondbrain_search

CREATE FUNCTION public.nearest_by_index(tenant uuid, meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]) RETURNS uuid[]
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET "hnsw.iterative_scan" TO 'relaxed_order'
    SET "hnsw.ef_search" TO '400'
    SET enable_sort TO 'off'
    AS $_$
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
$_$;

ALTER FUNCTION public.nearest_by_index(tenant uuid, meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]) OWNER TO secondbrain_search;

-- Name: FUNCTION nearest_by_index(tenant uuid, meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]); Type: COMMENT; Schema: public; Owner: secondbrain_search

COMMENT ON FUNCTION public.nearest_by_index(tenant uuid, meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]) IS 'About the nearest chunks of a large tenant, in no order; perhaps fewer than there are';

-- Name: nearest_chunks(public.halfvec, text, integer, uuid[], uuid[]); Type: FUNCTION; Schema: public; Owner: secondbrain_search

CREATE FUNCTION public.nearest_chunks(meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]) RETURNS TABLE(id uuid)
    LANGUAGE plpgsql STABLE ROWS 100 PARALLEL RESTRICTED
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

ALTER FUNCTION public.nearest_chunks(meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]) OWNER TO secondbrain_search;

-- Name: FUNCTION nearest_chunks(meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]); Type: COMMENT; Schema: public; Owner: secondbrain_search

COMMENT ON FUNCTION public.nearest_chunks(meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]) IS 'The nearest chunks of the transaction''s tenant, for search_chunks';

-- Name: phrase_of(text); Type: FUNCTION; Schema: public; Owner: secondbrain_owner

CREATE FUNCTION public.phrase_of(passage text) RETURNS tsquery
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

ALTER FUNCTION public.phrase_of(passage text) OWNER TO secondbrain_owner;

-- Name: FUNCTION phrase_of(passage text); Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON FUNCTION public.phrase_of(passage text) IS 'Matches where the lexemes of a text stand as they do in it; NULL if it has none';

-- Name: search_chunks(text[], public.halfvec, text, integer, integer, double precision, text[], integer[], bigint, text[], text[], integer[], uuid[], uuid[], integer, text[], double precision[], tsquery, tsquery, double precision); Type: FUNCTION; Schema: public; Owner: secondbrain_search

CREATE FUNCTION public.search_chunks(lexemes text[], meaning public.halfvec, model text, candidates integer, results integer, dense_weight double precision, counted_lexemes text[] DEFAULT '{}'::text[], frequencies integer[] DEFAULT '{}'::integer[], passages bigint DEFAULT NULL::bigint, pair_firsts text[] DEFAULT '{}'::text[], pair_seconds text[] DEFAULT '{}'::text[], pair_gaps integer[] DEFAULT '{}'::integer[], allowed uuid[] DEFAULT NULL::uuid[], hidden uuid[] DEFAULT '{}'::uuid[], per_document integer DEFAULT 5, softened text[] DEFAULT '{}'::text[], factors double precision[] DEFAULT '{}'::double precision[], required tsquery DEFAULT NULL::tsquery, refused tsquery DEFAULT NULL::tsquery, enough_share double precision DEFAULT 1.5) RETURNS TABLE(chunk_id uuid, document_id uuid, score double precision, lexical_score double precision, similarity double precision)
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
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
               0.4 * (a.weight + b.weight) AS weight
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
            FROM weighed AS w CROSS JOIN (SELECT 1.2 * (0.6 + 0.4 * length(m.words) / 80.0) AS typical) AS n
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

ALTER FUNCTION public.search_chunks(lexemes text[], meaning public.halfvec, model text, candidates integer, results integer, dense_weight double precision, counted_lexemes text[], frequencies integer[], passages bigint, pair_firsts text[], pair_seconds text[], pair_gaps integer[], allowed uuid[], hidden uuid[], per_document integer, softened text[], factors double precision[], required tsquery, refused tsquery, enough_share double precision) OWNER TO secondbrain_search;

-- Name: FUNCTION search_chunks(lexemes text[], meaning public.halfvec, model text, candidates integer, results integer, dense_weight double precision, counted_lexemes text[], frequencies integer[], passages bigint, pair_firsts text[], pair_seconds text[], pair_gaps integer[], allowed uuid[], hidden uuid[], per_document integer, softened text[], factors double precision[], required tsquery, refused tsquery, enough_share double precision); Type: COMMENT; Schema: public; Owner: secondbrain_search

COMMENT ON FUNCTION public.search_chunks(lexemes text[], meaning public.halfvec, model text, candidates integer, results integer, dense_weight double precision, counted_lexemes text[], frequencies integer[], passages bigint, pair_firsts text[], pair_seconds text[], pair_gaps integer[], allowed uuid[], hidden uuid[], per_document integer, softened text[], factors double precision[], required tsquery, refused tsquery, enough_share double precision) IS 'Best chunks of the transaction''s tenant by words and by meaning, 0 to 1';

-- Name: vector_index_name(uuid, text); Type: FUNCTION; Schema: public; Owner: secondbrain_owner

CREATE FUNCTION public.vector_index_name(tenant uuid, model text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ('near_'::text || md5(((tenant)::text || model)));

ALTER FUNCTION public.vector_index_name(tenant uuid, model text) OWNER TO secondbrain_owner;

-- Name: FUNCTION vector_index_name(tenant uuid, model text); Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON FUNCTION public.vector_index_name(tenant uuid, model text) IS 'What the index over a large tenant''s vectors of a model is called';

-- Name: words_as_written(text); Type: FUNCTION; Schema: public; Owner: secondbrain_owner

CREATE FUNCTION public.words_as_written(passage text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT to_tsvector('pg_catalog.english'::regconfig, regexp_replace(
        replace(replace(replace(passage, E'\u2018', ''''), E'\u2019', ''''), E'\u02BC', ''''),
        '[/_*`|~\u00A1-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u2010-\u206F\u20A0-\u20CF\u2190-\u2BFF\u3000-\u303F'
        '\uFE00-\uFE0F\uFF00-\uFF0F\U0001F000-\U0001FAFF]+', ' ', 'g'))
$$;

ALTER FUNCTION public.words_as_written(passage text) OWNER TO secondbrain_owner;

-- Name: FUNCTION words_as_written(passage text); Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON FUNCTION public.words_as_written(passage text) IS 'The lexemes of a text, identifiers whole';

-- Name: words_of(text); Type: FUNCTION; Schema: public; Owner: secondbrain_owner

CREATE FUNCTION public.words_of(passage text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT words_as_written(passage) || CASE
        -- What each of the alternatives below has in it.
        WHEN passage !~ '[[:alnum:]][.][[:alnum:]]{2}|[[:alpha:]]-[0-9]|[[:lower:]][[:upper:]]|[[:upper:]]{2}[[:lower:]]{2}'
            '|[0-9][.][0-9]+[.][0-9]'
        THEN ''
        ELSE coalesce((
            SELECT words_as_written(string_agg(
                CASE WHEN found[1] ~ '^[0-9]' THEN substring(found[1] FROM '^[0-9]+[.][0-9]+')
                     ELSE regexp_replace(
                         regexp_replace(found[1], '([[:lower:]])([[:upper:]])|([[:upper:]])(?=[[:upper:]][[:lower:]]{2})', '\1\3 \2', 'g'),
                         '[.-]+', ' ', 'g')
                END, ' '))
            FROM regexp_matches(
                replace(replace(passage, '/', ' '), '_', ' '),
                '\m([[:alpha:]][[:alnum:]]*(?:[.][[:alnum:]]{2,})+|[[:alpha:]]+-[0-9][[:alnum:]]*'
                '|[[:alpha:]][[:alnum:]]*[[:lower:]][[:upper:]][[:alnum:]]*|[[:upper:]]{2,}[[:lower:]]{2}[[:alnum:]]*'
                '|[0-9]+[.][0-9]+[.][0-9][0-9.]*)', 'g') AS found
        ), '')
    END
$$;

ALTER FUNCTION public.words_of(passage text) OWNER TO secondbrain_owner;

-- Name: FUNCTION words_of(passage text); Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON FUNCTION public.words_of(passage text) IS 'The lexemes of a text and of its identifiers'' parts, for chunks and for questions alike';

SET default_tablespace = '';

SET default_table_access_method = heap;

-- Name: api_keys; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.api_keys (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    secret_sha256 bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT ck_api_keys_scopes_are_known CHECK (((cardinality(scopes) > 0) AND (scopes <@ ARRAY['read'::text, 'write'::text, 'admin'::text]))),
    CONSTRAINT ck_api_keys_secret_is_hashed CHECK ((length(secret_sha256) = 32))
);

ALTER TABLE ONLY public.api_keys FORCE ROW LEVEL SECURITY;

ALTER TABLE public.api_keys OWNER TO secondbrain_owner;

-- Name: TABLE api_keys; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.api_keys IS 'Keys of programs that act for a user, as hashes; revoked, not deleted';

-- Name: COLUMN api_keys.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.tenant_id IS 'Whose row this is';

-- Name: COLUMN api_keys.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.id IS 'Identity, ordered by creation';

-- Name: COLUMN api_keys.user_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.user_id IS 'For whom it acts';

-- Name: COLUMN api_keys.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.name IS 'What it is for, as its maker wrote it';

-- Name: COLUMN api_keys.secret_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.secret_sha256 IS 'SHA-256 of the key; the key itself is nowhere';

-- Name: COLUMN api_keys.scopes; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.scopes IS 'What it may do at most: read, write, admin';

-- Name: COLUMN api_keys.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.created_at IS 'When the row was written';

-- Name: COLUMN api_keys.last_used_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.last_used_at IS 'Last seen, to about five minutes';

-- Name: COLUMN api_keys.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.expires_at IS 'When it stops being accepted; never if empty';

-- Name: COLUMN api_keys.revoked_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.api_keys.revoked_at IS 'When it was revoked; it is dead since';

-- Name: tenants; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.tenants (
    id uuid DEFAULT uuidv7() NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    plan text DEFAULT 'free'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deactivated_at timestamp with time zone,
    CONSTRAINT ck_tenants_plan_is_known CHECK ((plan = ANY (ARRAY['free'::text, 'starter'::text, 'professional'::text, 'enterprise'::text]))),
    CONSTRAINT ck_tenants_slug_is_url_safe CHECK ((slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'::text))
);

ALTER TABLE ONLY public.tenants FORCE ROW LEVEL SECURITY;

ALTER TABLE public.tenants OWNER TO secondbrain_owner;

-- Name: TABLE tenants; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.tenants IS 'Organisations that share this installation; every other table''s rows belong to one';

-- Name: COLUMN tenants.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenants.id IS 'Identity, ordered by creation';

-- Name: COLUMN tenants.slug; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenants.slug IS 'Short name used on the command line and in URLs';

-- Name: COLUMN tenants.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenants.name IS 'Name people see';

-- Name: COLUMN tenants.plan; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenants.plan IS 'Commercial plan, for existing clients';

-- Name: COLUMN tenants.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenants.created_at IS 'When the row was written';

-- Name: COLUMN tenants.deactivated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenants.deactivated_at IS 'Since when nobody of it may sign in';

-- Name: users; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.users (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    email text NOT NULL,
    full_name text NOT NULL,
    role text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deactivated_at timestamp with time zone,
    CONSTRAINT ck_users_email_is_lower_case CHECK ((email = lower(email))),
    CONSTRAINT ck_users_role_is_known CHECK ((role = ANY (ARRAY['admin'::text, 'member'::text, 'viewer'::text])))
);

ALTER TABLE ONLY public.users FORCE ROW LEVEL SECURITY;

ALTER TABLE public.users OWNER TO secondbrain_owner;

-- Name: TABLE users; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.users IS 'People who can sign in; an e-mail address is unique across the installation';

-- Name: COLUMN users.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.tenant_id IS 'Whose row this is';

-- Name: COLUMN users.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.id IS 'Identity, ordered by creation';

-- Name: COLUMN users.email; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.email IS 'Sign-in name, lower case';

-- Name: COLUMN users.full_name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.full_name IS 'Name as the person writes it';

-- Name: COLUMN users.role; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.role IS 'admin, member or viewer';

-- Name: COLUMN users.password_hash; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.password_hash IS 'Argon2id in PHC string format';

-- Name: COLUMN users.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.created_at IS 'When the row was written';

-- Name: COLUMN users.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.updated_at IS 'When the account last changed';

-- Name: COLUMN users.deactivated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.users.deactivated_at IS 'Since when this person may not sign in';

-- Name: api_keys; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.api_keys AS
 SELECT t.slug AS tenant,
    u.email,
    k.name,
    k.scopes,
        CASE
            WHEN (k.revoked_at IS NOT NULL) THEN 'revoked'::text
            WHEN (k.expires_at <= now()) THEN 'expired'::text
            WHEN ((u.deactivated_at IS NOT NULL) OR (t.deactivated_at IS NOT NULL)) THEN 'void'::text
            ELSE 'active'::text
        END AS state,
    k.created_at,
    k.last_used_at,
    k.expires_at,
    k.revoked_at,
    k.id
   FROM ((public.api_keys k
     JOIN public.tenants t ON ((t.id = k.tenant_id)))
     JOIN public.users u ON (((u.tenant_id = k.tenant_id) AND (u.id = k.user_id))))
  ORDER BY k.created_at DESC;

ALTER VIEW ops.api_keys OWNER TO secondbrain_operator;

-- Name: VIEW api_keys; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.api_keys IS 'Keys of programs: whose, what for, last used, and whether they still count';

-- Name: instances; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.instances (
    id uuid DEFAULT uuidv7() NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    version text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    config_revision bigint,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT now() NOT NULL,
    stopped_at timestamp with time zone,
    cache_lookups jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT ck_instances_kind_is_known CHECK ((kind = ANY (ARRAY['web'::text, 'worker'::text])))
)
WITH (fillfactor='70');

ALTER TABLE public.instances OWNER TO secondbrain_owner;

-- Name: TABLE instances; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.instances IS 'Web and worker processes, for people to look at; nothing is decided by it';

-- Name: COLUMN instances.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.id IS 'Identity, ordered by creation';

-- Name: COLUMN instances.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.name IS 'Instance name of the process';

-- Name: COLUMN instances.kind; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.kind IS 'web or worker';

-- Name: COLUMN instances.version; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.version IS 'Version of the product it runs';

-- Name: COLUMN instances.host; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.host IS 'Name of its machine';

-- Name: COLUMN instances.pid; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.pid IS 'Its process id on that machine';

-- Name: COLUMN instances.config_revision; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.config_revision IS 'Newest change of a config that it has applied; none while it cannot follow';

-- Name: COLUMN instances.started_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.started_at IS 'When the process registered';

-- Name: COLUMN instances.heartbeat_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.heartbeat_at IS 'When it last said that it lives';

-- Name: COLUMN instances.stopped_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.stopped_at IS 'When it said goodbye; never, if it was killed';

-- Name: COLUMN instances.cache_lookups; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.instances.cache_lookups IS 'Of each of its caches: how often a look-up ended in which way since the process began';

-- Name: caches; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.caches AS
 SELECT i.name AS instance,
    c.cache,
    n.lookups,
    (n.lookups - n.missed) AS hits,
    round(((n.lookups - n.missed) / NULLIF(n.lookups, (0)::numeric)), 3) AS hit_ratio,
    n.in_memory,
    n.in_database,
    n.missed,
    i.started_at AS counted_since,
        CASE
            WHEN (i.stopped_at IS NOT NULL) THEN 'stopped'::text
            WHEN (i.heartbeat_at < (now() - '00:00:20'::interval)) THEN 'silent'::text
            ELSE 'alive'::text
        END AS state
   FROM ((public.instances i
     CROSS JOIN LATERAL jsonb_each(i.cache_lookups) c(cache, outcomes))
     CROSS JOIN LATERAL ( SELECT COALESCE(sum((o.count)::bigint), (0)::numeric) AS lookups,
            COALESCE(sum((o.count)::bigint) FILTER (WHERE (o.outcome = 'memory'::text)), (0)::numeric) AS in_memory,
            COALESCE(sum((o.count)::bigint) FILTER (WHERE (o.outcome = ANY (ARRAY['database'::text, 'joined'::text]))), (0)::numeric) AS in_database,
            COALESCE(sum((o.count)::bigint) FILTER (WHERE (o.outcome = ANY (ARRAY['computed'::text, 'built'::text]))), (0)::numeric) AS missed
           FROM jsonb_each_text(c.outcomes) o(outcome, count)) n)
  ORDER BY c.cache, (i.stopped_at IS NOT NULL), i.name, i.started_at DESC;

ALTER VIEW ops.caches OWNER TO secondbrain_operator;

-- Name: VIEW caches; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.caches IS 'How often each process found what it looked for in memory, in the database, or had to compute it';

-- Name: chats; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.chats (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid NOT NULL,
    title text,
    message_count integer DEFAULT 0 NOT NULL,
    is_archived boolean DEFAULT false NOT NULL,
    is_pinned boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    last_message_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='85');

ALTER TABLE ONLY public.chats FORCE ROW LEVEL SECURITY;

ALTER TABLE public.chats OWNER TO secondbrain_owner;

-- Name: TABLE chats; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.chats IS 'Conversations, each of one person; shown to that person from their first message on';

-- Name: COLUMN chats.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.tenant_id IS 'Whose row this is';

-- Name: COLUMN chats.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.id IS 'Identity, ordered by creation';

-- Name: COLUMN chats.user_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.user_id IS 'Whose conversation it is';

-- Name: COLUMN chats.title; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.title IS 'What it is called: the beginning of the first question unless its owner says otherwise';

-- Name: COLUMN chats.message_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.message_count IS 'How many messages it has';

-- Name: COLUMN chats.is_archived; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.is_archived IS 'Whether its owner has put it away';

-- Name: COLUMN chats.is_pinned; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.is_pinned IS 'Whether its owner wants it on top';

-- Name: COLUMN chats.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.created_at IS 'When the row was written';

-- Name: COLUMN chats.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.updated_at IS 'When it last changed';

-- Name: COLUMN chats.last_message_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chats.last_message_at IS 'When its last message came; when it was made, before the first';

-- Name: chats; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.chats AS
 SELECT t.slug AS tenant,
    count(DISTINCT c.user_id) AS people,
    count(*) FILTER (WHERE (c.message_count > 0)) AS chats,
    count(*) FILTER (WHERE (c.message_count = 0)) AS empty,
    COALESCE(sum(c.message_count), (0)::bigint) AS messages,
    max(c.last_message_at) AS last_message_at
   FROM (public.chats c
     JOIN public.tenants t ON ((t.id = c.tenant_id)))
  GROUP BY t.slug
  ORDER BY COALESCE(sum(c.message_count), (0)::bigint) DESC;

ALTER VIEW ops.chats OWNER TO secondbrain_operator;

-- Name: VIEW chats; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.chats IS 'How many people keep how many conversations; the most messages first';

-- Name: component_contents; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.component_contents (
    tenant_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    content bytea NOT NULL,
    byte_size integer NOT NULL,
    used_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_component_contents_content_is_hashed CHECK ((length(sha256) = 32))
);
ALTER TABLE ONLY public.component_contents ALTER COLUMN content SET STORAGE EXTERNAL;

ALTER TABLE ONLY public.component_contents FORCE ROW LEVEL SECURITY;

ALTER TABLE public.component_contents OWNER TO secondbrain_owner;

-- Name: TABLE component_contents; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.component_contents IS 'Contents of components; a row never changes, so a new version rewrites nothing';

-- Name: COLUMN component_contents.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.component_contents.tenant_id IS 'Whose row this is';

-- Name: COLUMN component_contents.sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.component_contents.sha256 IS 'SHA-256 of the content as stored';

-- Name: COLUMN component_contents.content; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.component_contents.content IS 'JSON, compressed with Zstandard';

-- Name: COLUMN component_contents.byte_size; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.component_contents.byte_size IS 'Bytes of the content as stored';

-- Name: COLUMN component_contents.used_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.component_contents.used_at IS 'When a version was last saved with it';

-- Name: tenant_components; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.tenant_components (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    sha256 bytea,
    built_at timestamp with time zone,
    refresh_at timestamp with time zone DEFAULT now() NOT NULL,
    building_by uuid,
    building_until timestamp with time zone,
    CONSTRAINT ck_tenant_components_claim_is_whole CHECK (((building_by IS NULL) = (building_until IS NULL))),
    CONSTRAINT ck_tenant_components_version_has_a_time CHECK (((version > 0) = (built_at IS NOT NULL))),
    CONSTRAINT ck_tenant_components_version_has_content CHECK (((version > 0) = (sha256 IS NOT NULL)))
);

ALTER TABLE ONLY public.tenant_components FORCE ROW LEVEL SECURITY;

ALTER TABLE public.tenant_components OWNER TO secondbrain_owner;

-- Name: TABLE tenant_components; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.tenant_components IS 'Things computed from all of a tenant''s knowledge: which version is current, who builds';

-- Name: COLUMN tenant_components.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenant_components.tenant_id IS 'Whose row this is';

-- Name: COLUMN tenant_components.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenant_components.name IS 'What it is, such as lexicon';

-- Name: COLUMN tenant_components.version; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenant_components.version IS 'Grows with every change of the content; 0: never built';

-- Name: COLUMN tenant_components.sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenant_components.sha256 IS 'Its content';

-- Name: COLUMN tenant_components.built_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenant_components.built_at IS 'When its content was last computed';

-- Name: COLUMN tenant_components.refresh_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenant_components.refresh_at IS 'From when on it is stale';

-- Name: COLUMN tenant_components.building_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenant_components.building_by IS 'Who builds it, until building_until at the latest';

-- Name: COLUMN tenant_components.building_until; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.tenant_components.building_until IS 'When the builder''s claim ends by itself';

-- Name: components; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.components AS
 SELECT t.slug AS tenant,
    c.name,
    c.version,
    k.byte_size AS bytes,
    (now() - c.built_at) AS age,
    (c.refresh_at <= now()) AS stale,
    COALESCE((c.building_until > now()), false) AS being_built
   FROM ((public.tenant_components c
     JOIN public.tenants t ON ((t.id = c.tenant_id)))
     LEFT JOIN public.component_contents k ON (((k.tenant_id = c.tenant_id) AND (k.sha256 = c.sha256))))
  ORDER BY k.byte_size DESC NULLS LAST, t.slug, c.name;

ALTER VIEW ops.components OWNER TO secondbrain_operator;

-- Name: VIEW components; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.components IS 'What was computed for whom, its size and age; the largest first';

-- Name: config_versions; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.config_versions (
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    settings jsonb,
    revision bigint NOT NULL,
    note text,
    published_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_config_versions_settings_are_an_object CHECK ((jsonb_typeof(settings) = 'object'::text)),
    CONSTRAINT ck_config_versions_version_is_counted CHECK ((version > 0))
);

ALTER TABLE ONLY public.config_versions FORCE ROW LEVEL SECURITY;

ALTER TABLE public.config_versions OWNER TO secondbrain_owner;

-- Name: TABLE config_versions; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.config_versions IS 'A tenant''s own settings by name, append-only; the newest version of a name counts';

-- Name: COLUMN config_versions.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.config_versions.tenant_id IS 'Whose row this is';

-- Name: COLUMN config_versions.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.config_versions.name IS 'What is configured, such as parser';

-- Name: COLUMN config_versions.version; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.config_versions.version IS '1, 2, 3 … for each name';

-- Name: COLUMN config_versions.settings; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.config_versions.settings IS 'All settings of this version; none: the installation''s count again';

-- Name: COLUMN config_versions.revision; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.config_versions.revision IS 'Its place among all changes of configs, in the order of commits';

-- Name: COLUMN config_versions.note; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.config_versions.note IS 'How it came about, if it was not simply published';

-- Name: COLUMN config_versions.published_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.config_versions.published_by IS 'Who published it';

-- Name: COLUMN config_versions.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.config_versions.created_at IS 'When the row was written';

-- Name: installation_config_versions; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.installation_config_versions (
    name text NOT NULL,
    version integer NOT NULL,
    settings jsonb NOT NULL,
    revision bigint NOT NULL,
    note text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_installation_config_versions_settings_are_an_object CHECK ((jsonb_typeof(settings) = 'object'::text)),
    CONSTRAINT ck_installation_config_versions_version_is_counted CHECK ((version > 0))
);

ALTER TABLE public.installation_config_versions OWNER TO secondbrain_owner;

-- Name: TABLE installation_config_versions; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.installation_config_versions IS 'Settings by name for all tenants without their own, append-only; the newest counts';

-- Name: COLUMN installation_config_versions.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.installation_config_versions.name IS 'What is configured, such as parser';

-- Name: COLUMN installation_config_versions.version; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.installation_config_versions.version IS '1, 2, 3 … for each name';

-- Name: COLUMN installation_config_versions.settings; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.installation_config_versions.settings IS 'All settings of this version';

-- Name: COLUMN installation_config_versions.revision; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.installation_config_versions.revision IS 'Its place among all changes of configs, in the order of commits';

-- Name: COLUMN installation_config_versions.note; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.installation_config_versions.note IS 'How it came about, if it was not simply published';

-- Name: COLUMN installation_config_versions.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.installation_config_versions.created_at IS 'When the row was written';

-- Name: config_versions; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.config_versions AS
 SELECT COALESCE(t.slug, '(installation)'::text) AS tenant,
    v.name,
    v.version,
    v.note,
    v.created_at,
    v.revision,
    (row_number() OVER (PARTITION BY v.tenant_id, v.name ORDER BY v.version DESC) = 1) AS is_newest
   FROM (( SELECT config_versions.tenant_id,
            config_versions.name,
            config_versions.version,
            config_versions.note,
            config_versions.created_at,
            config_versions.revision
           FROM public.config_versions
        UNION ALL
         SELECT NULL::uuid AS tenant_id,
            installation_config_versions.name,
            installation_config_versions.version,
            installation_config_versions.note,
            installation_config_versions.created_at,
            installation_config_versions.revision
           FROM public.installation_config_versions) v
     LEFT JOIN public.tenants t ON ((t.id = v.tenant_id)))
  ORDER BY v.revision DESC;

ALTER VIEW ops.config_versions OWNER TO secondbrain_operator;

-- Name: VIEW config_versions; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.config_versions IS 'What was configured when, for whom; the newest first';

-- Name: connectors; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.connectors (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    status_reason text,
    account_id text,
    account_label text,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    connected_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    connected_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_connectors_status_is_known CHECK ((status = ANY (ARRAY['connected'::text, 'needs_reconnect'::text, 'disconnected'::text])))
);

ALTER TABLE ONLY public.connectors FORCE ROW LEVEL SECURITY;

ALTER TABLE public.connectors OWNER TO secondbrain_owner;

-- Name: TABLE connectors; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.connectors IS 'A tenant''s connection to one source; at most one per type';

-- Name: COLUMN connectors.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.tenant_id IS 'Whose row this is';

-- Name: COLUMN connectors.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.id IS 'Identity, ordered by creation';

-- Name: COLUMN connectors.type; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.type IS 'github, gmail, slack, …';

-- Name: COLUMN connectors.status; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.status IS 'connected, needs_reconnect or disconnected; a sync''s state is not here';

-- Name: COLUMN connectors.status_reason; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.status_reason IS 'Why it needs to be reconnected, for a person';

-- Name: COLUMN connectors.account_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.account_id IS 'The connected account''s id at the provider';

-- Name: COLUMN connectors.account_label; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.account_label IS 'The connected account''s name at the provider';

-- Name: COLUMN connectors.settings; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.settings IS 'What to sync, such as repositories; never a secret';

-- Name: COLUMN connectors.connected_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.connected_by IS 'Who connected it';

-- Name: COLUMN connectors.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.created_at IS 'When the row was written';

-- Name: COLUMN connectors.connected_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.connected_at IS 'When credentials were last obtained';

-- Name: COLUMN connectors.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.connectors.updated_at IS 'When the row last changed';

-- Name: credentials; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.credentials (
    tenant_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    sealed bytea NOT NULL,
    expires_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version bigint DEFAULT '1'::bigint NOT NULL,
    renewer uuid,
    renewing_until timestamp with time zone
);

ALTER TABLE ONLY public.credentials FORCE ROW LEVEL SECURITY;

ALTER TABLE public.credentials OWNER TO secondbrain_owner;

-- Name: TABLE credentials; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.credentials IS 'OAuth credentials, sealed with AES-256-GCM for exactly this tenant and connector';

-- Name: COLUMN credentials.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.credentials.tenant_id IS 'Whose row this is';

-- Name: COLUMN credentials.connector_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.credentials.connector_id IS 'Whose credentials these are';

-- Name: COLUMN credentials.sealed; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.credentials.sealed IS 'Ciphertext with its key id; opens only for this row';

-- Name: COLUMN credentials.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.credentials.expires_at IS 'When the access token expires, if it does';

-- Name: COLUMN credentials.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.credentials.updated_at IS 'When they were last obtained or refreshed';

-- Name: COLUMN credentials.version; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.credentials.version IS 'Raised whenever they are replaced; tells whether a refusal is news';

-- Name: COLUMN credentials.renewer; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.credentials.renewer IS 'Who is renewing them; only its answer is stored';

-- Name: COLUMN credentials.renewing_until; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.credentials.renewing_until IS 'Until when it may take to renew them; then somebody else may';

-- Name: schedules; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.schedules (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    args jsonb DEFAULT '{}'::jsonb NOT NULL,
    priority smallint DEFAULT '0'::smallint NOT NULL,
    every interval NOT NULL,
    jitter double precision DEFAULT '0.1'::double precision NOT NULL,
    next_run_at timestamp with time zone NOT NULL,
    paused_at timestamp with time zone,
    last_run_at timestamp with time zone,
    last_job_id uuid,
    skipped_because text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_schedules_every_is_a_second_at_least CHECK ((every >= '00:00:01'::interval)),
    CONSTRAINT ck_schedules_jitter_is_a_share CHECK (((jitter >= (0)::double precision) AND (jitter <= (1)::double precision))),
    CONSTRAINT ck_schedules_reason_for_skipping_is_known CHECK ((skipped_because = ANY (ARRAY['unfinished'::text, 'deactivated'::text])))
)
WITH (fillfactor='85');

ALTER TABLE ONLY public.schedules FORCE ROW LEVEL SECURITY;

ALTER TABLE public.schedules OWNER TO secondbrain_owner;

-- Name: TABLE schedules; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.schedules IS 'What becomes a job again and again; whichever worker finds a turn due enqueues it, once';

-- Name: COLUMN schedules.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.tenant_id IS 'Whose row this is';

-- Name: COLUMN schedules.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.id IS 'Identity, ordered by creation';

-- Name: COLUMN schedules.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.name IS 'What it is called in its tenant, such as sync:github';

-- Name: COLUMN schedules.kind; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.kind IS 'Of the jobs it enqueues';

-- Name: COLUMN schedules.args; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.args IS 'Of the jobs it enqueues';

-- Name: COLUMN schedules.priority; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.priority IS 'Of the jobs it enqueues; higher goes first within a tenant';

-- Name: COLUMN schedules.every; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.every IS 'From one turn to the next, at least';

-- Name: COLUMN schedules.jitter; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.jitter IS 'Up to this share of `every` is added to each turn, by chance';

-- Name: COLUMN schedules.next_run_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.next_run_at IS 'When its next turn is due, by the database''s clock';

-- Name: COLUMN schedules.paused_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.paused_at IS 'Since when it has no turns';

-- Name: COLUMN schedules.last_run_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.last_run_at IS 'When a turn last enqueued a job';

-- Name: COLUMN schedules.last_job_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.last_job_id IS 'That job; it may be purged by now';

-- Name: COLUMN schedules.skipped_because; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.skipped_because IS 'Why the last turn enqueued nothing: its job before was unfinished, or the tenant deactivated';

-- Name: COLUMN schedules.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.created_at IS 'When the row was written';

-- Name: COLUMN schedules.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.schedules.updated_at IS 'When somebody last changed it';

-- Name: sync_items; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.sync_items (
    tenant_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    external_id text NOT NULL,
    revision text,
    state text NOT NULL,
    run_id uuid NOT NULL,
    pass_number bigint NOT NULL,
    missed_count integer DEFAULT 0 NOT NULL,
    title text,
    url text,
    locator jsonb,
    stage text,
    reason text,
    attempt integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_sync_items_failed_has_a_reason CHECK (((state = 'failed'::text) = (reason IS NOT NULL))),
    CONSTRAINT ck_sync_items_state_is_known CHECK ((state = ANY (ARRAY['stored'::text, 'failed'::text])))
)
WITH (fillfactor='85', autovacuum_vacuum_scale_factor='0.02');

ALTER TABLE ONLY public.sync_items FORCE ROW LEVEL SECURITY;

ALTER TABLE public.sync_items OWNER TO secondbrain_owner;

-- Name: TABLE sync_items; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.sync_items IS 'What a source has shown of each item: unchanged ones are not read again, failed ones are';

-- Name: COLUMN sync_items.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.tenant_id IS 'Whose row this is';

-- Name: COLUMN sync_items.connector_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.connector_id IS 'Whose item it is';

-- Name: COLUMN sync_items.external_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.external_id IS 'Its id at the provider';

-- Name: COLUMN sync_items.revision; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.revision IS 'The provider''s word for the version that was dealt with; none: it must be read to know';

-- Name: COLUMN sync_items.state; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.state IS 'stored (with its chunks and vectors) or failed';

-- Name: COLUMN sync_items.run_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.run_id IS 'The run that last counted it; a run counts an item once';

-- Name: COLUMN sync_items.pass_number; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.pass_number IS 'The last pass over everything that saw it';

-- Name: COLUMN sync_items.missed_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.missed_count IS 'Passes over everything, in a row, that did not see it; after two it is deleted';

-- Name: COLUMN sync_items.title; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.title IS 'Of a failed one: what people call it';

-- Name: COLUMN sync_items.url; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.url IS 'Of a failed one: where a person finds it';

-- Name: COLUMN sync_items.locator; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.locator IS 'Of a failed one: how the provider finds it';

-- Name: COLUMN sync_items.stage; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.stage IS 'Of a failed one: fetch, parse, embed or store';

-- Name: COLUMN sync_items.reason; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.reason IS 'Of a failed one: why, for a person';

-- Name: COLUMN sync_items.attempt; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.attempt IS 'Failed tries in a row';

-- Name: COLUMN sync_items.retry_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.retry_at IS 'When it is tried again at the earliest; none: only when it changes or everything is read anew';

-- Name: COLUMN sync_items.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_items.updated_at IS 'When it was last dealt with';

-- Name: sync_runs; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.sync_runs (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    connector_id uuid NOT NULL,
    connector_type text NOT NULL,
    job_id uuid,
    requested_by uuid,
    state text DEFAULT 'queued'::text NOT NULL,
    stage text DEFAULT 'connecting'::text NOT NULL,
    seq bigint DEFAULT '1'::bigint NOT NULL,
    note text,
    total_count integer,
    found_count integer DEFAULT 0 NOT NULL,
    processed_count integer DEFAULT 0 NOT NULL,
    stored_count integer DEFAULT 0 NOT NULL,
    unchanged_count integer DEFAULT 0 NOT NULL,
    failed_count integer DEFAULT 0 NOT NULL,
    chunk_count integer DEFAULT 0 NOT NULL,
    cursor jsonb,
    error text,
    resume_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    trigger text DEFAULT 'user'::text NOT NULL,
    is_full boolean DEFAULT false NOT NULL,
    deleted_count integer DEFAULT 0 NOT NULL,
    CONSTRAINT ck_sync_runs_failed_has_a_reason CHECK (((state <> ALL (ARRAY['failed'::text, 'interrupted'::text])) OR (error IS NOT NULL))),
    CONSTRAINT ck_sync_runs_finished_has_a_time CHECK (((state = ANY (ARRAY['queued'::text, 'running'::text, 'waiting'::text])) = (finished_at IS NULL))),
    CONSTRAINT ck_sync_runs_stage_is_known CHECK ((stage = ANY (ARRAY['connecting'::text, 'fetching'::text, 'indexing'::text, 'done'::text]))),
    CONSTRAINT ck_sync_runs_state_is_known CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'waiting'::text, 'completed'::text, 'completed_with_errors'::text, 'interrupted'::text, 'failed'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY public.sync_runs FORCE ROW LEVEL SECURITY;

ALTER TABLE public.sync_runs OWNER TO secondbrain_owner;

-- Name: TABLE sync_runs; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.sync_runs IS 'Sync runs: how far each is, and how it ended';

-- Name: COLUMN sync_runs.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.tenant_id IS 'Whose row this is';

-- Name: COLUMN sync_runs.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.id IS 'Identity, ordered by creation';

-- Name: COLUMN sync_runs.connector_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.connector_id IS 'What is being synced';

-- Name: COLUMN sync_runs.connector_type; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.connector_type IS 'github, gmail, slack, …';

-- Name: COLUMN sync_runs.job_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.job_id IS 'The job that carries it out';

-- Name: COLUMN sync_runs.requested_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.requested_by IS 'The user who asked for it; none for a schedule';

-- Name: COLUMN sync_runs.state; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.state IS 'queued, running, waiting, or how it ended';

-- Name: COLUMN sync_runs.stage; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.stage IS 'connecting, fetching, indexing or done';

-- Name: COLUMN sync_runs.seq; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.seq IS 'Raised by every change; the event id of streams';

-- Name: COLUMN sync_runs.note; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.note IS 'What it is busy with, for a person';

-- Name: COLUMN sync_runs.total_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.total_count IS 'Items in the whole run when the provider says so';

-- Name: COLUMN sync_runs.found_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.found_count IS 'Items the provider has handed over';

-- Name: COLUMN sync_runs.processed_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.processed_count IS 'Items dealt with: stored, unchanged or failed';

-- Name: COLUMN sync_runs.stored_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.stored_count IS 'Items stored with chunks and vectors';

-- Name: COLUMN sync_runs.unchanged_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.unchanged_count IS 'Items that were there already, the same';

-- Name: COLUMN sync_runs.failed_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.failed_count IS 'Items with a row in sync_errors';

-- Name: COLUMN sync_runs.chunk_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.chunk_count IS 'Chunks written';

-- Name: COLUMN sync_runs.cursor; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.cursor IS 'Where it began: its connector''s place when a worker first took it';

-- Name: COLUMN sync_runs.error; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.error IS 'Why it failed, for a person';

-- Name: COLUMN sync_runs.resume_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.resume_at IS 'While waiting: when it goes on';

-- Name: COLUMN sync_runs.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.created_at IS 'When the row was written';

-- Name: COLUMN sync_runs.started_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.started_at IS 'When a worker first took it';

-- Name: COLUMN sync_runs.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.updated_at IS 'When it last changed';

-- Name: COLUMN sync_runs.finished_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.finished_at IS 'When it ended, in whichever way';

-- Name: COLUMN sync_runs.trigger; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.trigger IS 'What started it: user, schedule, webhook or command line';

-- Name: COLUMN sync_runs.is_full; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.is_full IS 'Whether it goes over everything there is, not only what has changed';

-- Name: COLUMN sync_runs.deleted_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_runs.deleted_count IS 'Documents removed because the source no longer has them';

-- Name: connectors; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.connectors AS
 SELECT t.slug AS tenant,
    c.type,
    c.status,
    c.status_reason,
    c.account_label AS account,
    c.connected_at,
    k.expires_at AS credentials_expire_at,
    r.state AS last_sync,
    COALESCE(r.finished_at, r.created_at) AS last_sync_at,
    r.error AS last_error,
        CASE
            WHEN ((c.status <> 'connected'::text) OR (s.paused_at IS NOT NULL)) THEN NULL::timestamp with time zone
            ELSE s.next_run_at
        END AS next_sync_at,
    s.every,
    (s.paused_at IS NOT NULL) AS is_paused,
    ( SELECT count(*) AS count
           FROM public.sync_items i
          WHERE ((i.tenant_id = c.tenant_id) AND (i.connector_id = c.id) AND (i.state = 'failed'::text))) AS failing,
    c.id
   FROM ((((public.connectors c
     JOIN public.tenants t ON ((t.id = c.tenant_id)))
     LEFT JOIN public.credentials k ON (((k.tenant_id = c.tenant_id) AND (k.connector_id = c.id))))
     LEFT JOIN public.schedules s ON (((s.tenant_id = c.tenant_id) AND (s.name = ('sync:'::text || c.type)))))
     LEFT JOIN LATERAL ( SELECT n.state,
            n.created_at,
            n.finished_at,
            n.error
           FROM public.sync_runs n
          WHERE ((n.tenant_id = c.tenant_id) AND (n.connector_id = c.id))
          ORDER BY n.created_at DESC, n.id DESC
         LIMIT 1) r ON (true))
  ORDER BY t.slug, c.type;

ALTER VIEW ops.connectors OWNER TO secondbrain_operator;

-- Name: VIEW connectors; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.connectors IS 'What is connected, what needs to be reconnected, when it was and will be synced, how many items fail';

-- Name: documents; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.documents (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    connector_id uuid,
    external_id text NOT NULL,
    source_type text NOT NULL,
    kind text NOT NULL,
    title text NOT NULL,
    file_name text NOT NULL,
    mime_type text NOT NULL,
    url text,
    author text,
    content text NOT NULL,
    content_sha256 bytea NOT NULL,
    byte_size integer NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    classification text DEFAULT 'work'::text NOT NULL,
    source_created_at timestamp with time zone,
    source_updated_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    status text DEFAULT 'classified'::text NOT NULL,
    classification_confidence double precision,
    classification_reason text,
    reviewed_by uuid,
    reviewed_at timestamp with time zone,
    review_note text,
    deleted_by uuid,
    cut_as text,
    page_bounds integer[],
    is_judged boolean DEFAULT false NOT NULL,
    CONSTRAINT ck_documents_classification_is_known CHECK ((classification = ANY (ARRAY['work'::text, 'personal'::text, 'spam'::text, 'unknown'::text]))),
    CONSTRAINT ck_documents_confidence_is_a_share CHECK (((classification_confidence >= (0)::double precision) AND (classification_confidence <= (1)::double precision))),
    CONSTRAINT ck_documents_content_is_hashed CHECK ((length(content_sha256) = 32)),
    CONSTRAINT ck_documents_content_is_not_empty CHECK ((content <> ''::text)),
    CONSTRAINT ck_documents_status_is_known CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'classified'::text, 'confirmed'::text, 'rejected'::text, 'archived'::text])))
);

ALTER TABLE ONLY public.documents FORCE ROW LEVEL SECURITY;

ALTER TABLE public.documents OWNER TO secondbrain_owner;

-- Name: TABLE documents; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.documents IS 'Everything known, as text with its origin; what search finds are its chunks';

-- Name: COLUMN documents.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.tenant_id IS 'Whose row this is';

-- Name: COLUMN documents.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.id IS 'Identity, ordered by creation';

-- Name: COLUMN documents.connector_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.connector_id IS 'Where it came from; none for imports';

-- Name: COLUMN documents.external_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.external_id IS 'Its id at the source, such as a path';

-- Name: COLUMN documents.source_type; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.source_type IS 'github, file, email, …, as clients group it';

-- Name: COLUMN documents.kind; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.kind IS 'readme, doc, code, issue, pull_request, file, …';

-- Name: COLUMN documents.title; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.title IS 'What people call it';

-- Name: COLUMN documents.file_name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.file_name IS 'Name with the ending that says its format';

-- Name: COLUMN documents.mime_type; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.mime_type IS 'Format found by the parser';

-- Name: COLUMN documents.url; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.url IS 'Where a person opens the original';

-- Name: COLUMN documents.author; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.author IS 'Who wrote it, as the source says';

-- Name: COLUMN documents.content; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.content IS 'The whole text; Markdown where the format has structure';

-- Name: COLUMN documents.content_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.content_sha256 IS 'SHA-256 of what the source sent; the same means nothing to do';

-- Name: COLUMN documents.byte_size; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.byte_size IS 'Bytes the source sent';

-- Name: COLUMN documents.metadata; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.metadata IS 'Labels, path, repository, state and the like';

-- Name: COLUMN documents.classification; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.classification IS 'work, personal, spam or unknown';

-- Name: COLUMN documents.source_created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.source_created_at IS 'When it was written at the source';

-- Name: COLUMN documents.source_updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.source_updated_at IS 'When it last changed at the source';

-- Name: COLUMN documents.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.created_at IS 'When the row was written';

-- Name: COLUMN documents.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.updated_at IS 'When its content was last replaced';

-- Name: COLUMN documents.deleted_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.deleted_at IS 'When it was deleted here; its chunks are gone, a sync will not bring it back';

-- Name: COLUMN documents.status; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.status IS 'classified (by rules or a model), confirmed or rejected (by a person), …; rejected ones are out of search';

-- Name: COLUMN documents.classification_confidence; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.classification_confidence IS 'How sure the classification is, 0 to 1; none if nothing has looked at it';

-- Name: COLUMN documents.classification_reason; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.classification_reason IS 'Why it was classified so, for a person';

-- Name: COLUMN documents.reviewed_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.reviewed_by IS 'Who confirmed or rejected it last';

-- Name: COLUMN documents.reviewed_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.reviewed_at IS 'When that was';

-- Name: COLUMN documents.review_note; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.review_note IS 'What they wrote about it';

-- Name: COLUMN documents.deleted_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.deleted_by IS 'Who deleted it here';

-- Name: COLUMN documents.cut_as; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.cut_as IS 'How its passages were cut and indexed: characters/overlap/edition, and of how many characters its beginning was kept if it was too long; none before that was kept';

-- Name: COLUMN documents.page_bounds; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.page_bounds IS 'Offsets in content at which each page or slide begins, and at which the last one ends; none without pages';

-- Name: COLUMN documents.is_judged; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.documents.is_judged IS 'Whether a language model was asked to classify it as it is now';

-- Name: document_cuts; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.document_cuts AS
 SELECT t.slug AS tenant,
    d.cut_as,
    count(*) AS documents
   FROM (public.documents d
     JOIN public.tenants t ON ((t.id = d.tenant_id)))
  WHERE (d.deleted_at IS NULL)
  GROUP BY t.slug, d.cut_as
  ORDER BY t.slug, (count(*)) DESC;

ALTER VIEW ops.document_cuts OWNER TO secondbrain_operator;

-- Name: VIEW document_cuts; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.document_cuts IS 'How many documents were cut by which settings; POST /api/admin/parser/apply cuts them anew';

-- Name: documents; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.documents AS
 SELECT t.slug AS tenant,
    d.source_type,
    d.status,
    d.classification,
    count(*) AS documents,
    sum(d.byte_size) AS bytes,
    bool_and(((d.status <> 'rejected'::text) AND (d.classification = ANY (ARRAY['work'::text, 'unknown'::text])))) AS is_searched
   FROM (public.documents d
     JOIN public.tenants t ON ((t.id = d.tenant_id)))
  WHERE (d.deleted_at IS NULL)
  GROUP BY t.slug, d.source_type, d.status, d.classification
  ORDER BY t.slug, (count(*)) DESC;

ALTER VIEW ops.documents OWNER TO secondbrain_operator;

-- Name: VIEW documents; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.documents IS 'Documents by source, status and classification, and whether search looks at them';

-- Name: embedding_cache; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.embedding_cache (
    tenant_id uuid NOT NULL,
    model text NOT NULL,
    text_sha256 bytea NOT NULL,
    embedding public.halfvec,
    claimed_by uuid,
    byte_size integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_embedding_cache_claimed_until_it_is_there CHECK (((embedding IS NULL) = (claimed_by IS NOT NULL))),
    CONSTRAINT ck_embedding_cache_embedding_is_not_zero CHECK (((embedding IS NULL) OR (public.l2_norm(embedding) > (0)::double precision))),
    CONSTRAINT ck_embedding_cache_size_is_counted CHECK ((byte_size >= 0)),
    CONSTRAINT ck_embedding_cache_text_is_hashed CHECK ((length(text_sha256) = 32))
)
WITH (autovacuum_vacuum_scale_factor='0.02');

ALTER TABLE ONLY public.embedding_cache FORCE ROW LEVEL SECURITY;

ALTER TABLE public.embedding_cache OWNER TO secondbrain_owner;

-- Name: TABLE embedding_cache; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.embedding_cache IS 'Vectors that cost something to compute, for a day; what is gone is computed again';

-- Name: COLUMN embedding_cache.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.embedding_cache.tenant_id IS 'Whose row this is';

-- Name: COLUMN embedding_cache.model; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.embedding_cache.model IS 'Which model made it, and its dimensions: text-embedding-3-small/1536';

-- Name: COLUMN embedding_cache.text_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.embedding_cache.text_sha256 IS 'SHA-256 of the normalised text; the text itself is not kept';

-- Name: COLUMN embedding_cache.embedding; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.embedding_cache.embedding IS 'The unit vector, as exact as passages keep theirs; empty while somebody computes it';

-- Name: COLUMN embedding_cache.claimed_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.embedding_cache.claimed_by IS 'Who computes it, until expires_at at the latest';

-- Name: COLUMN embedding_cache.byte_size; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.embedding_cache.byte_size IS 'Bytes it counts for against the tenant''s limit';

-- Name: COLUMN embedding_cache.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.embedding_cache.created_at IS 'When the row was written';

-- Name: COLUMN embedding_cache.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.embedding_cache.expires_at IS 'When it (or the claim) stops counting, by the database''s clock';

-- Name: embedding_cache; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.embedding_cache AS
 SELECT t.slug AS tenant,
    c.model,
    count(*) FILTER (WHERE ((c.byte_size > 0) AND (c.expires_at > now()))) AS vectors,
    COALESCE(sum(c.byte_size), (0)::bigint) AS bytes,
    count(*) FILTER (WHERE ((c.byte_size = 0) AND (c.expires_at > now()))) AS being_computed,
    count(*) FILTER (WHERE (c.expires_at <= now())) AS expired,
    (now() - max(c.created_at)) AS newest,
    (now() - min(c.created_at)) AS oldest
   FROM (public.embedding_cache c
     JOIN public.tenants t ON ((t.id = c.tenant_id)))
  GROUP BY t.slug, c.model
  ORDER BY COALESCE(sum(c.byte_size), (0)::bigint) DESC;

ALTER VIEW ops.embedding_cache OWNER TO secondbrain_operator;

-- Name: VIEW embedding_cache; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.embedding_cache IS 'Vectors kept for whom, and their bytes; hits are counted by /metrics';

-- Name: idempotency_keys; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.idempotency_keys (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    key_sha256 bytea NOT NULL,
    fingerprint_sha256 bytea NOT NULL,
    request text NOT NULL,
    lease bigint NOT NULL,
    leased_until timestamp with time zone NOT NULL,
    status_code smallint,
    sealed_answer bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    answered_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_idempotency_keys_answer_has_a_status CHECK (((sealed_answer IS NULL) OR (status_code IS NOT NULL))),
    CONSTRAINT ck_idempotency_keys_answered_has_a_time CHECK (((status_code IS NULL) = (answered_at IS NULL))),
    CONSTRAINT ck_idempotency_keys_key_is_hashed CHECK ((length(key_sha256) = 32)),
    CONSTRAINT ck_idempotency_keys_request_is_hashed CHECK ((length(fingerprint_sha256) = 32))
)
WITH (fillfactor='85', autovacuum_vacuum_scale_factor='0.02');

ALTER TABLE ONLY public.idempotency_keys FORCE ROW LEVEL SECURITY;

ALTER TABLE public.idempotency_keys OWNER TO secondbrain_owner;

-- Name: TABLE idempotency_keys; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.idempotency_keys IS 'Requests that must happen once, with the answer a repeat is given';

-- Name: COLUMN idempotency_keys.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.tenant_id IS 'Whose row this is';

-- Name: COLUMN idempotency_keys.user_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.user_id IS 'Who asked';

-- Name: COLUMN idempotency_keys.key_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.key_sha256 IS 'SHA-256 of the Idempotency-Key header';

-- Name: COLUMN idempotency_keys.fingerprint_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.fingerprint_sha256 IS 'SHA-256 of method, path, query and body: another request may not use the key';

-- Name: COLUMN idempotency_keys.request; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.request IS 'Method and route, for a person';

-- Name: COLUMN idempotency_keys.lease; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.lease IS 'Raised by whoever takes over; fences off whoever held it before';

-- Name: COLUMN idempotency_keys.leased_until; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.leased_until IS 'Until when nobody else may take over while it runs';

-- Name: COLUMN idempotency_keys.status_code; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.status_code IS 'Of the answer; none while it runs';

-- Name: COLUMN idempotency_keys.sealed_answer; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.sealed_answer IS 'Headers and body, encrypted for this row; none if they were too large to keep';

-- Name: COLUMN idempotency_keys.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.created_at IS 'When the row was written';

-- Name: COLUMN idempotency_keys.answered_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.answered_at IS 'When the answer was stored';

-- Name: COLUMN idempotency_keys.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.idempotency_keys.expires_at IS 'Until when the key stands for this request';

-- Name: idempotency_keys; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.idempotency_keys AS
 SELECT t.slug AS tenant,
    u.email,
    k.request,
        CASE
            WHEN (k.expires_at <= now()) THEN 'expired'::text
            WHEN (k.status_code IS NOT NULL) THEN 'answered'::text
            WHEN (k.leased_until <= now()) THEN 'stalled'::text
            ELSE 'running'::text
        END AS state,
    k.status_code AS status,
    k.lease AS attempt,
    k.created_at,
    k.answered_at,
    k.leased_until,
    k.expires_at
   FROM ((public.idempotency_keys k
     JOIN public.tenants t ON ((t.id = k.tenant_id)))
     JOIN public.users u ON (((u.tenant_id = k.tenant_id) AND (u.id = k.user_id))))
  ORDER BY k.created_at DESC;

ALTER VIEW ops.idempotency_keys OWNER TO secondbrain_operator;

-- Name: VIEW idempotency_keys; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.idempotency_keys IS 'Requests that must happen once: running, stalled, answered, expired';

-- Name: instances; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.instances AS
 SELECT name,
    kind,
    version,
        CASE
            WHEN (stopped_at IS NOT NULL) THEN 'stopped'::text
            WHEN (heartbeat_at < (now() - '00:00:20'::interval)) THEN 'silent'::text
            ELSE 'alive'::text
        END AS state,
    (now() - heartbeat_at) AS silent_for,
    host,
    pid,
    config_revision,
    (( SELECT count(*) AS count
           FROM public.config_versions v
          WHERE (v.revision > COALESCE(i.config_revision, (0)::bigint))) + ( SELECT count(*) AS count
           FROM public.installation_config_versions v
          WHERE (v.revision > COALESCE(i.config_revision, (0)::bigint)))) AS changes_behind,
    ( SELECT jsonb_object_agg(g.name, g.version) AS jsonb_object_agg
           FROM ( SELECT installation_config_versions.name,
                    max(installation_config_versions.version) AS version
                   FROM public.installation_config_versions
                  WHERE (installation_config_versions.revision <= i.config_revision)
                  GROUP BY installation_config_versions.name) g) AS installation_configs,
    started_at,
    id
   FROM public.instances i
  ORDER BY (stopped_at IS NOT NULL), name, started_at DESC;

ALTER VIEW ops.instances OWNER TO secondbrain_operator;

-- Name: VIEW instances; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.instances IS 'Processes: which live, which version they are, whether they follow the configs';

-- Name: entity_aliases; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE UNLOGGED TABLE public.entity_aliases (
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    alias text NOT NULL COLLATE pg_catalog."C",
    entity_ids uuid[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_entity_aliases_kind_is_a_word CHECK ((kind ~ '^[a-z][a-z_]*$'::text))
);

ALTER TABLE ONLY public.entity_aliases FORCE ROW LEVEL SECURITY;

ALTER TABLE public.entity_aliases OWNER TO secondbrain_owner;

-- Name: TABLE entity_aliases; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.entity_aliases IS 'Names resolved lately and to what; a cache, emptied by a crash of the server';

-- Name: COLUMN entity_aliases.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.entity_aliases.tenant_id IS 'Whose row this is';

-- Name: COLUMN entity_aliases.kind; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.entity_aliases.kind IS 'Of what kind the name was looked up';

-- Name: COLUMN entity_aliases.alias; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.entity_aliases.alias IS 'The name: NFKC, case and white space folded';

-- Name: COLUMN entity_aliases.entity_ids; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.entity_aliases.entity_ids IS 'Everything it may stand for; none: nobody known, several: ambiguous';

-- Name: COLUMN entity_aliases.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.entity_aliases.created_at IS 'When the row was written';

-- Name: COLUMN entity_aliases.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.entity_aliases.expires_at IS 'When it stops counting, by the database''s clock';

-- Name: graph_entities; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.graph_entities (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    kind text NOT NULL,
    provider text NOT NULL,
    external_key text NOT NULL,
    name text NOT NULL,
    name_key text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_graph_entities_has_a_key_and_a_name CHECK (((external_key <> ''::text) AND (name <> ''::text))),
    CONSTRAINT ck_graph_entities_kind_is_a_word CHECK ((kind ~ '^[a-z][a-z_]*$'::text))
)
WITH (fillfactor='85');

ALTER TABLE ONLY public.graph_entities FORCE ROW LEVEL SECURITY;

ALTER TABLE public.graph_entities OWNER TO secondbrain_owner;

-- Name: TABLE graph_entities; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.graph_entities IS 'What documents are about; identified by kind, provider and external key, never by name';

-- Name: COLUMN graph_entities.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_entities.tenant_id IS 'Whose row this is';

-- Name: COLUMN graph_entities.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_entities.id IS 'Identity, ordered by creation';

-- Name: COLUMN graph_entities.kind; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_entities.kind IS 'person, repository, document, label, …';

-- Name: COLUMN graph_entities.provider; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_entities.provider IS 'Who gave the external key, such as github';

-- Name: COLUMN graph_entities.external_key; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_entities.external_key IS 'Its identity there: a login, owner/name, an id';

-- Name: COLUMN graph_entities.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_entities.name IS 'What people call it now';

-- Name: COLUMN graph_entities.name_key; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_entities.name_key IS 'The name for comparing: NFKC, case and white space folded';

-- Name: COLUMN graph_entities.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_entities.created_at IS 'When the row was written';

-- Name: graph_evidence; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.graph_evidence (
    tenant_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    kind text NOT NULL,
    object_id uuid NOT NULL,
    document_id uuid NOT NULL,
    chunk_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.graph_evidence FORCE ROW LEVEL SECURITY;

ALTER TABLE public.graph_evidence OWNER TO secondbrain_owner;

-- Name: TABLE graph_evidence; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.graph_evidence IS 'Which documents say a relation; one that nothing says is deleted';

-- Name: COLUMN graph_evidence.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_evidence.tenant_id IS 'Whose row this is';

-- Name: COLUMN graph_evidence.subject_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_evidence.subject_id IS 'The relation''s subject';

-- Name: COLUMN graph_evidence.kind; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_evidence.kind IS 'The relation''s kind';

-- Name: COLUMN graph_evidence.object_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_evidence.object_id IS 'The relation''s object';

-- Name: COLUMN graph_evidence.document_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_evidence.document_id IS 'Which document says so';

-- Name: COLUMN graph_evidence.chunk_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_evidence.chunk_id IS 'In which passage, while that is there';

-- Name: COLUMN graph_evidence.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_evidence.created_at IS 'When the row was written';

-- Name: graph_mentions; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.graph_mentions (
    tenant_id uuid NOT NULL,
    entity_id uuid NOT NULL,
    document_id uuid NOT NULL,
    chunk_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.graph_mentions FORCE ROW LEVEL SECURITY;

ALTER TABLE public.graph_mentions OWNER TO secondbrain_owner;

-- Name: TABLE graph_mentions; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.graph_mentions IS 'Which documents name an entity; one that nothing names is deleted';

-- Name: COLUMN graph_mentions.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_mentions.tenant_id IS 'Whose row this is';

-- Name: COLUMN graph_mentions.entity_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_mentions.entity_id IS 'What is named';

-- Name: COLUMN graph_mentions.document_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_mentions.document_id IS 'Which document names it';

-- Name: COLUMN graph_mentions.chunk_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_mentions.chunk_id IS 'In which passage, while that is there';

-- Name: COLUMN graph_mentions.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_mentions.created_at IS 'When the row was written';

-- Name: graph_relations; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.graph_relations (
    tenant_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    kind text NOT NULL,
    object_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_graph_relations_kind_is_a_word CHECK ((kind ~ '^[a-z][a-z_]*$'::text))
);

ALTER TABLE ONLY public.graph_relations FORCE ROW LEVEL SECURITY;

ALTER TABLE public.graph_relations OWNER TO secondbrain_owner;

-- Name: TABLE graph_relations; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.graph_relations IS 'How entities are related: subject, kind, object';

-- Name: COLUMN graph_relations.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_relations.tenant_id IS 'Whose row this is';

-- Name: COLUMN graph_relations.subject_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_relations.subject_id IS 'Who or what';

-- Name: COLUMN graph_relations.kind; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_relations.kind IS 'authored, belongs_to, labelled, …';

-- Name: COLUMN graph_relations.object_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_relations.object_id IS 'To whom or what';

-- Name: COLUMN graph_relations.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.graph_relations.created_at IS 'When the row was written';

-- Name: knowledge; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.knowledge AS
 SELECT t.slug AS tenant,
    e.entities,
    e.people,
    e.repositories,
    e.documents,
    e.labels,
    ( SELECT count(*) AS count
           FROM public.graph_relations r
          WHERE (r.tenant_id = t.id)) AS relations,
    ( SELECT count(*) AS count
           FROM public.graph_mentions m
          WHERE (m.tenant_id = t.id)) AS mentions,
    ( SELECT count(*) AS count
           FROM public.graph_evidence v
          WHERE (v.tenant_id = t.id)) AS evidence,
    a.aliases,
    a.expired_aliases,
    t.id
   FROM ((public.tenants t
     CROSS JOIN LATERAL ( SELECT count(*) AS entities,
            count(*) FILTER (WHERE (g.kind = 'person'::text)) AS people,
            count(*) FILTER (WHERE (g.kind = 'repository'::text)) AS repositories,
            count(*) FILTER (WHERE (g.kind = 'document'::text)) AS documents,
            count(*) FILTER (WHERE (g.kind = 'label'::text)) AS labels
           FROM public.graph_entities g
          WHERE (g.tenant_id = t.id)) e)
     CROSS JOIN LATERAL ( SELECT count(*) FILTER (WHERE (n.expires_at > now())) AS aliases,
            count(*) FILTER (WHERE (n.expires_at <= now())) AS expired_aliases
           FROM public.entity_aliases n
          WHERE (n.tenant_id = t.id)) a)
  ORDER BY e.entities DESC;

ALTER VIEW ops.knowledge OWNER TO secondbrain_operator;

-- Name: VIEW knowledge; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.knowledge IS 'How large each tenant''s graph is; the largest first';

-- Name: oauth_nonces; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.oauth_nonces (
    tenant_id uuid NOT NULL,
    nonce_sha256 bytea NOT NULL,
    user_id uuid NOT NULL,
    connector_type text NOT NULL,
    browser_sha256 bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    begun_at timestamp with time zone,
    used_at timestamp with time zone,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_oauth_nonces_begun_by_a_browser CHECK (((browser_sha256 IS NULL) = (begun_at IS NULL))),
    CONSTRAINT ck_oauth_nonces_browser_is_hashed CHECK ((length(browser_sha256) = 32)),
    CONSTRAINT ck_oauth_nonces_nonce_is_hashed CHECK ((length(nonce_sha256) = 32)),
    CONSTRAINT ck_oauth_nonces_used_after_begun CHECK (((used_at IS NULL) OR (begun_at IS NOT NULL)))
);

ALTER TABLE ONLY public.oauth_nonces FORCE ROW LEVEL SECURITY;

ALTER TABLE public.oauth_nonces OWNER TO secondbrain_owner;

-- Name: TABLE oauth_nonces; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.oauth_nonces IS 'One-time OAuth nonces: issued, begun by one browser, used once or expired';

-- Name: COLUMN oauth_nonces.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.tenant_id IS 'Whose row this is';

-- Name: COLUMN oauth_nonces.nonce_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.nonce_sha256 IS 'SHA-256 of the nonce inside the state';

-- Name: COLUMN oauth_nonces.user_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.user_id IS 'Who is connecting';

-- Name: COLUMN oauth_nonces.connector_type; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.connector_type IS 'What is being connected, such as github';

-- Name: COLUMN oauth_nonces.browser_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.browser_sha256 IS 'SHA-256 of the binding cookie''s value';

-- Name: COLUMN oauth_nonces.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.created_at IS 'When the row was written';

-- Name: COLUMN oauth_nonces.begun_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.begun_at IS 'When a browser went on to the provider with it';

-- Name: COLUMN oauth_nonces.used_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.used_at IS 'When the callback consumed it; never twice';

-- Name: COLUMN oauth_nonces.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.oauth_nonces.expires_at IS 'When it stops counting, by the database''s clock';

-- Name: oauth_nonces; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.oauth_nonces AS
 SELECT t.slug AS tenant,
    n.connector_type AS connector,
        CASE
            WHEN (n.used_at IS NOT NULL) THEN 'used'::text
            WHEN (n.expires_at <= now()) THEN 'expired'::text
            WHEN (n.begun_at IS NOT NULL) THEN 'begun'::text
            ELSE 'issued'::text
        END AS state,
    n.created_at,
    n.begun_at,
    n.used_at,
    n.expires_at
   FROM (public.oauth_nonces n
     JOIN public.tenants t ON ((t.id = n.tenant_id)))
  ORDER BY n.created_at DESC;

ALTER VIEW ops.oauth_nonces OWNER TO secondbrain_operator;

-- Name: VIEW oauth_nonces; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.oauth_nonces IS 'Connection attempts: issued, begun, used, expired';

-- Name: jobs; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.jobs (
    id uuid DEFAULT uuidv7() NOT NULL,
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    args jsonb DEFAULT '{}'::jsonb NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    priority smallint DEFAULT '0'::smallint NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    max_attempts integer DEFAULT 10 NOT NULL,
    lease bigint DEFAULT '0'::bigint NOT NULL,
    worker_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_at timestamp with time zone,
    progressed_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    finished_at timestamp with time zone,
    last_error text,
    CONSTRAINT ck_jobs_attempts_are_counted CHECK (((attempt >= 0) AND (max_attempts > 0))),
    CONSTRAINT ck_jobs_finished_has_a_time CHECK (((state = ANY (ARRAY['succeeded'::text, 'dead'::text, 'cancelled'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT ck_jobs_running_has_a_worker CHECK (((state = 'running'::text) = (worker_id IS NOT NULL))),
    CONSTRAINT ck_jobs_state_is_known CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'dead'::text, 'cancelled'::text])))
)
WITH (fillfactor='85', autovacuum_vacuum_scale_factor='0.02');

ALTER TABLE ONLY public.jobs FORCE ROW LEVEL SECURITY;

ALTER TABLE public.jobs OWNER TO secondbrain_owner;

-- Name: TABLE jobs; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.jobs IS 'Work to be done, fenced by a lease number that only grows';

-- Name: COLUMN jobs.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.id IS 'Identity, ordered by creation';

-- Name: COLUMN jobs.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.tenant_id IS 'For whom the work is done';

-- Name: COLUMN jobs.kind; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.kind IS 'What to do, such as sync';

-- Name: COLUMN jobs.args; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.args IS 'Ids of what to do it with';

-- Name: COLUMN jobs.state; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.state IS 'queued, running, succeeded, dead or cancelled';

-- Name: COLUMN jobs.priority; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.priority IS 'Higher goes first within a tenant';

-- Name: COLUMN jobs.run_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.run_at IS 'Not before this time';

-- Name: COLUMN jobs.attempt; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.attempt IS 'Tries since progress was last made';

-- Name: COLUMN jobs.max_attempts; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.max_attempts IS 'Tries without progress before it is dead';

-- Name: COLUMN jobs.lease; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.lease IS 'Raised by every claim and release; fences off whoever held it before';

-- Name: COLUMN jobs.worker_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.worker_id IS 'Who holds it while running';

-- Name: COLUMN jobs.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.created_at IS 'When the row was written';

-- Name: COLUMN jobs.claimed_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.claimed_at IS 'When it was last claimed';

-- Name: COLUMN jobs.progressed_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.progressed_at IS 'When its worker last wrote something that counts';

-- Name: COLUMN jobs.cancel_requested_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.cancel_requested_at IS 'When somebody asked the running job to stop';

-- Name: COLUMN jobs.finished_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.finished_at IS 'When it ended, in whichever way';

-- Name: COLUMN jobs.last_error; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.jobs.last_error IS 'Why the last try failed';

-- Name: queue; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.queue AS
 SELECT t.slug AS tenant,
    j.kind,
    count(*) FILTER (WHERE ((j.state = 'queued'::text) AND (j.run_at <= now()))) AS ready,
    count(*) FILTER (WHERE ((j.state = 'queued'::text) AND (j.run_at > now()))) AS later,
    count(*) FILTER (WHERE (j.state = 'running'::text)) AS running,
    count(*) FILTER (WHERE (j.state = 'dead'::text)) AS dead,
    (now() - min(j.run_at) FILTER (WHERE ((j.state = 'queued'::text) AND (j.run_at <= now())))) AS oldest_waits
   FROM (public.jobs j
     JOIN public.tenants t ON ((t.id = j.tenant_id)))
  WHERE (j.state = ANY (ARRAY['queued'::text, 'running'::text, 'dead'::text]))
  GROUP BY t.slug, j.kind
  ORDER BY (count(*) FILTER (WHERE ((j.state = 'queued'::text) AND (j.run_at <= now())))) DESC, t.slug, j.kind;

ALTER VIEW ops.queue OWNER TO secondbrain_operator;

-- Name: VIEW queue; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.queue IS 'How much work waits for whom, and for how long';

-- Name: rate_limits; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE UNLOGGED TABLE public.rate_limits (
    rule text NOT NULL,
    subject text NOT NULL,
    full_at timestamp with time zone NOT NULL,
    refused_count bigint DEFAULT '0'::bigint NOT NULL,
    refused_at timestamp with time zone,
    CONSTRAINT ck_rate_limits_refusals_are_counted CHECK ((refused_count >= 0)),
    CONSTRAINT ck_rate_limits_refused_has_a_time CHECK (((refused_count = 0) = (refused_at IS NULL)))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02');

ALTER TABLE public.rate_limits OWNER TO secondbrain_owner;

-- Name: TABLE rate_limits; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.rate_limits IS 'Token buckets: how often somebody may still ask; emptied by a crash, which only forgives';

-- Name: COLUMN rate_limits.rule; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.rate_limits.rule IS 'Which limit, such as search or login';

-- Name: COLUMN rate_limits.subject; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.rate_limits.subject IS 'Whose bucket: a user id, a network address or the hash of an account''s name';

-- Name: COLUMN rate_limits.full_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.rate_limits.full_at IS 'When the bucket is full again; each token pushes it on';

-- Name: COLUMN rate_limits.refused_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.rate_limits.refused_count IS 'Requests that found it empty since the row was made';

-- Name: COLUMN rate_limits.refused_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.rate_limits.refused_at IS 'When a request last found it empty';

-- Name: rate_limits; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.rate_limits AS
 SELECT rule,
    subject,
    refused_count AS refused,
    refused_at,
    GREATEST((full_at - now()), '00:00:00'::interval) AS full_in
   FROM public.rate_limits b
  ORDER BY refused_at DESC NULLS LAST, full_at DESC;

ALTER VIEW ops.rate_limits OWNER TO secondbrain_operator;

-- Name: VIEW rate_limits; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.rate_limits IS 'Who asks often, and who was refused; the latest refusals first';

-- Name: schedules; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.schedules AS
 SELECT t.slug AS tenant,
    s.name,
    s.kind,
    s.every,
        CASE
            WHEN (s.paused_at IS NOT NULL) THEN 'paused'::text
            WHEN (t.deactivated_at IS NOT NULL) THEN 'deactivated'::text
            WHEN (s.next_run_at < (now() - '00:00:10'::interval)) THEN 'late'::text
            ELSE 'waiting'::text
        END AS state,
    s.next_run_at,
        CASE
            WHEN ((s.paused_at IS NULL) AND (s.next_run_at < now())) THEN (now() - s.next_run_at)
            ELSE NULL::interval
        END AS late_by,
    s.last_run_at,
    j.state AS last_job,
    s.skipped_because,
    s.paused_at,
    s.id
   FROM ((public.schedules s
     JOIN public.tenants t ON ((t.id = s.tenant_id)))
     LEFT JOIN public.jobs j ON ((j.id = s.last_job_id)))
  ORDER BY (s.paused_at IS NOT NULL), s.next_run_at;

ALTER VIEW ops.schedules OWNER TO secondbrain_operator;

-- Name: VIEW schedules; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.schedules IS 'What becomes a job again and again: when next, how late, what became of the last turn';

-- Name: feedback; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.feedback (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid,
    search_id uuid,
    rating text NOT NULL,
    query text NOT NULL,
    answer text NOT NULL,
    source_ids text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_feedback_rating_is_known CHECK ((rating = ANY (ARRAY['up'::text, 'down'::text])))
);

ALTER TABLE ONLY public.feedback FORCE ROW LEVEL SECURITY;

ALTER TABLE public.feedback OWNER TO secondbrain_owner;

-- Name: TABLE feedback; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.feedback IS 'What people think of answers';

-- Name: COLUMN feedback.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.tenant_id IS 'Whose row this is';

-- Name: COLUMN feedback.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.id IS 'Identity, ordered by creation';

-- Name: COLUMN feedback.user_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.user_id IS 'Who thinks so';

-- Name: COLUMN feedback.search_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.search_id IS 'Which search it is about, if that is known';

-- Name: COLUMN feedback.rating; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.rating IS 'up or down';

-- Name: COLUMN feedback.query; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.query IS 'The question, as the client remembers it';

-- Name: COLUMN feedback.answer; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.answer IS 'The answer it is about';

-- Name: COLUMN feedback.source_ids; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.source_ids IS 'What the answer cited, as the client sent it';

-- Name: COLUMN feedback.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.feedback.created_at IS 'When the row was written';

-- Name: searches; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.searches (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid,
    query text NOT NULL,
    searched text NOT NULL,
    outcome text NOT NULL,
    confidence double precision NOT NULL,
    result_count integer NOT NULL,
    results jsonb NOT NULL,
    clicked_document_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    milliseconds integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_searches_outcome_is_known CHECK ((outcome = ANY (ARRAY['extractive'::text, 'generated'::text, 'no_results'::text, 'onboarding'::text, 'abandoned'::text])))
);

ALTER TABLE ONLY public.searches FORCE ROW LEVEL SECURITY;

ALTER TABLE public.searches OWNER TO secondbrain_owner;

-- Name: TABLE searches; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.searches IS 'What was asked and what was found, unless the workspace has turned that off';

-- Name: COLUMN searches.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.tenant_id IS 'Whose row this is';

-- Name: COLUMN searches.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.id IS 'Identity, ordered by creation';

-- Name: COLUMN searches.user_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.user_id IS 'Who asked';

-- Name: COLUMN searches.query; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.query IS 'The question as it was asked';

-- Name: COLUMN searches.searched; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.searched IS 'What was looked for: the question, completed from the conversation and by acronyms';

-- Name: COLUMN searches.outcome; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.outcome IS 'extractive or generated: answered; no_results: nothing found; onboarding: nothing there; abandoned: nobody waited for the end, or it broke off';

-- Name: COLUMN searches.confidence; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.confidence IS 'How well the passages answer it, 0 to 1';

-- Name: COLUMN searches.result_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.result_count IS 'How many passages were shown';

-- Name: COLUMN searches.results; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.results IS 'The best of them: document, chunk, score';

-- Name: COLUMN searches.clicked_document_ids; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.clicked_document_ids IS 'Which of the documents were opened from the answer';

-- Name: COLUMN searches.milliseconds; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.milliseconds IS 'How long the answer took';

-- Name: COLUMN searches.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.searches.created_at IS 'When the row was written';

-- Name: searches; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.searches AS
 SELECT t.slug AS tenant,
    (s.created_at)::date AS day,
    count(*) AS searches,
    count(*) FILTER (WHERE (s.outcome = ANY (ARRAY['extractive'::text, 'generated'::text]))) AS answered,
    count(*) FILTER (WHERE (s.outcome = 'no_results'::text)) AS unanswered,
    count(*) FILTER (WHERE (s.outcome = 'onboarding'::text)) AS nothing_there,
    round((avg(s.confidence))::numeric, 2) AS confidence,
    round((percentile_cont((0.5)::double precision) WITHIN GROUP (ORDER BY ((s.milliseconds)::double precision)))::numeric) AS p50_ms,
    round((percentile_cont((0.95)::double precision) WITHIN GROUP (ORDER BY ((s.milliseconds)::double precision)))::numeric) AS p95_ms,
    f.liked,
    f.disliked
   FROM ((public.searches s
     JOIN public.tenants t ON ((t.id = s.tenant_id)))
     CROSS JOIN LATERAL ( SELECT count(*) FILTER (WHERE (f_1.rating = 'up'::text)) AS liked,
            count(*) FILTER (WHERE (f_1.rating = 'down'::text)) AS disliked
           FROM public.feedback f_1
          WHERE ((f_1.tenant_id = t.id) AND ((f_1.created_at)::date = (s.created_at)::date))) f)
  GROUP BY t.slug, ((s.created_at)::date), f.liked, f.disliked
  ORDER BY ((s.created_at)::date) DESC, (count(*)) DESC;

ALTER VIEW ops.searches OWNER TO secondbrain_operator;

-- Name: VIEW searches; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.searches IS 'How much was asked each day, how much of it was answered, how fast, and how people liked it';

-- Name: serving_models; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.serving_models (
    tenant_id uuid NOT NULL,
    model text NOT NULL,
    next_model text,
    previous_model text,
    state text DEFAULT 'serving'::text NOT NULL,
    job_id uuid,
    requested_by uuid,
    total_count bigint DEFAULT '0'::bigint NOT NULL,
    done_count bigint DEFAULT '0'::bigint NOT NULL,
    started_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    switched_at timestamp with time zone,
    finished_at timestamp with time zone,
    error text,
    CONSTRAINT ck_serving_models_done_are_counted CHECK (((done_count >= 0) AND (done_count <= total_count))),
    CONSTRAINT ck_serving_models_next_is_another CHECK ((next_model <> model)),
    CONSTRAINT ck_serving_models_next_is_being_made CHECK (((next_model IS NOT NULL) = (state = 'embedding'::text))),
    CONSTRAINT ck_serving_models_state_is_known CHECK ((state = ANY (ARRAY['serving'::text, 'embedding'::text, 'purging'::text])))
);

ALTER TABLE ONLY public.serving_models FORCE ROW LEVEL SECURITY;

ALTER TABLE public.serving_models OWNER TO secondbrain_owner;

-- Name: TABLE serving_models; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.serving_models IS 'Which model''s vectors a tenant''s searches compare, and the change to another, under way or the last one';

-- Name: COLUMN serving_models.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.tenant_id IS 'Whose row this is';

-- Name: COLUMN serving_models.model; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.model IS 'Questions are embedded by this model, and compared with its vectors only';

-- Name: COLUMN serving_models.next_model; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.next_model IS 'Whose vectors are being made; it serves once all are there';

-- Name: COLUMN serving_models.previous_model; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.previous_model IS 'Which one served before; nothing goes back to it by itself';

-- Name: COLUMN serving_models.state; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.state IS 'serving, embedding (the next one''s vectors are made) or purging (the previous one''s are deleted)';

-- Name: COLUMN serving_models.job_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.job_id IS 'The job that carries out the change';

-- Name: COLUMN serving_models.requested_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.requested_by IS 'Who asked for it; nobody if the configured model had changed';

-- Name: COLUMN serving_models.total_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.total_count IS 'Passages there were when it began, and any that came after';

-- Name: COLUMN serving_models.done_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.done_count IS 'Passages that have a vector of the next model';

-- Name: COLUMN serving_models.started_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.started_at IS 'When the change began';

-- Name: COLUMN serving_models.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.updated_at IS 'When it last got on';

-- Name: COLUMN serving_models.switched_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.switched_at IS 'When the next model began to serve';

-- Name: COLUMN serving_models.finished_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.finished_at IS 'When it was over, in whichever way';

-- Name: COLUMN serving_models.error; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.serving_models.error IS 'Why it was given up, for a person';

-- Name: serving_models; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.serving_models AS
 SELECT t.slug AS tenant,
    s.model,
    s.next_model,
    s.state,
    s.done_count AS done,
    s.total_count AS total,
    s.error,
    (now() - s.updated_at) AS silent_for,
    s.started_at,
    s.switched_at,
    s.finished_at
   FROM (public.serving_models s
     JOIN public.tenants t ON ((t.id = s.tenant_id)))
  ORDER BY (s.state = 'serving'::text), s.started_at DESC NULLS LAST, t.slug;

ALTER VIEW ops.serving_models OWNER TO secondbrain_operator;

-- Name: VIEW serving_models; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.serving_models IS 'Which model serves whom, and how far changes to another are; unfinished ones first';

-- Name: sessions; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.sessions (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    user_id uuid NOT NULL,
    user_agent text,
    ip_address inet,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    end_reason text,
    CONSTRAINT ck_sessions_ended_with_a_reason CHECK (((ended_at IS NULL) = (end_reason IS NULL)))
);

ALTER TABLE ONLY public.sessions FORCE ROW LEVEL SECURITY;

ALTER TABLE public.sessions OWNER TO secondbrain_owner;

-- Name: TABLE sessions; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.sessions IS 'One sign-in on one device; decides on every request whether its tokens still count';

-- Name: COLUMN sessions.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.tenant_id IS 'Whose row this is';

-- Name: COLUMN sessions.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.id IS 'Identity, ordered by creation';

-- Name: COLUMN sessions.user_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.user_id IS 'Who signed in';

-- Name: COLUMN sessions.user_agent; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.user_agent IS 'What the browser said it was, shortened';

-- Name: COLUMN sessions.ip_address; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.ip_address IS 'Where the sign-in came from';

-- Name: COLUMN sessions.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.created_at IS 'When the row was written';

-- Name: COLUMN sessions.last_used_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.last_used_at IS 'Last seen, to about five minutes';

-- Name: COLUMN sessions.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.expires_at IS 'When it ends unless refreshed';

-- Name: COLUMN sessions.ended_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.ended_at IS 'When it was ended; its tokens are dead since';

-- Name: COLUMN sessions.end_reason; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sessions.end_reason IS 'logged_out, revoked, reuse_detected, deactivated, keys_replaced';

-- Name: sessions; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.sessions AS
 SELECT t.slug AS tenant,
    u.email,
    s.created_at,
    s.last_used_at,
    s.expires_at,
    s.ended_at,
    s.end_reason,
    s.ip_address,
    s.id
   FROM ((public.sessions s
     JOIN public.users u ON (((u.tenant_id = s.tenant_id) AND (u.id = s.user_id))))
     JOIN public.tenants t ON ((t.id = s.tenant_id)))
  ORDER BY s.created_at DESC;

ALTER VIEW ops.sessions OWNER TO secondbrain_operator;

-- Name: VIEW sessions; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.sessions IS 'Who is signed in, since when, and how sessions ended';

-- Name: signing_keys; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.signing_keys (
    kid text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    active_from timestamp with time zone NOT NULL,
    retires_at timestamp with time zone,
    retired_because text,
    follows_master boolean NOT NULL,
    made_by text NOT NULL,
    CONSTRAINT ck_signing_keys_reason_is_known CHECK ((retired_because = ANY (ARRAY['rotated'::text, 'compromised'::text]))),
    CONSTRAINT ck_signing_keys_retired_with_a_reason CHECK (((retires_at IS NULL) = (retired_because IS NULL)))
);

ALTER TABLE public.signing_keys OWNER TO secondbrain_owner;

-- Name: TABLE signing_keys; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.signing_keys IS 'Keys that sign tokens, states and names of streams, sealed with SECRET_KEYS';

-- Name: COLUMN signing_keys.kid; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.signing_keys.kid IS 'Its id, carried by what it signed';

-- Name: COLUMN signing_keys.sealed; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.signing_keys.sealed IS '32 bytes, sealed for this row with SECRET_KEYS';

-- Name: COLUMN signing_keys.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.signing_keys.created_at IS 'When the row was written';

-- Name: COLUMN signing_keys.active_from; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.signing_keys.active_from IS 'When it begins to sign; published before';

-- Name: COLUMN signing_keys.retires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.signing_keys.retires_at IS 'When what it signed stops counting; none while it is the newest';

-- Name: COLUMN signing_keys.retired_because; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.signing_keys.retired_because IS 'rotated or compromised';

-- Name: COLUMN signing_keys.follows_master; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.signing_keys.follows_master IS 'The first key: while it is accepted, so is what SECRET_KEYS itself has signed';

-- Name: COLUMN signing_keys.made_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.signing_keys.made_by IS 'Who rotated: first use, maintenance, or a person where';

-- Name: signing_keys; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.signing_keys AS
 SELECT kid,
        CASE
            WHEN (retires_at <= now()) THEN 'retired'::text
            WHEN (active_from > now()) THEN 'published'::text
            WHEN (created_at = max(created_at) FILTER (WHERE ((active_from <= now()) AND ((retires_at IS NULL) OR (retires_at > now())))) OVER ()) THEN 'signing'::text
            ELSE 'accepted'::text
        END AS state,
    created_at,
    active_from,
    retires_at,
    retired_because,
    made_by
   FROM public.signing_keys k
  ORDER BY created_at DESC;

ALTER VIEW ops.signing_keys OWNER TO secondbrain_operator;

-- Name: VIEW signing_keys; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.signing_keys IS 'Which key signs, which ones are still accepted, and until when';

-- Name: source_removals; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.source_removals (
    tenant_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    job_id uuid,
    requested_by uuid,
    total_count bigint NOT NULL,
    removed_count bigint DEFAULT '0'::bigint NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    error text,
    CONSTRAINT ck_source_removals_failed_is_finished CHECK (((error IS NULL) OR (finished_at IS NOT NULL))),
    CONSTRAINT ck_source_removals_removed_are_counted CHECK (((removed_count >= 0) AND (removed_count <= total_count)))
);

ALTER TABLE ONLY public.source_removals FORCE ROW LEVEL SECURITY;

ALTER TABLE public.source_removals OWNER TO secondbrain_owner;

-- Name: TABLE source_removals; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.source_removals IS 'The documents of a source being deleted, or the last time they were; one row a connector';

-- Name: COLUMN source_removals.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.tenant_id IS 'Whose row this is';

-- Name: COLUMN source_removals.connector_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.connector_id IS 'Whose documents are deleted';

-- Name: COLUMN source_removals.job_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.job_id IS 'The job that carries it out';

-- Name: COLUMN source_removals.requested_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.requested_by IS 'Who asked for it';

-- Name: COLUMN source_removals.total_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.total_count IS 'Documents there were when it was asked for, and any that came after';

-- Name: COLUMN source_removals.removed_count; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.removed_count IS 'Documents that are gone';

-- Name: COLUMN source_removals.requested_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.requested_at IS 'When it was asked for; syncs that are asked for later wait for its end';

-- Name: COLUMN source_removals.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.updated_at IS 'When it last got on';

-- Name: COLUMN source_removals.finished_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.finished_at IS 'When it was over, in whichever way';

-- Name: COLUMN source_removals.error; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.source_removals.error IS 'Why it was given up, for a person';

-- Name: workers; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.workers (
    id uuid DEFAULT uuidv7() NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    lease_term interval NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT now() NOT NULL,
    stopped_at timestamp with time zone
);

ALTER TABLE public.workers OWNER TO secondbrain_owner;

-- Name: TABLE workers; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.workers IS 'Worker processes; one heartbeat each stands for all the jobs it holds';

-- Name: COLUMN workers.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.workers.id IS 'Identity, ordered by creation';

-- Name: COLUMN workers.name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.workers.name IS 'Instance name of the process';

-- Name: COLUMN workers.version; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.workers.version IS 'Version of the product it runs';

-- Name: COLUMN workers.started_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.workers.started_at IS 'When the process registered';

-- Name: COLUMN workers.lease_term; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.workers.lease_term IS 'How long it may be silent before its jobs go to others';

-- Name: COLUMN workers.heartbeat_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.workers.heartbeat_at IS 'When it last said that it lives';

-- Name: COLUMN workers.stopped_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.workers.stopped_at IS 'When it said goodbye; never, if it was killed';

-- Name: source_removals; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.source_removals AS
 SELECT t.slug AS tenant,
    c.type AS connector,
        CASE
            WHEN (r.error IS NOT NULL) THEN 'failed'::text
            WHEN (r.finished_at IS NOT NULL) THEN 'done'::text
            ELSE 'running'::text
        END AS state,
    r.removed_count AS removed,
    r.total_count AS total,
    r.requested_at,
    r.updated_at,
    r.finished_at,
    r.error,
    w.name AS worker,
    c.id
   FROM ((((public.source_removals r
     JOIN public.connectors c ON (((c.tenant_id = r.tenant_id) AND (c.id = r.connector_id))))
     JOIN public.tenants t ON ((t.id = r.tenant_id)))
     LEFT JOIN public.jobs j ON ((j.id = r.job_id)))
     LEFT JOIN public.workers w ON ((w.id = j.worker_id)))
  ORDER BY (r.finished_at IS NOT NULL), r.requested_at DESC;

ALTER VIEW ops.source_removals OWNER TO secondbrain_operator;

-- Name: VIEW source_removals; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.source_removals IS 'Documents of disconnected sources being deleted: how many of how many';

-- Name: stuck_jobs; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.stuck_jobs AS
 SELECT t.slug AS tenant,
    j.kind,
    j.state,
    j.attempt,
    j.max_attempts,
    j.run_at,
    j.last_error,
    w.name AS worker,
    (now() - w.heartbeat_at) AS worker_silent_for,
    (now() - COALESCE(j.progressed_at, j.claimed_at)) AS no_progress_for,
    j.id
   FROM ((public.jobs j
     JOIN public.tenants t ON ((t.id = j.tenant_id)))
     LEFT JOIN public.workers w ON ((w.id = j.worker_id)))
  WHERE ((j.state = 'dead'::text) OR ((j.state = 'queued'::text) AND (j.attempt > 0)) OR ((j.state = 'running'::text) AND ((w.heartbeat_at < (now() - w.lease_term)) OR (COALESCE(j.progressed_at, j.claimed_at) < (now() - '00:05:00'::interval)))))
  ORDER BY j.created_at DESC;

ALTER VIEW ops.stuck_jobs OWNER TO secondbrain_operator;

-- Name: VIEW stuck_jobs; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.stuck_jobs IS 'What does not go on: dead, failing, or held by a silent worker; and why';

-- Name: sync_errors; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.sync_errors (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    external_id text NOT NULL,
    url text,
    stage text NOT NULL,
    reason text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.sync_errors FORCE ROW LEVEL SECURITY;

ALTER TABLE public.sync_errors OWNER TO secondbrain_owner;

-- Name: TABLE sync_errors; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.sync_errors IS 'Items a run could not take, each with its reason';

-- Name: COLUMN sync_errors.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_errors.tenant_id IS 'Whose row this is';

-- Name: COLUMN sync_errors.run_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_errors.run_id IS 'Which run';

-- Name: COLUMN sync_errors.external_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_errors.external_id IS 'The item''s id at the provider';

-- Name: COLUMN sync_errors.url; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_errors.url IS 'Where a person finds the item';

-- Name: COLUMN sync_errors.stage; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_errors.stage IS 'fetch, parse, embed or store';

-- Name: COLUMN sync_errors.reason; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_errors.reason IS 'Why, for a person';

-- Name: COLUMN sync_errors.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_errors.created_at IS 'When the row was written';

-- Name: sync_errors; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.sync_errors AS
 SELECT t.slug AS tenant,
    r.connector_type AS connector,
    e.external_id,
    e.stage,
    e.reason,
    e.url,
    e.created_at
   FROM ((public.sync_errors e
     JOIN public.sync_runs r ON (((r.tenant_id = e.tenant_id) AND (r.id = e.run_id))))
     JOIN public.tenants t ON ((t.id = e.tenant_id)))
  ORDER BY e.created_at DESC;

ALTER VIEW ops.sync_errors OWNER TO secondbrain_operator;

-- Name: VIEW sync_errors; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.sync_errors IS 'Which items could not be taken, and why';

-- Name: sync_positions; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.sync_positions (
    tenant_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    cursor jsonb,
    pass_number bigint DEFAULT '1'::bigint NOT NULL,
    is_full boolean DEFAULT true NOT NULL,
    is_whole boolean DEFAULT true NOT NULL,
    unlisted text[] DEFAULT '{}'::text[] NOT NULL,
    full_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.sync_positions FORCE ROW LEVEL SECURITY;

ALTER TABLE public.sync_positions OWNER TO secondbrain_owner;

-- Name: TABLE sync_positions; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.sync_positions IS 'Where the next run of a connector goes on: the checkpoint that survives runs';

-- Name: COLUMN sync_positions.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.tenant_id IS 'Whose row this is';

-- Name: COLUMN sync_positions.connector_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.connector_id IS 'Whose place it is';

-- Name: COLUMN sync_positions.cursor; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.cursor IS 'The provider''s own words for the place after the last stored page; none: the beginning';

-- Name: COLUMN sync_positions.pass_number; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.pass_number IS 'Counts passes over everything; items remember the last that saw them';

-- Name: COLUMN sync_positions.is_full; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.is_full IS 'Whether a pass over everything is under way or comes next';

-- Name: COLUMN sync_positions.is_whole; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.is_whole IS 'Whether nothing failed to be listed in that pass';

-- Name: COLUMN sync_positions.unlisted; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.unlisted IS 'Beginnings of the external ids that what could not be listed in that pass may hide';

-- Name: COLUMN sync_positions.full_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.full_at IS 'When the last pass over everything was over';

-- Name: COLUMN sync_positions.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_positions.updated_at IS 'When it last moved';

-- Name: sync_positions; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.sync_positions AS
 SELECT t.slug AS tenant,
    c.type AS connector,
    p.is_full,
    p.is_whole,
    p.full_at,
    p.updated_at,
    i.items,
    i.failing,
    i.next_retry_at,
    i.missed,
    c.id
   FROM (((public.sync_positions p
     JOIN public.tenants t ON ((t.id = p.tenant_id)))
     JOIN public.connectors c ON (((c.tenant_id = p.tenant_id) AND (c.id = p.connector_id))))
     CROSS JOIN LATERAL ( SELECT count(*) AS items,
            count(*) FILTER (WHERE (s.state = 'failed'::text)) AS failing,
            min(s.retry_at) FILTER (WHERE (s.state = 'failed'::text)) AS next_retry_at,
            count(*) FILTER (WHERE (s.missed_count > 0)) AS missed
           FROM public.sync_items s
          WHERE ((s.tenant_id = p.tenant_id) AND (s.connector_id = p.connector_id))) i)
  ORDER BY t.slug, c.type;

ALTER VIEW ops.sync_positions OWNER TO secondbrain_operator;

-- Name: VIEW sync_positions; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.sync_positions IS 'Where connectors go on, how many items each has, and how many of them fail or were missed';

-- Name: sync_runs; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.sync_runs AS
 SELECT t.slug AS tenant,
    r.connector_type AS connector,
    r.trigger,
    r.is_full,
    r.state,
    r.stage,
    r.processed_count AS processed,
    r.total_count AS total,
    r.stored_count AS stored,
    r.unchanged_count AS unchanged,
    r.failed_count AS failed,
    r.deleted_count AS deleted,
    r.note,
    r.error,
    r.resume_at,
    w.name AS worker,
    (now() - r.updated_at) AS silent_for,
    (COALESCE(r.finished_at, now()) - COALESCE(r.started_at, r.created_at)) AS took,
    r.created_at,
    r.id
   FROM (((public.sync_runs r
     JOIN public.tenants t ON ((t.id = r.tenant_id)))
     LEFT JOIN public.jobs j ON ((j.id = r.job_id)))
     LEFT JOIN public.workers w ON ((w.id = j.worker_id)))
  ORDER BY (r.finished_at IS NOT NULL), r.created_at DESC;

ALTER VIEW ops.sync_runs OWNER TO secondbrain_operator;

-- Name: VIEW sync_runs; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.sync_runs IS 'What is being synced and how far it is; unfinished runs first';

-- Name: sync_transitions; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.sync_transitions (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    seq bigint NOT NULL,
    state text NOT NULL,
    actor text NOT NULL,
    reason text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.sync_transitions FORCE ROW LEVEL SECURITY;

ALTER TABLE public.sync_transitions OWNER TO secondbrain_owner;

-- Name: TABLE sync_transitions; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.sync_transitions IS 'Every change of a run''s state: when, to what, by whom and why';

-- Name: COLUMN sync_transitions.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_transitions.tenant_id IS 'Whose row this is';

-- Name: COLUMN sync_transitions.run_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_transitions.run_id IS 'Which run';

-- Name: COLUMN sync_transitions.seq; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_transitions.seq IS 'The run''s seq at that moment';

-- Name: COLUMN sync_transitions.state; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_transitions.state IS 'What it became';

-- Name: COLUMN sync_transitions.actor; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_transitions.actor IS 'Who did it: user, schedule, webhook or worker, with its id';

-- Name: COLUMN sync_transitions.reason; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_transitions.reason IS 'Why, for a person';

-- Name: COLUMN sync_transitions.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.sync_transitions.created_at IS 'When the row was written';

-- Name: sync_transitions; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.sync_transitions AS
 SELECT t.slug AS tenant,
    r.connector_type AS connector,
    s.created_at,
    s.state,
    s.actor,
    s.reason,
    s.run_id,
    s.seq
   FROM ((public.sync_transitions s
     JOIN public.sync_runs r ON (((r.tenant_id = s.tenant_id) AND (r.id = s.run_id))))
     JOIN public.tenants t ON ((t.id = s.tenant_id)))
  ORDER BY s.created_at DESC, s.seq DESC;

ALTER VIEW ops.sync_transitions OWNER TO secondbrain_operator;

-- Name: VIEW sync_transitions; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.sync_transitions IS 'How runs came to their states: when, by whom and why; the newest first';

-- Name: chunks; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.chunks (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    document_id uuid NOT NULL,
    ordinal integer NOT NULL,
    text text NOT NULL,
    heading_path text[] DEFAULT '{}'::text[] NOT NULL,
    start_offset integer NOT NULL,
    end_offset integer NOT NULL,
    search tsvector NOT NULL,
    CONSTRAINT ck_chunks_place_is_a_range CHECK (((start_offset >= 0) AND (end_offset > start_offset)))
);

ALTER TABLE ONLY public.chunks FORCE ROW LEVEL SECURITY;

ALTER TABLE public.chunks OWNER TO secondbrain_owner;

-- Name: TABLE chunks; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.chunks IS 'Passages of documents: what search ranks and citations point to';

-- Name: COLUMN chunks.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.tenant_id IS 'Whose row this is';

-- Name: COLUMN chunks.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.id IS 'Identity, ordered by creation';

-- Name: COLUMN chunks.document_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.document_id IS 'Which document it is part of';

-- Name: COLUMN chunks.ordinal; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.ordinal IS 'Its place among the document''s chunks, from 0';

-- Name: COLUMN chunks.text; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.text IS 'The passage, whole';

-- Name: COLUMN chunks.heading_path; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.heading_path IS 'Headings above it, outermost first';

-- Name: COLUMN chunks.start_offset; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.start_offset IS 'First character within the document''s content';

-- Name: COLUMN chunks.end_offset; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.end_offset IS 'One past its last character';

-- Name: COLUMN chunks.search; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunks.search IS 'Words of title (A), headings (B) and passage (D)';

-- Name: tenants; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.tenants AS
 SELECT t.slug AS tenant,
    t.name,
    t.plan,
    t.deactivated_at,
    ( SELECT count(*) AS count
           FROM public.users u
          WHERE (u.tenant_id = t.id)) AS users,
    d.documents,
    d.bytes,
    ( SELECT count(*) AS count
           FROM public.chunks c
          WHERE (c.tenant_id = t.id)) AS chunks,
    t.created_at,
    t.id
   FROM (public.tenants t
     CROSS JOIN LATERAL ( SELECT count(*) AS documents,
            COALESCE(sum(d_1.byte_size), (0)::bigint) AS bytes
           FROM public.documents d_1
          WHERE ((d_1.tenant_id = t.id) AND (d_1.deleted_at IS NULL))) d)
  ORDER BY d.bytes DESC;

ALTER VIEW ops.tenants OWNER TO secondbrain_operator;

-- Name: VIEW tenants; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.tenants IS 'Who uses how much; the biggest first';

-- Name: uploads; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.uploads (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    file_name text NOT NULL,
    title text,
    mime_type text NOT NULL,
    url text,
    classification text,
    byte_size integer NOT NULL,
    sha256 bytea NOT NULL,
    body bytea,
    state text DEFAULT 'waiting'::text NOT NULL,
    reason text,
    uploaded_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT ck_uploads_classification_is_known CHECK ((classification = ANY (ARRAY['work'::text, 'personal'::text, 'spam'::text, 'unknown'::text]))),
    CONSTRAINT ck_uploads_content_is_hashed CHECK ((length(sha256) = 32)),
    CONSTRAINT ck_uploads_failed_has_a_reason CHECK (((state = 'failed'::text) = (reason IS NOT NULL))),
    CONSTRAINT ck_uploads_failed_keeps_no_body CHECK (((state = 'failed'::text) = (body IS NULL))),
    CONSTRAINT ck_uploads_state_is_known CHECK ((state = ANY (ARRAY['waiting'::text, 'stored'::text, 'failed'::text])))
);
ALTER TABLE ONLY public.uploads ALTER COLUMN body SET STORAGE EXTERNAL;

ALTER TABLE ONLY public.uploads FORCE ROW LEVEL SECURITY;

ALTER TABLE public.uploads OWNER TO secondbrain_owner;

-- Name: TABLE uploads; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.uploads IS 'Files that people handed in, as they came; the document made of one has its id';

-- Name: COLUMN uploads.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.tenant_id IS 'Whose row this is';

-- Name: COLUMN uploads.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.id IS 'Identity, ordered by creation';

-- Name: COLUMN uploads.file_name; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.file_name IS 'What the file was called';

-- Name: COLUMN uploads.title; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.title IS 'What the sender calls it; else its text says';

-- Name: COLUMN uploads.mime_type; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.mime_type IS 'What the sender says it is; the content decides';

-- Name: COLUMN uploads.url; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.url IS 'Where it was fetched from, if it was';

-- Name: COLUMN uploads.classification; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.classification IS 'What the sender says it is about: work, personal, spam or unknown';

-- Name: COLUMN uploads.byte_size; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.byte_size IS 'Bytes of the file';

-- Name: COLUMN uploads.sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.sha256 IS 'SHA-256 of the file; the same bytes are the same document';

-- Name: COLUMN uploads.body; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.body IS 'The file itself, for reading and for downloads; gone if it could not be read';

-- Name: COLUMN uploads.state; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.state IS 'waiting for a worker, stored, or failed';

-- Name: COLUMN uploads.reason; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.reason IS 'Why it failed, for a person';

-- Name: COLUMN uploads.uploaded_by; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.uploaded_by IS 'Who handed it in last';

-- Name: COLUMN uploads.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.created_at IS 'When the row was written';

-- Name: COLUMN uploads.finished_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.uploads.finished_at IS 'When it was stored or failed';

-- Name: uploads; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.uploads AS
 SELECT t.slug AS tenant,
    u.state,
    u.reason,
    u.byte_size AS bytes,
    u.created_at,
    (COALESCE(u.finished_at, now()) - u.created_at) AS took,
    u.id
   FROM (public.uploads u
     JOIN public.tenants t ON ((t.id = u.tenant_id)))
  ORDER BY (u.state <> 'waiting'::text), u.created_at DESC;

ALTER VIEW ops.uploads OWNER TO secondbrain_operator;

-- Name: VIEW uploads; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.uploads IS 'Files handed in: which wait, which failed and why; the waiting ones first';

-- Name: chunk_vectors; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.chunk_vectors (
    tenant_id uuid NOT NULL,
    chunk_id uuid NOT NULL,
    embedding_model text NOT NULL,
    document_id uuid NOT NULL,
    embedding public.halfvec NOT NULL,
    CONSTRAINT ck_chunk_vectors_embedding_is_not_zero CHECK ((public.l2_norm(embedding) > (0)::double precision))
);
ALTER TABLE ONLY public.chunk_vectors ALTER COLUMN embedding SET STORAGE MAIN;

ALTER TABLE ONLY public.chunk_vectors FORCE ROW LEVEL SECURITY;

ALTER TABLE public.chunk_vectors OWNER TO secondbrain_owner;

-- Name: TABLE chunk_vectors; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.chunk_vectors IS 'What passages mean, as vectors; of two models while one takes the other''s place';

-- Name: COLUMN chunk_vectors.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunk_vectors.tenant_id IS 'Whose row this is';

-- Name: COLUMN chunk_vectors.chunk_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunk_vectors.chunk_id IS 'Which passage';

-- Name: COLUMN chunk_vectors.embedding_model; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunk_vectors.embedding_model IS 'Which model made the vector; only equals are compared';

-- Name: COLUMN chunk_vectors.document_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunk_vectors.document_id IS 'Which document the passage is part of';

-- Name: COLUMN chunk_vectors.embedding; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chunk_vectors.embedding IS 'Meaning as a unit vector of embedding_model';

-- Name: vector_indexes; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.vector_indexes AS
 SELECT t.slug AS tenant,
    v.embedding_model AS model,
    v.vectors,
        CASE
            WHEN (i.indexrelid IS NULL) THEN 'exact'::text
            WHEN i.indisvalid THEN 'index'::text
            ELSE 'being built'::text
        END AS found_by,
    pg_relation_size((i.indexrelid)::regclass) AS index_bytes
   FROM ((( SELECT chunk_vectors.tenant_id,
            chunk_vectors.embedding_model,
            count(*) AS vectors
           FROM public.chunk_vectors
          GROUP BY chunk_vectors.tenant_id, chunk_vectors.embedding_model) v
     JOIN public.tenants t ON ((t.id = v.tenant_id)))
     LEFT JOIN pg_index i ON ((i.indexrelid = (to_regclass(public.vector_index_name(v.tenant_id, v.embedding_model)))::oid)))
  ORDER BY v.vectors DESC, t.slug, v.embedding_model;

ALTER VIEW ops.vector_indexes OWNER TO secondbrain_operator;

-- Name: VIEW vector_indexes; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.vector_indexes IS 'How many vectors of which model each tenant has, and whether they are found by an index';

-- Name: watch_channels; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.watch_channels (
    tenant_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    channel_id text,
    resource text,
    account_id text,
    address_sha256 bytea,
    opened_at timestamp with time zone,
    expires_at timestamp with time zone,
    error text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_watch_channels_open_is_whole CHECK ((((channel_id IS NULL) = (expires_at IS NULL)) AND ((channel_id IS NULL) = (resource IS NULL))))
);

ALTER TABLE ONLY public.watch_channels FORCE ROW LEVEL SECURITY;

ALTER TABLE public.watch_channels OWNER TO secondbrain_owner;

-- Name: TABLE watch_channels; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.watch_channels IS 'Over what a provider calls when something has changed; one row a connector';

-- Name: COLUMN watch_channels.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.tenant_id IS 'Whose row this is';

-- Name: COLUMN watch_channels.connector_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.connector_id IS 'Which connector is watched';

-- Name: COLUMN watch_channels.channel_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.channel_id IS 'Our name for the channel at the provider; none: none could be opened yet';

-- Name: COLUMN watch_channels.resource; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.resource IS 'The provider''s name for what it watches, needed to end it';

-- Name: COLUMN watch_channels.account_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.account_id IS 'The account it was opened with';

-- Name: COLUMN watch_channels.address_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.address_sha256 IS 'Of the address and the token it was opened with: with others it is opened anew';

-- Name: COLUMN watch_channels.opened_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.opened_at IS 'When it was opened';

-- Name: COLUMN watch_channels.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.expires_at IS 'When it ends by itself';

-- Name: COLUMN watch_channels.error; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.error IS 'Why the last try to open one failed, for a person';

-- Name: COLUMN watch_channels.updated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.watch_channels.updated_at IS 'When the row last changed';

-- Name: watch_channels; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.watch_channels AS
 SELECT t.slug AS tenant,
    c.type AS connector,
    w.channel_id,
    w.opened_at,
    w.expires_at,
    w.error
   FROM ((public.watch_channels w
     JOIN public.connectors c ON (((c.tenant_id = w.tenant_id) AND (c.id = w.connector_id))))
     JOIN public.tenants t ON ((t.id = w.tenant_id)))
  ORDER BY (w.error IS NULL), w.expires_at;

ALTER VIEW ops.watch_channels OWNER TO secondbrain_operator;

-- Name: VIEW watch_channels; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.watch_channels IS 'Channels over which providers call, until when, and why one could not be opened';

-- Name: webhook_deliveries; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.webhook_deliveries (
    tenant_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    delivery_id text NOT NULL,
    effect text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_webhook_deliveries_effect_is_known CHECK ((effect = ANY (ARRAY['sync'::text, 'joined'::text])))
);

ALTER TABLE ONLY public.webhook_deliveries FORCE ROW LEVEL SECURITY;

ALTER TABLE public.webhook_deliveries OWNER TO secondbrain_owner;

-- Name: TABLE webhook_deliveries; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.webhook_deliveries IS 'Genuine calls of providers that said something changed, each once; kept for three days';

-- Name: COLUMN webhook_deliveries.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.webhook_deliveries.tenant_id IS 'Whose row this is';

-- Name: COLUMN webhook_deliveries.connector_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.webhook_deliveries.connector_id IS 'Which connector it concerns';

-- Name: COLUMN webhook_deliveries.delivery_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.webhook_deliveries.delivery_id IS 'The provider''s name for it, the same when it sends it again';

-- Name: COLUMN webhook_deliveries.effect; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.webhook_deliveries.effect IS 'sync: a sync was asked for; joined: one was asked for already and will see it';

-- Name: COLUMN webhook_deliveries.received_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.webhook_deliveries.received_at IS 'When it first came';

-- Name: webhook_deliveries; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.webhook_deliveries AS
 SELECT t.slug AS tenant,
    c.type AS connector,
    d.delivery_id,
    d.effect,
    d.received_at
   FROM ((public.webhook_deliveries d
     JOIN public.connectors c ON (((c.tenant_id = d.tenant_id) AND (c.id = d.connector_id))))
     JOIN public.tenants t ON ((t.id = d.tenant_id)))
  ORDER BY d.received_at DESC;

ALTER VIEW ops.webhook_deliveries OWNER TO secondbrain_operator;

-- Name: VIEW webhook_deliveries; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.webhook_deliveries IS 'Calls of providers of the last three days, and what each led to; the newest first';

-- Name: workers; Type: VIEW; Schema: ops; Owner: secondbrain_operator

CREATE VIEW ops.workers AS
 SELECT name,
    version,
    started_at,
    (now() - heartbeat_at) AS silent_for,
        CASE
            WHEN (stopped_at IS NOT NULL) THEN 'stopped'::text
            WHEN (heartbeat_at < (now() - lease_term)) THEN 'silent'::text
            ELSE 'alive'::text
        END AS state,
    ( SELECT count(*) AS count
           FROM public.jobs j
          WHERE ((j.state = 'running'::text) AND (j.worker_id = w.id))) AS jobs,
    id
   FROM public.workers w
  ORDER BY heartbeat_at DESC;

ALTER VIEW ops.workers OWNER TO secondbrain_operator;

-- Name: VIEW workers; Type: COMMENT; Schema: ops; Owner: secondbrain_operator

COMMENT ON VIEW ops.workers IS 'Worker processes: which live, which fell silent, what they hold';

-- Name: alembic_version; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

ALTER TABLE public.alembic_version OWNER TO secondbrain_owner;

-- Name: TABLE alembic_version; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.alembic_version IS 'Newest migration that was applied';

-- Name: COLUMN alembic_version.version_num; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.alembic_version.version_num IS 'Its revision';

-- Name: chat_messages; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.chat_messages (
    tenant_id uuid NOT NULL,
    id uuid DEFAULT uuidv7() NOT NULL,
    chat_id uuid NOT NULL,
    role text NOT NULL,
    content text NOT NULL,
    sources jsonb,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_chat_messages_content_is_not_empty CHECK ((content <> ''::text)),
    CONSTRAINT ck_chat_messages_role_is_known CHECK ((role = ANY (ARRAY['user'::text, 'assistant'::text])))
);

ALTER TABLE ONLY public.chat_messages FORCE ROW LEVEL SECURITY;

ALTER TABLE public.chat_messages OWNER TO secondbrain_owner;

-- Name: TABLE chat_messages; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.chat_messages IS 'What was said in conversations, as clients sent it';

-- Name: COLUMN chat_messages.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chat_messages.tenant_id IS 'Whose row this is';

-- Name: COLUMN chat_messages.id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chat_messages.id IS 'Identity, ordered by creation';

-- Name: COLUMN chat_messages.chat_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chat_messages.chat_id IS 'In which conversation';

-- Name: COLUMN chat_messages.role; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chat_messages.role IS 'user or assistant';

-- Name: COLUMN chat_messages.content; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chat_messages.content IS 'The text, word for word';

-- Name: COLUMN chat_messages.sources; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chat_messages.sources IS 'What it cites, as the client sent it';

-- Name: COLUMN chat_messages.metadata; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chat_messages.metadata IS 'What else the client keeps with it';

-- Name: COLUMN chat_messages.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.chat_messages.created_at IS 'When the row was written';

-- Name: config_revisions; Type: SEQUENCE; Schema: public; Owner: secondbrain_owner

CREATE SEQUENCE public.config_revisions
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.config_revisions OWNER TO secondbrain_owner;

-- Name: SEQUENCE config_revisions; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON SEQUENCE public.config_revisions IS 'Counts changes of configs; drawn under a lock, so in the order of commits';

-- Name: refresh_tokens; Type: TABLE; Schema: public; Owner: secondbrain_owner

CREATE TABLE public.refresh_tokens (
    tenant_id uuid NOT NULL,
    token_sha256 bytea NOT NULL,
    session_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    rotated_at timestamp with time zone
);

ALTER TABLE ONLY public.refresh_tokens FORCE ROW LEVEL SECURITY;

ALTER TABLE public.refresh_tokens OWNER TO secondbrain_owner;

-- Name: TABLE refresh_tokens; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON TABLE public.refresh_tokens IS 'Refresh tokens as hashes; each is good for one rotation';

-- Name: COLUMN refresh_tokens.tenant_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.refresh_tokens.tenant_id IS 'Whose row this is';

-- Name: COLUMN refresh_tokens.token_sha256; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.refresh_tokens.token_sha256 IS 'SHA-256 of the token; the token itself is nowhere';

-- Name: COLUMN refresh_tokens.session_id; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.refresh_tokens.session_id IS 'The family this token belongs to';

-- Name: COLUMN refresh_tokens.created_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.refresh_tokens.created_at IS 'When the row was written';

-- Name: COLUMN refresh_tokens.expires_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.refresh_tokens.expires_at IS 'When it stops being accepted';

-- Name: COLUMN refresh_tokens.rotated_at; Type: COMMENT; Schema: public; Owner: secondbrain_owner

COMMENT ON COLUMN public.refresh_tokens.rotated_at IS 'When it was exchanged; seen again after that it is stolen';

-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

-- Name: api_keys pk_api_keys; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT pk_api_keys PRIMARY KEY (tenant_id, id);

-- Name: chat_messages pk_chat_messages; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chat_messages
    ADD CONSTRAINT pk_chat_messages PRIMARY KEY (tenant_id, id);

-- Name: chats pk_chats; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chats
    ADD CONSTRAINT pk_chats PRIMARY KEY (tenant_id, id);

-- Name: chunk_vectors pk_chunk_vectors; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chunk_vectors
    ADD CONSTRAINT pk_chunk_vectors PRIMARY KEY (tenant_id, chunk_id, embedding_model);

-- Name: chunks pk_chunks; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT pk_chunks PRIMARY KEY (tenant_id, id);

-- Name: component_contents pk_component_contents; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.component_contents
    ADD CONSTRAINT pk_component_contents PRIMARY KEY (tenant_id, sha256);

-- Name: config_versions pk_config_versions; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.config_versions
    ADD CONSTRAINT pk_config_versions PRIMARY KEY (tenant_id, name, version);

-- Name: connectors pk_connectors; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.connectors
    ADD CONSTRAINT pk_connectors PRIMARY KEY (tenant_id, id);

-- Name: credentials pk_credentials; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT pk_credentials PRIMARY KEY (tenant_id, connector_id);

-- Name: documents pk_documents; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT pk_documents PRIMARY KEY (tenant_id, id);

-- Name: embedding_cache pk_embedding_cache; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.embedding_cache
    ADD CONSTRAINT pk_embedding_cache PRIMARY KEY (tenant_id, model, text_sha256);

-- Name: entity_aliases pk_entity_aliases; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.entity_aliases
    ADD CONSTRAINT pk_entity_aliases PRIMARY KEY (tenant_id, kind, alias);

-- Name: feedback pk_feedback; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT pk_feedback PRIMARY KEY (tenant_id, id);

-- Name: graph_entities pk_graph_entities; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_entities
    ADD CONSTRAINT pk_graph_entities PRIMARY KEY (tenant_id, id);

-- Name: graph_evidence pk_graph_evidence; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_evidence
    ADD CONSTRAINT pk_graph_evidence PRIMARY KEY (tenant_id, subject_id, kind, object_id, document_id);

-- Name: graph_mentions pk_graph_mentions; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_mentions
    ADD CONSTRAINT pk_graph_mentions PRIMARY KEY (tenant_id, entity_id, document_id);

-- Name: graph_relations pk_graph_relations; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_relations
    ADD CONSTRAINT pk_graph_relations PRIMARY KEY (tenant_id, subject_id, kind, object_id);

-- Name: idempotency_keys pk_idempotency_keys; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT pk_idempotency_keys PRIMARY KEY (tenant_id, user_id, key_sha256);

-- Name: installation_config_versions pk_installation_config_versions; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.installation_config_versions
    ADD CONSTRAINT pk_installation_config_versions PRIMARY KEY (name, version);

-- Name: instances pk_instances; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT pk_instances PRIMARY KEY (id);

-- Name: jobs pk_jobs; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT pk_jobs PRIMARY KEY (id);

-- Name: oauth_nonces pk_oauth_nonces; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.oauth_nonces
    ADD CONSTRAINT pk_oauth_nonces PRIMARY KEY (tenant_id, nonce_sha256);

-- Name: rate_limits pk_rate_limits; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.rate_limits
    ADD CONSTRAINT pk_rate_limits PRIMARY KEY (rule, subject);

-- Name: refresh_tokens pk_refresh_tokens; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT pk_refresh_tokens PRIMARY KEY (tenant_id, token_sha256);

-- Name: schedules pk_schedules; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT pk_schedules PRIMARY KEY (tenant_id, id);

-- Name: searches pk_searches; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.searches
    ADD CONSTRAINT pk_searches PRIMARY KEY (tenant_id, id);

-- Name: serving_models pk_serving_models; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.serving_models
    ADD CONSTRAINT pk_serving_models PRIMARY KEY (tenant_id);

-- Name: sessions pk_sessions; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT pk_sessions PRIMARY KEY (tenant_id, id);

-- Name: signing_keys pk_signing_keys; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.signing_keys
    ADD CONSTRAINT pk_signing_keys PRIMARY KEY (kid);

-- Name: source_removals pk_source_removals; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.source_removals
    ADD CONSTRAINT pk_source_removals PRIMARY KEY (tenant_id, connector_id);

-- Name: sync_errors pk_sync_errors; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_errors
    ADD CONSTRAINT pk_sync_errors PRIMARY KEY (tenant_id, run_id, external_id);

-- Name: sync_items pk_sync_items; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_items
    ADD CONSTRAINT pk_sync_items PRIMARY KEY (tenant_id, connector_id, external_id);

-- Name: sync_positions pk_sync_positions; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_positions
    ADD CONSTRAINT pk_sync_positions PRIMARY KEY (tenant_id, connector_id);

-- Name: sync_runs pk_sync_runs; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_runs
    ADD CONSTRAINT pk_sync_runs PRIMARY KEY (tenant_id, id);

-- Name: sync_transitions pk_sync_transitions; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_transitions
    ADD CONSTRAINT pk_sync_transitions PRIMARY KEY (tenant_id, run_id, seq);

-- Name: tenant_components pk_tenant_components; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.tenant_components
    ADD CONSTRAINT pk_tenant_components PRIMARY KEY (tenant_id, name);

-- Name: tenants pk_tenants; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.tenants
    ADD CONSTRAINT pk_tenants PRIMARY KEY (id);

-- Name: uploads pk_uploads; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT pk_uploads PRIMARY KEY (tenant_id, id);

-- Name: users pk_users; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (tenant_id, id);

-- Name: watch_channels pk_watch_channels; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.watch_channels
    ADD CONSTRAINT pk_watch_channels PRIMARY KEY (tenant_id, connector_id);

-- Name: webhook_deliveries pk_webhook_deliveries; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT pk_webhook_deliveries PRIMARY KEY (tenant_id, connector_id, delivery_id);

-- Name: workers pk_workers; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT pk_workers PRIMARY KEY (id);

-- Name: connectors uq_connectors_type; Type: CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.connectors
    ADD CONSTRAINT uq_connectors_type UNIQUE (tenant_id, type);

-- Name: ix_api_keys_user; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_api_keys_user ON public.api_keys USING btree (tenant_id, user_id);

-- Name: ix_chat_messages_order; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_chat_messages_order ON public.chat_messages USING btree (tenant_id, chat_id, id);

-- Name: ix_chats_empty; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_chats_empty ON public.chats USING btree (tenant_id, created_at) WHERE (message_count = 0);

-- Name: ix_chats_newest; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_chats_newest ON public.chats USING btree (tenant_id, user_id, is_pinned DESC, last_message_at DESC, id) WHERE (message_count > 0);

-- Name: ix_chunks_search; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_chunks_search ON public.chunks USING gin ((ARRAY[tenant_id]), search);

-- Name: ix_config_versions_revision; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_config_versions_revision ON public.config_versions USING btree (revision);

-- Name: ix_connectors_account; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_connectors_account ON public.connectors USING btree (type, account_id);

-- Name: ix_documents_hidden; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_documents_hidden ON public.documents USING btree (tenant_id) WHERE ((deleted_at IS NULL) AND ((classification = ANY (ARRAY['personal'::text, 'spam'::text])) OR (status = 'rejected'::text)));

-- Name: ix_documents_newest; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_documents_newest ON public.documents USING btree (tenant_id, created_at DESC, id) WHERE (deleted_at IS NULL);

-- Name: ix_documents_unjudged; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_documents_unjudged ON public.documents USING btree (tenant_id, id) WHERE ((deleted_at IS NULL) AND (status = 'classified'::text) AND (classification_confidence < (0.7)::double precision) AND (NOT is_judged));

-- Name: ix_embedding_cache_expires_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_embedding_cache_expires_at ON public.embedding_cache USING btree (tenant_id, expires_at) INCLUDE (byte_size);

-- Name: ix_entity_aliases_expires_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_entity_aliases_expires_at ON public.entity_aliases USING btree (expires_at);

-- Name: ix_feedback_newest; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_feedback_newest ON public.feedback USING btree (tenant_id, created_at DESC, id);

-- Name: ix_feedback_search; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_feedback_search ON public.feedback USING btree (tenant_id, search_id) WHERE (search_id IS NOT NULL);

-- Name: ix_graph_entities_name; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_graph_entities_name ON public.graph_entities USING btree (tenant_id, name_key, id);

-- Name: ix_graph_evidence_chunk; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_graph_evidence_chunk ON public.graph_evidence USING btree (tenant_id, chunk_id) WHERE (chunk_id IS NOT NULL);

-- Name: ix_graph_evidence_document; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_graph_evidence_document ON public.graph_evidence USING btree (tenant_id, document_id);

-- Name: ix_graph_mentions_chunk; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_graph_mentions_chunk ON public.graph_mentions USING btree (tenant_id, chunk_id) WHERE (chunk_id IS NOT NULL);

-- Name: ix_graph_mentions_document; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_graph_mentions_document ON public.graph_mentions USING btree (tenant_id, document_id);

-- Name: ix_graph_relations_object; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_graph_relations_object ON public.graph_relations USING btree (tenant_id, object_id, subject_id);

-- Name: ix_idempotency_keys_expires_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_idempotency_keys_expires_at ON public.idempotency_keys USING btree (expires_at);

-- Name: ix_installation_config_versions_revision; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_installation_config_versions_revision ON public.installation_config_versions USING btree (revision);

-- Name: ix_jobs_finished_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_jobs_finished_at ON public.jobs USING btree (finished_at) WHERE (finished_at IS NOT NULL);

-- Name: ix_jobs_queued; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_jobs_queued ON public.jobs USING btree (tenant_id, priority DESC, run_at, id) WHERE (state = 'queued'::text);

-- Name: ix_jobs_running; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_jobs_running ON public.jobs USING btree (tenant_id, worker_id) WHERE (state = 'running'::text);

-- Name: ix_oauth_nonces_expires_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_oauth_nonces_expires_at ON public.oauth_nonces USING btree (expires_at);

-- Name: ix_refresh_tokens_session; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_refresh_tokens_session ON public.refresh_tokens USING btree (tenant_id, session_id);

-- Name: ix_schedules_due; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_schedules_due ON public.schedules USING btree (next_run_at) WHERE (paused_at IS NULL);

-- Name: ix_schedules_last_job; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_schedules_last_job ON public.schedules USING btree (tenant_id, last_job_id);

-- Name: ix_searches_created_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_searches_created_at ON public.searches USING btree (created_at);

-- Name: ix_searches_newest; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_searches_newest ON public.searches USING btree (tenant_id, created_at DESC, id);

-- Name: ix_sessions_expires_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_sessions_expires_at ON public.sessions USING btree (expires_at);

-- Name: ix_sessions_user; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_sessions_user ON public.sessions USING btree (tenant_id, user_id);

-- Name: ix_source_removals_unfinished; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_source_removals_unfinished ON public.source_removals USING btree (tenant_id) WHERE (finished_at IS NULL);

-- Name: ix_sync_items_due; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_sync_items_due ON public.sync_items USING btree (tenant_id, connector_id, retry_at) WHERE (state = 'failed'::text);

-- Name: ix_sync_items_missed; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_sync_items_missed ON public.sync_items USING btree (tenant_id, connector_id, missed_count) WHERE (missed_count > 0);

-- Name: ix_sync_runs_finished_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_sync_runs_finished_at ON public.sync_runs USING btree (finished_at);

-- Name: ix_sync_runs_latest; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_sync_runs_latest ON public.sync_runs USING btree (tenant_id, connector_id, created_at);

-- Name: ix_tenant_components_content; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_tenant_components_content ON public.tenant_components USING btree (tenant_id, sha256);

-- Name: ix_tenants_deactivated; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_tenants_deactivated ON public.tenants USING btree (id) WHERE (deactivated_at IS NOT NULL);

-- Name: ix_uploads_newest; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_uploads_newest ON public.uploads USING btree (tenant_id, created_at DESC, id);

-- Name: ix_webhook_deliveries_received_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_webhook_deliveries_received_at ON public.webhook_deliveries USING btree (received_at);

-- Name: ix_workers_heartbeat_at; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE INDEX ix_workers_heartbeat_at ON public.workers USING btree (heartbeat_at);

-- Name: uq_chunks_ordinal; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE UNIQUE INDEX uq_chunks_ordinal ON public.chunks USING btree (tenant_id, document_id, ordinal);

-- Name: uq_documents_external_id; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE UNIQUE INDEX uq_documents_external_id ON public.documents USING btree (tenant_id, connector_id, external_id) NULLS NOT DISTINCT;

-- Name: uq_graph_entities_identity; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE UNIQUE INDEX uq_graph_entities_identity ON public.graph_entities USING btree (tenant_id, kind, provider, external_key);

-- Name: uq_schedules_name; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE UNIQUE INDEX uq_schedules_name ON public.schedules USING btree (tenant_id, name);

-- Name: uq_sync_runs_unfinished; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE UNIQUE INDEX uq_sync_runs_unfinished ON public.sync_runs USING btree (tenant_id, connector_id) WHERE (finished_at IS NULL);

-- Name: uq_tenants_slug; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE UNIQUE INDEX uq_tenants_slug ON public.tenants USING btree (slug);

-- Name: uq_uploads_sha256; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE UNIQUE INDEX uq_uploads_sha256 ON public.uploads USING btree (tenant_id, sha256);

-- Name: uq_users_email; Type: INDEX; Schema: public; Owner: secondbrain_owner

CREATE UNIQUE INDEX uq_users_email ON public.users USING btree (email);

-- Name: api_keys fk_api_keys_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT fk_api_keys_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: api_keys fk_api_keys_user; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT fk_api_keys_user FOREIGN KEY (tenant_id, user_id) REFERENCES public.users(tenant_id, id) ON DELETE CASCADE;

-- Name: chat_messages fk_chat_messages_chat; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chat_messages
    ADD CONSTRAINT fk_chat_messages_chat FOREIGN KEY (tenant_id, chat_id) REFERENCES public.chats(tenant_id, id) ON DELETE CASCADE;

-- Name: chat_messages fk_chat_messages_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chat_messages
    ADD CONSTRAINT fk_chat_messages_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: chats fk_chats_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chats
    ADD CONSTRAINT fk_chats_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: chats fk_chats_user; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chats
    ADD CONSTRAINT fk_chats_user FOREIGN KEY (tenant_id, user_id) REFERENCES public.users(tenant_id, id) ON DELETE CASCADE;

-- Name: chunk_vectors fk_chunk_vectors_chunk; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chunk_vectors
    ADD CONSTRAINT fk_chunk_vectors_chunk FOREIGN KEY (tenant_id, chunk_id) REFERENCES public.chunks(tenant_id, id) ON DELETE CASCADE;

-- Name: chunk_vectors fk_chunk_vectors_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chunk_vectors
    ADD CONSTRAINT fk_chunk_vectors_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: chunks fk_chunks_document; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT fk_chunks_document FOREIGN KEY (tenant_id, document_id) REFERENCES public.documents(tenant_id, id) ON DELETE CASCADE;

-- Name: chunks fk_chunks_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.chunks
    ADD CONSTRAINT fk_chunks_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: component_contents fk_component_contents_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.component_contents
    ADD CONSTRAINT fk_component_contents_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: config_versions fk_config_versions_published_by; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.config_versions
    ADD CONSTRAINT fk_config_versions_published_by FOREIGN KEY (tenant_id, published_by) REFERENCES public.users(tenant_id, id) ON DELETE SET NULL (published_by);

-- Name: config_versions fk_config_versions_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.config_versions
    ADD CONSTRAINT fk_config_versions_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: connectors fk_connectors_connected_by; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.connectors
    ADD CONSTRAINT fk_connectors_connected_by FOREIGN KEY (tenant_id, connected_by) REFERENCES public.users(tenant_id, id) ON DELETE SET NULL (connected_by);

-- Name: connectors fk_connectors_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.connectors
    ADD CONSTRAINT fk_connectors_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: credentials fk_credentials_connector; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT fk_credentials_connector FOREIGN KEY (tenant_id, connector_id) REFERENCES public.connectors(tenant_id, id) ON DELETE CASCADE;

-- Name: credentials fk_credentials_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT fk_credentials_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: documents fk_documents_connector; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT fk_documents_connector FOREIGN KEY (tenant_id, connector_id) REFERENCES public.connectors(tenant_id, id) ON DELETE SET NULL (connector_id);

-- Name: documents fk_documents_deleter; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT fk_documents_deleter FOREIGN KEY (tenant_id, deleted_by) REFERENCES public.users(tenant_id, id) ON DELETE SET NULL (deleted_by);

-- Name: documents fk_documents_reviewer; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT fk_documents_reviewer FOREIGN KEY (tenant_id, reviewed_by) REFERENCES public.users(tenant_id, id) ON DELETE SET NULL (reviewed_by);

-- Name: documents fk_documents_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT fk_documents_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: embedding_cache fk_embedding_cache_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.embedding_cache
    ADD CONSTRAINT fk_embedding_cache_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: entity_aliases fk_entity_aliases_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.entity_aliases
    ADD CONSTRAINT fk_entity_aliases_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: feedback fk_feedback_search; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT fk_feedback_search FOREIGN KEY (tenant_id, search_id) REFERENCES public.searches(tenant_id, id) ON DELETE SET NULL (search_id);

-- Name: feedback fk_feedback_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT fk_feedback_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: feedback fk_feedback_user; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT fk_feedback_user FOREIGN KEY (tenant_id, user_id) REFERENCES public.users(tenant_id, id) ON DELETE SET NULL (user_id);

-- Name: graph_entities fk_graph_entities_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_entities
    ADD CONSTRAINT fk_graph_entities_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: graph_evidence fk_graph_evidence_chunk; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_evidence
    ADD CONSTRAINT fk_graph_evidence_chunk FOREIGN KEY (tenant_id, chunk_id) REFERENCES public.chunks(tenant_id, id) ON DELETE SET NULL (chunk_id);

-- Name: graph_evidence fk_graph_evidence_document; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_evidence
    ADD CONSTRAINT fk_graph_evidence_document FOREIGN KEY (tenant_id, document_id) REFERENCES public.documents(tenant_id, id);

-- Name: graph_evidence fk_graph_evidence_relation; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_evidence
    ADD CONSTRAINT fk_graph_evidence_relation FOREIGN KEY (tenant_id, subject_id, kind, object_id) REFERENCES public.graph_relations(tenant_id, subject_id, kind, object_id);

-- Name: graph_evidence fk_graph_evidence_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_evidence
    ADD CONSTRAINT fk_graph_evidence_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: graph_mentions fk_graph_mentions_chunk; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_mentions
    ADD CONSTRAINT fk_graph_mentions_chunk FOREIGN KEY (tenant_id, chunk_id) REFERENCES public.chunks(tenant_id, id) ON DELETE SET NULL (chunk_id);

-- Name: graph_mentions fk_graph_mentions_document; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_mentions
    ADD CONSTRAINT fk_graph_mentions_document FOREIGN KEY (tenant_id, document_id) REFERENCES public.documents(tenant_id, id);

-- Name: graph_mentions fk_graph_mentions_entity; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_mentions
    ADD CONSTRAINT fk_graph_mentions_entity FOREIGN KEY (tenant_id, entity_id) REFERENCES public.graph_entities(tenant_id, id);

-- Name: graph_mentions fk_graph_mentions_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_mentions
    ADD CONSTRAINT fk_graph_mentions_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: graph_relations fk_graph_relations_object; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_relations
    ADD CONSTRAINT fk_graph_relations_object FOREIGN KEY (tenant_id, object_id) REFERENCES public.graph_entities(tenant_id, id);

-- Name: graph_relations fk_graph_relations_subject; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_relations
    ADD CONSTRAINT fk_graph_relations_subject FOREIGN KEY (tenant_id, subject_id) REFERENCES public.graph_entities(tenant_id, id);

-- Name: graph_relations fk_graph_relations_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.graph_relations
    ADD CONSTRAINT fk_graph_relations_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: idempotency_keys fk_idempotency_keys_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT fk_idempotency_keys_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: idempotency_keys fk_idempotency_keys_user; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT fk_idempotency_keys_user FOREIGN KEY (tenant_id, user_id) REFERENCES public.users(tenant_id, id) ON DELETE CASCADE;

-- Name: jobs fk_jobs_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT fk_jobs_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: oauth_nonces fk_oauth_nonces_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.oauth_nonces
    ADD CONSTRAINT fk_oauth_nonces_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: oauth_nonces fk_oauth_nonces_user; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.oauth_nonces
    ADD CONSTRAINT fk_oauth_nonces_user FOREIGN KEY (tenant_id, user_id) REFERENCES public.users(tenant_id, id) ON DELETE CASCADE;

-- Name: refresh_tokens fk_refresh_tokens_session; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT fk_refresh_tokens_session FOREIGN KEY (tenant_id, session_id) REFERENCES public.sessions(tenant_id, id) ON DELETE CASCADE;

-- Name: refresh_tokens fk_refresh_tokens_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.refresh_tokens
    ADD CONSTRAINT fk_refresh_tokens_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: schedules fk_schedules_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT fk_schedules_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: searches fk_searches_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.searches
    ADD CONSTRAINT fk_searches_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: searches fk_searches_user; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.searches
    ADD CONSTRAINT fk_searches_user FOREIGN KEY (tenant_id, user_id) REFERENCES public.users(tenant_id, id) ON DELETE SET NULL (user_id);

-- Name: serving_models fk_serving_models_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.serving_models
    ADD CONSTRAINT fk_serving_models_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: sessions fk_sessions_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT fk_sessions_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: sessions fk_sessions_user; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT fk_sessions_user FOREIGN KEY (tenant_id, user_id) REFERENCES public.users(tenant_id, id) ON DELETE CASCADE;

-- Name: source_removals fk_source_removals_connector; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.source_removals
    ADD CONSTRAINT fk_source_removals_connector FOREIGN KEY (tenant_id, connector_id) REFERENCES public.connectors(tenant_id, id) ON DELETE CASCADE;

-- Name: source_removals fk_source_removals_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.source_removals
    ADD CONSTRAINT fk_source_removals_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: sync_errors fk_sync_errors_run; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_errors
    ADD CONSTRAINT fk_sync_errors_run FOREIGN KEY (tenant_id, run_id) REFERENCES public.sync_runs(tenant_id, id) ON DELETE CASCADE;

-- Name: sync_errors fk_sync_errors_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_errors
    ADD CONSTRAINT fk_sync_errors_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: sync_items fk_sync_items_connector; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_items
    ADD CONSTRAINT fk_sync_items_connector FOREIGN KEY (tenant_id, connector_id) REFERENCES public.connectors(tenant_id, id) ON DELETE CASCADE;

-- Name: sync_items fk_sync_items_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_items
    ADD CONSTRAINT fk_sync_items_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: sync_positions fk_sync_positions_connector; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_positions
    ADD CONSTRAINT fk_sync_positions_connector FOREIGN KEY (tenant_id, connector_id) REFERENCES public.connectors(tenant_id, id) ON DELETE CASCADE;

-- Name: sync_positions fk_sync_positions_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_positions
    ADD CONSTRAINT fk_sync_positions_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: sync_runs fk_sync_runs_connector; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_runs
    ADD CONSTRAINT fk_sync_runs_connector FOREIGN KEY (tenant_id, connector_id) REFERENCES public.connectors(tenant_id, id) ON DELETE CASCADE;

-- Name: sync_runs fk_sync_runs_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_runs
    ADD CONSTRAINT fk_sync_runs_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: sync_transitions fk_sync_transitions_run; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_transitions
    ADD CONSTRAINT fk_sync_transitions_run FOREIGN KEY (tenant_id, run_id) REFERENCES public.sync_runs(tenant_id, id) ON DELETE CASCADE;

-- Name: sync_transitions fk_sync_transitions_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.sync_transitions
    ADD CONSTRAINT fk_sync_transitions_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: tenant_components fk_tenant_components_content; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.tenant_components
    ADD CONSTRAINT fk_tenant_components_content FOREIGN KEY (tenant_id, sha256) REFERENCES public.component_contents(tenant_id, sha256) ON DELETE CASCADE;

-- Name: tenant_components fk_tenant_components_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.tenant_components
    ADD CONSTRAINT fk_tenant_components_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: uploads fk_uploads_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT fk_uploads_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: uploads fk_uploads_uploader; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.uploads
    ADD CONSTRAINT fk_uploads_uploader FOREIGN KEY (tenant_id, uploaded_by) REFERENCES public.users(tenant_id, id) ON DELETE SET NULL (uploaded_by);

-- Name: users fk_users_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.users
    ADD CONSTRAINT fk_users_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: watch_channels fk_watch_channels_connector; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.watch_channels
    ADD CONSTRAINT fk_watch_channels_connector FOREIGN KEY (tenant_id, connector_id) REFERENCES public.connectors(tenant_id, id) ON DELETE CASCADE;

-- Name: watch_channels fk_watch_channels_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.watch_channels
    ADD CONSTRAINT fk_watch_channels_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: webhook_deliveries fk_webhook_deliveries_connector; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT fk_webhook_deliveries_connector FOREIGN KEY (tenant_id, connector_id) REFERENCES public.connectors(tenant_id, id) ON DELETE CASCADE;

-- Name: webhook_deliveries fk_webhook_deliveries_tenant_id_tenants; Type: FK CONSTRAINT; Schema: public; Owner: secondbrain_owner

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT fk_webhook_deliveries_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES public.tenants(id) ON DELETE CASCADE;

-- Name: api_keys; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;

-- Name: chat_messages; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.chat_messages ENABLE ROW LEVEL SECURITY;

-- Name: chats; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.chats ENABLE ROW LEVEL SECURITY;

-- Name: chunk_vectors; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.chunk_vectors ENABLE ROW LEVEL SECURITY;

-- Name: chunks; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.chunks ENABLE ROW LEVEL SECURITY;

-- Name: component_contents; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.component_contents ENABLE ROW LEVEL SECURITY;

-- Name: config_versions; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.config_versions ENABLE ROW LEVEL SECURITY;

-- Name: connectors; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.connectors ENABLE ROW LEVEL SECURITY;

-- Name: credentials; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.credentials ENABLE ROW LEVEL SECURITY;

-- Name: documents; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY;

-- Name: embedding_cache; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.embedding_cache ENABLE ROW LEVEL SECURITY;

-- Name: sessions ending; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY ending ON public.sessions AS RESTRICTIVE FOR UPDATE TO secondbrain_operator USING ((ended_at IS NULL)) WITH CHECK ((ended_at IS NOT NULL));

-- Name: entity_aliases; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.entity_aliases ENABLE ROW LEVEL SECURITY;

-- Name: feedback; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.feedback ENABLE ROW LEVEL SECURITY;

-- Name: graph_entities; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.graph_entities ENABLE ROW LEVEL SECURITY;

-- Name: graph_evidence; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.graph_evidence ENABLE ROW LEVEL SECURITY;

-- Name: graph_mentions; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.graph_mentions ENABLE ROW LEVEL SECURITY;

-- Name: graph_relations; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.graph_relations ENABLE ROW LEVEL SECURITY;

-- Name: idempotency_keys; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;

-- Name: jobs; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.jobs ENABLE ROW LEVEL SECURITY;

-- Name: oauth_nonces; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.oauth_nonces ENABLE ROW LEVEL SECURITY;

-- Name: api_keys operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.api_keys TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: chat_messages operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.chat_messages TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: chats operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.chats TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: chunk_vectors operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.chunk_vectors TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: chunks operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.chunks TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: component_contents operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.component_contents TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: config_versions operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.config_versions TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: connectors operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.connectors TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: credentials operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.credentials TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: documents operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.documents TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: embedding_cache operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.embedding_cache TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: entity_aliases operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.entity_aliases TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: feedback operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.feedback TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: graph_entities operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.graph_entities TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: graph_evidence operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.graph_evidence TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: graph_mentions operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.graph_mentions TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: graph_relations operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.graph_relations TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: idempotency_keys operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.idempotency_keys TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: jobs operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.jobs TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: oauth_nonces operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.oauth_nonces TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: refresh_tokens operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.refresh_tokens TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: schedules operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.schedules TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: searches operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.searches TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: serving_models operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.serving_models TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: sessions operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.sessions TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: source_removals operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.source_removals TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: sync_errors operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.sync_errors TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: sync_items operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.sync_items TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: sync_positions operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.sync_positions TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: sync_runs operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.sync_runs TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: sync_transitions operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.sync_transitions TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: tenant_components operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.tenant_components TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: tenants operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.tenants TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: uploads operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.uploads TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: users operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.users TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: watch_channels operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.watch_channels TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: webhook_deliveries operator; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY operator ON public.webhook_deliveries TO secondbrain_operator USING (true) WITH CHECK (true);

-- Name: refresh_tokens; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.refresh_tokens ENABLE ROW LEVEL SECURITY;

-- Name: jobs scheduled; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY scheduled ON public.jobs AS RESTRICTIVE FOR INSERT TO secondbrain_operator WITH CHECK ((EXISTS ( SELECT
   FROM public.schedules s
  WHERE ((s.tenant_id = jobs.tenant_id) AND (s.last_job_id = jobs.id) AND (s.kind = jobs.kind) AND (s.args = jobs.args) AND (s.priority = jobs.priority)))));

-- Name: schedules; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.schedules ENABLE ROW LEVEL SECURITY;

-- Name: chunk_vectors search; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY search ON public.chunk_vectors FOR SELECT TO secondbrain_search USING (true);

-- Name: chunks search; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY search ON public.chunks FOR SELECT TO secondbrain_search USING (true);

-- Name: searches; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.searches ENABLE ROW LEVEL SECURITY;

-- Name: serving_models; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.serving_models ENABLE ROW LEVEL SECURITY;

-- Name: sessions; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.sessions ENABLE ROW LEVEL SECURITY;

-- Name: source_removals; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.source_removals ENABLE ROW LEVEL SECURITY;

-- Name: sync_errors; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.sync_errors ENABLE ROW LEVEL SECURITY;

-- Name: sync_items; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.sync_items ENABLE ROW LEVEL SECURITY;

-- Name: sync_positions; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.sync_positions ENABLE ROW LEVEL SECURITY;

-- Name: sync_runs; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.sync_runs ENABLE ROW LEVEL SECURITY;

-- Name: sync_transitions; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.sync_transitions ENABLE ROW LEVEL SECURITY;

-- Name: api_keys tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.api_keys TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: chat_messages tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.chat_messages TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: chats tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.chats TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: chunk_vectors tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.chunk_vectors TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: chunks tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.chunks TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: component_contents tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.component_contents TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: config_versions tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.config_versions TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: connectors tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.connectors TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: credentials tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.credentials TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: documents tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.documents TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: embedding_cache tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.embedding_cache TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: entity_aliases tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.entity_aliases TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: feedback tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.feedback TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: graph_entities tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.graph_entities TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: graph_evidence tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.graph_evidence TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: graph_mentions tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.graph_mentions TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: graph_relations tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.graph_relations TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: idempotency_keys tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.idempotency_keys TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: jobs tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.jobs TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: oauth_nonces tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.oauth_nonces TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: refresh_tokens tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.refresh_tokens TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: schedules tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.schedules TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: searches tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.searches TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: serving_models tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.serving_models TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: sessions tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.sessions TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: source_removals tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.source_removals TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: sync_errors tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.sync_errors TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: sync_items tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.sync_items TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: sync_positions tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.sync_positions TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: sync_runs tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.sync_runs TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: sync_transitions tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.sync_transitions TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: tenant_components tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.tenant_components TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: tenants tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.tenants TO secondbrain_app USING ((id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: uploads tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.uploads TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: users tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.users TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: watch_channels tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.watch_channels TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: webhook_deliveries tenant; Type: POLICY; Schema: public; Owner: secondbrain_owner

CREATE POLICY tenant ON public.webhook_deliveries TO secondbrain_app USING ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid)) WITH CHECK ((tenant_id = (NULLIF(( SELECT current_setting('app.tenant_id'::text, true) AS current_setting), ''::text))::uuid));

-- Name: tenant_components; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.tenant_components ENABLE ROW LEVEL SECURITY;

-- Name: tenants; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.tenants ENABLE ROW LEVEL SECURITY;

-- Name: uploads; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.uploads ENABLE ROW LEVEL SECURITY;

-- Name: users; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;

-- Name: watch_channels; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.watch_channels ENABLE ROW LEVEL SECURITY;

-- Name: webhook_deliveries; Type: ROW SECURITY; Schema: public; Owner: secondbrain_owner

ALTER TABLE public.webhook_deliveries ENABLE ROW LEVEL SECURITY;

-- Name: SCHEMA ops; Type: ACL; Schema: -; Owner: secondbrain_owner

GRANT USAGE ON SCHEMA ops TO secondbrain_operator;
GRANT USAGE ON SCHEMA ops TO secondbrain_readonly;

-- Name: SCHEMA public; Type: ACL; Schema: -; Owner: pg_database_owner

GRANT USAGE ON SCHEMA public TO secondbrain_app;
GRANT USAGE ON SCHEMA public TO secondbrain_operator;
GRANT USAGE ON SCHEMA public TO secondbrain_search;
GRANT USAGE ON SCHEMA public TO secondbrain_readonly;

-- Name: FUNCTION count_lexemes(lexemes text[]); Type: ACL; Schema: public; Owner: secondbrain_search

REVOKE ALL ON FUNCTION public.count_lexemes(lexemes text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION public.count_lexemes(lexemes text[]) TO secondbrain_app;

-- Name: FUNCTION nearest_by_index(tenant uuid, meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]); Type: ACL; Schema: public; Owner: secondbrain_search

REVOKE ALL ON FUNCTION public.nearest_by_index(tenant uuid, meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]) FROM PUBLIC;

-- Name: FUNCTION nearest_chunks(meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]); Type: ACL; Schema: public; Owner: secondbrain_search

REVOKE ALL ON FUNCTION public.nearest_chunks(meaning public.halfvec, model text, candidates integer, allowed uuid[], hidden uuid[]) FROM PUBLIC;

-- Name: FUNCTION phrase_of(passage text); Type: ACL; Schema: public; Owner: secondbrain_owner

REVOKE ALL ON FUNCTION public.phrase_of(passage text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.phrase_of(passage text) TO secondbrain_app;

-- Name: FUNCTION search_chunks(lexemes text[], meaning public.halfvec, model text, candidates integer, results integer, dense_weight double precision, counted_lexemes text[], frequencies integer[], passages bigint, pair_firsts text[], pair_seconds text[], pair_gaps integer[], allowed uuid[], hidden uuid[], per_document integer, softened text[], factors double precision[], required tsquery, refused tsquery, enough_share double precision); Type: ACL; Schema: public; Owner: secondbrain_search

REVOKE ALL ON FUNCTION public.search_chunks(lexemes text[], meaning public.halfvec, model text, candidates integer, results integer, dense_weight double precision, counted_lexemes text[], frequencies integer[], passages bigint, pair_firsts text[], pair_seconds text[], pair_gaps integer[], allowed uuid[], hidden uuid[], per_document integer, softened text[], factors double precision[], required tsquery, refused tsquery, enough_share double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION public.search_chunks(lexemes text[], meaning public.halfvec, model text, candidates integer, results integer, dense_weight double precision, counted_lexemes text[], frequencies integer[], passages bigint, pair_firsts text[], pair_seconds text[], pair_gaps integer[], allowed uuid[], hidden uuid[], per_document integer, softened text[], factors double precision[], required tsquery, refused tsquery, enough_share double precision) TO secondbrain_app;

-- Name: FUNCTION vector_index_name(tenant uuid, model text); Type: ACL; Schema: public; Owner: secondbrain_owner

REVOKE ALL ON FUNCTION public.vector_index_name(tenant uuid, model text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.vector_index_name(tenant uuid, model text) TO secondbrain_search;
GRANT ALL ON FUNCTION public.vector_index_name(tenant uuid, model text) TO secondbrain_operator;
GRANT ALL ON FUNCTION public.vector_index_name(tenant uuid, model text) TO secondbrain_readonly;

-- Name: FUNCTION words_as_written(passage text); Type: ACL; Schema: public; Owner: secondbrain_owner

REVOKE ALL ON FUNCTION public.words_as_written(passage text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.words_as_written(passage text) TO secondbrain_app;

-- Name: FUNCTION words_of(passage text); Type: ACL; Schema: public; Owner: secondbrain_owner

REVOKE ALL ON FUNCTION public.words_of(passage text) FROM PUBLIC;
GRANT ALL ON FUNCTION public.words_of(passage text) TO secondbrain_app;

-- Name: TABLE api_keys; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,UPDATE ON TABLE public.api_keys TO secondbrain_app;

-- Name: COLUMN api_keys.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: COLUMN api_keys.id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(id) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: COLUMN api_keys.user_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(user_id) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: COLUMN api_keys.name; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(name) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: COLUMN api_keys.scopes; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(scopes) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: COLUMN api_keys.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: COLUMN api_keys.last_used_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(last_used_at) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: COLUMN api_keys.expires_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(expires_at) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: COLUMN api_keys.revoked_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(revoked_at) ON TABLE public.api_keys TO secondbrain_operator;

-- Name: TABLE tenants; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,UPDATE ON TABLE public.tenants TO secondbrain_app;
GRANT SELECT ON TABLE public.tenants TO secondbrain_operator;

-- Name: TABLE users; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.users TO secondbrain_app;
GRANT SELECT ON TABLE public.users TO secondbrain_operator;

-- Name: TABLE api_keys; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.api_keys TO secondbrain_readonly;

-- Name: TABLE instances; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.instances TO secondbrain_operator;

-- Name: TABLE caches; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.caches TO secondbrain_readonly;

-- Name: TABLE chats; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.chats TO secondbrain_app;
GRANT DELETE ON TABLE public.chats TO secondbrain_operator;

-- Name: COLUMN chats.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.chats TO secondbrain_operator;

-- Name: COLUMN chats.id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(id) ON TABLE public.chats TO secondbrain_operator;

-- Name: COLUMN chats.user_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(user_id) ON TABLE public.chats TO secondbrain_operator;

-- Name: COLUMN chats.message_count; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(message_count) ON TABLE public.chats TO secondbrain_operator;

-- Name: COLUMN chats.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.chats TO secondbrain_operator;

-- Name: COLUMN chats.last_message_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(last_message_at) ON TABLE public.chats TO secondbrain_operator;

-- Name: TABLE chats; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.chats TO secondbrain_readonly;

-- Name: TABLE component_contents; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.component_contents TO secondbrain_app;
GRANT DELETE ON TABLE public.component_contents TO secondbrain_operator;

-- Name: COLUMN component_contents.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.component_contents TO secondbrain_operator;

-- Name: COLUMN component_contents.sha256; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(sha256) ON TABLE public.component_contents TO secondbrain_operator;

-- Name: COLUMN component_contents.byte_size; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(byte_size) ON TABLE public.component_contents TO secondbrain_operator;

-- Name: COLUMN component_contents.used_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(used_at) ON TABLE public.component_contents TO secondbrain_operator;

-- Name: TABLE tenant_components; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tenant_components TO secondbrain_app;
GRANT SELECT,DELETE ON TABLE public.tenant_components TO secondbrain_operator;

-- Name: TABLE components; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.components TO secondbrain_readonly;

-- Name: TABLE config_versions; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT ON TABLE public.config_versions TO secondbrain_app;

-- Name: COLUMN config_versions.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.config_versions TO secondbrain_operator;

-- Name: COLUMN config_versions.name; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(name) ON TABLE public.config_versions TO secondbrain_operator;

-- Name: COLUMN config_versions.version; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(version) ON TABLE public.config_versions TO secondbrain_operator;

-- Name: COLUMN config_versions.revision; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(revision) ON TABLE public.config_versions TO secondbrain_operator;

-- Name: COLUMN config_versions.note; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(note) ON TABLE public.config_versions TO secondbrain_operator;

-- Name: COLUMN config_versions.published_by; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(published_by) ON TABLE public.config_versions TO secondbrain_operator;

-- Name: COLUMN config_versions.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.config_versions TO secondbrain_operator;

-- Name: TABLE installation_config_versions; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT ON TABLE public.installation_config_versions TO secondbrain_app;
GRANT SELECT,INSERT ON TABLE public.installation_config_versions TO secondbrain_operator;

-- Name: TABLE config_versions; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.config_versions TO secondbrain_readonly;

-- Name: TABLE connectors; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.connectors TO secondbrain_app;
GRANT SELECT ON TABLE public.connectors TO secondbrain_operator;

-- Name: TABLE credentials; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.credentials TO secondbrain_app;

-- Name: COLUMN credentials.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.credentials TO secondbrain_operator;

-- Name: COLUMN credentials.connector_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(connector_id) ON TABLE public.credentials TO secondbrain_operator;

-- Name: COLUMN credentials.expires_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(expires_at) ON TABLE public.credentials TO secondbrain_operator;

-- Name: COLUMN credentials.updated_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(updated_at) ON TABLE public.credentials TO secondbrain_operator;

-- Name: TABLE schedules; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.schedules TO secondbrain_app;
GRANT SELECT ON TABLE public.schedules TO secondbrain_operator;

-- Name: COLUMN schedules.next_run_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(next_run_at) ON TABLE public.schedules TO secondbrain_operator;

-- Name: COLUMN schedules.last_run_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(last_run_at) ON TABLE public.schedules TO secondbrain_operator;

-- Name: COLUMN schedules.last_job_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(last_job_id) ON TABLE public.schedules TO secondbrain_operator;

-- Name: COLUMN schedules.skipped_because; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(skipped_because) ON TABLE public.schedules TO secondbrain_operator;

-- Name: TABLE sync_items; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sync_items TO secondbrain_app;

-- Name: COLUMN sync_items.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.sync_items TO secondbrain_operator;

-- Name: COLUMN sync_items.connector_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(connector_id) ON TABLE public.sync_items TO secondbrain_operator;

-- Name: COLUMN sync_items.state; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(state) ON TABLE public.sync_items TO secondbrain_operator;

-- Name: COLUMN sync_items.missed_count; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(missed_count) ON TABLE public.sync_items TO secondbrain_operator;

-- Name: COLUMN sync_items.retry_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(retry_at) ON TABLE public.sync_items TO secondbrain_operator;

-- Name: TABLE sync_runs; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,UPDATE ON TABLE public.sync_runs TO secondbrain_app;
GRANT SELECT,DELETE ON TABLE public.sync_runs TO secondbrain_operator;

-- Name: TABLE connectors; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.connectors TO secondbrain_readonly;

-- Name: TABLE documents; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.documents TO secondbrain_app;

-- Name: COLUMN documents.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(id) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.source_type; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(source_type) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.byte_size; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(byte_size) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.classification; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(classification) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.deleted_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(deleted_at) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.status; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(status) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.classification_confidence; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(classification_confidence) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.cut_as; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(cut_as) ON TABLE public.documents TO secondbrain_operator;

-- Name: COLUMN documents.is_judged; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(is_judged) ON TABLE public.documents TO secondbrain_operator;

-- Name: TABLE document_cuts; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.document_cuts TO secondbrain_readonly;

-- Name: TABLE documents; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.documents TO secondbrain_readonly;

-- Name: TABLE embedding_cache; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.embedding_cache TO secondbrain_app;
GRANT DELETE ON TABLE public.embedding_cache TO secondbrain_operator;

-- Name: COLUMN embedding_cache.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.embedding_cache TO secondbrain_operator;

-- Name: COLUMN embedding_cache.model; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(model) ON TABLE public.embedding_cache TO secondbrain_operator;

-- Name: COLUMN embedding_cache.byte_size; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(byte_size) ON TABLE public.embedding_cache TO secondbrain_operator;

-- Name: COLUMN embedding_cache.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.embedding_cache TO secondbrain_operator;

-- Name: COLUMN embedding_cache.expires_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(expires_at) ON TABLE public.embedding_cache TO secondbrain_operator;

-- Name: TABLE embedding_cache; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.embedding_cache TO secondbrain_readonly;

-- Name: TABLE idempotency_keys; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_keys TO secondbrain_app;
GRANT DELETE ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.user_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(user_id) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.key_sha256; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(key_sha256) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.request; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(request) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.lease; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(lease) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.leased_until; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(leased_until) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.status_code; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(status_code) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.answered_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(answered_at) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: COLUMN idempotency_keys.expires_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(expires_at) ON TABLE public.idempotency_keys TO secondbrain_operator;

-- Name: TABLE idempotency_keys; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.idempotency_keys TO secondbrain_readonly;

-- Name: TABLE instances; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.instances TO secondbrain_readonly;

-- Name: TABLE entity_aliases; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.entity_aliases TO secondbrain_app;
GRANT DELETE ON TABLE public.entity_aliases TO secondbrain_operator;

-- Name: COLUMN entity_aliases.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.entity_aliases TO secondbrain_operator;

-- Name: COLUMN entity_aliases.expires_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(expires_at) ON TABLE public.entity_aliases TO secondbrain_operator;

-- Name: TABLE graph_entities; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.graph_entities TO secondbrain_app;

-- Name: COLUMN graph_entities.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.graph_entities TO secondbrain_operator;

-- Name: COLUMN graph_entities.kind; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(kind) ON TABLE public.graph_entities TO secondbrain_operator;

-- Name: TABLE graph_evidence; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.graph_evidence TO secondbrain_app;

-- Name: COLUMN graph_evidence.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.graph_evidence TO secondbrain_operator;

-- Name: TABLE graph_mentions; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.graph_mentions TO secondbrain_app;

-- Name: COLUMN graph_mentions.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.graph_mentions TO secondbrain_operator;

-- Name: TABLE graph_relations; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.graph_relations TO secondbrain_app;

-- Name: COLUMN graph_relations.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.graph_relations TO secondbrain_operator;

-- Name: COLUMN graph_relations.kind; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(kind) ON TABLE public.graph_relations TO secondbrain_operator;

-- Name: TABLE knowledge; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.knowledge TO secondbrain_readonly;

-- Name: TABLE oauth_nonces; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,UPDATE ON TABLE public.oauth_nonces TO secondbrain_app;
GRANT SELECT,DELETE ON TABLE public.oauth_nonces TO secondbrain_operator;

-- Name: TABLE oauth_nonces; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.oauth_nonces TO secondbrain_readonly;

-- Name: TABLE jobs; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,UPDATE ON TABLE public.jobs TO secondbrain_app;
GRANT SELECT,DELETE ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT INSERT(id) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT INSERT(tenant_id) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.kind; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT INSERT(kind) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.args; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT INSERT(args) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.state; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(state) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.priority; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT INSERT(priority) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.run_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(run_at) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.attempt; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(attempt) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.lease; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(lease) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.worker_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(worker_id) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.claimed_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(claimed_at) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.progressed_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(progressed_at) ON TABLE public.jobs TO secondbrain_operator;

-- Name: COLUMN jobs.last_error; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(last_error) ON TABLE public.jobs TO secondbrain_operator;

-- Name: TABLE queue; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.queue TO secondbrain_readonly;

-- Name: TABLE rate_limits; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.rate_limits TO secondbrain_operator;

-- Name: TABLE rate_limits; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.rate_limits TO secondbrain_readonly;

-- Name: TABLE schedules; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.schedules TO secondbrain_readonly;

-- Name: TABLE feedback; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feedback TO secondbrain_app;

-- Name: COLUMN feedback.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.feedback TO secondbrain_operator;

-- Name: COLUMN feedback.id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(id) ON TABLE public.feedback TO secondbrain_operator;

-- Name: COLUMN feedback.rating; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(rating) ON TABLE public.feedback TO secondbrain_operator;

-- Name: COLUMN feedback.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.feedback TO secondbrain_operator;

-- Name: TABLE searches; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.searches TO secondbrain_app;
GRANT DELETE ON TABLE public.searches TO secondbrain_operator;

-- Name: COLUMN searches.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.searches TO secondbrain_operator;

-- Name: COLUMN searches.id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(id) ON TABLE public.searches TO secondbrain_operator;

-- Name: COLUMN searches.outcome; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(outcome) ON TABLE public.searches TO secondbrain_operator;

-- Name: COLUMN searches.confidence; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(confidence) ON TABLE public.searches TO secondbrain_operator;

-- Name: COLUMN searches.result_count; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(result_count) ON TABLE public.searches TO secondbrain_operator;

-- Name: COLUMN searches.milliseconds; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(milliseconds) ON TABLE public.searches TO secondbrain_operator;

-- Name: COLUMN searches.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.searches TO secondbrain_operator;

-- Name: TABLE searches; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.searches TO secondbrain_readonly;

-- Name: TABLE serving_models; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.serving_models TO secondbrain_app;
GRANT SELECT ON TABLE public.serving_models TO secondbrain_operator;

-- Name: TABLE serving_models; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.serving_models TO secondbrain_readonly;

-- Name: TABLE sessions; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sessions TO secondbrain_app;
GRANT SELECT,DELETE ON TABLE public.sessions TO secondbrain_operator;

-- Name: COLUMN sessions.ended_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(ended_at) ON TABLE public.sessions TO secondbrain_operator;

-- Name: COLUMN sessions.end_reason; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(end_reason) ON TABLE public.sessions TO secondbrain_operator;

-- Name: TABLE sessions; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.sessions TO secondbrain_readonly;

-- Name: TABLE signing_keys; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE ON TABLE public.signing_keys TO secondbrain_operator;

-- Name: COLUMN signing_keys.retires_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(retires_at) ON TABLE public.signing_keys TO secondbrain_operator;

-- Name: COLUMN signing_keys.retired_because; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT UPDATE(retired_because) ON TABLE public.signing_keys TO secondbrain_operator;

-- Name: TABLE signing_keys; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.signing_keys TO secondbrain_readonly;

-- Name: TABLE source_removals; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.source_removals TO secondbrain_app;
GRANT SELECT ON TABLE public.source_removals TO secondbrain_operator;

-- Name: TABLE workers; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.workers TO secondbrain_operator;

-- Name: TABLE source_removals; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.source_removals TO secondbrain_readonly;

-- Name: TABLE stuck_jobs; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.stuck_jobs TO secondbrain_readonly;

-- Name: TABLE sync_errors; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sync_errors TO secondbrain_app;
GRANT SELECT,DELETE ON TABLE public.sync_errors TO secondbrain_operator;

-- Name: TABLE sync_errors; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.sync_errors TO secondbrain_readonly;

-- Name: TABLE sync_positions; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sync_positions TO secondbrain_app;

-- Name: COLUMN sync_positions.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.sync_positions TO secondbrain_operator;

-- Name: COLUMN sync_positions.connector_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(connector_id) ON TABLE public.sync_positions TO secondbrain_operator;

-- Name: COLUMN sync_positions.pass_number; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(pass_number) ON TABLE public.sync_positions TO secondbrain_operator;

-- Name: COLUMN sync_positions.is_full; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(is_full) ON TABLE public.sync_positions TO secondbrain_operator;

-- Name: COLUMN sync_positions.is_whole; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(is_whole) ON TABLE public.sync_positions TO secondbrain_operator;

-- Name: COLUMN sync_positions.full_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(full_at) ON TABLE public.sync_positions TO secondbrain_operator;

-- Name: COLUMN sync_positions.updated_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(updated_at) ON TABLE public.sync_positions TO secondbrain_operator;

-- Name: TABLE sync_positions; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.sync_positions TO secondbrain_readonly;

-- Name: TABLE sync_runs; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.sync_runs TO secondbrain_readonly;

-- Name: TABLE sync_transitions; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.sync_transitions TO secondbrain_app;
GRANT SELECT ON TABLE public.sync_transitions TO secondbrain_operator;

-- Name: TABLE sync_transitions; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.sync_transitions TO secondbrain_readonly;

-- Name: TABLE chunks; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.chunks TO secondbrain_app;
GRANT SELECT ON TABLE public.chunks TO secondbrain_search;

-- Name: COLUMN chunks.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.chunks TO secondbrain_operator;

-- Name: COLUMN chunks.id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(id) ON TABLE public.chunks TO secondbrain_operator;

-- Name: COLUMN chunks.document_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(document_id) ON TABLE public.chunks TO secondbrain_operator;

-- Name: TABLE tenants; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.tenants TO secondbrain_readonly;

-- Name: TABLE uploads; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.uploads TO secondbrain_app;
GRANT DELETE ON TABLE public.uploads TO secondbrain_operator;

-- Name: COLUMN uploads.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.uploads TO secondbrain_operator;

-- Name: COLUMN uploads.id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(id) ON TABLE public.uploads TO secondbrain_operator;

-- Name: COLUMN uploads.byte_size; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(byte_size) ON TABLE public.uploads TO secondbrain_operator;

-- Name: COLUMN uploads.state; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(state) ON TABLE public.uploads TO secondbrain_operator;

-- Name: COLUMN uploads.reason; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(reason) ON TABLE public.uploads TO secondbrain_operator;

-- Name: COLUMN uploads.created_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(created_at) ON TABLE public.uploads TO secondbrain_operator;

-- Name: COLUMN uploads.finished_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(finished_at) ON TABLE public.uploads TO secondbrain_operator;

-- Name: TABLE uploads; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.uploads TO secondbrain_readonly;

-- Name: TABLE chunk_vectors; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.chunk_vectors TO secondbrain_app;
GRANT SELECT ON TABLE public.chunk_vectors TO secondbrain_search;

-- Name: COLUMN chunk_vectors.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.chunk_vectors TO secondbrain_operator;

-- Name: COLUMN chunk_vectors.chunk_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(chunk_id) ON TABLE public.chunk_vectors TO secondbrain_operator;

-- Name: COLUMN chunk_vectors.embedding_model; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(embedding_model) ON TABLE public.chunk_vectors TO secondbrain_operator;

-- Name: COLUMN chunk_vectors.document_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(document_id) ON TABLE public.chunk_vectors TO secondbrain_operator;

-- Name: TABLE vector_indexes; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.vector_indexes TO secondbrain_readonly;

-- Name: TABLE watch_channels; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.watch_channels TO secondbrain_app;
GRANT SELECT ON TABLE public.watch_channels TO secondbrain_operator;

-- Name: TABLE watch_channels; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.watch_channels TO secondbrain_readonly;

-- Name: TABLE webhook_deliveries; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,UPDATE ON TABLE public.webhook_deliveries TO secondbrain_app;
GRANT SELECT,DELETE ON TABLE public.webhook_deliveries TO secondbrain_operator;

-- Name: TABLE webhook_deliveries; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.webhook_deliveries TO secondbrain_readonly;

-- Name: TABLE workers; Type: ACL; Schema: ops; Owner: secondbrain_operator

GRANT SELECT ON TABLE ops.workers TO secondbrain_readonly;

-- Name: TABLE alembic_version; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT ON TABLE public.alembic_version TO secondbrain_app;

-- Name: TABLE chat_messages; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.chat_messages TO secondbrain_app;

-- Name: SEQUENCE config_revisions; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT USAGE ON SEQUENCE public.config_revisions TO secondbrain_app;
GRANT USAGE ON SEQUENCE public.config_revisions TO secondbrain_operator;

-- Name: TABLE refresh_tokens; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.refresh_tokens TO secondbrain_app;
GRANT DELETE ON TABLE public.refresh_tokens TO secondbrain_operator;

-- Name: COLUMN refresh_tokens.tenant_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(tenant_id) ON TABLE public.refresh_tokens TO secondbrain_operator;

-- Name: COLUMN refresh_tokens.session_id; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(session_id) ON TABLE public.refresh_tokens TO secondbrain_operator;

-- Name: COLUMN refresh_tokens.expires_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(expires_at) ON TABLE public.refresh_tokens TO secondbrain_operator;

-- Name: COLUMN refresh_tokens.rotated_at; Type: ACL; Schema: public; Owner: secondbrain_owner

GRANT SELECT(rotated_at) ON TABLE public.refresh_tokens TO secondbrain_operator;

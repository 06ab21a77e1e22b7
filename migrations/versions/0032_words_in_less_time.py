"""The same lexemes in two thirds of the time: what is looked at is looked at as a whole, not letter by letter. And a
document that was too long says for which limit."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

#: `translate` compares each character with all it may be; `replace` and a class in the expression that is applied anyway
#: do not. Most passages have no identifier: one short expression says so.
WORDS = r"""
CREATE OR REPLACE FUNCTION words_as_written(passage text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT to_tsvector('pg_catalog.english'::regconfig, regexp_replace(
        replace(replace(replace(passage, E'\u2018', ''''), E'\u2019', ''''), E'\u02BC', ''''),
        '[/_*`|~\u00A1-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u2010-\u206F\u20A0-\u20CF\u2190-\u2BFF\u3000-\u303F'
        '\uFE00-\uFE0F\uFF00-\uFF0F\U0001F000-\U0001FAFF]+', ' ', 'g'))
$$;

CREATE OR REPLACE FUNCTION words_of(passage text) RETURNS tsvector
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
"""

#: As 0023 and 0026 have them.
WORDS_BEFORE = r"""
CREATE OR REPLACE FUNCTION words_as_written(passage text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT to_tsvector('pg_catalog.english'::regconfig, regexp_replace(
        translate(passage, E'\u2018\u2019\u02BC/_*`|~', '''''''      '),
        '[\u00A1-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u2010-\u206F\u20A0-\u20CF\u2190-\u2BFF\u3000-\u303F'
        '\uFE00-\uFE0F\uFF00-\uFF0F\U0001F000-\U0001FAFF]+', ' ', 'g'))
$$;

CREATE OR REPLACE FUNCTION words_of(passage text) RETURNS tsvector
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
"""

CUT_AS = """
COMMENT ON COLUMN documents.cut_as IS 'How its passages were cut and indexed: characters/overlap/edition, and of how many characters its beginning was kept if it was too long; none before that was kept'
"""
CUT_AS_BEFORE = """
COMMENT ON COLUMN documents.cut_as IS 'How its passages were cut and indexed: characters/overlap/edition; none before that was kept'
"""


def upgrade() -> None:
    op.execute(WORDS)
    op.execute(CUT_AS)


def downgrade() -> None:
    op.execute(CUT_AS_BEFORE)
    op.execute(WORDS_BEFORE)

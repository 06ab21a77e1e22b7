"""Migrations as a chain: one head, every step goes both ways, and what comes out is what the models say."""

from pathlib import Path
from typing import Final

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from backend.db.base import Base
from backend.db.engine import sqlalchemy_url
from backend.db.migrate import configuration, head
from backend.db.schema import SchemaOutdated, known_revisions, require_current
from migrations.schema import PATH, dump
from tests.conftest import TestDatabase
from tests.migrations.conftest import EmptyDatabase

VERSIONS: Final = Path(__file__).parents[2] / "migrations" / "versions"

#: What Postgres knows of a table's shape, for comparison: name and definition.
SHAPES: Final = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
          AND c.relname <> 'alembic_version' ORDER BY 1, 2""",
    "tables": """
        SELECT relname, obj_description(oid, 'pg_class') FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version' ORDER BY 1""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype <> 'n'
          AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2""",
}


def test_there_is_one_head() -> None:
    scripts = ScriptDirectory.from_config(configuration(""))
    assert scripts.get_heads() == [known_revisions()[-1]] == [head(configuration(""))]


def test_revisions_are_numbered_without_a_gap() -> None:
    assert known_revisions() == [f"{number:04}" for number in range(1, len(known_revisions()) + 1)]


def test_names_of_files_tell_their_revision() -> None:
    for path in VERSIONS.glob("[0-9]*.py"):
        assert f'revision = "{path.name[:4]}"' in path.read_text(), path.name


def test_each_step_goes_up_down_and_up_again(empty_database: EmptyDatabase) -> None:
    config = empty_database.configuration
    command.ensure_version(config)
    for revision in known_revisions():
        lower = dump(empty_database.url("postgres"))
        command.upgrade(config, revision)
        upper = dump(empty_database.url("postgres"))
        assert upper != lower, f"{revision} changes nothing"
        command.downgrade(config, "-1")
        assert dump(empty_database.url("postgres")) == lower, (
            f"downgrade of {revision} leaves something behind"
        )
        command.upgrade(config, revision)
        assert dump(empty_database.url("postgres")) == upper, (
            f"{revision} does something else the second time"
        )


def test_way_down_to_base_leaves_nothing_though_there_are_rows(empty_database: EmptyDatabase) -> None:
    config = empty_database.configuration
    command.ensure_version(config)
    base = dump(empty_database.url("postgres"))
    command.upgrade(config, "head")
    assert empty_database.query("INSERT INTO tenants (slug, name) VALUES ('one', 'One') RETURNING 1")
    command.downgrade(config, "base")
    assert dump(empty_database.url("postgres")) == base


def test_alembic_finds_nothing_to_add(own_database: TestDatabase) -> None:
    command.check(configuration(own_database.admin_url))


@pytest.mark.parametrize("shape", SHAPES)
def test_models_and_migrations_make_the_same(
    own_database: TestDatabase, empty_database: EmptyDatabase, shape: str
) -> None:
    """Also what Alembic does not compare, such as CHECK constraints and the parts of an index."""
    with psycopg.connect(empty_database.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    engine = create_engine(sqlalchemy_url(empty_database.url("postgres")))
    Base.metadata.create_all(engine)
    engine.dispose()
    with own_database.admin() as connection:
        migrated = connection.execute(SHAPES[shape].encode()).fetchall()
    assert empty_database.query(SHAPES[shape]) == migrated


def test_schema_file_is_current(own_database: TestDatabase) -> None:
    assert PATH.read_text() == dump(own_database.admin_url), "run scripts/schema"


def test_schema_file_can_be_loaded(empty_database: EmptyDatabase) -> None:
    statements = PATH.read_text()
    with psycopg.connect(empty_database.url("postgres"), autocommit=True) as connection:
        connection.execute(statements.encode())
    assert dump(empty_database.url("postgres")) == statements


def test_process_refuses_a_schema_that_is_too_old(own_database: TestDatabase) -> None:
    require_current(own_database.url)
    with own_database.admin() as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (known_revisions()[-2],))
    with pytest.raises(SchemaOutdated):
        require_current(own_database.url)


def test_process_refuses_a_database_that_was_never_migrated(
    empty_database: EmptyDatabase, own_database: TestDatabase
) -> None:
    with pytest.raises(SchemaOutdated):
        require_current(empty_database.url("secondbrain_app"))
    with own_database.admin() as connection:
        connection.execute("DELETE FROM alembic_version")
    with pytest.raises(SchemaOutdated):
        require_current(own_database.url)


def test_process_accepts_a_newer_schema(own_database: TestDatabase) -> None:
    """While a new version is rolled out, the old one's processes must go on."""
    with own_database.admin() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    require_current(own_database.url)

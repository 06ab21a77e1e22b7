"""No tenant reaches another's rows, in whichever table and with whatever statement; tried, not looked up."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from backend.db.base import Base
from backend.db.engine import APP_ROLE, READONLY_ROLE, SEARCH_ROLE
from backend.db.isolation import isolate
from tests.db.conftest import Neighbours
from tests.db.samples import NOT_TENANTS, SAMPLES, insert_statement, tenant_column, tenant_tables

TABLES: Final = tenant_tables()

#: Columns the operator role must not read, with all the values they can be read through.
SEALED_OFF: Final = (
    ("documents", "content"),
    ("documents", "title"),
    ("documents", "external_id"),
    ("documents", "metadata"),
    ("documents", "*"),
    ("chunks", "text"),
    ("chunks", "search"),
    ("chunks", "*"),
    ("chunk_vectors", "embedding"),
    ("chunk_vectors", "*"),
    ("credentials", "sealed"),
    ("credentials", "*"),
    ("api_keys", "secret_sha256"),
    ("api_keys", "*"),
    ("idempotency_keys", "sealed_answer"),
    ("idempotency_keys", "*"),
    ("refresh_tokens", "token_sha256"),
    ("refresh_tokens", "*"),
)


#: What belongs to no tenant and every tenant may read.
READ_BY_ALL: Final = frozenset({"installation_config_versions"})


def test_every_table_has_a_sample() -> None:
    assert set(SAMPLES) == set(TABLES), "tests/db/samples.py must have a row for every table"


@pytest.mark.parametrize("table", TABLES)
def test_tenant_sees_its_own_row_only(neighbours: Neighbours, table: str) -> None:
    column = tenant_column(table)
    with neighbours.database.db.transaction(neighbours.mine) as session:
        seen = session.scalars(text(f"SELECT {column} FROM {table}")).all()
        theirs = session.scalar(
            text(f"SELECT count(*) FROM {table} WHERE {column} = :theirs"), {"theirs": neighbours.theirs}
        )
    assert seen == [neighbours.mine]
    assert theirs == 0


@pytest.mark.parametrize("table", TABLES)
def test_without_a_tenant_nothing_is_seen(neighbours: Neighbours, table: str) -> None:
    with neighbours.database.db.engine.begin() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0


@pytest.mark.parametrize("setting", ["", "not a uuid", "' OR true --"])
def test_nonsense_instead_of_a_tenant_shows_nothing(neighbours: Neighbours, setting: str) -> None:
    seen = 0
    with suppress(DBAPIError), neighbours.database.db.engine.begin() as connection:
        connection.execute(text("SELECT set_config('app.tenant_id', :setting, true)"), {"setting": setting})
        seen = connection.scalar(text("SELECT count(*) FROM documents")) or 0
    assert seen == 0


@pytest.mark.parametrize("table", TABLES)
def test_tenant_cannot_change_the_other_s_row(neighbours: Neighbours, table: str) -> None:
    column = tenant_column(table)
    assert _touched(neighbours, f"UPDATE {table} SET {column} = {column} WHERE {column} = :theirs") == 0
    assert _touched(neighbours, f"DELETE FROM {table} WHERE {column} = :theirs") == 0
    assert _count(neighbours, table) == 2


@pytest.mark.parametrize("table", TABLES)
def test_tenant_cannot_change_everybody_s_rows(neighbours: Neighbours, table: str) -> None:
    """The statement that forgot its WHERE: it reaches one's own rows and no others."""
    column = tenant_column(table)
    assert _touched(neighbours, f"UPDATE {table} SET {column} = {column}") <= 1
    first = [f"DELETE FROM {other}" for other in _in_the_way(table)]
    assert _touched(neighbours, f"DELETE FROM {table}", first=first) <= 1
    assert _count(neighbours, table) == 2


@pytest.mark.parametrize("table", TABLES)
def test_tenant_cannot_write_a_row_for_the_other(neighbours: Neighbours, table: str) -> None:
    values = {"tenant": str(neighbours.theirs)}
    statement = insert_statement(table).replace("%(tenant)s", ":tenant")
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        neighbours.database.db.transaction(neighbours.mine) as session,
    ):
        session.execute(text(statement), values)


@pytest.mark.parametrize("table", TABLES)
def test_tenant_cannot_give_its_row_away_or_take_the_other_s(neighbours: Neighbours, table: str) -> None:
    """Either the policy refuses, or the role may not change that column at all."""
    column = tenant_column(table)
    for statement in (
        f"UPDATE {table} SET {column} = :theirs",
        f"{insert_statement(table).replace('%(tenant)s', ':theirs')} ON CONFLICT DO NOTHING",
    ):
        with (
            pytest.raises(ProgrammingError, match=r"row-level security|permission denied"),
            neighbours.database.db.transaction(neighbours.mine) as session,
        ):
            session.execute(text(statement), {"theirs": str(neighbours.theirs)})


@pytest.mark.parametrize(
    "statement", ["TRUNCATE {}", "ALTER TABLE {} DISABLE ROW LEVEL SECURITY", "DROP TABLE {}"]
)
def test_app_cannot_lift_the_rules(neighbours: Neighbours, statement: str) -> None:
    for table in TABLES:
        with (
            pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
            neighbours.database.db.transaction(neighbours.mine) as session,
        ):
            session.execute(text(statement.format(table)))


def test_row_security_cannot_be_switched_off(neighbours: Neighbours) -> None:
    """The setting makes statements fail that would be filtered; it does not let them through."""
    with neighbours.database.db.transaction(neighbours.mine) as session:
        session.execute(text("SET LOCAL row_security = off"))
        with pytest.raises(ProgrammingError, match="row-level security"), session.begin_nested():
            session.execute(text("SELECT count(*) FROM documents"))


@pytest.mark.parametrize("role", ["postgres", "secondbrain_owner", SEARCH_ROLE, READONLY_ROLE])
def test_app_cannot_become_anybody_else(neighbours: Neighbours, role: str) -> None:
    with (
        psycopg.connect(neighbours.database.url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(f"SET ROLE {role}".encode())


def test_owner_is_bound_too(neighbours: Neighbours) -> None:
    """FORCE: whoever owns the tables sees no tenant's rows either, so a migration does not touch them unawares."""
    with neighbours.database.admin() as connection:
        connection.execute("SET ROLE secondbrain_owner")
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,), table


@pytest.mark.parametrize(("table", "column"), SEALED_OFF)
def test_operator_cannot_read_content_or_secrets(neighbours: Neighbours, table: str, column: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        neighbours.database.db.operator_transaction() as session,
    ):
        session.execute(text(f"SELECT {column} FROM {table}"))


@pytest.mark.parametrize("table", TABLES)
def test_operator_cannot_add_rows_of_a_tenant(neighbours: Neighbours, table: str) -> None:
    """Nor jobs but those that a tenant has scheduled, which a policy sees to."""
    statement = insert_statement(table).replace("%(tenant)s", ":tenant")
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|row-level security"),
        neighbours.database.db.operator_transaction() as session,
    ):
        session.execute(text(statement), {"tenant": str(uuid4())})


@pytest.mark.parametrize("table", ["tenants", "users", "documents", "chunks", "connectors", "credentials"])
def test_operator_cannot_change_or_delete_what_tenants_made(neighbours: Neighbours, table: str) -> None:
    column = tenant_column(table)
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            neighbours.database.db.operator_transaction() as session,
        ):
            session.execute(text(statement))


def test_operator_cannot_search(neighbours: Neighbours) -> None:
    with neighbours.database.db.operator_transaction() as session:
        assert (
            session.scalar(
                text(
                    "SELECT bool_or(has_function_privilege(oid, 'EXECUTE')) FROM pg_proc WHERE proname = 'search_chunks'"
                )
            )
            is False
        )


def test_operator_works_across_tenants_with_what_it_was_granted(neighbours: Neighbours) -> None:
    with neighbours.database.db.operator_transaction() as session:
        for table in ("tenants", "users", "sessions", "jobs", "sync_runs", "oauth_nonces"):
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 2, table


def test_operator_s_tenant_setting_does_not_matter(neighbours: Neighbours) -> None:
    """A tenant left behind by mistake neither narrows nor widens what the operator sees."""
    with neighbours.database.db.operator_transaction() as session:
        session.execute(text("SELECT set_config('app.tenant_id', :t, true)"), {"t": str(neighbours.mine)})
        assert session.scalar(text("SELECT count(*) FROM jobs")) == 2


def test_app_cannot_touch_tables_of_no_tenant(neighbours: Neighbours) -> None:
    for table in NOT_TENANTS - READ_BY_ALL:
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            neighbours.database.db.transaction(neighbours.mine) as session,
        ):
            session.execute(text(f"SELECT * FROM {table}"))


@pytest.mark.parametrize("table", sorted(READ_BY_ALL))
def test_app_cannot_write_what_every_tenant_reads(neighbours: Neighbours, table: str) -> None:
    for statement in (
        f"SELECT * FROM {table} FOR UPDATE",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} SELECT",
    ):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            neighbours.database.db.transaction(neighbours.mine) as session,
        ):
            session.execute(text(statement))
    with neighbours.database.db.transaction(neighbours.mine) as session:
        session.execute(text(f"SELECT * FROM {table}"))


def test_readonly_login_reads_every_view_and_no_table(neighbours: Neighbours) -> None:
    with psycopg.connect(neighbours.database.readonly_url, autocommit=True) as connection:
        views = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'ops'").fetchall()
        assert len(views) > 5
        for (view,) in views:
            connection.execute(f"SELECT * FROM ops.{view}".encode())
        for table in (*TABLES, *NOT_TENANTS, "alembic_version"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table}".encode())


def test_views_show_all_tenants_and_no_secret(neighbours: Neighbours) -> None:
    with psycopg.connect(neighbours.database.readonly_url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM ops.tenants").fetchone() == (2,)
        columns = connection.execute(
            "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'ops'"
        ).fetchall()
    secrets = (
        "password",
        "sealed",
        "sha256",
        "token",
        "nonce_",
        "content",
        "embedding",
        "args",
        "cursor",
        "settings",
    )
    shown = [name for (name,) in columns if any(word in name.partition(".")[2] for word in secrets)]
    assert shown == []


def test_isolate_writes_forced_policies_and_grants() -> None:
    statements = isolate("things", app="SELECT", operator=("SELECT (id)", "DELETE"))
    assert statements[:2] == (
        "ALTER TABLE things ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE things FORCE ROW LEVEL SECURITY",
    )
    assert [s for s in statements if s.startswith("GRANT")] == [
        f"GRANT SELECT ON things TO {APP_ROLE}",
        "GRANT SELECT (id) ON things TO secondbrain_operator",
        "GRANT DELETE ON things TO secondbrain_operator",
    ]


def test_isolate_grants_the_operator_nothing_unless_asked() -> None:
    assert not [s for s in isolate("things") if s.startswith("GRANT") and "secondbrain_operator" in s]


class _Undo(Exception):
    """Rolls a transaction back that has shown what it was for."""


def _in_the_way(table: str) -> list[str]:
    """Tables whose rows forbid to delete those of `table`, in the order in which they can be emptied."""
    found = {table}
    for name in TABLES:
        keys = Base.metadata.tables[name].foreign_keys
        if any(key.column.table.name in found and key.ondelete is None for key in keys):
            found.add(name)
    return [name for name in reversed(TABLES) if name in found - {table}]


def _touched(neighbours: Neighbours, statement: str, *, first: Iterable[str] = ()) -> int:
    """How many rows a statement of one tenant reaches, after others, taken back; 0 if it may not even be tried."""
    touched = 0
    try:
        with neighbours.database.db.transaction(neighbours.mine) as session:
            for before in first:
                session.execute(text(before))
            done = session.connection().execute(text(statement), {"theirs": neighbours.theirs})
            touched = done.rowcount
            raise _Undo
    except _Undo:
        return touched
    except ProgrammingError as error:
        if "permission denied" not in str(error.orig):
            raise
        return 0


def _count(neighbours: Neighbours, table: str) -> int:
    with neighbours.database.admin() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(str(row[0]))

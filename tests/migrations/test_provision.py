"""Who may prepare a database: an administrator, an owner who may create roles, and afterwards the owner role."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psycopg
import pytest

from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE, OPERATOR_ROLE, OWNER_ROLE, SEARCH_ROLE
from backend.db.migrate import migrate
from backend.db.provision import DatabaseUnsuitable, provision
from backend.db.schema import known_revisions, require_current
from tests.conftest import settings_for
from tests.migrations.conftest import ROLES, EmptyDatabase

ROOT: Final = Path(__file__).parents[2]


def prepare(url: str) -> None:
    """What every migration does first."""
    with psycopg.connect(url, autocommit=True) as connection:
        provision(connection)


def state_of(database: EmptyDatabase) -> list[tuple[object, ...]]:
    """Everything provisioning makes: roles, memberships, rights, extension."""
    return database.query(
        """
        SELECT 'role', rolname::text, (rolsuper, rolinherit, rolcreaterole, rolcanlogin, rolbypassrls)::text
        FROM pg_roles WHERE rolname LIKE 'secondbrain%'
        UNION ALL SELECT 'member', member::regrole::text,
                         (roleid::regrole, inherit_option, set_option, admin_option)::text FROM pg_auth_members
        UNION ALL SELECT 'database', datname::text, datacl::text FROM pg_database WHERE datname = current_database()
        UNION ALL SELECT 'schema', nspname::text, nspacl::text FROM pg_namespace WHERE nspname = 'public'
        UNION ALL SELECT 'extension', extname::text, extversion FROM pg_extension
        ORDER BY 1, 2, 3
        """
    )


def make_extension(database: EmptyDatabase) -> None:
    """What an administrator has to do where pgvector is not a trusted extension."""
    with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")


def test_administrator_prepares_and_a_second_time_changes_nothing(bare_database: EmptyDatabase) -> None:
    prepare(bare_database.url("postgres"))
    prepared = state_of(bare_database)
    assert {str(name) for kind, name, _ in prepared if kind == "role"} == set(ROLES)
    prepare(bare_database.url("postgres"))
    assert state_of(bare_database) == prepared


def test_owner_who_may_create_roles_migrates_once_the_extension_is_there(
    bare_database: EmptyDatabase, landlord: str
) -> None:
    make_extension(bare_database)
    url = bare_database.url(landlord)
    assert migrate(settings_for(url, url)) == known_revisions()[-1]
    prepared = state_of(bare_database)
    assert migrate(settings_for(url, url)) == known_revisions()[-1]
    assert state_of(bare_database) == prepared
    # The landlord also is what a deployment with a single login runs as: it becomes the app role.
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"GRANT {APP_ROLE} TO {landlord}".encode())
    require_current(url)


def test_owner_role_migrates_what_was_prepared(bare_database: EmptyDatabase) -> None:
    prepare(bare_database.url("postgres"))
    with psycopg.connect(bare_database.url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {OWNER_ROLE} LOGIN".encode())
    prepared = state_of(bare_database)
    url = bare_database.url(OWNER_ROLE)
    assert migrate(settings_for(url, url)) == known_revisions()[-1]
    assert [row for row in state_of(bare_database) if row[0] != "schema"] == [
        row for row in prepared if row[0] != "schema"
    ]


def test_owner_without_the_extension_is_told_what_to_do(bare_database: EmptyDatabase, landlord: str) -> None:
    with pytest.raises(DatabaseUnsuitable, match=r"administrator run CREATE EXTENSION vector there once"):
        prepare(bare_database.url(landlord))


def test_login_that_may_nothing_is_told_what_to_do(
    bare_server: EmbeddedPostgres, bare_database: EmptyDatabase
) -> None:
    with psycopg.connect(bare_server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE lodger LOGIN")
    make_extension(bare_database)
    try:
        with pytest.raises(DatabaseUnsuitable, match=r"'lodger' may not prepare .* DATABASE_OWNER_URL"):
            prepare(bare_database.url("lodger"))
        assert not [row for row in state_of(bare_database) if row[0] == "role"]
    finally:
        with psycopg.connect(bare_server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("DROP ROLE lodger")


@pytest.mark.parametrize("role", [APP_ROLE, OPERATOR_ROLE, SEARCH_ROLE])
@pytest.mark.parametrize("power", ["SUPERUSER", "BYPASSRLS"])
def test_role_that_row_level_security_does_not_bind_is_refused(
    bare_database: EmptyDatabase, role: str, power: str
) -> None:
    """As when the server's administrator was given the name of the app role."""
    with psycopg.connect(bare_database.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} {power}".encode())
    with pytest.raises(DatabaseUnsuitable, match=f"does not bind {role}"):
        prepare(bare_database.url("postgres"))


def test_names_of_databases_and_logins_may_be_anything(bare_server: EmbeddedPostgres) -> None:
    name = 'odd "name" é'
    with psycopg.connect(bare_server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute('CREATE ROLE "o\'dd ""one""" SUPERUSER LOGIN')
        connection.execute('CREATE DATABASE "odd ""name"" é"')
        try:
            prepare(bare_server.url('o\'dd "one"', name))
        finally:
            connection.execute('DROP DATABASE "odd ""name"" é" WITH (FORCE)')
            for role in ROLES:
                connection.execute(f"DROP ROLE IF EXISTS {role}".encode())
            connection.execute('DROP ROLE "o\'dd ""one"""')


def test_migrations_at_the_same_time_end_well(bare_database: EmptyDatabase) -> None:
    """On a new server, where they race for roles and extension too; both ways to start one."""
    environment = {**os.environ, "DATABASE_URL": bare_database.url("postgres")}
    environment |= {"DATABASE_OWNER_URL": bare_database.url("postgres"), "SECRET_KEYS": ""}
    commands = (
        [sys.executable, "-m", "backend.cli", "migrate"],
        [sys.executable, "-m", "backend.cli", "migrate"],
        [sys.executable, "-m", "alembic", "upgrade", "head"],
    )
    running = [
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for command in commands
    ]
    for process in running:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert bare_database.query("SELECT version_num FROM alembic_version") == [(known_revisions()[-1],)]


def test_processes_prepare_one_database_at_the_same_time(bare_database: EmptyDatabase) -> None:
    _prepare_together([bare_database] * 4)


def test_installations_make_the_roles_of_one_server_at_the_same_time(
    bare_server: EmbeddedPostgres, bare_database: EmptyDatabase
) -> None:
    """Roles are the whole server's, and no lock of one database guards them."""
    others = [EmptyDatabase(bare_server) for _ in range(3)]
    try:
        for database in (bare_database, *others):
            make_extension(database)
        _prepare_together([bare_database, *others])
    finally:
        for database in others:
            database.drop()


def _prepare_together(databases: list[EmptyDatabase]) -> None:
    """Prepares all of them at the same moment. Raises what any of them raises."""
    together = threading.Barrier(len(databases))

    def run(database: EmptyDatabase) -> None:
        with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
            together.wait(10)
            provision(connection)

    with ThreadPoolExecutor(len(databases)) as pool:
        list(pool.map(run, databases))

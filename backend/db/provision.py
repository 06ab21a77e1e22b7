"""Roles and rights that must exist before the first migration; asked for by every upgrade, idempotent.

    secondbrain_owner      owns every object; migrations run as it
    secondbrain_app        what web and worker processes are: row level security applies, owns nothing
    secondbrain_operator   what `operator_transaction()` becomes for one transaction: across tenants, few rights
    secondbrain_search     owns the search function, reads chunks; nobody signs in as it
    secondbrain_readonly   for people: reads the views of schema `ops` and nothing else

Roles belong to the whole server, so several installations may share them and no downgrade drops them.
"""

from typing import Any

import psycopg
import stamina
from psycopg.sql import SQL, Identifier

from backend.db.engine import APP_ROLE, OPERATOR_ROLE, OWNER_ROLE, READONLY_ROLE, SEARCH_ROLE
from backend.errors import Unavailable

MIN_POSTGRES = 180000
MIN_PGVECTOR = (0, 8, 4)

#: Two processes that make the same roles at once: Postgres tells the second one in either of these ways.
_RACES = (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject, psycopg.errors.InternalError_)
_LOCK = 5_003_000_002

_ROLES = (OWNER_ROLE, APP_ROLE, OPERATOR_ROLE, SEARCH_ROLE, READONLY_ROLE)


class DatabaseUnsuitable(Unavailable):
    """This database server cannot run the product."""


def provision(connection: psycopg.Connection[Any]) -> None:
    """Makes what is missing; nothing when nothing is, so afterwards the owner role's login is enough.

    The first time it takes an administrator, or the database's owner with the right to create roles, if an
    administrator has made the extension in this database (pgvector is not marked as trusted). The connection
    must be in autocommit mode. Safe to run from several processes at once.

    Raises:
        DatabaseUnsuitable: Postgres or pgvector is too old or missing, or the login lacks the rights; the
            message says which and what to do.
    """
    version = connection.info.server_version
    if version < MIN_POSTGRES:
        raise DatabaseUnsuitable(f"PostgreSQL 18 or newer is needed; this server is {version // 10000}.")
    connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    try:
        _make_extension(connection)
        _make_roles(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseUnsuitable(
            f"The login {connection.info.user!r} may not prepare the database ({error.diag.message_primary}). "
            "Run `secondbrain migrate` once with DATABASE_OWNER_URL naming an administrator."
        ) from error
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
    unbound = connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND (rolsuper OR rolbypassrls)",
        ([APP_ROLE, OPERATOR_ROLE, SEARCH_ROLE, READONLY_ROLE],),
    ).fetchall()
    if unbound:
        raise DatabaseUnsuitable(
            f"Row level security does not bind {', '.join(name for (name,) in unbound)}; run ALTER ROLE … NOSUPERUSER"
            " NOBYPASSRLS, and let an administrator have another name."
        )


def _make_extension(connection: psycopg.Connection[Any]) -> None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseUnsuitable(
            f"The login {connection.info.user!r} may not make the extension pgvector in the database"
            f" {connection.info.dbname!r}. Let an administrator run CREATE EXTENSION vector there once, or"
            " `secondbrain migrate` with DATABASE_OWNER_URL naming an administrator."
        ) from error
    except psycopg.errors.FeatureNotSupported as error:
        raise DatabaseUnsuitable("The extension pgvector is not installed on this server.") from error
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    found = tuple(int(part) for part in row[0].split(".")) if row else ()
    if found < MIN_PGVECTOR:
        raise DatabaseUnsuitable(
            f"pgvector {'.'.join(map(str, MIN_PGVECTOR))} or newer is needed; this database has {row and row[0]}."
        )


# The lock is this database's; roles are the whole server's, and another installation may be making them.
@stamina.retry(on=_RACES, attempts=5, wait_initial=0.05, wait_max=0.5)
def _make_roles(connection: psycopg.Connection[Any]) -> None:
    existing = {
        name
        for (name,) in connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(_ROLES),)
        ).fetchall()
    }
    for role in _ROLES:
        if role not in existing:
            connection.execute(f"CREATE ROLE {role} NOLOGIN".encode())
    # (may become, which role): INHERIT FALSE, so rights are held only while `SET ROLE` is in force.
    memberships = ((OWNER_ROLE, OPERATOR_ROLE), (OWNER_ROLE, SEARCH_ROLE), (APP_ROLE, OPERATOR_ROLE))
    for member, role in memberships:
        if not _may_become(connection, member, role):
            connection.execute(f"GRANT {role} TO {member} WITH INHERIT FALSE, SET TRUE".encode())
    me = connection.info.user
    if me != OWNER_ROLE and not _may_become(connection, me, OWNER_ROLE):
        connection.execute(SQL("GRANT {} TO {} WITH SET TRUE").format(Identifier(OWNER_ROLE), Identifier(me)))
    row = connection.execute(
        "SELECT current_database(),"
        f" has_database_privilege('{OWNER_ROLE}', current_database(), 'CREATE')"
        f" AND has_schema_privilege('{OWNER_ROLE}', 'public', 'CREATE WITH GRANT OPTION')".encode()
    ).fetchone()
    assert row is not None  # noqa: S101 - the query has no FROM
    database, may_create = row
    if not may_create:
        connection.execute(
            SQL("GRANT CREATE, CONNECT, TEMPORARY ON DATABASE {} TO {}").format(
                Identifier(database), Identifier(OWNER_ROLE)
            )
        )
        connection.execute(f"GRANT ALL ON SCHEMA public TO {OWNER_ROLE} WITH GRANT OPTION".encode())


def _may_become(connection: psycopg.Connection[Any], member: str, role: str) -> bool:
    row = connection.execute("SELECT pg_has_role(%s, %s, 'SET')", (member, role)).fetchone()
    return bool(row and row[0])

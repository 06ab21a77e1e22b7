"""Databases to migrate: empty ones of the session's server, and ones of a server that knows no roles yet."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config

from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE, OPERATOR_ROLE, OWNER_ROLE, READONLY_ROLE, SEARCH_ROLE
from backend.db.migrate import configuration
from tests.conftest import FAST

Rows = list[tuple[object, ...]]
Look = Callable[..., Rows]

#: Made by the product, in the order in which they can be dropped.
ROLES = (READONLY_ROLE, SEARCH_ROLE, APP_ROLE, OPERATOR_ROLE, OWNER_ROLE)

_numbers = itertools.count()


class EmptyDatabase:
    """A database with nothing in it."""

    def __init__(self, server: EmbeddedPostgres, *, owner: str = "postgres") -> None:
        self._server = server
        self.name = f"empty_{next(_numbers)}"
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {self.name} OWNER {owner}".encode())

    def url(self, user: str) -> str:
        """A libpq URL for `user`; the test servers ask for no password."""
        return self._server.url(user, self.name)

    @property
    def configuration(self) -> Config:
        """Alembic's configuration, as an administrator."""
        return configuration(self.url("postgres"))

    def query(self, query: str) -> Rows:
        """Rows of a query, as an administrator."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def drop(self) -> None:
        """Drops it, whoever is connected."""
        with psycopg.connect(self._server.url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)".encode())


@pytest.fixture
def empty_database(server: EmbeddedPostgres) -> Iterator[EmptyDatabase]:
    """An empty database on the session's server, where the roles are."""
    made = EmptyDatabase(server)
    yield made
    made.drop()


@pytest.fixture(scope="module")
def bare_server() -> Iterator[EmbeddedPostgres]:
    """A server as initdb leaves it."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="secondbrain-tests-"))
        os.chmod(folder, 0o755)  # noqa: S103
        postgres = EmbeddedPostgres(Path(folder, "postgres"), settings=FAST)
        postgres.start(bound_to_parent=True)
        stack.callback(postgres.stop, "immediate")
        yield postgres


@pytest.fixture
def landlord(bare_server: EmbeddedPostgres) -> Iterator[str]:
    """An ordinary login that may create roles and databases, as managed servers hand out."""
    with psycopg.connect(bare_server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE landlord LOGIN CREATEROLE CREATEDB")
        yield "landlord"
        connection.execute("DROP ROLE landlord")


@pytest.fixture
def bare_database(bare_server: EmbeddedPostgres, landlord: str) -> Iterator[EmptyDatabase]:
    """The landlord's empty database on a server that has none of the product's roles."""
    made = EmptyDatabase(bare_server, owner=landlord)
    yield made
    made.drop()
    with psycopg.connect(bare_server.url("postgres", "postgres"), autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f"DROP ROLE IF EXISTS {role}".encode())

"""Addresses, and connections that are the app role whatever login made them."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError, StatementError

from backend.db.engine import (
    APP_ROLE,
    assume_app_role,
    connect,
    create_engine,
    libpq_url,
    sqlalchemy_url,
    without_password,
)
from tests.conftest import TestDatabase


@pytest.fixture
def member(database: TestDatabase) -> Iterator[str]:
    """A login of its own name that is a member of the app role, as deployments make it."""
    with database.admin() as connection:
        connection.execute(f"CREATE ROLE member_login LOGIN IN ROLE {APP_ROLE}".encode())
        yield "member_login"
        connection.execute("DROP ROLE member_login")


@pytest.mark.parametrize(
    "scheme", ["postgresql://", "postgres://", "postgresql+psycopg://", "postgresql+psycopg2://"]
)
def test_every_spelling_of_the_scheme_is_read(scheme: str) -> None:
    assert libpq_url(f"{scheme}u:p@h:1/d?sslmode=require") == "postgresql://u:p@h:1/d?sslmode=require"
    assert sqlalchemy_url(f"{scheme}u:p@h:1/d") == "postgresql+psycopg://u:p@h:1/d"


def test_other_addresses_are_left_alone() -> None:
    assert libpq_url("mysql://u@h/d") == "mysql://u@h/d"
    assert libpq_url("host=h dbname=d") == "host=h dbname=d"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h:5432/d", "postgresql://u@h:5432/d"),
        ("postgresql://u:se%40cret@h/d", "postgresql://u@h/d"),
        ("postgresql://u:se@cret@h/d", "postgresql://u@h/d"),
        ("postgres://u@h/d", "postgresql://u@h/d"),
        (
            "postgresql://h/d?user=u&password=secret&sslmode=require",
            "postgresql://h/d?user=u&sslmode=require",
        ),
        ("postgresql://h/d?sslpassword=secret&PASSWORD=secret&passfile=secret", "postgresql://h/d"),
        ("postgresql://h/d?oauth_client_secret=secret", "postgresql://h/d"),
        ("postgresql://u@/d?host=%2Frun&port=1", "postgresql://u@/d?host=%2Frun&port=1"),
        ("host=h user=u password=secret", "(not a URL)"),
        ("", "(not a URL)"),
    ],
)
def test_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert "cret" not in without_password(url)


@pytest.mark.parametrize("login", ["postgres", APP_ROLE, "member_login"])
def test_connections_are_the_app_role(database: TestDatabase, member: str, login: str) -> None:
    url = database.server.url(login, database.name)
    database.make_tenant()
    engine = create_engine(url, pool_size=1, application_name="tests")
    try:
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT current_user")) == APP_ROLE
            assert connection.scalar(text("SELECT count(*) FROM users")) == 0
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT current_user")) == APP_ROLE
    finally:
        engine.dispose()
    with connect(url, application_name="tests") as direct:
        assert direct.autocommit
        assert direct.execute("SELECT current_user").fetchone() == (APP_ROLE,)


def test_app_role_itself_sets_nothing(database: TestDatabase) -> None:
    """A pooler would hand a setting of the session on to whoever comes next."""
    with connect(database.url, application_name="tests") as connection:
        assert connection.execute("SHOW role").fetchone() == ("none",)


def test_login_that_is_no_member_is_refused(database: TestDatabase) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect(database.readonly_url, application_name="tests")
    engine = create_engine(database.readonly_url, pool_size=1, application_name="tests")
    with pytest.raises(ProgrammingError), engine.connect():
        pass
    engine.dispose()


def test_role_is_assumed_for_good_also_outside_autocommit(database: TestDatabase) -> None:
    with psycopg.connect(database.admin_url) as connection:
        assume_app_role(connection)
        connection.rollback()
        assert connection.execute("SELECT current_user").fetchone() == (APP_ROLE,)


def test_statements_locks_and_idle_transactions_have_limits(database: TestDatabase) -> None:
    with database.db.engine.connect() as connection:
        limits = {
            name: connection.scalar(text(f"SHOW {name}"))
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        }
    assert limits == {
        "statement_timeout": "30s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "1min",
    }


def test_connections_say_whose_they_are(database: TestDatabase) -> None:
    with connect(database.url, application_name="web7 listener") as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("web7 listener",)


def test_errors_do_not_show_values(database: TestDatabase) -> None:
    """Errors are logged, and values are password hashes and sealed credentials."""
    with database.db.engine.connect() as connection, pytest.raises(StatementError) as caught:
        connection.execute(text("SELECT 1 / 0, :secret"), {"secret": "hunter2"})
    assert "hunter2" not in str(caught.value)

"""Opens connections, always as the least privileged role."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.pq import Format
from sqlalchemy import Connection, Engine, NullPool, event, text
from sqlalchemy import create_engine as _create_engine
from sqlalchemy.exc import DisconnectionError

from backend.db.halves import register_halves
from backend.db.pipeline import PIPELINE, Pipeline, has_hung_up

APP_ROLE = "secondbrain_app"
OPERATOR_ROLE = "secondbrain_operator"
OWNER_ROLE = "secondbrain_owner"
SEARCH_ROLE = "secondbrain_search"
READONLY_ROLE = "secondbrain_readonly"

#: Execution option of statements that return many bytes: they arrive as they are, not printed in hexadecimal.
BINARY_RESULT = "binary_result"

#: Milliseconds. A statement that takes longer is a bug or an attack; a lock waited for longer is a deadlock.
#: What was sent and not acknowledged for so long was sent to nobody; without it a thread hangs for a quarter of an hour.
_SILENT_MILLISECONDS = 30_000
#: After so many idle seconds a connection is asked whether it works: something on the way may have dropped it in
#: silence. Before that it is enough to look whether the server has hung up, which costs no round trip.
_ASKED_AFTER_SECONDS: Final = 15.0
_IDLE_SINCE: Final = "idle_since"
#: Of a connection that is not to be used again.
SPENT: Final = "spent"
_LIMITS = "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000"


def libpq_url(url: str) -> str:
    """`url` as libpq reads it: SQLAlchemy's and Heroku's spellings of the scheme are accepted too."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql://{rest}" if separator and scheme.startswith("postgres") else url


def sqlalchemy_url(url: str) -> str:
    """`url` as SQLAlchemy reads it, with the psycopg 3 driver."""
    return libpq_url(url).replace("postgresql://", "postgresql+psycopg://", 1)


def without_password(url: str) -> str:
    """`url` fit for a screen or a log line."""
    if "://" not in url:
        return "(not a URL)"
    parts = urlsplit(libpq_url(url))
    host = parts.netloc.rpartition("@")
    user = host[0].partition(":")[0]
    # password, sslpassword, passfile, oauth_client_secret
    query = urlencode(
        [
            (k, v)
            for k, v in parse_qsl(parts.query)
            if not any(word in k.lower() for word in ("pass", "secret"))
        ]
    )
    return urlunsplit(parts._replace(netloc=f"{user}@{host[2]}" if user else host[2], query=query))


def assume_app_role(connection: psycopg.Connection[Any]) -> None:
    """Gives up whatever more the login may do: from here on only what the running product needs.

    A login that is `secondbrain_app` itself sets nothing, so it also works through a transaction-mode pooler.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN current_user <> %s THEN set_config('role', %s, false) END", (APP_ROLE, APP_ROLE)
        )
    if not connection.autocommit:
        connection.commit()


def connect(url: str, *, application_name: str) -> psycopg.Connection[Any]:
    """One direct autocommit connection as the app role, for LISTEN and NOTIFY."""
    connection = psycopg.connect(
        libpq_url(url),
        autocommit=True,
        connect_timeout=5,
        application_name=application_name,
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=_SILENT_MILLISECONDS,
    )
    try:
        assume_app_role(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def owner_connection(url: str) -> Iterator[Connection]:
    """A connection as the owner of all tables, for upkeep that takes minutes and runs in no transaction."""
    engine = _create_engine(
        sqlalchemy_url(url),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5, "application_name": "upkeep", "keepalives_idle": 15},
    )
    try:
        with engine.connect() as connection:
            connection.execute(text(f"SET ROLE {OWNER_ROLE}"))
            yield connection
    finally:
        engine.dispose()


def create_engine(url: str, *, pool_size: int, application_name: str) -> Engine:
    """An engine whose connections are the app role's; at most `pool_size` of them, waited for 10 s."""
    engine = _create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        # Errors are logged, and parameters hold password hashes and sealed credentials.
        hide_parameters=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": application_name,
            "options": _LIMITS,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": _SILENT_MILLISECONDS,
        },
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        driver = connection.driver_connection if hasattr(connection, "driver_connection") else connection
        assume_app_role(driver)
        register_halves(driver)
        record.info[PIPELINE] = Pipeline(driver)

    @event.listens_for(engine, "checkin")
    def _on_checkin(_connection: Any, record: Any) -> None:
        if record.info.pop(SPENT, False):
            # The pool makes another one when it is asked for it.
            record.invalidate()
        record.info[_IDLE_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _on_checkout(connection: Any, record: Any, _proxy: Any) -> None:
        is_old = time.monotonic() - record.info.get(_IDLE_SINCE, math.inf) > _ASKED_AFTER_SECONDS
        if has_hung_up(connection) or (is_old and not _answers(connection)):
            # The pool then makes another one.
            raise DisconnectionError

    @event.listens_for(engine, "before_cursor_execute")
    def _before_execute(
        _connection: Any, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if context is not None and context.execution_options.get(BINARY_RESULT):
            cursor.format = Format.BINARY

    return engine


def _answers(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error:
        return False
    return True

"""Opens connections, always as the least privileged role."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.pq import Format
from sqlalchemy import Engine, event
from sqlalchemy import create_engine as _create_engine

from backend.db.reals import register_reals

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


def create_engine(url: str, *, pool_size: int, application_name: str) -> Engine:
    """An engine whose connections are the app role's; at most `pool_size` of them, waited for 10 s."""
    engine = _create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
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
    def _on_connect(connection: Any, _record: Any) -> None:
        driver = connection.driver_connection if hasattr(connection, "driver_connection") else connection
        assume_app_role(driver)
        register_reals(driver)

    @event.listens_for(engine, "before_cursor_execute")
    def _before_execute(
        _connection: Any, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if context is not None and context.execution_options.get(BINARY_RESULT):
            cursor.format = Format.BINARY

    return engine

"""The unit of work: one transaction that knows whose data it may see.

Return commits, raise rolls back. Only routes, flows, workers and the command line open one; repositories
receive the session and never commit. No network call to a provider or a model belongs inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session as Session  # what a transaction hands out; others take its name from here
from sqlalchemy.orm import sessionmaker

from backend.db.engine import OPERATOR_ROLE, SPENT
from backend.db.notify import Channel, Notifier
from backend.db.pipeline import PIPELINE, Command
from backend.db.statement import OneStatement, Statements, wrapped
from backend.errors import Unavailable

_HINTS = "hints"
#: libpq keeps room for as many bytes as it has carried at once, for as long as a connection lives.
_MUCH: Final = 4 * 1024 * 1024
_BEGIN: Final = Command(b"BEGIN")
_SET_TENANT: Final = b"SELECT set_config('app.tenant_id', $1, true)"
_SET_OPERATOR: Final = Command(f"SELECT set_config('role', '{OPERATOR_ROLE}', true)".encode())
# Statements that run by themselves find rows by their keys. Planning them for each value anew, as the server does
# when it hopes for a better plan, takes longer than carrying them out.
_PLANNED_ONCE: Final = b", set_config('plan_cache_mode', 'force_generic_plan', true)"
_NOT_AWAITED: Final = b", set_config('synchronous_commit', 'off', true)"

#: What repositories run their statements on; those that say so take either.
Unit = Session | OneStatement


class DatabaseUnavailable(Unavailable):
    """The database does not answer right now; nothing was lost, try again."""


class Database:
    """Opens transactions on one engine and passes their hints on after the commit.

    Safe to share between threads and greenlets.
    """

    def __init__(self, engine: Engine, notifier: Notifier) -> None:
        self.engine = engine
        self.notifier = notifier
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._statements = Statements()

    @contextmanager
    def transaction(self, tenant_id: UUID) -> Iterator[Session]:
        """A transaction that sees `tenant_id`'s rows and no others, by row level security.

        Raises:
            DatabaseUnavailable: no connection could be had, or it broke.
        """
        with self._session(_tenant(tenant_id)) as session:
            session.info["tenant_id"] = tenant_id
            yield session

    @contextmanager
    def operator_transaction(self) -> Iterator[Session]:
        """A transaction across tenants, as the operator role: OAuth callbacks, job claims, purges, log-in.

        The operator role has few rights of its own (no document can be read with it), so what is not granted
        to it in a migration cannot be done here.

        Raises:
            DatabaseUnavailable: no connection could be had, or it broke.
        """
        with self._session(_SET_OPERATOR) as session:
            yield session

    def statement(self, tenant_id: UUID, *, durable: bool = True) -> "StatementUnit":
        """As `transaction`, for one statement that commits by itself, in one round trip; then only reading.

        Where losing the last half second in a crash of the server harms nobody, `durable` False does not wait for
        the disk. Entering and leaving it raise DatabaseUnavailable.
        """
        return self._one(_tenant(tenant_id), durable)

    def operator_statement(self, *, durable: bool = True) -> "StatementUnit":
        """As `operator_transaction`, for one statement; see `statement`."""
        return self._one(_SET_OPERATOR, durable)

    def _one(self, who: Command, durable: bool) -> "StatementUnit":
        before = who.sql + _PLANNED_ONCE + (b"" if durable else _NOT_AWAITED)
        return StatementUnit(self.engine, self.notifier, self._statements, Command(before, who.params))

    @contextmanager
    def _session(self, who: Command) -> Iterator[Session]:
        with self._hints() as hints, self._sessions() as session:
            session.info[_HINTS] = hints
            with session.begin():
                pooled = session.connection().connection
                try:
                    pooled.info[PIPELINE].run(_BEGIN, who)
                except psycopg.Error as error:
                    raise wrapped(error) from error
                try:
                    yield session
                finally:
                    pooled.info[SPENT] = SPENT in session.info

    @contextmanager
    def _hints(self) -> Iterator[set[tuple[Channel, str]]]:
        """What is to be told to others once the unit of work has committed; tells outages from other errors."""
        hints: set[tuple[Channel, str]] = set()
        try:
            yield hints
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            if is_outage(error):
                raise DatabaseUnavailable from error
            raise
        self.notifier.publish(hints)

    def close(self) -> None:
        """Sends the last hints and closes every connection."""
        self.notifier.close()
        self.engine.dispose()


class StatementUnit:
    """What `Database.statement` is: a connection for as long as it is entered, and its hints afterwards.

    A class, not a generator: what it costs is a good part of what such a statement costs.
    """

    __slots__ = ("_before", "_engine", "_hints", "_info", "_notifier", "_pooled", "_statements")

    def __init__(self, engine: Engine, notifier: Notifier, statements: Statements, before: Command) -> None:
        self._engine = engine
        self._notifier = notifier
        self._statements = statements
        self._before = before
        self._hints: set[tuple[Channel, str]] = set()

    def __enter__(self) -> OneStatement:
        try:
            self._pooled = self._engine.raw_connection()
        except PoolTimeout as error:
            raise DatabaseUnavailable from error
        except psycopg.Error as error:
            made = wrapped(error)
            raise (DatabaseUnavailable if is_outage(made) else made) from error
        statement = OneStatement(self._pooled.info[PIPELINE], self._statements, self._before)
        statement.info[_HINTS] = self._hints
        self._info = statement.info
        return statement

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if SPENT in self._info or not self._pooled.info[PIPELINE].is_clean:
            # It has carried much, is broken, or was left while an answer was under way.
            self._pooled.invalidate()
        self._pooled.close()
        if error is None:
            if self._hints:
                self._notifier.publish(self._hints)
        elif is_outage(error):
            raise DatabaseUnavailable from error


def hint(session: Unit, channel: Channel, *ids: object) -> None:
    """Tells other processes, once the transaction has committed, that `channel`'s row `ids` changed.

    Ids and versions only. A hint may be lost; whoever listens also polls, and the row is the truth.
    """
    session.info[_HINTS].add((channel, ":".join(map(str, ids))))


def has_carried(unit: Unit, size: int) -> None:
    """Says that so many bytes went through the unit's connection at once: after many it is closed when the unit ends, with
    the memory it would keep for the next."""
    if size > _MUCH:
        unit.info[SPENT] = True


def _tenant(tenant_id: UUID) -> Command:
    return Command(_SET_TENANT, (str(tenant_id),))


def is_outage(error: BaseException) -> bool:
    """True when the database could not be reached or broke the connection, rather than refused a statement."""
    if isinstance(error, PoolTimeout):
        return True
    if isinstance(error, OperationalError | InterfaceError):
        sqlstate = getattr(error.orig, "sqlstate", None)
        # 08: connection, 53: out of resources, 57P0x: shut down or starting up; none at all: never reached
        return error.connection_invalidated or sqlstate is None or sqlstate.startswith(("08", "53", "57P"))
    return False


def is_value_refused(error: BaseException) -> bool:
    """True when a value cannot be stored or compared as it is: a NUL in a text, a number out of range."""
    return isinstance(error, DataError)

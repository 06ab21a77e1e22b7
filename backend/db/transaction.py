"""The unit of work: one transaction that knows whose data it may see.

Return commits, raise rolls back. Only routes, flows, workers and the command line open one; repositories
receive the session and never commit. No network call to a provider or a model belongs inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session as Session  # what a transaction hands out; others take its name from here
from sqlalchemy.orm import sessionmaker

from backend.db.engine import OPERATOR_ROLE
from backend.db.notify import Channel, Notifier
from backend.errors import Unavailable

_HINTS = "hints"
_SET_TENANT = text("SELECT set_config('app.tenant_id', :tenant_id, true)")
_SET_OPERATOR = text(f"SELECT set_config('role', '{OPERATOR_ROLE}', true)")


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

    @contextmanager
    def transaction(self, tenant_id: UUID) -> Iterator[Session]:
        """A transaction that sees `tenant_id`'s rows and no others, by row level security.

        Raises:
            DatabaseUnavailable: no connection could be had, or it broke.
        """
        with self._unit_of_work() as session:
            session.execute(_SET_TENANT, {"tenant_id": str(tenant_id)})
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
        with self._unit_of_work() as session:
            session.execute(_SET_OPERATOR)
            yield session

    @contextmanager
    def _unit_of_work(self) -> Iterator[Session]:
        hints: set[tuple[Channel, str]] = set()
        try:
            with self._sessions() as session:
                session.info[_HINTS] = hints
                with session.begin():
                    yield session
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            if is_outage(error):
                raise DatabaseUnavailable from error
            raise
        self.notifier.publish(hints)

    def close(self) -> None:
        """Sends the last hints and closes every connection."""
        self.notifier.close()
        self.engine.dispose()


def hint(session: Session, channel: Channel, *ids: object) -> None:
    """Tells other processes, once the transaction has committed, that `channel`'s row `ids` changed.

    Ids and versions only. A hint may be lost; whoever listens also polls, and the row is the truth.
    """
    session.info[_HINTS].add((channel, ":".join(map(str, ids))))


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

"""Several statements in one round trip, on one connection.

A round trip to the database and back costs more than what most statements do there. libpq's pipeline mode sends
several before it waits; it is used here through psycopg's wrapper of libpq, as psycopg's own pipeline makes a trip of
its own to enter, for each statement and to leave. Outside a transaction, what is sent together is one transaction
(PostgreSQL's documentation, "Pipelining"): it commits as a whole when all of it has worked.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGresult

#: Key of a pooled connection's `info` under which its pipeline is.
PIPELINE: Final = "pipeline"

_GOOD: Final = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY})

#: What was prepared is gone, or a migration has changed what it returns.
_NOT_WHAT_IT_WAS: Final = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.FeatureNotSupported)


class Command(NamedTuple):
    """A statement, with `$1`, `$2` … for its parameters."""

    sql: bytes
    params: Sequence[Any] = ()


class Pipeline:
    """One connection's way of sending statements together; each is prepared when it is first sent."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        #: (statement, types of its parameters) -> its name at the server
        self._names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._given = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is under way: the connection can go back to its pool."""
        pgconn = self._connection.pgconn
        return (
            pgconn.transaction_status == TransactionStatus.IDLE
            and pgconn.pipeline_status == PipelineStatus.OFF
        )

    def run(self, *commands: Command) -> list[tuple[Any, ...]]:
        """Rows of the last of `commands`, all sent at once outside a transaction; values arrive in binary form.

        Raises what psycopg raises, for the first one that failed; the others then had no effect.
        """
        try:
            return self._run(commands)
        except psycopg.errors.InvalidSqlStatementName:
            # psycopg lets go of all that was prepared, ours too, after a rollback. Nothing had an effect.
            self._connection.rollback()
            return self._run(commands)

    def _run(self, commands: Sequence[Command]) -> list[tuple[Any, ...]]:
        pgconn = self._connection.pgconn
        transformer = Transformer(self._connection)
        # All of it before anything is sent: a value that cannot be adapted must not leave half a pipeline.
        ready = []
        for sql, params in commands:
            values = transformer.dump_sequence(params, [PyFormat.AUTO] * len(params))
            ready.append(((sql, transformer.types or ()), values, transformer.formats or ()))
        new: list[tuple[bytes, tuple[int, ...]]] = []
        pgconn.enter_pipeline_mode()
        for key, values, formats in ready:
            name = self._names.get(key)
            if name is None:
                self._given += 1
                name = self._names[key] = b"one%d" % self._given
                new.append(key)
                pgconn.send_prepare(name, *key)
            pgconn.send_query_prepared(name, values, formats, Format.BINARY)
        pgconn.pipeline_sync()
        results = self._connection.wait(self._receive(len(ready) + len(new)))
        pgconn.exit_pipeline_mode()
        for result in results:
            if result.status not in _GOOD:
                error = error_from_result(result, encoding=self._connection.info.encoding)
                if isinstance(error, _NOT_WHAT_IT_WAS):
                    self._names.clear()
                for key in new:
                    self._names.pop(key, None)
                raise error
        last = results[-1]
        transformer.set_pgresult(last)
        return transformer.load_rows(0, last.ntuples, tuple)

    def _receive(self, count: int) -> Any:
        """psycopg's kind of generator, so that it waits in whichever way psycopg does: the results, in order."""
        pgconn = self._connection.pgconn
        yield from generators.send(pgconn)
        results: list[PGresult] = []
        for _ in range(count):
            results += yield from generators.fetch_many(pgconn)
        yield from generators.fetch_many(pgconn)
        return results


def has_hung_up(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has ended the idle `connection`, as far as is known here: no question is asked."""
    try:
        # Its last words, if any, then the end.
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return connection.closed

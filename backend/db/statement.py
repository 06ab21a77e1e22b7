"""One statement that is a transaction: one round trip instead of BEGIN, whose it is, the statement, COMMIT."""

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from sqlalchemy import TextClause
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound

from backend.db.pipeline import Command, Pipeline

_READ_ONLY: Final = Command(b"SELECT set_config('transaction_read_only', 'on', true)")

Values = Mapping[str, Any]


class Rows:
    """What a statement returned; the part of SQLAlchemy's `Result` that repositories use."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def all(self) -> list[tuple[Any, ...]]:
        """Every row."""
        return self._rows

    def one_or_none(self) -> Any:
        """The row, if there is one. Raises MultipleResultsFound."""
        if len(self._rows) > 1:
            raise MultipleResultsFound("More rows than one")
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        """The row. Raises NoResultFound, MultipleResultsFound."""
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("No row")
        return row

    def scalar_one(self) -> Any:
        """The first value of the row. Raises NoResultFound, MultipleResultsFound."""
        return self.one()[0]


class Statements:
    """SQL texts with `:names`, as the driver takes them; each is translated once. One per engine."""

    def __init__(self) -> None:
        self._dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
        self._known: dict[TextClause, tuple[bytes, tuple[str, ...]]] = {}

    def command(self, statement: TextClause, values: Values) -> Command:
        """`statement` with its `values`. Statements must be constants: they are remembered."""
        known = self._known.get(statement)
        if known is None:
            compiled: Any = statement.compile(dialect=self._dialect)
            known = self._known[statement] = str(compiled).encode(), tuple(compiled.positiontup or ())
        sql, names = known
        return Command(sql, [values[name] for name in names])


class OneStatement:
    """Takes the place of a session for repositories' methods that run one statement.

    The first statement may write, and has committed when it returns. What follows it can only read (to explain,
    say, why the first has found nothing); the server refuses anything else, so no half of a work can be committed.
    """

    def __init__(self, pipeline: Pipeline, statements: Statements, *before: Command) -> None:
        self.info: dict[str, Any] = {}
        self._pipeline = pipeline
        self._statements = statements
        self._before = before

    def execute(self, statement: TextClause, values: Values, **_options: object) -> Rows:
        """Runs a constant text; results always arrive in binary form. Raises what a session does."""
        before, self._before = self._before, (*self._before, _READ_ONLY)
        try:
            return Rows(self._pipeline.run(*before, self._statements.command(statement, values)))
        except psycopg.Error as error:
            raise wrapped(error) from error


def wrapped(error: psycopg.Error) -> Exception:
    """`error` as SQLAlchemy would raise it, without the statement's values."""
    made: Exception = DBAPIError.instance(None, None, error, psycopg.Error, hide_parameters=True)
    return made

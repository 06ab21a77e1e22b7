"""Whether the database has the schema this version needs; asked by every process at its start.

Without Alembic, which only the process that migrates has to carry: revisions are numbered file names.
"""

from pathlib import Path

import psycopg

from backend.db.engine import connect
from backend.errors import Unavailable

_VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


class SchemaOutdated(Unavailable):
    """The database's schema is not the one this version needs; run `secondbrain migrate`."""


def known_revisions() -> list[str]:
    """Revisions of this version, the oldest first."""
    return sorted(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


def require_current(url: str) -> None:
    """Raises SchemaOutdated when the database misses migrations, Unavailable when it does not answer.

    A newer schema is accepted: during an upgrade old processes go on until they are replaced.
    """
    try:
        with connect(url, application_name="secondbrain schema check") as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database does not answer: {str(error).strip().splitlines()[0]}") from error
    except psycopg.Error as error:
        # No such table or no right to read it: never migrated, or no such role yet.
        raise SchemaOutdated from error
    known = known_revisions()
    if row is None or (row[0] in known and row[0] != known[-1]):
        raise SchemaOutdated

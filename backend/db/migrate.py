"""Brings the schema to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool
from sqlalchemy.exc import DBAPIError

from backend.db.engine import sqlalchemy_url
from backend.errors import Unavailable
from backend.settings import Settings


class SchemaOutdated(Unavailable):
    """The database's schema is not the one this version needs; run `secondbrain migrate`."""


def configuration(url: str) -> Config:
    """Alembic's configuration for the database at `url`."""
    config = Config(toml_file=str(Path(__file__).parents[2] / "pyproject.toml"))
    config.attributes["url"] = url
    return config


def migrate(settings: Settings) -> str:
    """Upgrades to the newest revision and returns its name. Safe to run from several processes at once.

    Raises DatabaseUnsuitable; and whatever a failing migration raises, which is then rolled back.
    """
    url = settings.database_owner_url.get_secret_value() or settings.database_url.get_secret_value()
    config = configuration(url)
    command.upgrade(config, "head")
    return head(config)


def head(config: Config) -> str:
    """Name of the newest revision this version knows."""
    return ScriptDirectory.from_config(config).get_current_head() or ""


def require_current(url: str) -> None:
    """Raises SchemaOutdated when the database misses migrations this version needs.

    A newer schema is accepted: during an upgrade old processes go on until they are replaced.
    """
    config = configuration(url)
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    engine = create_engine(sqlalchemy_url(url), poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        raise Unavailable("The database does not answer.") from error
    finally:
        engine.dispose()
    if current is None or (current in known and current != head(config)):
        raise SchemaOutdated

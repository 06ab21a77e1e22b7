"""Brings the schema to the newest revision."""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from backend.errors import Unavailable
from backend.settings import Settings


def configuration(url: str) -> Config:
    """Alembic's configuration for the database at `url`."""
    config = Config(toml_file=str(Path(__file__).parents[2] / "pyproject.toml"))
    config.attributes["url"] = url
    return config


def migrate(settings: Settings) -> str:
    """Upgrades to the newest revision and returns its name. Safe to run from several processes at once.

    Raises DatabaseUnsuitable; Unavailable when the database does not answer; and whatever a failing migration raises, which is then rolled back.
    """
    url = settings.database_owner_url.get_secret_value() or settings.database_url.get_secret_value()
    config = configuration(url)
    try:
        command.upgrade(config, "head")
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise Unavailable(f"The database does not answer: {reason}") from error
    return head(config)


def head(config: Config) -> str:
    """Name of the newest revision this version knows."""
    return ScriptDirectory.from_config(config).get_current_head() or ""

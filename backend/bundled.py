"""Where the database is: the one DATABASE_URL names, or the bundled server of the data folder."""

import os
from contextlib import suppress

import psycopg
from pydantic import SecretStr

from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE, OWNER_ROLE, READONLY_ROLE
from backend.errors import Unavailable
from backend.settings import Settings, generate_key

DATABASE = "secondbrain"


class NoDatabase(Unavailable):
    """There is no database: start the product with scripts/up, or set DATABASE_URL."""


def bundled_server(settings: Settings) -> EmbeddedPostgres:
    """The bundled server of the data folder, running or not."""
    return EmbeddedPostgres(settings.data_dir / "postgres")


def locate(settings: Settings) -> Settings:
    """`settings` with the bundled server's addresses and keys filled in where none are set.

    Raises NoDatabase when none is set and the bundled server does not run.
    """
    return with_keys(locate_database(settings))


def locate_database(settings: Settings) -> Settings:
    """`settings` with the bundled server's addresses filled in where none are set. Raises NoDatabase."""
    if settings.database_url.get_secret_value() or settings.database_owner_url.get_secret_value():
        return settings
    server = bundled_server(settings)
    if not server.is_running():
        raise NoDatabase
    return with_bundled(settings, server)


def prepare_bundled(server: EmbeddedPostgres) -> None:
    """Makes the product's database and the roles that sign in over the local socket, where missing."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
        for role in (OWNER_ROLE, APP_ROLE, READONLY_ROLE):
            if role not in roles:
                connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        exists = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if exists is None:
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}".encode())


def with_bundled(settings: Settings, server: EmbeddedPostgres) -> Settings:
    return settings.model_copy(
        update={
            "database_url": SecretStr(server.url(APP_ROLE, DATABASE)),
            "database_owner_url": SecretStr(server.url("postgres", DATABASE)),
        }
    )


def with_keys(settings: Settings) -> Settings:
    """Settings with a key: the environment's, or one made once and kept in the data folder."""
    if settings.secret_keys:
        return settings
    path = settings.data_dir / "secret_keys"
    if not path.exists():
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        # Made under another name first, so that two starts at once cannot end up with half a key.
        draft = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(generate_key())
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return Settings.model_validate(
        {**settings.model_dump(by_alias=True), "SECRET_KEYS": path.read_text().strip()}
    )

"""Runs migrations: one process at a time, each migration in its own transaction, as the owner role.

alembic upgrade head                      with DATABASE_OWNER_URL or DATABASE_URL in the environment
secondbrain migrate                       the same, and finds the bundled server by itself
"""

from importlib import import_module

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool, text

from backend.db.base import Base
from backend.db.engine import OWNER_ROLE, libpq_url, sqlalchemy_url
from backend.db.provision import provision
from backend.rooms import ROOMS
from backend.settings import Settings

for room in ROOMS:
    import_module(f"backend.{room}.models")

_LOCK = 5_003_000_001


def _url() -> str:
    given: str | None = context.config.attributes.get("url")
    if given:
        return given
    settings = Settings()
    url = settings.database_owner_url.get_secret_value() or settings.database_url.get_secret_value()
    if not url:
        raise SystemExit("Set DATABASE_OWNER_URL (or DATABASE_URL), or use `secondbrain migrate`.")
    return url


def run() -> None:
    if context.is_offline_mode():
        raise SystemExit("Migrations read the database they change; offline SQL is in migrations/schema.sql.")
    url = _url()
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        provision(connection)
    engine = create_engine(sqlalchemy_url(url), poolclass=pool.NullPool)
    with engine.connect() as connection:
        # Session-level on purpose: it must outlive the transactions of the single migrations.
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.execute(text(f"SET ROLE {OWNER_ROLE}"))
        # A migration that waits for a lock makes every request behind it wait too: rather fail and try again.
        connection.execute(text("SET lock_timeout = '5s'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


run()

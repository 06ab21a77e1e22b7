"""A process says that it is there, what it runs, and goodbye."""

import os

import psycopg
import pytest

from backend.ops.presence import Presence
from tests.conftest import TestDatabase
from tests.db.conftest import eventually

Row = tuple[object, ...]


def rows(database: TestDatabase) -> list[Row]:
    with database.admin() as connection:
        return connection.execute(
            "SELECT name, kind, version, pid, config_revision, stopped_at IS NOT NULL FROM instances ORDER BY id"
        ).fetchall()


def test_start_registers_and_stop_says_goodbye(own_database: TestDatabase) -> None:
    presence = Presence(
        own_database.db, name="web1", kind="web", version="9", config_revision=lambda: 3
    ).start()
    eventually(lambda: rows(own_database) == [("web1", "web", "9", os.getpid(), 3, False)])
    presence.stop()
    assert rows(own_database) == [("web1", "web", "9", os.getpid(), 3, True)]


def test_wake_reports_what_is_new_at_once(
    own_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Presence, "EVERY_SECONDS", 60.0)
    revision = [1]
    presence = Presence(
        own_database.db, name="web1", kind="web", version="9", config_revision=lambda: revision[0]
    ).start()
    eventually(lambda: [row[4] for row in rows(own_database)] == [1])
    revision[0] = 2
    presence.wake()
    eventually(lambda: [row[4] for row in rows(own_database)] == [2], seconds=2.0)
    presence.stop()


def test_heartbeat_goes_on_after_lost_connections_and_a_purged_row(
    own_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Presence, "EVERY_SECONDS", 0.05)
    presence = Presence(own_database.db, name="worker1", kind="worker", version="9").start()
    eventually(lambda: len(rows(own_database)) == 1)
    with own_database.admin() as connection:
        first = connection.execute("SELECT id FROM instances").fetchall()
        connection.execute("DELETE FROM instances")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
    eventually(lambda: len(rows(own_database)) == 1)
    with own_database.admin() as connection:
        assert connection.execute("SELECT id FROM instances").fetchall() != first
    presence.stop()


def test_kind_that_nobody_knows_is_refused(own_database: TestDatabase) -> None:
    with own_database.admin() as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO instances (name, kind, version, host, pid) VALUES ('x', 'toaster', '1', 'here', 1)"
        )

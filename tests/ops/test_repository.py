"""Rows of processes: alive, silent, stopped, gone."""

from datetime import timedelta
from uuid import UUID

from backend.db.transaction import Database
from backend.ops.repository import InstanceRepository
from tests.conftest import TestDatabase


def register(db: Database, name: str) -> UUID:
    with db.operator_transaction() as session:
        return InstanceRepository(session).register(
            name=name, kind="web", version="1", host="here", pid=7, config_revision=None
        )


def age(database: TestDatabase, instance_id: UUID, column: str, interval: str) -> None:
    with database.admin() as connection:
        connection.execute(
            f"UPDATE instances SET {column} = now() - interval '{interval}' WHERE id = %s".encode(),
            (instance_id,),
        )


def states(db: Database) -> dict[str, str]:
    with db.operator_transaction() as session:
        return {seen.name: seen.state for seen in InstanceRepository(session).list_running()}


def test_list_running_tells_alive_from_silent_and_leaves_out_the_rest(own_database: TestDatabase) -> None:
    db = own_database.db
    silent, stopped, forgotten = (register(db, name) for name in ("silent", "stopped", "forgotten"))
    register(db, "alive")
    age(own_database, silent, "heartbeat_at", "1 minute")
    age(own_database, forgotten, "heartbeat_at", "2 hours")
    with db.operator_transaction() as session:
        InstanceRepository(session).stop(stopped)
    assert states(db) == {"alive": "alive", "silent": "silent"}
    with own_database.admin() as connection:
        view = connection.execute("SELECT name, state, changes_behind FROM ops.instances").fetchall()
    assert view == [
        ("alive", "alive", 0),
        ("forgotten", "silent", 0),
        ("silent", "silent", 0),
        ("stopped", "stopped", 0),
    ]


def test_heartbeat_makes_alive_again_and_reports(own_database: TestDatabase) -> None:
    db = own_database.db
    instance = register(db, "one")
    age(own_database, instance, "heartbeat_at", "1 minute")
    with db.operator_transaction() as session:
        assert InstanceRepository(session).heartbeat(instance, config_revision=5)
    with db.operator_transaction() as session:
        (seen,) = InstanceRepository(session).list_running()
    assert (seen.state, seen.config_revision) == ("alive", 5)
    assert seen.silent_seconds < 5


def test_purge_gone_takes_those_that_are_gone_long_enough(own_database: TestDatabase) -> None:
    db = own_database.db
    killed, stopped = register(db, "killed"), register(db, "stopped")
    register(db, "alive")
    age(own_database, killed, "heartbeat_at", "2 days")
    age(own_database, stopped, "stopped_at", "2 days")
    with db.operator_transaction() as session:
        assert InstanceRepository(session).purge_gone(older_than=timedelta(days=1)) == 2
    assert states(db) == {"alive": "alive"}
    with db.operator_transaction() as session:
        assert not InstanceRepository(session).heartbeat(killed, config_revision=None)


def test_view_shows_how_often_caches_help(own_database: TestDatabase) -> None:
    db, instance_id = own_database.db, register(own_database.db, "web1")
    lookups = {
        "embeddings": {"memory": 5, "database": 2, "joined": 1, "computed": 2},
        "components": {"memory": 0, "database": 0, "built": 0},
    }
    with db.operator_transaction() as session:
        assert InstanceRepository(session).heartbeat(instance_id, config_revision=1, cache_lookups=lookups)
    with own_database.admin() as connection:
        connection.execute("SET ROLE secondbrain_readonly")
        rows = connection.execute(
            "SELECT instance, cache, lookups, hits, hit_ratio::float8, in_memory, in_database, missed, state"
            " FROM ops.caches"
        ).fetchall()
    assert rows == [
        ("web1", "components", 0, 0, None, 0, 0, 0, "alive"),
        ("web1", "embeddings", 10, 8, 0.8, 5, 3, 2, "alive"),
    ]

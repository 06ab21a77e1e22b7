"""Names resolved lately."""

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from backend.db.transaction import Database
from backend.knowledge.facts import Facts
from backend.knowledge.repository import AliasRepository, GraphRepository
from tests.conftest import Account, TestDatabase
from tests.knowledge.conftest import MakeDocuments, person

HOUR = timedelta(hours=1)


def put(db: Database, account: Account, resolved: dict[str, list[UUID]], lifetime: timedelta = HOUR) -> None:
    with db.transaction(account.tenant_id) as session:
        AliasRepository(session).put_many(account.tenant_id, "person", resolved, lifetime=lifetime)


def get(db: Database, account: Account, *names: str) -> dict[str, frozenset[UUID]]:
    with db.transaction(account.tenant_id) as session:
        return dict(AliasRepository(session).get_many(account.tenant_id, "person", names))


@pytest.fixture
def people(db: Database, account: Account, make_documents: MakeDocuments) -> dict[str, UUID]:
    """Key -> id of three people; two have the same name."""
    (document,) = make_documents(account, 1)
    named = Facts((person("1", "John Smith"), person("2", "John Smith"), person("3", "José Núñez")))
    with db.transaction(account.tenant_id) as session:
        graph = GraphRepository(session)
        graph.replace(account.tenant_id, {document: named})
        return {e.entity.external_key: e.id for e in graph.list_entities(account.tenant_id)}


def test_get_finds_what_another_process_put_in_any_spelling(
    db: Database, other_db: Database, account: Account, people: dict[str, UUID]
) -> None:
    put(db, account, {"José  NÚÑEZ": [people["3"]], "nobody": []})
    found = get(other_db, account, "josé núñez", "José Núñez", "Jose Nunez", "Nobody")
    assert found == {
        "josé núñez": {people["3"]},
        "José Núñez": {people["3"]},
        "Nobody": frozenset(),
    }


def test_get_keeps_people_of_one_name_apart(db: Database, account: Account, people: dict[str, UUID]) -> None:
    """An ambiguous name comes back as such; an answer that knows only one of them does not count."""
    put(db, account, {"John Smith": [people["1"], people["2"]]})
    assert get(db, account, "john smith") == {"john smith": {people["1"], people["2"]}}
    put(db, account, {"John Smith": [people["1"]]})
    assert get(db, account, "john smith") == {}


def test_get_misses_once_the_graph_says_otherwise(
    db: Database, account: Account, people: dict[str, UUID], make_documents: MakeDocuments
) -> None:
    put(db, account, {"Ada": [], "JN": [people["3"]]})
    assert get(db, account, "Ada", "JN") == {"Ada": frozenset(), "JN": {people["3"]}}
    (document,) = make_documents(account, 1)
    with db.transaction(account.tenant_id) as session:
        GraphRepository(session).replace(account.tenant_id, {document: Facts((person("4", "ADA"),))})
    assert get(db, account, "Ada", "JN") == {"JN": {people["3"]}}
    put(db, account, {"JN": [uuid4()]})
    assert get(db, account, "JN") == {}


def test_get_counts_until_it_expires_by_the_database_s_clock(
    database: TestDatabase, account: Account
) -> None:
    put(database.db, account, {"soon": []}, timedelta(0))
    assert get(database.db, account, "soon") == {}
    put(database.db, account, {"soon": []})
    assert get(database.db, account, "soon") == {"soon": frozenset()}
    with database.admin() as connection:
        connection.execute(
            "UPDATE entity_aliases SET expires_at = now() WHERE tenant_id = %s", (account.tenant_id,)
        )
    assert get(database.db, account, "soon") == {}


def test_put_again_prolongs(db: Database, account: Account) -> None:
    put(db, account, {"x": []}, timedelta(0))
    put(db, account, {"x": [], "y": []})
    assert get(db, account, "x", "y").keys() == {"x", "y"}


def test_both_take_one_round_trip(db: Database, account: Account) -> None:
    names = [f"name {n}" for n in range(300)]
    with db.transaction(account.tenant_id) as session:
        aliases = AliasRepository(session)
        with statements(db) as sent:
            aliases.put_many(account.tenant_id, "person", {n: [] for n in names}, lifetime=HOUR)
            assert len(aliases.get_many(account.tenant_id, "person", names)) == 300
        assert len(sent) == 2
        with statements(db) as sent:
            aliases.put_many(account.tenant_id, "person", {}, lifetime=HOUR)
            assert aliases.get_many(account.tenant_id, "person", []) == {}
        assert sent == []


@contextmanager
def statements(db: Database):  # type: ignore[no-untyped-def]
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_tenants_and_kinds_have_names_of_their_own(
    db: Database, account: Account, make_account: Callable[[], Account]
) -> None:
    put(db, account, {"x": []})
    assert get(db, make_account(), "x") == {}
    with db.transaction(account.tenant_id) as session:
        assert AliasRepository(session).get_many(account.tenant_id, "team", ["x"]) == {}


def test_purge_deletes_what_expired_long_ago(own_database: TestDatabase) -> None:
    accounts = [own_database.make_tenant() for _ in range(2)]
    for account in accounts:
        put(own_database.db, account, {f"old {n}": [] for n in range(5)}, timedelta(hours=-2))
        put(own_database.db, account, {"late": []}, timedelta(minutes=-5))
        put(own_database.db, account, {"fresh": []})
    counts = []
    for _ in range(3):
        with own_database.db.operator_transaction() as session:
            counts.append(AliasRepository(session).purge_expired(older_than=HOUR, limit=3))
    assert counts == [5, 5, 0]
    assert [get(own_database.db, a, "fresh") for a in accounts] == [{"fresh": frozenset()}] * 2
    with own_database.admin() as connection:
        assert connection.execute("SELECT count(*) FROM entity_aliases").fetchone() == (4,)


def test_table_is_not_in_the_write_ahead_log(database: TestDatabase) -> None:
    with database.admin() as connection:
        kept = connection.execute(
            "SELECT relname, relpersistence FROM pg_class WHERE relname IN ('entity_aliases', 'graph_entities')"
            " ORDER BY 1"
        ).fetchall()
    assert kept == [("entity_aliases", "u"), ("graph_entities", "p")]

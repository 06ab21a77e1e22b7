"""Several processes write the graph of one tenant at once: nothing twice, nothing lost, nobody waits in a circle."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from backend.db.transaction import Database
from backend.knowledge.facts import Facts
from backend.knowledge.repository import AliasRepository, GraphRepository
from tests.conftest import Account, TestDatabase
from tests.knowledge.conftest import graph_of, insert_documents, knows, person

WORKERS = 8


@pytest.fixture
def processes(database: TestDatabase) -> Iterator[list[Database]]:
    with ExitStack() as stack:
        made = [database.connect(pool_size=2) for _ in range(WORKERS)]
        for db in made:
            stack.callback(db.close)
        yield made


def at_once(processes: list[Database], act: Callable[[Database, int], None]) -> None:
    """Runs `act` in a thread per process; raises the first error of any of them."""
    together, errors = threading.Barrier(len(processes)), []

    def run(number: int) -> None:
        try:
            together.wait(30)
            act(processes[number], number)
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(processes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_same_entities_in_any_order_are_made_once(
    database: TestDatabase, account: Account, processes: list[Database]
) -> None:
    """Each worker writes the same two hundred entities, in an order of its own, again and again."""
    documents = insert_documents(database, account, WORKERS)
    pairs = [(f"p{n:03}", f"p{n + 1:03}") for n in range(0, 200, 2)]

    def act(db: Database, number: int) -> None:
        order = random.Random(number)
        for _ in range(5):
            mine = [tuple(order.sample(pair, 2)) for pair in order.sample(pairs, len(pairs))]
            with db.transaction(account.tenant_id) as session:
                GraphRepository(session).replace(
                    account.tenant_id, {documents[number]: knows(*[(a, b) for a, b in mine])}
                )

    at_once(processes, act)
    entities, relations = graph_of(database, account)
    assert entities == {end for pair in pairs for end in pair}
    assert {frozenset((a, b)) for a, _, b in relations} == {frozenset(pair) for pair in pairs}


def test_names_put_in_any_order_are_kept_once(
    database: TestDatabase, account: Account, processes: list[Database]
) -> None:
    names = [f"name {n}" for n in range(300)]

    def act(db: Database, number: int) -> None:
        order = random.Random(number)
        for _ in range(15):
            mine: dict[str, list[UUID]] = {name: [] for name in order.sample(names, len(names))}
            with db.transaction(account.tenant_id) as session:
                AliasRepository(session).put_many(
                    account.tenant_id, "person", mine, lifetime=timedelta(hours=1)
                )

    at_once(processes, act)
    with database.db.transaction(account.tenant_id) as session:
        found = AliasRepository(session).get_many(account.tenant_id, "person", names)
    assert found == dict.fromkeys(names, frozenset())


def test_replacing_and_forgetting_across_each_other_ends_as_if_in_turn(
    database: TestDatabase, account: Account, processes: list[Database]
) -> None:
    """Documents move between the same few entities in opposite directions, so that every worker lets go of what
    another takes up. What is left is what the documents say in the end."""
    documents = insert_documents(database, account, WORKERS * 3)
    people = "abcdef"
    last: dict[UUID, set[tuple[str, str]]] = {}

    def act(db: Database, number: int) -> None:
        order = random.Random(number)
        own = documents[number * 3 : number * 3 + 3]
        for _ in range(40):
            said = {d: [(order.choice(people), order.choice(people)) for _ in range(2)] for d in own}
            chosen = order.sample(own, 2)
            with db.transaction(account.tenant_id) as session:
                graph = GraphRepository(session)
                if order.random() < 0.4:
                    graph.forget(account.tenant_id, chosen)
                    last.update({d: set() for d in chosen})
                else:
                    graph.replace(account.tenant_id, {d: knows(*said[d]) for d in chosen})
                    last.update({d: set(said[d]) for d in chosen})

    at_once(processes, act)
    pairs = {pair for says in last.values() for pair in says}
    assert graph_of(database, account) == (
        {end for pair in pairs for end in pair},
        {(a, "knows", b) for a, b in pairs},
    )


def test_last_document_leaves_while_another_arrives(
    database: TestDatabase, account: Account, processes: list[Database]
) -> None:
    """One transaction drops the last mention of an entity while another, waiting for it, names it anew."""
    one, two = insert_documents(database, account, 2)
    first, second = processes[:2]
    with first.transaction(account.tenant_id) as session:
        GraphRepository(session).replace(account.tenant_id, {one: Facts((person("ada"),))})
    with first.transaction(account.tenant_id) as session:
        GraphRepository(session).forget(account.tenant_id, [one])

        def arrive() -> None:
            with second.transaction(account.tenant_id) as late:
                late.execute(text("SET LOCAL application_name = 'the late one'"))
                GraphRepository(late).replace(account.tenant_id, {two: knows(("ada", "bob"))})

        thread = threading.Thread(target=arrive)
        thread.start()
        wait_until_blocked(database)
    thread.join()
    assert graph_of(database, account) == ({"ada", "bob"}, {("ada", "knows", "bob")})


def test_another_document_arrives_while_the_last_leaves(
    database: TestDatabase, account: Account, processes: list[Database]
) -> None:
    """The other way round: whoever lets go waits for the newcomer, and then sees it."""
    one, two = insert_documents(database, account, 2)
    first, second = processes[:2]
    with first.transaction(account.tenant_id) as session:
        GraphRepository(session).replace(account.tenant_id, {one: knows(("ada", "bob"))})
    with first.transaction(account.tenant_id) as session:
        GraphRepository(session).replace(account.tenant_id, {two: knows(("ada", "bob"))})

        def leave() -> None:
            with second.transaction(account.tenant_id) as late:
                late.execute(text("SET LOCAL application_name = 'the late one'"))
                GraphRepository(late).forget(account.tenant_id, [one])

        thread = threading.Thread(target=leave)
        thread.start()
        wait_until_blocked(database)
    thread.join()
    assert graph_of(database, account) == ({"ada", "bob"}, {("ada", "knows", "bob")})


def test_name_given_meanwhile_is_kept_by_whoever_forgets(
    database: TestDatabase, account: Account, processes: list[Database]
) -> None:
    """It has read the old name, and waits for the one who writes the new one."""
    one, two = insert_documents(database, account, 2)
    first, second = processes[:2]
    with first.transaction(account.tenant_id) as session:
        GraphRepository(session).replace(account.tenant_id, {one: Facts((person("ada", "Ada"),))})
    with first.transaction(account.tenant_id) as session:
        GraphRepository(session).replace(account.tenant_id, {two: Facts((person("ada", "Ada Lovelace"),))})

        def leave() -> None:
            with second.transaction(account.tenant_id) as late:
                late.execute(text("SET LOCAL application_name = 'the late one'"))
                GraphRepository(late).forget(account.tenant_id, [one])

        thread = threading.Thread(target=leave)
        thread.start()
        wait_until_blocked(database)
    thread.join()
    with first.transaction(account.tenant_id) as session:
        found = GraphRepository(session).list_entities(account.tenant_id, prefix="ada lov")
    assert [entity.entity.name for entity in found] == ["Ada Lovelace"]


def wait_until_blocked(database: TestDatabase) -> None:
    """Returns once the late transaction waits for a lock."""
    for _ in range(10_000):
        with database.admin() as connection:
            waiting = connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE application_name = 'the late one'"
                " AND wait_event_type = 'Lock' AND datname = current_database()"
            ).fetchone()
        if waiting:
            return
    raise AssertionError("it never waited")

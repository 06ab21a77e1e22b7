"""The graph: what is recorded, replaced, forgotten, and what lies around an entity."""

from collections import deque
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from backend.db.transaction import Database
from backend.knowledge.facts import Entity, Facts, Relation
from backend.knowledge.repository import EntityNotFound, GraphRepository, Neighbourhood, TooDeep
from tests.conftest import Account, TestDatabase
from tests.knowledge.conftest import Look, MakeDocuments, graph_of, insert_documents, knows, person


def replace(db: Database, account: Account, facts: dict[UUID, Facts]) -> None:
    with db.transaction(account.tenant_id) as session:
        GraphRepository(session).replace(account.tenant_id, facts)


def ids(db: Database, account: Account) -> dict[str, UUID]:
    """External key -> id of every entity."""
    with db.transaction(account.tenant_id) as session:
        found = GraphRepository(session).list_entities(account.tenant_id, limit=10_000)
    return {one.entity.external_key: one.id for one in found}


def around(db: Database, account: Account, key: str, depth: int, limit: int = 500) -> Neighbourhood:
    centre = ids(db, account)[key]
    with db.transaction(account.tenant_id) as session:
        return GraphRepository(session).neighbours(account.tenant_id, centre, depth=depth, limit=limit)


# -- what is said -------------------------------------------------------------------------------------------


def test_record_adds_to_what_was_said(
    db: Database, account: Account, make_documents: MakeDocuments, look: Look
) -> None:
    (document,) = make_documents(account, 1)
    with db.transaction(account.tenant_id) as session:
        GraphRepository(session).record(account.tenant_id, {document: knows(("ada", "bob"))})
        GraphRepository(session).record(account.tenant_id, {document: knows(("bob", "cy"), ("ada", "bob"))})
        GraphRepository(session).record(account.tenant_id, {document: Facts((person("alone"),))})
    assert look(account) == (
        {"ada", "bob", "cy", "alone"},
        {("ada", "knows", "bob"), ("bob", "knows", "cy")},
    )


def test_replace_exchanges_what_was_said_and_keeps_ids(
    db: Database, account: Account, make_documents: MakeDocuments, look: Look
) -> None:
    one, two = make_documents(account, 2)
    replace(db, account, {one: knows(("ada", "bob"), ("bob", "cy")), two: knows(("cy", "dan"))})
    before = ids(db, account)
    replace(db, account, {one: knows(("ada", "eve"))})
    assert look(account) == ({"ada", "cy", "dan", "eve"}, {("ada", "knows", "eve"), ("cy", "knows", "dan")})
    after = ids(db, account)
    assert {k: after[k] for k in ("ada", "cy", "dan")} == {k: before[k] for k in ("ada", "cy", "dan")}


def test_replace_takes_the_newest_name_of_the_same_key(
    db: Database, account: Account, make_documents: MakeDocuments
) -> None:
    one, two = make_documents(account, 2)
    replace(db, account, {one: Facts((person("7", "Ada Byron"),))})
    replace(db, account, {two: Facts((person("7", "Ada Lovelace"),))})
    with db.transaction(account.tenant_id) as session:
        (found,) = GraphRepository(session).list_entities(account.tenant_id)
    assert found.entity.name == "Ada Lovelace"


def test_people_are_told_apart_by_key_not_by_name(
    db: Database, account: Account, make_documents: MakeDocuments
) -> None:
    (document,) = make_documents(account, 1)
    people = (
        Entity("person", "test", "jsmith", "John Smith"),
        Entity("person", "test", "joan", "Joan Smith"),
        Entity("person", "test", "jsmith2", "John Smith"),
        Entity("person", "other", "jsmith", "John Smith"),
        Entity("team", "test", "jsmith", "John Smith"),
    )
    replace(db, account, {document: Facts(people)})
    with db.transaction(account.tenant_id) as session:
        graph = GraphRepository(session)
        assert len(graph.list_entities(account.tenant_id)) == 5
        assert len(graph.list_entities(account.tenant_id, prefix="JOHN  smith", kind="person")) == 3
        assert [e.entity for e in graph.list_entities(account.tenant_id, prefix="joan")] == [people[1]]


def test_names_in_any_script_are_kept_and_found(
    db: Database, account: Account, make_documents: MakeDocuments
) -> None:
    (document,) = make_documents(account, 1)
    names = ("José Núñez", "李小龙", "Ελένη Παπαδάκη", "Łukasz 100%_\\", "Straße 🦉", "علي")
    replace(db, account, {document: Facts(tuple(person(n) for n in names))})
    with db.transaction(account.tenant_id) as session:
        for name in names:
            found = GraphRepository(session).list_entities(account.tenant_id, prefix=name.upper()[:5])
            assert [e.entity.name for e in found] == [name]
        assert GraphRepository(session).list_entities(account.tenant_id, prefix="%") == []


# -- what is forgotten --------------------------------------------------------------------------------------

_PEOPLE = st.sampled_from("abcdefg")
_SAID = st.lists(st.tuples(_PEOPLE, _PEOPLE), max_size=6)
_STEP = st.tuples(st.sampled_from(["replace", "record", "forget"]), st.dictionaries(st.integers(0, 3), _SAID))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_STEP, max_size=6))
def test_forget_leaves_exactly_what_other_evidence_supports(
    database: TestDatabase, steps: list[tuple[str, dict[int, list[tuple[str, str]]]]]
) -> None:
    """Against a model that keeps, for each document, what it says."""
    account = database.make_tenant()
    documents = insert_documents(database, account, 4)
    model: dict[int, set[tuple[str, str]]] = {n: set() for n in range(4)}
    for action, said in steps:
        facts = {documents[n]: knows(*pairs) for n, pairs in said.items()}
        with database.db.transaction(account.tenant_id) as session:
            graph = GraphRepository(session)
            if action == "forget":
                graph.forget(account.tenant_id, list(facts))
            elif action == "record":
                graph.record(account.tenant_id, facts)
            else:
                graph.replace(account.tenant_id, facts)
        for n, pairs in said.items():
            model[n] = (model[n] if action == "record" else set()) | (
                set() if action == "forget" else set(pairs)
            )
        pairs_now = {pair for says in model.values() for pair in says}
        assert graph_of(database, account) == (
            {end for pair in pairs_now for end in pair},
            {(a, "knows", b) for a, b in pairs_now},
        )


def test_evidence_outlives_its_passage_until_the_document_is_replaced(
    database: TestDatabase, account: Account, make_documents: MakeDocuments
) -> None:
    """Storing a document again deletes its chunks first; what it said must still be found to be taken back."""
    (document,) = make_documents(account, 1)
    said = Facts((), (Relation(person("ada"), "knows", person("bob"), chunk_id=document),))
    replace(database.db, account, {document: said})
    with database.admin() as connection:

        def chunks_of(table: str) -> list[object]:
            query = f"SELECT chunk_id FROM {table} WHERE tenant_id = %s"
            return [row[0] for row in connection.execute(query.encode(), (account.tenant_id,))]

        assert chunks_of("graph_evidence") == [document]
        assert chunks_of("graph_mentions") == [document, document]
        connection.execute("DELETE FROM chunks WHERE tenant_id = %s", (account.tenant_id,))
        assert chunks_of("graph_evidence") == [None]
        assert chunks_of("graph_mentions") == [None, None]
    replace(database.db, account, {document: Facts()})
    assert graph_of(database, account) == (set(), set())


def test_document_that_the_graph_cites_cannot_vanish_but_its_tenant_can(
    database: TestDatabase, account: Account, make_documents: MakeDocuments
) -> None:
    (document,) = make_documents(account, 1)
    replace(database.db, account, {document: knows(("ada", "bob"))})
    with database.admin() as connection:
        with pytest.raises(Exception, match=r"fk_graph_(mentions|evidence)_document"):
            connection.execute("DELETE FROM documents WHERE id = %s", (document,))
        connection.execute("DELETE FROM tenants WHERE id = %s", (account.tenant_id,))
    assert graph_of(database, account) == (set(), set())


# -- what is around -----------------------------------------------------------------------------------------


def distances(edges: set[tuple[str, str]], start: str, depth: int) -> dict[str, int]:
    """Breadth first, in plain Python."""
    seen, queue = {start: 0}, deque([start])
    while queue:
        at = queue.popleft()
        for a, b in edges:
            for here, there in ((a, b), (b, a)):
                if here == at and there not in seen and seen[at] < depth:
                    seen[there] = seen[at] + 1
                    queue.append(there)
    return seen


_NODES = st.sampled_from("abcdefghij")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.tuples(_NODES, _NODES), min_size=1, max_size=25), st.integers(1, 3), st.data())
def test_neighbours_are_those_of_a_breadth_first_search(
    database: TestDatabase, edges: set[tuple[str, str]], depth: int, data: st.DataObject
) -> None:
    """Circles, self-loops and both directions included."""
    account = database.make_tenant()
    (document,) = insert_documents(database, account, 1)
    replace(database.db, account, {document: knows(*edges)})
    start = data.draw(st.sampled_from(sorted({end for edge in edges for end in edge})))
    found = around(database.db, account, start, depth)
    expected = distances(edges, start, depth)
    assert {e.entity.external_key: e.distance for e in found.entities} == expected
    assert len(found.entities) == len(expected)
    assert not found.is_truncated
    names = {e.id: e.entity.external_key for e in found.entities}
    assert {(names[r.subject_id], names[r.object_id]) for r in found.relations} == {
        (a, b) for a, b in edges if a in expected and b in expected
    }
    assert all((r.documents, r.document_ids) == (1, (document,)) for r in found.relations)


def test_neighbours_are_bounded_the_nearest_first(
    db: Database, account: Account, make_documents: MakeDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    (document,) = make_documents(account, 1)
    near = [("hub", f"near-{n:03}") for n in range(60)]
    far = [(f"near-{n:03}", f"far-{n:03}") for n in range(60)]
    replace(db, account, {document: knows(*near, *far)})
    whole = around(db, account, "hub", 3)
    assert (len(whole.entities), whole.is_truncated) == (121, False)
    some = around(db, account, "hub", 3, limit=70)
    assert [e.id for e in some.entities] == [e.id for e in whole.entities[:71]]
    assert some.is_truncated
    shown = {e.id for e in some.entities}
    assert all(r.subject_id in shown and r.object_id in shown for r in some.relations)
    exact = around(db, account, "hub", 3, limit=120)
    assert (len(exact.entities), exact.is_truncated) == (121, False)
    # The walk itself stops too, not only what is shown of it.
    monkeypatch.setattr("backend.knowledge.repository.VISITS", 30)
    cut = around(db, account, "hub", 3)
    assert cut.is_truncated
    assert {e.distance for e in cut.entities} == {0, 1}


def test_neighbours_in_a_dense_graph_are_each_visited_once_a_step(
    db: Database, account: Account, make_documents: MakeDocuments
) -> None:
    """Everybody knows everybody: a walk along every path would take 64,000 steps and be cut off."""
    (document,) = make_documents(account, 1)
    everybody = [f"p{n:02}" for n in range(40)]
    replace(db, account, {document: knows(*[(a, b) for a in everybody for b in everybody if a < b])})
    found = around(db, account, "p00", 3)
    assert not found.is_truncated
    assert [e.distance for e in found.entities] == [0] + [1] * 39
    assert len(found.relations) == 40 * 39 // 2


@pytest.mark.parametrize("depth", [-1, 0, 4, 100])
def test_neighbours_refuse_another_depth(db: Database, account: Account, depth: int) -> None:
    with db.transaction(account.tenant_id) as session, pytest.raises(TooDeep):
        GraphRepository(session).neighbours(account.tenant_id, uuid4(), depth=depth)


# -- between tenants ----------------------------------------------------------------------------------------


def test_tenants_have_graphs_of_their_own(
    db: Database,
    account: Account,
    make_account: Callable[[], Account],
    make_documents: MakeDocuments,
    look: Look,
) -> None:
    other = make_account()
    (mine,), (theirs,) = make_documents(account, 1), make_documents(other, 1)
    replace(db, account, {mine: knows(("ada", "bob"))})
    replace(db, other, {theirs: knows(("ada", "cy"))})
    assert ids(db, account).keys() == {"ada", "bob"}
    assert ids(db, other).keys() == {"ada", "cy"}
    assert not set(ids(db, account).values()) & set(ids(db, other).values())
    stranger = ids(db, other)["ada"]
    with db.transaction(account.tenant_id) as session:
        graph = GraphRepository(session)
        # Asked as oneself, and with the other tenant's id but not its transaction.
        for tenant_id in (account.tenant_id, other.tenant_id):
            with pytest.raises(EntityNotFound):
                graph.neighbours(tenant_id, stranger, depth=3)
            with pytest.raises(EntityNotFound):
                graph.get(tenant_id, stranger)
            graph.forget(tenant_id, [theirs])
    assert look(other) == ({"ada", "cy"}, {("ada", "knows", "cy")})


def test_facts_cannot_cite_another_tenant_s_document(
    db: Database, account: Account, make_account: Callable[[], Account], make_documents: MakeDocuments
) -> None:
    (theirs,) = make_documents(make_account(), 1)
    with pytest.raises(IntegrityError, match="fk_graph_mentions_document"):
        replace(db, account, {theirs: knows(("ada", "bob"))})

"""Reading stays on the indexes under row level security, when one tenant has a large graph."""

import time
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from backend.knowledge import statements
from backend.knowledge.repository import VISITS, GraphRepository
from tests.conftest import Account, TestDatabase, clone
from tests.knowledge.conftest import insert_documents

DOCUMENTS = 50_000


@pytest.fixture(scope="module")
def large(server: object, database: TestDatabase) -> Iterator[tuple[TestDatabase, Account, UUID]]:
    """A repository with fifty thousand documents by fifty people, in a database of its own."""
    made = clone(database.server)
    account, small = made.make_tenant(), made.make_tenant()
    (document,) = insert_documents(made, account, 1)
    insert_documents(made, small, 1)
    with made.admin() as connection:
        connection.execute(
            "INSERT INTO graph_entities (tenant_id, kind, provider, external_key, name, name_key)"
            " SELECT %s, CASE WHEN n = 0 THEN 'repository' WHEN n <= 50 THEN 'person' ELSE 'document' END,"
            " 'test', 'key ' || n, 'Name ' || n, 'name ' || n FROM generate_series(0, %s) AS n",
            (account.tenant_id, DOCUMENTS + 50),
        )
        connection.execute(
            "INSERT INTO graph_relations (tenant_id, subject_id, kind, object_id)"
            " SELECT d.tenant_id, d.id, 'belongs_to', r.id FROM graph_entities AS d, graph_entities AS r"
            " WHERE d.kind = 'document' AND r.kind = 'repository'"
            " UNION ALL SELECT p.tenant_id, p.id, 'authored', d.id FROM graph_entities AS d JOIN graph_entities AS p"
            " ON p.external_key = 'key ' || 1 + (split_part(d.external_key, ' ', 2)::int % 50)"
            " WHERE d.kind = 'document'"
        )
        connection.execute(
            "INSERT INTO graph_evidence (tenant_id, subject_id, kind, object_id, document_id)"
            " SELECT tenant_id, subject_id, kind, object_id, %s FROM graph_relations",
            (document,),
        )
        connection.execute("ANALYZE graph_entities, graph_relations, graph_evidence, graph_mentions")
        row = connection.execute("SELECT id FROM graph_entities WHERE kind = 'repository'").fetchone()
        assert row is not None
    yield made, account, UUID(str(row[0]))
    made.db.close()


def test_neighbours_of_a_hub_stop_at_the_bound(large: tuple[TestDatabase, Account, UUID]) -> None:
    database, account, hub = large
    with database.db.transaction(account.tenant_id) as session:
        started = time.perf_counter()
        found = GraphRepository(session).neighbours(account.tenant_id, hub, depth=3, limit=100)
        took = time.perf_counter() - started
    assert found.is_truncated
    assert (len(found.entities), len(found.relations)) == (101, 100)
    assert took < 3, f"{took:.2f} s"


@pytest.mark.parametrize("relation", ["graph_relations", "graph_entities", "graph_evidence"])
def test_walk_and_search_read_no_whole_table(
    large: tuple[TestDatabase, Account, UUID], relation: str
) -> None:
    database, account, hub = large
    values = {"tenant_id": account.tenant_id, "entity_id": hub, "depth": 2, "visits": VISITS, "entities": 100}
    with database.db.transaction(account.tenant_id) as session:
        leaf = session.scalar(text("SELECT id FROM graph_entities WHERE external_key = 'key 99'"))
        plans = [
            session.execute(text(f"EXPLAIN {statements.NEIGHBOURS}"), values | {"depth": 1}).scalars().all(),
            session.execute(
                text(f"EXPLAIN {statements.RELATIONS_AMONG}"),
                {"tenant_id": account.tenant_id, "ids": [hub, leaf], "relations": 100},
            )
            .scalars()
            .all(),
        ]
    for plan in plans:
        assert f"Seq Scan on {relation}" not in "\n".join(plan), "\n".join(plan)


def test_names_are_found_through_their_index(large: tuple[TestDatabase, Account, UUID]) -> None:
    database, account, _ = large
    with database.db.transaction(account.tenant_id) as session:
        plan = "\n".join(
            session.execute(
                text(
                    "EXPLAIN SELECT id FROM graph_entities WHERE tenant_id = :tenant_id AND name_key >= 'name 4999'"
                    " AND name_key < 'name 4999z' ORDER BY name_key, id LIMIT 50"
                ),
                {"tenant_id": account.tenant_id},
            ).scalars()
        )
    assert "ix_graph_entities_name" in plan, plan
    assert "name_key >=" in plan.partition("Index Cond")[2].partition("\n")[0], plan


def test_view_counts_per_tenant_for_operators(large: tuple[TestDatabase, Account, UUID]) -> None:
    database, account, _ = large
    with psycopg.connect(database.readonly_url) as connection:
        rows = connection.execute(
            "SELECT tenant, entities, people, repositories, documents, labels, relations, evidence, mentions,"
            " aliases, expired_aliases FROM ops.knowledge"
        ).fetchall()
    assert rows[0] == (account.slug, DOCUMENTS + 51, 50, 1, DOCUMENTS, 0, 100_000, 100_000, 0, 0, 0)
    assert len(rows) == 2
    assert rows[1][1:] == (0,) * 10

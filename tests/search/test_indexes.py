"""Vectors of a large tenant are found through an index of its own; others' are all compared, and do not notice."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import OWNER_ROLE
from backend.db.transaction import Session
from backend.search.indexes.repository import maintain_indexes
from backend.search.repository import Filters, SearchRepository
from tests.conftest import TestDatabase, clone

#: What a model may be called; the name goes into a statement that takes no parameters.
MODEL: Final = "o'model/100%"
DIMENSIONS: Final = 32
LARGE: Final = 3_000
SMALL: Final = 300
BUILD_FROM: Final = 2_000
PER_DOCUMENT: Final = 10
LIMIT: Final = 20

_FILL: Final = """
WITH documents AS (
    INSERT INTO documents (tenant_id, external_id, source_type, kind, title, file_name, mime_type, content,
                           content_sha256, byte_size)
    SELECT %(tenant)s, n, CASE WHEN n % 2 = 0 THEN 'slack' WHEN n <= 3 THEN 'box' ELSE 'file' END, 'file', 'a', 'a',
           'text/plain', 'a', sha256('a'), 1
    FROM generate_series(1, %(count)s / %(per_document)s) AS n
    RETURNING tenant_id, id
), made AS (
    INSERT INTO chunks (tenant_id, document_id, ordinal, text, start_offset, end_offset, search)
    SELECT tenant_id, id, n, 'x', 0, 1, words_of('word') FROM documents, generate_series(1, %(per_document)s) AS n
    RETURNING id, document_id
)
INSERT INTO chunk_vectors (tenant_id, chunk_id, document_id, embedding_model, embedding)
SELECT %(tenant)s, id, document_id, %(model)s, (
    SELECT array_agg(random() - 0.5) FROM generate_series(1, %(dimensions)s) WHERE id IS NOT NULL
)::halfvec
FROM made
"""


@pytest.fixture(scope="module")
def read_only(server: EmbeddedPostgres) -> Iterator[tuple[TestDatabase, UUID, UUID]]:
    """A large tenant with an index, and a small one, for tests that change nothing."""
    database = clone(server)
    yield database, *fill(database)
    database.db.close()


@pytest.fixture
def filled(own_database: TestDatabase) -> tuple[TestDatabase, UUID, UUID]:
    """The same, for a test alone."""
    return own_database, *fill(own_database)


def fill(database: TestDatabase) -> tuple[UUID, UUID]:
    """A large tenant with an index, and a small one."""
    large, small = uuid4(), uuid4()
    with database.admin() as connection:
        # As owner of the database it may; a copy of one belongs to whoever made it.
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {OWNER_ROLE}".encode())
        connection.execute("SELECT setseed(0.5)")
        for tenant, count in ((large, LARGE), (small, SMALL)):
            connection.execute(
                "INSERT INTO tenants (id, slug, name) VALUES (%s, 't-' || left(md5(%s), 20), 'T')",
                (tenant, str(tenant)),
            )
            connection.execute(
                _FILL.replace("n % 2", "n %% 2"),
                {
                    "tenant": tenant,
                    "count": count,
                    "per_document": PER_DOCUMENT,
                    "model": MODEL,
                    "dimensions": DIMENSIONS,
                },
            )
        connection.execute("ANALYZE")
    outcome = maintain_indexes(database.admin_url, build_from=BUILD_FROM)
    assert outcome is not None
    assert (len(outcome.built), outcome.dropped, outcome.count) == (1, (), 1)
    return large, small


def test_an_index_is_built_for_the_large_tenant_and_dropped_when_it_is_small(
    filled: tuple[TestDatabase, UUID, UUID],
) -> None:
    database, large, _ = filled
    (name,) = index_names(database)
    again = maintain_indexes(database.admin_url, build_from=BUILD_FROM)
    assert again is not None
    assert (again.built, again.dropped) == ((), ())
    with database.admin() as connection:
        shown = connection.execute("SELECT vectors, found_by FROM ops.vector_indexes").fetchall()
        assert shown == [(LARGE, "index"), (SMALL, "exact")]
        # Somewhat smaller, it stays: else it would come and go with a document.
        connection.execute(
            "DELETE FROM chunk_vectors WHERE chunk_id IN (SELECT chunk_id FROM chunk_vectors WHERE tenant_id = %s"
            " LIMIT 1500)",
            (large,),
        )
        kept = maintain_indexes(database.admin_url, build_from=BUILD_FROM)
        assert kept is not None
        assert kept.dropped == ()
        connection.execute("DELETE FROM tenants WHERE id = %s", (large,))
    gone = maintain_indexes(database.admin_url, build_from=BUILD_FROM)
    assert gone is not None
    assert (gone.built, gone.dropped, gone.count) == ((), (name,), 0)
    assert index_names(database) == []


def test_an_index_left_half_built_is_used_by_nobody_and_built_again(
    filled: tuple[TestDatabase, UUID, UUID],
) -> None:
    """As CREATE INDEX CONCURRENTLY leaves it when the process or the server is killed."""
    database, large, _ = filled
    (name,) = index_names(database)
    with database.admin() as connection:
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", (name,))
        assert connection.execute("SELECT found_by FROM ops.vector_indexes LIMIT 1").fetchone() == (
            "being built",
        )
    with database.db.transaction(large) as session:
        before = scans(session, name)
        assert len(find(session, large, LIMIT)) == LIMIT
        assert scans(session, name) == before
    outcome = maintain_indexes(database.admin_url, build_from=BUILD_FROM)
    assert outcome is not None
    assert (outcome.built, outcome.dropped) == ((name,), (name,))
    assert index_names(database) == [name]


def test_only_one_process_builds(read_only: tuple[TestDatabase, UUID, UUID]) -> None:
    database, _, _ = read_only
    with database.admin() as connection:
        connection.execute("SELECT pg_advisory_lock(5003000003)")
        assert maintain_indexes(database.admin_url, build_from=1) is None


@pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
def test_search_of_the_large_tenant_uses_its_index_every_time(
    read_only: tuple[TestDatabase, UUID, UUID], mode: str
) -> None:
    """Also once Postgres has gone over to plans that do not know the values. A small tenant's never does."""
    database, large, small = read_only
    (name,) = index_names(database)
    for tenant, used in ((large, 1), (small, 0)):
        with database.db.transaction(tenant) as session:
            session.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
            for _ in range(8):
                before = scans(session, name)
                assert len(find(session, tenant, LIMIT)) == LIMIT
                assert scans(session, name) == before + used


def test_search_by_index_finds_what_comparing_all_finds(
    read_only: tuple[TestDatabase, UUID, UUID],
) -> None:
    database, large, _ = read_only
    found = 0
    with database.db.transaction(large) as session:
        vectors = session.scalars(
            text(
                "SELECT embedding::real[] FROM chunk_vectors WHERE tenant_id = :tenant ORDER BY chunk_id LIMIT 20"
            ),
            {"tenant": large},
        ).all()
        for vector in vectors:
            exact = session.scalars(
                text(
                    "SELECT chunk_id FROM chunk_vectors WHERE tenant_id = :tenant"
                    " ORDER BY embedding <=> CAST(:vector AS halfvec), chunk_id LIMIT 10"
                ),
                {"tenant": large, "vector": str(vector)},
            ).all()
            found += len({*exact} & {*find(session, large, 10, vector)})
    assert found >= 0.95 * 10 * len(vectors)


def test_as_many_are_found_as_match_whatever_the_filter(filled: tuple[TestDatabase, UUID, UUID]) -> None:
    """A filter that leaves nearly all, half, a few; and what nobody may find left out."""
    database, large, _ = filled
    for source_types, matching in (
        (("file", "slack"), LARGE - 2 * PER_DOCUMENT),
        (("slack",), LARGE // 2),
        (("box",), 2 * PER_DOCUMENT),
        (("none",), 0),
    ):
        with database.db.transaction(large) as session:
            for limit in (10, 100):
                ids = find(session, large, limit, filters=Filters(source_types=source_types))
                assert len(ids) == min(limit, matching), (source_types, limit)
    with database.admin() as connection:
        connection.execute(
            "UPDATE documents SET status = 'rejected' WHERE tenant_id = %s AND source_type <> 'box'", (large,)
        )
    with database.db.transaction(large) as session:
        assert len(find(session, large, 100)) == 2 * PER_DOCUMENT


def find(
    session: Session,
    tenant_id: UUID,
    limit: int,
    vector: list[float] | None = None,
    *,
    filters: Filters | None = None,
) -> list[UUID]:
    """Ids of what the product finds by meaning: no passage has the word."""
    hits = SearchRepository(session).search(
        tenant_id,
        "nowhere",
        vector or [1.0] * DIMENSIONS,
        model=MODEL,
        limit=limit,
        filters=filters,
    )
    return [hit.chunk_id for hit in hits]


def scans(session: Session, index: str) -> int:
    """How often the running transaction has used `index`."""
    return int(
        session.execute(
            text("SELECT pg_stat_get_xact_numscans(to_regclass(:name))"), {"name": index}
        ).scalar_one()
    )


def index_names(database: TestDatabase) -> list[str]:
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename = 'chunk_vectors' AND indexname LIKE 'near%'"
        ).fetchall()
    return [str(name) for (name,) in rows]

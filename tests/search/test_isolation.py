"""search_chunks() sees all chunks, and hands out those of the transaction's tenant only, whatever it is asked."""

import itertools
from collections.abc import Iterator
from typing import Final
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from backend.db.embedded import EmbeddedPostgres
from backend.db.transaction import Session
from backend.search.repository import SearchRepository
from tests.conftest import TestDatabase, clone
from tests.db.samples import fill

#: What might be passed for a parameter of each type; the samples' chunk is about a lighthouse.
VALUES: Final = {
    "text[]": (
        "ARRAY['lighthous']",
        "ARRAY['lighthous', '']",
        "ARRAY['!lighthous', ''' | ''', '*', ':*', 'a'' & ''b', '\\']",
        "'{}'::text[]",
        "NULL::text[]",
    ),
    "tsquery": ("NULL::tsquery", "'lighthous'::tsquery", "'!nothing'::tsquery", "''::tsquery"),
    "double precision[]": ("'{}'", "'{0.5}'", "'{NULL,-1,NaN}'"),
    "halfvec": ("'[1,0,0]'::halfvec", "'[-1,0,0]'::halfvec", "'[0,0,0]'::halfvec", "NULL::halfvec"),
    "text": ("'sample'", "'another'", "'%'", "NULL::text"),
    "integer": ("1", "1000000", "NULL::integer", "0"),
    "integer[]": (
        "ARRAY[1]",
        "ARRAY[0, -5]",
        "ARRAY[NULL, 1000000]::integer[]",
        "'{}'::integer[]",
        "NULL::integer[]",
    ),
    "uuid[]": (
        "NULL::uuid[]",
        "'{}'::uuid[]",
        "ARRAY[gen_random_uuid(), NULL]",
        "(SELECT array_agg(id) FROM documents)",
    ),
    "bigint": ("NULL::bigint", "1", "0", "-7", "1000000"),
    "double precision": ("0.5", "0", "1", "-100", "'NaN'::float8", "NULL::float8"),
}


@pytest.fixture(scope="module")
def tenants(server: EmbeddedPostgres) -> Iterator[tuple[TestDatabase, UUID, UUID]]:
    """Two tenants with one equal document each, in a database of the module's own."""
    database = clone(server)
    mine, theirs = uuid4(), uuid4()
    with database.admin() as connection:
        fill(connection, mine)
        fill(connection, theirs)
    yield database, mine, theirs
    database.db.close()


@pytest.fixture(scope="module")
def calls(tenants: tuple[TestDatabase, UUID, UUID]) -> list[str]:
    """Calls of the function with every kind of argument: each value of each parameter, and pairs of odd ones."""
    with tenants[0].admin() as connection:
        row = connection.execute(
            "SELECT array(SELECT format_type(t, NULL) FROM unnest(proargtypes) WITH ORDINALITY AS a (t, n)"
            " ORDER BY n)::text[] FROM pg_proc WHERE proname = 'search_chunks'"
        ).fetchone()
    assert row is not None
    types = [str(name) for name in row[0]]  # type: ignore[attr-defined]
    plain = [VALUES[name][0] if name != "integer" else "100" for name in types]
    made = []
    for first, second in itertools.combinations(range(len(types)), 2):
        for a, b in itertools.product(VALUES[types[first]], VALUES[types[second]]):
            arguments = list(plain)
            arguments[first], arguments[second] = a, b
            made.append(f"search_chunks({', '.join(arguments)})")
    return made


def found(session: Session, call: str) -> set[UUID]:
    """Whose chunks a call hands out; told by the document's id, as samples make it."""
    return set(session.scalars(text(f"SELECT document_id FROM {call}")))


def document_of(database: TestDatabase, tenant_id: UUID) -> UUID:
    with database.admin() as connection:
        row = connection.execute("SELECT id FROM documents WHERE tenant_id = %s", (tenant_id,)).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def test_tenant_finds_its_own_chunks_whatever_it_asks(
    tenants: tuple[TestDatabase, UUID, UUID], calls: list[str]
) -> None:
    database, mine, _ = tenants
    own = document_of(database, mine)
    found_by = 0
    assert len(calls) > 100
    for call in calls:
        try:
            with database.db.transaction(mine) as session:
                documents = found(session, call.replace(":", "\\:"))
        except DBAPIError:
            continue
        assert documents <= {own}, call
        found_by += bool(documents)
    assert found_by > len(calls) / 4, "hardly anything is found, so this proves little"


def test_nobody_finds_anything_without_a_tenant(
    tenants: tuple[TestDatabase, UUID, UUID], calls: list[str]
) -> None:
    with psycopg.connect(tenants[0].url, autocommit=True) as connection:
        for call in calls:
            try:
                rows = connection.execute(f"SELECT * FROM {call}".encode()).fetchall()
            except psycopg.DatabaseError:
                continue
            assert rows == [], call


def test_tenant_without_documents_finds_nothing(
    tenants: tuple[TestDatabase, UUID, UUID], calls: list[str]
) -> None:
    with tenants[0].db.transaction(uuid4()) as session:
        assert found(session, calls[0].replace(":", "\\:")) == set()


def test_naming_the_other_tenant_does_not_help(tenants: tuple[TestDatabase, UUID, UUID]) -> None:
    """The repository's own argument is a second filter, not the one that decides."""
    database, mine, theirs = tenants
    with database.db.transaction(mine) as session:
        repository = SearchRepository(session)
        assert repository.search(theirs, "lighthouse", [1, 0, 0], model="sample", limit=100) == []
        assert len(repository.search(mine, "lighthouse", [1, 0, 0], model="sample", limit=100)) == 1


def test_counts_are_of_own_chunks_only(tenants: tuple[TestDatabase, UUID, UUID]) -> None:
    """Two tenants have one chunk with the word each; without a tenant there is nothing to count."""
    database, mine, _ = tenants
    count = "SELECT lexeme, frequency FROM count_lexemes(ARRAY['lighthous', '', 'a'' | ''lighthous', '!nothing', NULL])"
    with database.db.transaction(mine) as session:
        own = {str(lexeme): number for lexeme, number in session.execute(text(count))}
    with psycopg.connect(database.url, autocommit=True) as connection:
        nobody = connection.execute(count.encode()).fetchall()
    assert own == {"lighthous": 1, "a' | 'lighthous": 0, "!nothing": 0}
    assert {number for _, number in nobody} == {0}


def test_question_is_never_query_syntax_that_reaches_further(
    tenants: tuple[TestDatabase, UUID, UUID],
) -> None:
    database, mine, _ = tenants
    own = document_of(database, mine)
    for question in ("!nothing", "lighthouse:*", "' OR 1=1 --", "\\", "'' | ''", "a & !b", "🗼 lighthouse"):
        with database.db.transaction(mine) as session:
            hits = SearchRepository(session).search(mine, question, [1, 0, 0], model="sample", limit=100)
        assert {hit.document_id for hit in hits} <= {own}, question


def test_table_of_the_same_name_is_not_read_instead(
    tenants: tuple[TestDatabase, UUID, UUID], calls: list[str]
) -> None:
    """The function's search path is its own, and temporary tables come last on it."""
    database, mine, _ = tenants
    with database.db.transaction(mine) as session:
        session.execute(
            text("CREATE TEMPORARY TABLE chunks ON COMMIT DROP AS SELECT * FROM public.chunks LIMIT 0")
        )
        session.execute(text("SET LOCAL search_path = pg_temp, public"))
        assert session.scalar(text("SELECT count(*) FROM chunks")) == 0
        assert len(found(session, "public." + calls[0].replace(":", "\\:"))) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE OR REPLACE FUNCTION public.search_chunks() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER FUNCTION public.search_chunks SECURITY INVOKER",
        "DROP FUNCTION public.search_chunks",
        "ALTER FUNCTION public.count_lexemes SECURITY INVOKER",
        "DROP FUNCTION public.words_of",
    ],
)
def test_app_cannot_change_the_function(tenants: tuple[TestDatabase, UUID, UUID], statement: str) -> None:
    database, mine, _ = tenants
    with (
        pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
        database.db.transaction(mine) as session,
    ):
        session.execute(text(statement))


def test_search_role_reads_chunks_and_nothing_else(tenants: tuple[TestDatabase, UUID, UUID]) -> None:
    with tenants[0].admin() as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        connection.execute("SET ROLE secondbrain_search")
        for (table,) in tables:
            if table not in ("chunks", "chunk_vectors"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"SELECT * FROM {table}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM chunks")

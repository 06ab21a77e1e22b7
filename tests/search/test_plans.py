"""Full text uses its index though row level security is on; this is why the function search_chunks() exists.

`@@` is not leakproof, so under row level security Postgres must check the policy before the operator, and the GIN
index over all tenants' words cannot be used: every question would read the tenant's whole table.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.dialects import postgresql

from backend.components.repository import PassageStatistics
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE, SEARCH_ROLE
from backend.db.statement import Rows
from backend.db.transaction import Session
from backend.search.repository import Filters, SearchRepository
from tests.conftest import TestDatabase, clone

CHUNKS: Final = 20_000
SMALL_TENANTS: Final = 10
CHUNKS_OF_SMALL: Final = 500
DOCUMENTS: Final = 3_000
DIMENSIONS: Final = 64

#: After five executions Postgres may go over to a plan that does not know the values.
RUNS: Final = 12

INDEX: Final = "ix_chunks_search"

_DOCUMENT: Final = """
INSERT INTO documents (tenant_id, id, external_id, source_type, kind, title, file_name, mime_type, content,
                       content_sha256, byte_size)
VALUES (%(tenant)s, %(tenant)s, 'a', 'file', 'file', 'a', 'a', 'text/plain', 'a', sha256('a'), 1)
"""

_DOCUMENTS: Final = """
INSERT INTO documents (tenant_id, external_id, source_type, kind, title, file_name, mime_type, content,
                       content_sha256, byte_size)
SELECT %(tenant)s, n, 'file', 'file', n, n, 'text/plain', n, sha256('a'), 1 FROM generate_series(1, %(count)s) AS n
"""

# Words as in any language: a few in every passage, most of them in hardly any.
_CHUNKS: Final = """
WITH made AS (
    INSERT INTO chunks (tenant_id, document_id, ordinal, text, start_offset, end_offset, search)
    SELECT %(tenant)s, %(tenant)s, n, words, 0, length(words), words_of(words)
    FROM generate_series(1, %(count)s) AS n,
         LATERAL (SELECT string_agg('word' || (exp(random() * 8.5))::int, ' ') AS words
                  FROM generate_series(1, 60 + 0 * n)) AS passage
    RETURNING id, ordinal
)
INSERT INTO chunk_vectors (tenant_id, chunk_id, document_id, embedding_model, embedding)
SELECT %(tenant)s, id, %(tenant)s, 'model', vector::halfvec
FROM made,
     LATERAL (SELECT array_agg(random() - 0.5) AS vector FROM generate_series(1, %(dimensions)s + 0 * ordinal)) AS point
"""


@pytest.fixture(scope="module")
def filled(server: EmbeddedPostgres) -> Iterator[tuple[TestDatabase, UUID, UUID]]:
    """A large tenant and a small one, among others."""
    database = clone(server)
    large, *small = (uuid4() for _ in range(1 + SMALL_TENANTS))
    with database.admin() as connection:
        connection.execute("SELECT setseed(0.5)")
        for tenant in (large, *small):
            connection.execute(
                "INSERT INTO tenants (id, slug, name) VALUES (%s, 't-' || left(md5(%s), 20), 'T')",
                (tenant, str(tenant)),
            )
            connection.execute(_DOCUMENT, {"tenant": tenant})
            count = CHUNKS if tenant == large else CHUNKS_OF_SMALL
            connection.execute(_CHUNKS, {"tenant": tenant, "count": count, "dimensions": DIMENSIONS})
            documents = DOCUMENTS if tenant == large else 10
            connection.execute(_DOCUMENTS, {"tenant": tenant, "count": documents})
        connection.execute("VACUUM ANALYZE chunks, documents")
    yield database, large, small[0]
    database.db.close()


def search(session: Session, tenant_id: UUID, question: str) -> int:
    """How many passages the product finds."""
    return len(
        SearchRepository(session).search(tenant_id, question, [1.0] * DIMENSIONS, model="model", limit=20)
    )


def scans(session: Session) -> tuple[int, int]:
    """(scans of the full text index, sequential scans of chunks) of the running transaction."""
    row = session.execute(
        text(
            f"SELECT pg_stat_get_xact_numscans('{INDEX}'::regclass), pg_stat_get_xact_numscans('chunks'::regclass)"
        )
    ).one()
    return int(row[0]), int(row[1])


@pytest.mark.parametrize("mode", ["auto", "force_generic_plan"])
@pytest.mark.parametrize("question", ["word3999", "word4100 word4200", "word90 word900 word3000"])
def test_search_of_a_large_tenant_uses_the_index(
    filled: tuple[TestDatabase, UUID, UUID], question: str, mode: str
) -> None:
    """Each time, also when the function's plan is no longer made for the values."""
    database, large, _ = filled
    used = []
    with database.db.transaction(large) as session:
        session.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
        for _ in range(RUNS):
            before = scans(session)[0]
            assert search(session, large, question) > 0
            used.append(scans(session)[0] - before)
    assert all(count >= 2 for count in used), f"scans of {INDEX} in each run: {used}"


def test_search_counts_no_words_whose_frequency_is_known(filled: tuple[TestDatabase, UUID, UUID]) -> None:
    """From a share of the passages, as the lexicon does it; the best passages are the same, for less work."""
    database, large, _ = filled
    question = "word1 word2 word20 word900 word3000"
    with database.db.transaction(large) as session:
        statistics = PassageStatistics(session)
        known = statistics.count_frequencies(large, every=4, count=500)
        words = (statistics.measure(large)[0], known)
        found = {}
        for name, told in (("counted", None), ("known", words)):
            before = scans(session)[0]
            hits = SearchRepository(session).search(
                large, question, [1.0] * DIMENSIONS, model="model", limit=20, words=told
            )
            found[name] = [hit.chunk_id for hit in hits], scans(session)[0] - before
    assert words[0] == CHUNKS
    assert {"word1", "word2", "word20"} <= known.keys()
    assert "word3000" not in known
    for word, count in _counts(database, large, "word1", "word2", "word20").items():
        assert known[word] == pytest.approx(count, rel=0.1)
    assert found["known"][0][:10] == found["counted"][0][:10]
    assert found["known"][1] == found["counted"][1] - 3


def test_weighing_a_question_uses_the_index(filled: tuple[TestDatabase, UUID, UUID]) -> None:
    """Once for each word that is not known; the search after it counts none again."""
    database, large, _ = filled
    question = "word90 word900 word3000"
    with database.db.transaction(large) as session:
        repository = SearchRepository(session)
        before = scans(session)[0]
        weighed = repository.weigh(large, question, words=(CHUNKS, {"word90": 5_000}))
        assert scans(session)[0] - before == 2
        before = scans(session)[0]
        repository.search(large, question, [1.0] * DIMENSIONS, model="model", limit=20, words=weighed.words)
        assert scans(session)[0] - before == 1
    assert weighed.words[0] == CHUNKS
    assert weighed.words[1] == {"word90": 5_000, **_counts(database, large, "word900", "word3000")}
    weights = [weight for _, _, weight in weighed.spans]
    assert weights == sorted(weights)
    assert weights[0] > 0


def test_search_of_a_small_tenant_reads_no_other_s_chunks(filled: tuple[TestDatabase, UUID, UUID]) -> None:
    """Neither its words nor its vectors are looked for in the whole table."""
    database, _, small = filled
    with database.db.transaction(small) as session:
        # What the connection counted before it was last reported may still be in there.
        before = scans(session)[1]
        for _ in range(RUNS):
            assert search(session, small, "word90 word900 word3000") > 0
        assert scans(session)[1] == before


@pytest.mark.parametrize("filters", [None, Filters(source_types=["file"])])
@pytest.mark.parametrize("is_generic", [False, True])
def test_what_was_found_is_read_by_its_keys(
    filled: tuple[TestDatabase, UUID, UUID], filters: Filters | None, is_generic: bool
) -> None:
    """What is around the function reads no table from end to end, of whomever its plan thinks; only a filter does, and
    of documents alone."""
    database, large, _ = filled
    with database.db.transaction(large) as session:
        explained = _Explained(session, is_generic)
        SearchRepository(explained).search(  # type: ignore[arg-type]
            large, "word90 word900", [1.0] * DIMENSIONS, model="model", limit=20, filters=filters
        )
    nodes = [node for node in _nodes(explained.plan) if node.get("Relation Name")]
    by_index = {node["Index Name"] for node in nodes if "Index Name" in node}
    assert {"pk_chunks", "pk_documents", "ix_documents_hidden"} <= by_index
    whole = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"]
    assert len(whole) <= (0 if filters is None else 1), nodes
    assert "chunks" not in whole


@pytest.mark.parametrize("phrase", [None, "word900 <-> word3000"])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_no_part_of_the_function_filters_words_row_by_row(
    filled: tuple[TestDatabase, UUID, UUID], mode: str, phrase: str | None
) -> None:
    database, large, _ = filled
    with database.admin() as connection:
        connection.execute(f"SET plan_cache_mode = {mode}".encode())
        nodes = list(_nodes(_plan_of_body(connection, large, "word900", "word3000", phrase=phrase)))
    by_index = [node for node in nodes if node.get("Index Name") == INDEX]
    row_by_row = [
        node["Node Type"]
        for node in nodes
        if "@@" in node.get("Filter", "") and node.get("Relation Name") == "chunks"
    ]
    assert by_index
    # Without the tenant in the index's condition a small tenant would walk through the words of all others.
    assert all("ARRAY[tenant_id] @> ARRAY[" in node["Index Cond"] for node in by_index)
    assert row_by_row == []


def test_without_the_function_the_index_is_lost(filled: tuple[TestDatabase, UUID, UUID]) -> None:
    """If this fails, Postgres has learned to use it, and the function may go."""
    database, large, _ = filled
    query = "SELECT id FROM chunks WHERE tenant_id = %s AND search @@ 'word3999'::tsquery"
    plans = {}
    with database.admin() as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", (str(large),))
        for role in (APP_ROLE, "postgres"):
            connection.execute(f"SET ROLE {role}".encode())
            rows = connection.execute(f"EXPLAIN {query}".encode(), (large,)).fetchall()
            plans[role] = "\n".join(str(line) for (line,) in rows)
    assert INDEX not in plans[APP_ROLE], plans
    assert INDEX in plans["postgres"], plans


class _Explained:
    """Takes the place of a session: what ranks is explained instead, as for any tenant or for this one."""

    def __init__(self, session: Session, is_generic: bool) -> None:
        self._session = session
        self._is_generic = is_generic
        self.plan: Any = None

    def execute(self, statement: TextClause, values: dict[str, Any]) -> Any:
        """The rows of what weighs, none of what ranks."""
        if "search_chunks" not in statement.text:
            return self._session.execute(statement, values)
        if self._is_generic:
            dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
            generic = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement.compile(dialect=dialect)}"
            driver: Any = self._session.connection().connection.driver_connection
            (self.plan,) = driver.execute(generic.encode()).fetchone()
        else:
            explain = text(f"EXPLAIN (FORMAT JSON) {statement.text}")
            self.plan = self._session.execute(explain, values).scalar_one()
        return Rows([])


def _counts(database: TestDatabase, tenant_id: UUID, *words: str) -> dict[str, int]:
    """In how many passages each word stands."""
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT word, (SELECT count(*) FROM chunks WHERE tenant_id = %s AND search @@ word::tsquery)"
            " FROM unnest(%s::text[]) AS word",
            (tenant_id, list(words)),
        ).fetchall()
    return {str(word): int(str(count)) for word, count in rows}


def _plan_of_body(
    connection: psycopg.Connection[tuple[object, ...]],
    tenant_id: UUID,
    *words: str,
    phrase: str | None = None,
) -> Any:
    """The plan of what the function runs, as the role it runs as: its text with parameters for its arguments."""
    row = connection.execute(
        "SELECT prosrc, proargnames[:pronargs], array(SELECT format_type(t, NULL) FROM unnest(proargtypes)"
        " WITH ORDINALITY AS a (t, n) ORDER BY n)::text[] FROM pg_proc WHERE proname = 'search_chunks'"
    ).fetchone()
    assert row is not None
    body, names, types = str(row[0]), list(row[1]), list(row[2])  # type: ignore[call-overload]
    for number, name in enumerate(names, 1):
        body = re.sub(rf"(?<![\w.]){name}\b", f"${number}", body)
    values = {
        "lexemes": "ARRAY[" + ", ".join(f"'{word}'" for word in words) + "]",
        "meaning": f"'[{','.join(['1'] * DIMENSIONS)}]'",
        "model": "'model'",
        "candidates": "100",
        "results": "20",
        "dense_weight": "0.3",
        "counted_lexemes": "'{}'",
        "frequencies": "'{}'",
        "passages": "NULL",
        "pair_firsts": f"ARRAY['{words[0]}']",
        "pair_seconds": f"ARRAY['{words[-1]}']",
        "pair_gaps": "ARRAY[1]",
        "allowed": "NULL",
        "hidden": "'{}'",
        "per_document": "5",
        "softened": f"ARRAY['{words[0]}']",
        "factors": "ARRAY[0.5]",
        "required": "NULL" if phrase is None else f"'{phrase}'",
        "enough_share": "1",
        "refused": "NULL" if phrase is None else "'word3999'",
    }
    connection.execute("SELECT set_config('app.tenant_id', %s, false)", (str(tenant_id),))
    connection.execute(f"SET ROLE {SEARCH_ROLE}".encode())
    connection.execute(f"PREPARE body ({', '.join(map(str, types))}) AS {body}".encode())
    arguments = ", ".join(values[str(name)] for name in names)
    explained = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE body ({arguments})".encode()).fetchone()
    connection.execute("RESET ROLE")
    assert explained is not None
    plan = explained[0]
    return json.loads(plan) if isinstance(plan, str) else plan


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    if isinstance(plan, list):
        for part in plan:
            yield from _nodes(part)
    elif isinstance(plan, dict):
        if "Node Type" in plan:
            yield plan
        for part in plan.values():
            if isinstance(part, list | dict):
                yield from _nodes(part)

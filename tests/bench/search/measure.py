"""Asks one tenant's questions: through the product, its statement alone, and the bare statement."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from backend.components.repository import PassageStatistics
from backend.db.engine import SEARCH_ROLE
from backend.db.statement import Rows
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ask.retrieve import retrieve
from backend.search.repository import Filters, Hit, SearchRepository, Weighed
from tests.bench.report import Row
from tests.bench.search.load import Filled
from tests.bench.timing import alternate, percentile
from tests.conftest import TestDatabase

LIMIT: Final = 15
#: From so many passages on the product counts a share of them once and remembers it.
_COUNTED_FROM: Final = 5_000
_CHECKED: Final = 30
_CANDIDATES: Final = 100

# What stands before and after the function in the product's own statement, without filters.
_BARE: Final = """
SELECT s.chunk_id, s.document_id, s.score, s.lexical_score, s.similarity, c.text, c.heading_path, c.start_offset,
       c.end_offset, d.title, d.source_type, d.kind, d.url, d.author, d.metadata, d.source_updated_at, d.created_at
FROM ({body}) AS s (chunk_id, document_id, score, lexical_score, similarity)
JOIN chunks AS c ON c.tenant_id = {tenant} AND c.id = s.chunk_id
JOIN documents AS d ON d.tenant_id = {tenant} AND d.id = s.document_id
WHERE d.deleted_at IS NULL
"""


class Tenant:
    """A tenant to be asked; what is known of its words is counted once, as the product does it."""

    def __init__(self, database: TestDatabase, embedder: LocalEmbedder, filled: Filled) -> None:
        self.database = database
        self.embedder = embedder
        self.id = filled.id
        self.chunks = filled.chunks
        self.questions = filled.questions
        self.words = self._count_words()
        with database.db.transaction(self.id) as session:
            repository = SearchRepository(session)
            self.weighed: list[Weighed] = [
                repository.weigh(self.id, question, words=self.words) for question in self.questions
            ]
        self.vectors: list[NDArray[np.float32]] = [
            embedder.embed_weighted(question, weighed.spans)
            for question, weighed in zip(self.questions, self.weighed, strict=True)
        ]

    def _count_words(self) -> tuple[int, Mapping[str, int]] | None:
        if self.chunks < _COUNTED_FROM:
            return None
        with self.database.db.transaction(self.id) as session:
            terms = PassageStatistics(session).count_frequencies(
                self.id, every=-(-self.chunks // _COUNTED_FROM), count=2_000
            )
        return self.chunks, {word: count for word, count in terms.items() if count >= 0.005 * self.chunks}

    def retrieve(self, number: int, filters: Filters | None = None) -> Sequence[Hit]:
        """As the product answers."""
        question = self.questions[number % len(self.questions)]
        return retrieve(
            self.database.db,
            self.embedder,
            self.id,
            question,
            limit=LIMIT,
            words=self.words,
            filters=filters,
        ).hits

    def search(self, number: int) -> list[Hit]:
        """The ranking alone."""
        place = number % len(self.questions)
        with self.database.db.statement(self.id) as session:
            return SearchRepository(session).search(
                self.id,
                self.questions[place],
                self.vectors[place].tolist(),
                model=self.embedder.model,
                limit=LIMIT,
                weighed=self.weighed[place],
            )


class Bare:
    """The same statement by the driver alone, as a role that no row level security binds."""

    def __init__(self, tenant: Tenant, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        self._connection = connection
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", (str(tenant.id),))
        row = connection.execute(
            "SELECT prosrc, proargnames[:pronargs], array(SELECT format_type(t, NULL) FROM unnest(proargtypes)"
            " WITH ORDINALITY AS a (t, n) ORDER BY n)::text[] FROM pg_proc WHERE proname = 'search_chunks'"
        ).fetchone()
        assert row is not None
        body, names, types = str(row[0]), list(row[1]), list(row[2])  # type: ignore[call-overload]
        self._statement = _as_parameters(body, names, types, str(tenant.id))
        self._arguments = [_arguments(tenant, place) for place in range(len(tenant.questions))]

    def search(self, number: int) -> list[tuple[object, ...]]:
        """The rows of one question."""
        arguments = self._arguments[number % len(self._arguments)]
        return self._connection.execute(self._statement, arguments, prepare=True).fetchall()


def _as_parameters(body: str, names: Sequence[str], types: Sequence[str], tenant_id: str) -> bytes:
    # The function's arguments as a row in front of its body: what it calls them stays as it is.
    given = ", ".join(f"%({name})s::{kind} AS {name}" for name, kind in zip(names, types, strict=True))
    inner = body.replace("%", "%%").strip().rstrip(";")
    lateral = f"SELECT found.* FROM (SELECT {given}) AS given CROSS JOIN LATERAL ({inner}) AS found"
    return _BARE.format(body=lateral, tenant=f"'{tenant_id}'").encode()


def _arguments(tenant: Tenant, place: int) -> dict[str, Any]:
    """What the product's statement hands to the function for that question."""
    handed: dict[str, Any] = {}

    class _Recorder:
        def execute(self, _statement: Any, values: dict[str, Any]) -> Rows:
            handed.update(values)
            return Rows([])

    SearchRepository(_Recorder()).search(  # type: ignore[arg-type]
        tenant.id,
        tenant.questions[place],
        tenant.vectors[place].tolist(),
        model=tenant.embedder.model,
        limit=LIMIT,
        weighed=tenant.weighed[place],
    )
    return {
        **handed,
        "meaning": handed["embedding"],
        "allowed": None,
        "hidden": [],
        "required": None,
        "refused": None,
        # The function's own default.
        "enough_share": 1.5,
    }


def measure(tenant: Tenant, *, rounds: int, recall: float, short: int) -> list[Row]:
    """A row for each way of asking."""
    with tenant.database.admin() as connection:
        bare = Bare(tenant, connection)
        assert {row[0] for row in bare.search(0)} >= {hit.chunk_id for hit in tenant.search(0)}
        calls: dict[str, Callable[[int], object]] = {
            "retrieve": tenant.retrieve,
            "statement": tenant.search,
            "bare": bare.search,
        }
        for call in calls.values():
            for number in range(min(10, len(tenant.questions))):
                call(number)
        taken = alternate(calls, rounds=rounds, calls_per_round=len(tenant.questions))
    median = statistics.median(taken["bare"])
    return [
        {
            "passages": tenant.chunks,
            "name": name,
            "p50_ms": 1000 * statistics.median(seconds),
            "p95_ms": 1000 * percentile(seconds, 0.95),
            "p99_ms": 1000 * percentile(seconds, 0.99),
            "to_bare_p50": statistics.median(seconds) / median,
            "recall10": recall,
            "short": short,
        }
        for name, seconds in taken.items()
    ]


def recall(tenant: Tenant) -> float:
    """Of the ten passages nearest by comparing all, the share among the candidates by meaning."""
    found = wanted = 0
    with tenant.database.admin() as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", (str(tenant.id),))
        for vector in tenant.vectors[:_CHECKED]:
            literal = json.dumps(vector.tolist())
            exact = connection.execute(
                "SELECT chunk_id FROM chunk_vectors WHERE tenant_id = %s AND embedding_model = %s"
                " ORDER BY embedding <=> %s::halfvec, chunk_id LIMIT 10",
                (tenant.id, tenant.embedder.model, literal),
            ).fetchall()
            connection.execute(f"SET ROLE {SEARCH_ROLE}".encode())
            nearest = connection.execute(
                "SELECT id FROM nearest_chunks(%s::halfvec, %s, %s, NULL, '{}')",
                (literal, tenant.embedder.model, _CANDIDATES),
            ).fetchall()
            connection.execute("RESET ROLE")
            found += len({*exact} & {*nearest})
            wanted += len(exact)
    return found / wanted


def short_answers(tenant: Tenant) -> int:
    """How many answers have fewer passages than match, up to the limit."""
    short = 0
    recently = datetime.now(UTC) - timedelta(days=100)
    for filters in (Filters(), Filters(source_types=["slack"]), Filters(since=recently)):
        matching = _count(tenant, filters)
        for number in range(min(_CHECKED, len(tenant.questions))):
            short += len(tenant.retrieve(number, filters)) < min(LIMIT, matching)
    return short


def _count(tenant: Tenant, filters: Filters) -> int:
    with tenant.database.admin() as connection:
        row = connection.execute(
            "SELECT count(*) FROM chunks AS c JOIN documents AS d ON (d.tenant_id, d.id) = (c.tenant_id, c.document_id)"
            " WHERE c.tenant_id = %s AND (%s::text[] = '{}' OR d.source_type = ANY (%s))"
            " AND (%s::timestamptz IS NULL OR d.source_updated_at >= %s)",
            (
                tenant.id,
                list(filters.source_types),
                list(filters.source_types),
                filters.since,
                filters.since,
            ),
        ).fetchone()
    assert row is not None
    return int(str(row[0]))


def neighbours(together: Tenant, alone: Tenant, *, rounds: int) -> list[str]:
    """What its neighbours cost the smallest tenant: the same in a database that has nobody else."""
    calls = {"beside": together.retrieve, "alone": alone.retrieve}
    for call in calls.values():
        for number in range(min(10, len(together.questions))):
            call(number)
    taken = alternate(calls, rounds=rounds, calls_per_round=len(together.questions))
    beside, single = (1000 * statistics.median(taken[name]) for name in calls)
    return [
        f"The smallest tenant ({together.chunks:,} passages) with all others beside it: {beside:.2f} ms at the median,"
        f" alone in a database {single:.2f} ms ({beside / single:.2f})."
    ]

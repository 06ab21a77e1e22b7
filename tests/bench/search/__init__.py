"""Search at size: tenants of very different size in one database, the product beside the bare statement.

`material` makes documents up, `load` fills a database with them, `measure` asks.
"""

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import MappingProxyType

import psutil

from backend.db.engine import OWNER_ROLE
from backend.embeddings.providers.local import LocalEmbedder
from backend.search.indexes.repository import BUILD_FROM, maintain_indexes
from tests.bench.report import Report, Row
from tests.bench.search.load import Filled, load
from tests.bench.search.material import Material
from tests.bench.search.measure import Tenant, measure, neighbours, recall, short_answers
from tests.conftest import TestDatabase, clone, running_server

_MEGABYTE = 2**20
#: A machine for this much has more than the bundled server's memory; no index is built twice as fast without.
_SERVER = MappingProxyType({"shared_buffers": "1GB", "max_wal_size": "8GB"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `scripts/bench search`."""
    parser.add_argument("--chunks", type=int, default=100_000, help="passages of all tenants together")
    parser.add_argument("--tenants", type=int, default=100, help="the first has half of all passages")
    parser.add_argument("--questions", type=int, default=100, help="for each tenant measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build-from", type=int, default=BUILD_FROM, help="passages that get an index")


def run(args: argparse.Namespace) -> Report:
    """Loads, builds indexes, and asks tenants of different size, the smallest also without any neighbour."""
    embedder = LocalEmbedder()
    rows: list[Row] = []
    with ExitStack() as stack:
        server = stack.enter_context(running_server(_SERVER))
        together, alone = clone(server), clone(server)
        stack.callback(together.db.close)
        stack.callback(alone.db.close)
        material = Material(embedder, passages=args.chunks)
        loaded = load(
            together,
            material,
            embedder.model,
            chunks=args.chunks,
            tenants=args.tenants,
            questions=args.questions,
        )
        build_seconds, built = _build(together, args.build_from)
        chosen = _chosen(loaded.tenants)
        for filled in chosen:
            tenant = Tenant(together, embedder, filled)
            rows += measure(tenant, rounds=args.rounds, recall=recall(tenant), short=short_answers(tenant))
        smallest = chosen[-1]
        single = load(
            alone,
            material,
            embedder.model,
            chunks=smallest.chunks,
            tenants=1,
            questions=args.questions,
        )
        notes = neighbours(
            Tenant(together, embedder, smallest),
            Tenant(alone, embedder, single.tenants[0]),
            rounds=args.rounds,
        )
        sizes = _sizes(together)
    return Report(
        f"search of {args.chunks:,} passages of {args.tenants} tenants",
        rows,
        (
            "Milliseconds. retrieve: weigh the words, embed, rank, as the product's users wait for it. statement: the"
            " ranking alone, through the product. bare: the body of that statement with the same numbers, past row level"
            " security, straight through the driver. Goal: retrieve at most 1.3 times bare at the median.",
            "recall10: of the ten nearest passages by meaning, those among the candidates. short: answers with fewer"
            " passages than match, with no filter, with one that leaves a twentieth, and with one by date that leaves half.",
            f"Loaded in {loaded.seconds - loaded.indexing_seconds:.0f} s, its other indexes made in"
            f" {loaded.indexing_seconds:.0f} s; {built} vector indexes in {build_seconds:.0f} s.",
            *notes,
            f"This process: {psutil.Process().memory_info().rss / _MEGABYTE:.0f} MB resident, the material of the bench"
            f" included. {sizes}",
        ),
    )


def _build(database: TestDatabase, build_from: int) -> tuple[float, int]:
    with database.admin() as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {OWNER_ROLE}".encode())
    started = time.perf_counter()
    outcome = maintain_indexes(database.admin_url, build_from=build_from)
    assert outcome is not None
    return time.perf_counter() - started, len(outcome.built)


def _chosen(tenants: Sequence[Filled]) -> list[Filled]:
    """The largest, the next, one of the tenth, the middle one and the smallest, each once."""
    last = len(tenants) - 1
    return [tenants[place] for place in sorted({0, min(1, last), last // 10, last // 2, last})]


def _sizes(database: TestDatabase) -> str:
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT CASE WHEN relname LIKE 'near%' THEN 'vector indexes' ELSE relname END, sum(pg_relation_size(oid))"
            " FROM pg_class WHERE relname IN ('chunks', 'chunk_vectors', 'ix_chunks_search', 'pk_chunk_vectors')"
            " OR relname LIKE 'near%' GROUP BY 1 ORDER BY 2 DESC"
        ).fetchall()
    return ", ".join(f"{name} {int(str(size)) / _MEGABYTE:,.0f} MB" for name, size in rows) + "."

"""Documents and passages a second, end to end through the product, beside a bare script that parses, cuts, embeds, COPYs.

`documents` writes the files, `product` takes them in as a worker does, `bare` is the script.
"""

import argparse
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import structlog

from backend.db.embedded import EmbeddedPostgres
from tests.bench.ingest.bare import Bare
from tests.bench.ingest.documents import File, read_files, write_files
from tests.bench.ingest.product import Product
from tests.bench.processes import cpu_seconds
from tests.bench.report import Report, Row
from tests.conftest import TestDatabase, clone, running_server

_MEGABYTE = 1_000_000

_NOTES = (
    "product: files to documents with passages, vectors, lexemes and graph facts. uploads: up to ten small files"
    " a job and transaction, besides keeping the files themselves. sync: one run a thread, up to 20 documents a transaction."
    " import: the command's way, up to 20 files a transaction, one file at a time.",
    "bare: the same parser, splitter and local embedder called in one process, binary COPY of a hundred documents at a"
    " time into tables of the same columns and indexes, without foreign keys or row level security; `search` is"
    " to_tsvector of the passage alone. bare, our words: of its headings too, by words_of as the product's.",
    "ratio: documents_per_s to that of bare with as many threads (of bare: processes). cpu_ratio: documents a second of"
    " processor time of all processes, the server's included, to bare's. Goal: 0.70.",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `scripts/bench ingest`."""
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="DIR", help="instead of the bench's own documents"
    )
    parser.add_argument("--documents", type=int, default=300, help="how many it writes")
    parser.add_argument("--threads", type=int, default=2, help="of the worker, and processes of the script")
    parser.add_argument("--rounds", type=int, default=2)


@dataclass(frozen=True, slots=True)
class _Round:
    documents: int
    passages: int
    seconds: float
    cpu_seconds: float


def run(args: argparse.Namespace) -> Report:
    """Takes the same files in by each way, in turns; every second round in reverse."""
    files = read_files(args.folders) if args.folders else write_files(args.documents)
    if not files:
        raise SystemExit("There are no files in these folders.")
    measured: dict[tuple[str, int], list[_Round]] = {}
    with _quiet(), ExitStack() as stack:
        server = stack.enter_context(running_server(MappingProxyType({})))
        database = clone(server)
        stack.callback(database.db.close)
        ways = _ways(stack, database, args.threads)
        for take_in in ways.values():
            # What is loaded, compiled and planned once.
            _measure(server, database, partial(take_in, files[: max(1, len(files) // 15)]))
        for turn in range(args.rounds):
            for case in ways if turn % 2 == 0 else reversed(list(ways)):
                measured.setdefault(case, []).append(_measure(server, database, partial(ways[case], files)))
    size = sum(len(file.body) for file in files)
    return Report(
        f"{len(files)} documents, {size / _MEGABYTE:.1f} MB",
        [_row(case, measured) for case in ways],
        (*_NOTES, *(_core_hour(name, measured[name, args.threads], files) for name in ("uploads", "sync"))),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the two lines a job that a worker writes."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


def _ways(
    stack: ExitStack, database: TestDatabase, threads: int
) -> Mapping[tuple[str, int], Callable[[Sequence[File]], None]]:
    """(name, threads) -> takes files in."""
    product = stack.enter_context(Product(database, threads))
    bare = stack.enter_context(Bare(database, threads))
    return {
        ("bare", 1): partial(bare.run, processes=1),
        ("import", 1): product.import_folder,
        ("uploads", threads): product.upload,
        ("bare", threads): partial(bare.run, processes=threads),
        ("sync", threads): product.sync,
        ("bare, our words", threads): partial(bare.run, processes=threads, our_words=True),
    }


def _measure(server: EmbeddedPostgres, database: TestDatabase, take_in: Callable[[], None]) -> _Round:
    with database.admin() as connection:
        connection.execute(
            "TRUNCATE tenants, jobs, bare.documents, bare.chunks, bare.chunk_vectors,"
            " bare_our_words.documents, bare_our_words.chunks, bare_our_words.chunk_vectors CASCADE"
        )
        connection.execute("CHECKPOINT")
        started, before = time.perf_counter(), cpu_seconds(server)
        take_in()
        seconds, cpu = time.perf_counter() - started, cpu_seconds(server) - before
        counts = connection.execute(
            "SELECT sum(documents)::int, sum(chunks)::int FROM (VALUES"
            " ((SELECT count(*) FROM documents), (SELECT count(*) FROM chunk_vectors)),"
            " ((SELECT count(*) FROM bare.documents), (SELECT count(*) FROM bare.chunk_vectors)),"
            " ((SELECT count(*) FROM bare_our_words.documents), (SELECT count(*) FROM bare_our_words.chunk_vectors))"
            ") AS counted (documents, chunks)"
        ).fetchone()
    assert counts is not None
    return _Round(int(str(counts[0])), int(str(counts[1])), seconds, cpu)


def _row(case: tuple[str, int], measured: Mapping[tuple[str, int], Sequence[_Round]]) -> Row:
    name, threads = case
    rounds, bare = measured[case], measured["bare", threads]
    seconds, cpu = sum(r.seconds for r in rounds), sum(r.cpu_seconds for r in rounds)
    documents = sum(r.documents for r in rounds)
    return {
        "name": name,
        "threads": threads,
        "documents": documents // len(rounds),
        "passages": sum(r.passages for r in rounds) // len(rounds),
        "documents_per_s": round(documents / seconds, 1),
        "passages_per_s": round(sum(r.passages for r in rounds) / seconds, 1),
        "seconds": round(seconds / len(rounds), 2),
        "cpu_seconds": round(cpu / len(rounds), 2),
        "ratio": round(documents / seconds / _rate(bare, lambda r: r.seconds), 2),
        "cpu_ratio": round(documents / cpu / _rate(bare, lambda r: r.cpu_seconds), 2) if cpu else None,
    }


def _rate(rounds: Sequence[_Round], of: Callable[[_Round], float]) -> float:
    return sum(r.documents for r in rounds) / max(0.01, sum(map(of, rounds)))


def _core_hour(name: str, rounds: Sequence[_Round], files: Sequence[File]) -> str:
    """What an hour of one processor takes in."""
    hours = max(0.01, sum(r.cpu_seconds for r in rounds)) / 3600
    documents = sum(r.documents for r in rounds)
    size = sum(len(file.body) for file in files) * len(rounds) / _MEGABYTE
    return (
        f"One core-hour of {name} (processor time of worker, reading processes and server): {documents / hours:,.0f}"
        f" documents, {sum(r.passages for r in rounds) / hours:,.0f} passages, {size / hours:,.0f} MB of files."
    )

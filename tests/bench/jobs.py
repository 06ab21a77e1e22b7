"""Claim and finish jobs that do nothing: ours beside two Postgres queue libraries, on one server, as many waiting.

All with the server's default durability: every claim and every end is flushed to disk before it counts.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Barrier, Thread
from types import MappingProxyType

from tests.bench.queues import OurQueue, PgQueuer, Procrastinate, Queue
from tests.bench.report import Report, Row
from tests.bench.timing import percentile
from tests.conftest import TestDatabase, clone, running_server

#: Jobs a call takes -> the queues that can.
_BATCHES = MappingProxyType(
    {
        1: ("ours", "ours, 100 tenants", "procrastinate", "pgqueuer"),
        20: ("ours", "pgqueuer"),
    }
)
_THREADS = (1, 8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `scripts/bench jobs`."""
    parser.add_argument("--waiting", type=int, default=10_000, help="jobs that wait when a round begins")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a round may take")
    parser.add_argument("--rounds", type=int, default=2)


def run(args: argparse.Namespace) -> Report:
    """Alternates between the queues; a round begins with `waiting` jobs and an empty history."""
    measured: dict[tuple[str, int, int], list[_Round]] = {}
    with _queues() as (database, queues):
        for turn in range(args.rounds):
            cases = [
                (name, count, threads)
                for count, names in _BATCHES.items()
                for threads in _THREADS
                for name in (names if turn % 2 == 0 else reversed(names))
            ]
            for name, count, threads in cases:
                done = _round(database, queues[name], count, threads, args.waiting, args.seconds)
                measured.setdefault((name, count, threads), []).append(done)
    return Report(
        f"claim and finish, {args.waiting:,} jobs waiting, durable",
        [_row(case, rounds, measured) for case, rounds in measured.items()],
        (
            "goal: 1,000 jobs/s one by one, 5,000 jobs/s in batches.",
            "ratio: our jobs/s to this queue's. A call claims and finishes `batch` jobs; procrastinate takes one at a time.",
        ),
    )


class _Round:
    def __init__(self, jobs: int, seconds: float, calls: list[float]) -> None:
        self.jobs = jobs
        self.seconds = seconds
        self.calls = calls


@contextmanager
def _queues() -> Iterator[tuple[TestDatabase, Mapping[str, Queue]]]:
    with running_server(MappingProxyType({})) as server:
        database = clone(server)
        try:
            yield (
                database,
                {
                    "ours": OurQueue(database, tenants=1),
                    "ours, 100 tenants": OurQueue(database, tenants=100),
                    "procrastinate": Procrastinate(database.admin_url),
                    "pgqueuer": PgQueuer(database.admin_url),
                },
            )
        finally:
            database.db.close()


def _round(
    database: TestDatabase, queue: Queue, count: int, threads: int, waiting: int, seconds: float
) -> _Round:
    with database.admin() as connection:
        connection.execute(f"TRUNCATE {queue.tables} CASCADE".encode())
        queue.fill(connection, waiting)
        for table in queue.tables.split(", "):
            connection.execute(f"VACUUM ANALYZE {table}".encode())
        connection.execute("CHECKPOINT")
    barrier = Barrier(threads)
    done: list[_Round] = []

    def work() -> None:
        with queue.worker() as take_and_finish:
            take_and_finish(count)
            barrier.wait()
            jobs, calls = 0, []
            started = now = time.perf_counter()
            # Some stay, so that an empty queue is never what is measured.
            while now - started < seconds and jobs < waiting * 0.8 / threads:
                took = take_and_finish(count)
                before, now = now, time.perf_counter()
                jobs += took
                calls.append(now - before)
            done.append(_Round(jobs, now - started, calls))

    running = [Thread(target=work) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if len(done) < threads:
        raise RuntimeError("a worker failed")
    return _Round(
        sum(one.jobs for one in done),
        max(one.seconds for one in done),
        [call for one in done for call in one.calls],
    )


def _rate(rounds: list[_Round]) -> float:
    return sum(r.jobs for r in rounds) / sum(r.seconds for r in rounds)


def _row(
    case: tuple[str, int, int], rounds: list[_Round], measured: Mapping[tuple[str, int, int], list[_Round]]
) -> Row:
    name, count, threads = case
    calls = [call for r in rounds for call in r.calls]
    return {
        "name": name,
        "batch": count,
        "threads": threads,
        "jobs_per_s": round(_rate(rounds)),
        "p50_us": round(1e6 * percentile(calls, 0.5)),
        "p99_us": round(1e6 * percentile(calls, 0.99)),
        "ratio": round(_rate(measured["ours", count, threads]) / _rate(rounds), 2),
    }

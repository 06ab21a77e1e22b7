"""What notifications cost 32 writers that commit as fast as they can, with three instances listening.

The same one-row update in the product's own transactions: without a notification, with a hint that the product's
notifier sends after the commit, and with `pg_notify` inside the transaction, in the very statement that writes.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import Thread
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from backend.db.engine import create_engine
from backend.db.listen import Listener
from backend.db.notify import Channel, Notifier
from backend.db.transaction import Database, Session, hint
from backend.jobs.workers.repository import WorkerRepository
from tests.bench.report import Report, Row
from tests.bench.timing import percentile
from tests.conftest import clone, running_server

_THREADS: Final = 8
_INSTANCES: Final = 3
_WRITE: Final = text("UPDATE workers SET heartbeat_at = now() WHERE id = :id RETURNING id")
_WRITE_AND_NOTIFY: Final = text(
    "UPDATE workers SET heartbeat_at = now() WHERE id = :id RETURNING pg_notify('jobs', :payload)"
)


def _without(session: Session, row: UUID, _number: int) -> None:
    session.execute(_WRITE, {"id": row})


def _with_hint(session: Session, row: UUID, number: int) -> None:
    session.execute(_WRITE, {"id": row})
    hint(session, Channel.JOBS, row, number)


def _inside(session: Session, row: UUID, number: int) -> None:
    session.execute(_WRITE_AND_NOTIFY, {"id": row, "payload": f"{row}:{number}"})


Write = Callable[[Session, UUID, int], None]

_WAYS: Final = MappingProxyType(
    {"without": _without, "ours": _with_hint, "pg_notify in the transaction": _inside}
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `scripts/bench notify`."""
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a round takes")
    parser.add_argument("--rounds", type=int, default=5)


def run(args: argparse.Namespace) -> Report:
    """Alternates between the three ways; every writer commits to a row of its own."""
    commits: dict[str, int] = dict.fromkeys(_WAYS, 0)
    calls: dict[str, list[float]] = {way: [] for way in _WAYS}
    threads = min(_THREADS, args.writers)
    processes = args.writers // threads
    with ExitStack() as stack:
        database = clone(stack.enter_context(running_server(MappingProxyType({}))))
        stack.callback(database.db.close)
        for number in range(_INSTANCES):
            listener = Listener(database.url, application_name=f"instance {number}").start()
            stack.callback(listener.close)
            listener.wait_until_connected(10)
        writers = stack.enter_context(_processes(database.url, processes, threads))
        for turn in range(args.rounds):
            for way in _WAYS if turn % 2 == 0 else reversed(_WAYS):
                for writer in writers:
                    writer.send((way, args.seconds))
                taken = [call for writer in writers for call in writer.recv()]
                commits[way] += len(taken)
                calls[way] += taken
    seconds = args.rounds * args.seconds
    rows: list[Row] = [
        {
            "name": way,
            "writers": threads * processes,
            "commits_per_s": round(commits[way] / seconds),
            "p50_us": round(1e6 * percentile(calls[way], 0.5)),
            "p99_us": round(1e6 * percentile(calls[way], 0.99)),
            "share": round(commits[way] / commits["without"], 3),
        }
        for way in _WAYS
    ]
    return Report(
        "commits with notifications, durable (goal: a share of 0.85)",
        rows,
        (
            f"{threads} threads in each of {processes} processes; {_INSTANCES} listeners.",
            "share: of the commits without notifications.",
        ),
    )


@contextmanager
def _processes(url: str, count: int, threads: int) -> Iterator["list[Connection[Any, Any]]"]:
    """The writers' processes, each at the other end of a pipe: it takes (way, seconds), and answers with calls."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    pipes = [context.Pipe() for _ in range(count)]
    processes = [
        context.Process(target=_writers, args=(url, threads, barrier, theirs), daemon=True)
        for _, theirs in pipes
    ]
    for process in processes:
        process.start()
    try:
        yield [ours for ours, _ in pipes]
    finally:
        for ours, _ in pipes:
            ours.send(None)
        for process in processes:
            process.join(10)


def _writers(url: str, threads: int, barrier: Barrier, orders: "Connection[Any, Any]") -> None:
    """One process, until it is told None."""
    db = Database(create_engine(url, pool_size=threads, application_name="bench"), Notifier(url))
    rows = [_register(db) for _ in range(threads)]
    while (order := orders.recv()) is not None:
        way, seconds = order
        barrier.wait(60)
        orders.send(_round(db, _WAYS[way], rows, seconds))
    db.close()


def _round(db: Database, way: Write, rows: Sequence[UUID], seconds: float) -> list[float]:
    """Seconds of each commit, as the writers saw it."""
    taken: list[list[float]] = []

    def write(row: UUID, until: float) -> None:
        calls: list[float] = []
        now = time.monotonic()
        while now < until:
            with db.operator_transaction() as session:
                way(session, row, len(calls))
            before, now = now, time.monotonic()
            calls.append(now - before)
        taken.append(calls)

    until = time.monotonic() + seconds
    writers = [Thread(target=write, args=(row, until)) for row in rows]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return [call for calls in taken for call in calls]


def _register(db: Database) -> UUID:
    with db.operator_transaction() as session:
        return WorkerRepository(session).register(name="bench", version="0", lease_term=timedelta(seconds=30))

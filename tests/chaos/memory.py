"""`scripts/chaos memory`: what a worker process holds while it syncs many small items, with the local model.

Resident memory is of two kinds. Anonymous memory is the process's own. Pages of files (code, libraries, the table of
word vectors) are read from the file when they are first touched, shared with every process that has them too, and
dropped by the system when it needs the room.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Final

import psutil

from tests.bench.report import Report, Row
from tests.chaos.crew import Crew, crew
from tests.chaos.faults import Faults
from tests.chaos.hub import Hub
from tests.chaos.tokens import Tokens
from tests.e2e.conftest import Client
from tests.emulators.scripted import scripted_server

MARKS: Final = (1_000, 10_000, 25_000, 50_000)
#: What memory may grow or shrink by after the first mark.
FLAT_MB: Final = 20.0
#: Without any progress for so long, it is stuck.
_STUCK_SECONDS: Final = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    parser.add_argument(
        "--items", type=int, default=MARKS[-1], help=f"items of the source (default {MARKS[-1]})"
    )
    parser.add_argument("--repositories", type=int, default=10, help="that they are in (default 10)")


def run(args: argparse.Namespace) -> tuple[Report, bool]:
    """One sync, the worker's memory at each mark; (what was seen, whether it stayed flat)."""
    marks = [mark for mark in MARKS if mark < args.items] + [args.items]
    rows = measure(args.items, marks, repositories=args.repositories)
    sizes = [float(row["rss_mb"] or 0) for row in rows]
    is_flat = all(abs(size - sizes[0]) <= FLAT_MB for size in sizes)
    note = (
        "Resident memory of the worker process, its own (anonymous) and pages of files;"
        f" together {'within' if is_flat else 'NOT within'} {FLAT_MB:g} MB of the first."
    )
    return Report(f"A worker over {args.items} items", rows, [note]), is_flat


def measure(items: int, marks: Sequence[int], *, repositories: int) -> list[Row]:
    """A row a mark: items done, resident MB then, of which its own and of files, the most since the mark before, items
    a second since then."""
    hub, tokens = Hub(items=items, seed=1, repositories=repositories), Tokens()
    with (
        scripted_server(Faults(hub, tokens).answer) as server,
        crew(server.base_url, tokens.authorize, workers=1, LEASE_SECONDS="30") as (hands, client, _),
    ):
        return _watch(hands, client, marks)


def _watch(hands: Crew, client: Client, marks: Sequence[int]) -> list[Row]:
    worker = psutil.Process(hands.process("worker1").pid)
    client.ok("POST", "/api/integrations/github/sync")
    rows: list[Row] = []
    at, done, peak, moved_at = time.monotonic(), 0, 0.0, time.monotonic()
    last = 0
    while len(rows) < len(marks):
        time.sleep(0.5)
        now = time.monotonic()
        memory = worker.memory_info()
        rss, of_files = memory.rss / 1e6, memory.shared / 1e6
        peak = max(peak, rss)
        ((processed, state),) = hands.rows("SELECT processed_count, state FROM sync_runs")
        if processed > last:
            last, moved_at = processed, now
        if now - moved_at > _STUCK_SECONDS or (
            state.startswith("completed") and processed < marks[len(rows)]
        ):
            raise AssertionError(f"the run is {state} at item {processed}")
        if processed >= marks[len(rows)]:
            speed = (processed - done) / (now - at)
            rows.append(
                {
                    "items": processed,
                    "rss_mb": rss,
                    "anonymous_mb": rss - of_files,
                    "files_mb": of_files,
                    "peak_mb": peak,
                    "items_per_s": speed,
                }
            )
            print(dict(rows[-1]), flush=True)  # noqa: T201
            at, done, peak = now, processed, 0.0
    return rows

"""Every piece of shared state beside Redis: the calls of the design this replaces, and Redis used well.

`ours` is the product's own code on the bundled Postgres with its default durability; see docs/benchmarks.md.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tests.bench.report import Report, Row
from tests.bench.state.material import Material, Side
from tests.bench.state.ours import Ours
from tests.bench.state.redis_best import RedisUsedWell
from tests.bench.state.seed import SeedCalls
from tests.bench.state.servers import MISSING, find_redis, postgres, redis_server
from tests.bench.timing import alternate, percentile

THREADS: Final = (1, 8)
_REDIS: Final = "redis: snapshot, minutes may be lost"


@dataclass(frozen=True, slots=True)
class Operation:
    """A row: `share` of the calls asked for is made, as some take long; what a crash of the server may take."""

    share: float
    durability: str


OPERATIONS: Final = MappingProxyType(
    {
        "oauth_begin_consume": Operation(1, f"ours: consume synchronous, issue and begin < 1 s; {_REDIS}"),
        "progress_write": Operation(1, f"ours: < 1 s may be lost, counts and ends none; {_REDIS}"),
        "progress_read": Operation(1, "read"),
        "config_read": Operation(1, "read; ours from memory, followed by revision"),
        "embedding_get_1": Operation(1, "read; ours from the table"),
        "embedding_get_1_warm": Operation(1, "read; ours from memory"),
        "embedding_get_100": Operation(0.2, "read; ours from the table"),
        "embedding_put_100": Operation(0.1, f"ours: < 1 s may be lost, computed again; {_REDIS}"),
        "component_cold": Operation(0.2, "read; ours from the table"),
        "component_warm": Operation(0.5, "read; ours from memory, followed by version"),
        "queue_push_pop": Operation(1, f"ours: synchronous, three commits; {_REDIS}"),
    }
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `scripts/bench state`."""
    parser.add_argument("--rounds", type=int, default=10, help="how often the three take turns (10)")
    parser.add_argument("--calls", type=int, default=40, help="calls of a quick operation per turn (40)")
    parser.add_argument("--redis-fsync", action="store_true", help="let Redis wait for the disk as well")
    parser.add_argument("--only", choices=OPERATIONS, action="append", metavar="NAME", help="only this row")


def run(args: argparse.Namespace) -> Report:
    """Starts both servers and measures; about three minutes. Without redis-server it says what is missing, and ends."""
    if (program := find_redis(install=True)) is None:
        sys.exit(MISSING)
    material = Material()
    names = args.only or list(OPERATIONS)
    options = ("--appendonly", "yes", "--appendfsync", "always") if args.redis_fsync else ()
    with postgres() as database, redis_server(program, *options) as (socket, port):
        ours = Ours(database, material)
        seed, best = SeedCalls(port, material), RedisUsedWell(socket, material)
        try:
            sides: dict[str, Side] = {"ours": ours, "seed": seed, "redis": best}
            rows = [
                measure(name, sides, threads=threads, rounds=args.rounds, calls=args.calls)
                for name in names
                for threads in THREADS
            ]
        finally:
            ours.close()
            seed.close()
            best.close()
    return Report(
        "Shared state: ours (Postgres) beside the seed's calls and Redis used well, microseconds",
        rows,
        [
            "ratio: ours to Redis used well (unix socket, one round trip); seed_ratio: ours to the seed's calls.",
            f"{args.rounds} rounds in turns; redis-server with "
            + (" ".join(options) if options else "its default settings, which keep snapshots only")
            + ".",
        ],
    )


def measure(name: str, sides: Mapping[str, Side], *, threads: int, rounds: int, calls: int) -> Row:
    """One row. Every side is called once before, so that nothing is measured that happens only once."""
    operation = OPERATIONS[name]
    methods: dict[str, Callable[[int], object]] = {side: getattr(made, name) for side, made in sides.items()}
    per_round = max(1, round(calls * operation.share / (1 if threads == 1 else 4)))
    # Numbers not given again below: some operations write a new thing for each.
    alternate(_shifted(methods, 10**6), rounds=2, calls_per_round=min(per_round, 6), threads=threads)
    taken = alternate(
        _shifted(methods, 10**7 * threads), rounds=rounds, calls_per_round=per_round, threads=threads
    )
    us = {
        (side, label): round(percentile(seconds, share) * 1e6, 1)
        for side, seconds in taken.items()
        for label, share in (("p50", 0.5), ("p99", 0.99))
    }
    figures = {f"{side}_{p}_us": us[side, p] for side in ("ours", "seed", "redis") for p in ("p50", "p99")}
    ratios = {
        f"{prefix}ratio_{p}": round(us["ours", p] / us[side, p], 4)
        for prefix, side in (("", "redis"), ("seed_", "seed"))
        for p in ("p50", "p99")
    }
    return {
        "name": f"{name}/{threads}",
        "threads": threads,
        **figures,
        **ratios,
        "durability": operation.durability,
    }


def _shifted(
    methods: Mapping[str, Callable[[int], object]], first: int
) -> dict[str, Callable[[int], object]]:
    def shift(method: Callable[[int], object]) -> Callable[[int], object]:
        return lambda n: method(first + n)

    return {side: shift(method) for side, method in methods.items()}

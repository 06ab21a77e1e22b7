"""Timing: alternate, measure each call, take percentiles."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

Call = Callable[[int], object]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie, by nearest rank. Raises ValueError when empty."""
    if not values:
        raise ValueError("no values")
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def alternate(
    calls: Mapping[str, Call], *, rounds: int, calls_per_round: int, threads: int = 1
) -> dict[str, list[float]]:
    """Seconds of each call, by name. Each of `calls` runs `calls_per_round` times a round on each of `threads`
    threads; within a round the names take turns, and every second round in reverse, so that a slow moment of the
    machine hits all of them. A call gets a number that is never given twice to the same name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            seconds[name] += _burst(calls[name], turn, calls_per_round, threads)
    return seconds


def _burst(call: Call, turn: int, count: int, threads: int) -> list[float]:
    barrier = Barrier(threads)

    def run(thread: int) -> list[float]:
        first = (turn * threads + thread) * count
        barrier.wait()
        taken = []
        for number in range(first, first + count):
            started = time.perf_counter()
            call(number)
            taken.append(time.perf_counter() - started)
        return taken

    if threads == 1:
        return run(0)
    with ThreadPoolExecutor(threads) as pool:
        return [second for taken in pool.map(run, range(threads)) for second in taken]

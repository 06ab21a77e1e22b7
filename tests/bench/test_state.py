"""A short leg of `scripts/bench state`: it runs, says what it should, and all three sides do the same thing."""

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from backend.db.embedded import EmbeddedPostgres
from tests.bench.state import OPERATIONS, add_arguments, measure
from tests.bench.state.material import BATCH, CHUNK_CHARACTERS, DIMENSIONS, Material, Side, progress_of
from tests.bench.state.ours import Ours
from tests.bench.state.redis_best import RedisUsedWell
from tests.bench.state.seed import SeedCalls
from tests.bench.state.servers import MISSING, find_redis, redis_server
from tests.conftest import clone
from tests.emulators.node import give_up

FIGURES = [f"{side}_{p}_us" for side in ("ours", "seed", "redis") for p in ("p50", "p99")]
RATIOS = ["ratio_p50", "ratio_p99", "seed_ratio_p50", "seed_ratio_p99"]


@pytest.fixture(scope="module")
def material() -> Material:
    return Material()


@pytest.fixture(scope="module")
def sides(server: EmbeddedPostgres, material: Material) -> Iterator[Mapping[str, Side]]:
    """All three on servers of their own; without redis-server the tests are skipped, and fail on CI."""
    program = find_redis(install=False)
    if program is None:
        give_up(MISSING)
    database = clone(server)
    with redis_server(program) as (socket, port):
        ours = Ours(database, material)
        seed, best = SeedCalls(port, material), RedisUsedWell(socket, material)
        yield {"ours": ours, "seed": seed, "redis": best}
        ours.close()
        seed.close()
        best.close()
    database.db.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_all_sides_give_the_same_answer(sides: Mapping[str, Side], material: Material, name: str) -> None:
    for side in sides.values():
        side.progress_write(7)
    answers = [getattr(side, name)(7) for side in sides.values()]
    expected = {
        "oauth_begin_consume": "github",
        "progress_write": True,
        "progress_read": progress_of(7),
        "config_read": CHUNK_CHARACTERS,
        "embedding_get_1": material.vectors[[7]],
        "embedding_get_1_warm": material.vectors[[7]],
        "embedding_get_100": material.vectors[list(material.batch(7))],
        "embedding_put_100": BATCH,
        "component_cold": material.component,
        "component_warm": material.component,
        "queue_push_pop": {"connector_type"},
    }[name]
    for answer in answers:
        if isinstance(expected, np.ndarray):
            assert answer.shape[1] == DIMENSIONS
            np.testing.assert_array_equal(answer, expected)
        else:
            assert answer == expected


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("name", ["config_read", "progress_write", "queue_push_pop"])
def test_row_has_its_figures_and_ratios(sides: Mapping[str, Side], name: str, threads: int) -> None:
    row = measure(name, sides, threads=threads, rounds=2, calls=2)
    assert list(row) == ["name", "threads", *FIGURES, *RATIOS, "durability"]
    assert (row["name"], row["threads"]) == (f"{name}/{threads}", threads)
    assert all(isinstance(row[key], float) and row[key] > 0 for key in (*FIGURES, *RATIOS))  # type: ignore[operator]
    assert row["ratio_p50"] == pytest.approx(row["ours_p50_us"] / row["redis_p50_us"], abs=1e-3)  # type: ignore[operator]
    assert row["seed_ratio_p99"] == pytest.approx(row["ours_p99_us"] / row["seed_p99_us"], abs=1e-3)  # type: ignore[operator]


def test_options_choose_rows_and_how_often() -> None:
    parser = ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--only", "config_read", "--only", "progress_read", "--rounds", "3"])
    assert (args.only, args.rounds, args.calls) == (["config_read", "progress_read"], 3, 40)

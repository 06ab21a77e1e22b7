"""Each bench, for a moment: that it still runs, not what it finds."""

import argparse
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import pytest

from backend.db.embedded import EmbeddedPostgres


@pytest.mark.parametrize(
    ("bench", "options", "names"),
    [
        (
            "jobs",
            {"waiting": 200, "seconds": 0.1, "rounds": 1},
            {"ours", "ours, 100 tenants", "procrastinate", "pgqueuer"},
        ),
        (
            "notify",
            {"writers": 4, "seconds": 0.2, "rounds": 1},
            {"without", "ours", "pg_notify in the transaction"},
        ),
        ("streams", {"clients": 10, "commits": 2, "searches": 2}, {"ours, no stream open", "ours"}),
        (
            "ingest",
            {"folders": [], "documents": 6, "threads": 2, "rounds": 1},
            {"bare", "bare, our words", "import", "uploads", "sync"},
        ),
        ("memory", {"tenants": 1, "seconds": 60.0}, set()),
        (
            "search",
            {"chunks": 3000, "tenants": 5, "questions": 3, "rounds": 1, "build_from": 1000},
            {"retrieve", "statement", "bare"},
        ),
    ],
)
def test_bench_runs(
    server: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    bench: str,
    options: dict[str, Any],
    names: set[str],
) -> None:
    module = import_module(f"tests.bench.{bench}")
    # The session's server, which need not wait for the disk.
    monkeypatch.setattr(module, "running_server", lambda _settings: nullcontext(server))
    report = module.run(argparse.Namespace(**options))
    assert report.rows
    assert names <= {row.get("name") for row in report.rows}
    assert len({tuple(row) for row in report.rows}) == 1, "all rows have the same columns"
    report.show()

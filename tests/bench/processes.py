"""What processes take: memory, threads, processor time, connections to Postgres. Linux only, as `/proc` is."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from backend.db.embedded import EmbeddedPostgres
from backend.db.postmaster import living_postmaster
from tests.conftest import TestDatabase

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of some processes together. Resident counts pages that processes share once for each of them; proportional
    divides such pages among those that share them, private leaves them out. Megabytes (2^20)."""

    resident_mb: float
    proportional_mb: float
    private_mb: float
    threads: int


def family(pid: int) -> list[int]:
    """The process and all that it started, itself first."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def footprint(pids: Iterable[int]) -> Footprint:
    """What the processes take now."""
    resident = proportional = private = threads = 0
    for pid in pids:
        process = psutil.Process(pid)
        memory = process.memory_full_info()
        resident += memory.rss
        proportional += memory.pss
        private += memory.uss
        threads += process.num_threads()
    return Footprint(resident / _MEGABYTE, proportional / _MEGABYTE, private / _MEGABYTE, threads)


def connections(database: TestDatabase, instance: str) -> int:
    """How many connections the instance of that name has to the database, its listener and notifier included."""
    with database.admin() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = ANY (%s)",
            ([instance, f"{instance} listener", f"{instance} notifier"],),
        ).fetchone()
    assert row is not None
    return int(str(row[0]))


def cpu_seconds(server: EmbeddedPostgres) -> float:
    """Processor time that this process and the server have taken so far with all they started, ended ones included."""
    postmaster = living_postmaster(server.directory)
    assert postmaster is not None
    taken = 0.0
    for pid in {*family(os.getpid()), *family(postmaster)}:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            taken += times.user + times.system + times.children_user + times.children_system
    return taken

"""The database goes away and comes back; on a server of the tests' own."""

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from backend.bundled import prepare_bundled
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE
from backend.db.migrate import migrate
from tests.conftest import FAST, TEMPLATE, TestDatabase, settings_for
from tests.jobs.handlers import MakeWorker, Steered, eventually
from tests.jobs.real_queue import Queue


@pytest.fixture(scope="module")
def queue_database() -> Iterator[TestDatabase]:
    """A database on a server that may be stopped."""
    with tempfile.TemporaryDirectory(prefix="secondbrain-outage-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the server may run as another user
        server = EmbeddedPostgres(Path(folder, "postgres"), settings=FAST)
        server.start(bound_to_parent=True)
        try:
            prepare_bundled(server)
            migrate(settings_for(server.url(APP_ROLE, TEMPLATE), server.url("postgres", TEMPLATE)))
            made = TestDatabase(server, TEMPLATE)
            yield made
            made.db.close()
        finally:
            server.stop("immediate")


@pytest.fixture
def outage_server(queue: Queue) -> EmbeddedPostgres:
    """The server; the queue connects to it anew when it is asked after an outage."""
    return queue.database.server


def test_worker_goes_on_after_a_restart_of_the_database(
    queue: Queue, outage_server: EmbeddedPostgres, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    make_worker(threads=2)
    in_hand = queue.enqueue()
    claim = handler.next_started()
    outage_server.restart()
    handler.go.set()
    assert handler.next_ended() == (claim, "completed")
    assert queue.state(in_hand) == "succeeded"
    after = queue.enqueue()
    assert handler.next_ended()[0].id == after


def test_worker_receives_hints_again_after_a_restart_of_the_database(
    queue: Queue, outage_server: EmbeddedPostgres, make_worker: MakeWorker, handler: Steered
) -> None:
    make_worker(idle_poll=timedelta(hours=1))
    eventually(queue.is_at_rest)
    outage_server.restart()
    # Found by the wake-up that follows every new connection, or by the hint.
    queue.enqueue()
    handler.next_ended()
    eventually(queue.is_at_rest)
    queue.enqueue()
    assert handler.next_ended()[1] == "completed"


def test_failure_during_an_outage_is_written_down_after_it(
    queue: Queue, outage_server: EmbeddedPostgres, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    make_worker()
    job_id = queue.enqueue()
    claim = handler.next_started()
    outage_server.stop()
    try:
        handler.fails_with = [ValueError()]
        handler.go.set()
        assert handler.next_ended() == (claim, "raised")
        # Long enough for an attempt to write it down, which fails.
        time.sleep(2.0)
    finally:
        outage_server.start()
    eventually(lambda: queue.state(job_id) == "queued")
    row = queue.row(job_id)
    assert (row["last_error"], row["attempt"], row["lease"]) == ("Internal error (ValueError).", 1, 1)


def test_job_whose_try_ended_during_a_long_outage_is_not_left_running(
    queue: Queue, outage_server: EmbeddedPostgres, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    worker = make_worker(lease=timedelta(seconds=1))
    job_id = queue.enqueue()
    claim = handler.next_started()
    outage_server.stop()
    try:
        # Told to stop; giving the job back fails, and so does writing the failure down.
        assert handler.next_ended() == (claim, "raised")
        assert not worker.is_connected
    finally:
        outage_server.start()
    handler.go.set()
    # Only this worker is there, alive again before anybody could have counted it as dead.
    eventually(lambda: queue.state(job_id) == "queued" or queue.state(job_id) == "succeeded")
    queue.make_due(job_id)
    eventually(lambda: queue.state(job_id) == "succeeded")


def test_worker_started_before_the_database_waits_for_it(
    queue: Queue, outage_server: EmbeddedPostgres, make_worker: MakeWorker, handler: Steered
) -> None:
    job_id = queue.enqueue()
    outage_server.stop()
    try:
        worker = make_worker(is_connected=False, lease=timedelta(seconds=1))
        assert not worker.is_connected
    finally:
        outage_server.start()
    claim, outcome = handler.next_ended()
    assert (claim.id, outcome) == (job_id, "completed")


def test_worker_stops_while_the_database_is_away(
    queue: Queue, outage_server: EmbeddedPostgres, make_worker: MakeWorker, handler: Steered
) -> None:
    handler.go.clear()
    worker = make_worker(lease=timedelta(seconds=1))
    job_id = queue.enqueue()
    handler.next_started()
    outage_server.stop()
    try:
        worker.stop()
    finally:
        outage_server.start()
    assert queue.state(job_id) == "running"
    queue.pass_time(1.0)
    (released,) = queue.release()
    assert released.id == job_id


def test_kill_of_the_server_loses_no_job(
    queue: Queue, outage_server: EmbeddedPostgres, make_worker: MakeWorker, handler: Steered
) -> None:
    make_worker(threads=2)
    jobs = {queue.enqueue() for _ in range(20)}
    handler.next_ended()
    outage_server.kill()
    outage_server.start()

    def are_done() -> bool:
        for job_id in jobs:
            queue.make_due(job_id)
        return queue.states() == {"succeeded": 20}

    eventually(are_done)
    with psycopg.connect(queue.database.admin_url) as connection:
        assert connection.execute("SELECT count(*) FROM jobs WHERE lease = 0").fetchone() == (0,)

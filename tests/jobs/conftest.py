"""A queue of the test's own: claims look across tenants, so no two tests may share one."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from backend.db.listen import Listener
from backend.jobs.worker import Worker
from tests.conftest import TestDatabase
from tests.jobs.handlers import SECONDS, MakeWorker, Steered, eventually
from tests.jobs.real_queue import KIND, Queue


@pytest.fixture(scope="module")
def queue_database(module_database: TestDatabase) -> TestDatabase:
    """A database for the tests of one file."""
    return module_database


@pytest.fixture
def queue(queue_database: TestDatabase) -> Iterator[Queue]:
    """An empty queue with one tenant."""
    with Queue(queue_database) as made:
        made.clear()
        yield made


@pytest.fixture
def handler(queue: Queue) -> Steered:
    """What the workers of a test do with a job."""
    return Steered(queue.db)


@pytest.fixture
def make_worker(queue: Queue, handler: Steered) -> Iterator[MakeWorker]:
    """Starts workers, each as a process of its own would, and stops them in the end."""
    with ExitStack() as stack:

        def make(*, is_connected: bool = True, **how: Any) -> Worker:
            db = queue.database.connect(pool_size=8)
            stack.callback(db.close)
            listener = Listener(queue.database.url).start()
            stack.callback(listener.close)
            given = {"name": "w", "version": "0", "threads": 1, "idle_poll": timedelta(milliseconds=100)}
            worker = Worker(db, listener, {KIND: handler}, **{**given, **how})
            worker.start()
            stack.callback(worker.stop)
            stack.callback(handler.go.set)
            if is_connected:
                assert listener.wait_until_connected(SECONDS)
                eventually(lambda: worker.is_connected)
            return worker

        yield make

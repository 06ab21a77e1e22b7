"""A queue of the test's own: claims look across tenants, so no two tests may share one."""

from collections.abc import Iterator

import pytest

from backend.db.embedded import EmbeddedPostgres
from tests.conftest import TestDatabase, clone
from tests.jobs.queue import Queue


@pytest.fixture(scope="module")
def queue_database(server: EmbeddedPostgres) -> Iterator[TestDatabase]:
    """A database for the tests of one file."""
    made = clone(server)
    yield made
    made.db.close()


@pytest.fixture
def queue(queue_database: TestDatabase) -> Iterator[Queue]:
    """An empty queue with one tenant."""
    with Queue(queue_database) as made:
        made.clear()
        yield made

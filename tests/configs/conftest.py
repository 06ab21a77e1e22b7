"""Processes' copies of the configs, and two web instances."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from backend.configs.follower import ConfigFollower
from backend.db.listen import Listener
from backend.db.transaction import Database
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, web_instance

Follow = Callable[..., tuple[ConfigFollower, Listener]]


@pytest.fixture
def follow(own_database: TestDatabase) -> Iterator[Follow]:
    """Makes what a process has: a listener that is connected and a follower that has begun to follow."""
    with ExitStack() as stack:

        def make(*, poll_seconds: float = ConfigFollower.POLL_SECONDS) -> tuple[ConfigFollower, Listener]:
            listener = Listener(own_database.url, application_name="config tests").start()
            stack.callback(listener.close)
            assert listener.wait_until_connected(10)
            follower = ConfigFollower(own_database.db, listener)
            stack.callback(follower.close)
            follower.POLL_SECONDS = poll_seconds
            follows = threading.Event()
            follower.start(on_change=follows.set)
            assert follows.wait(10)
            return follower, listener

        yield make


@pytest.fixture
def mute(own_database: TestDatabase) -> Iterator[Database]:
    """A process whose hints all get lost."""
    db = own_database.connect()
    db.notifier.close()
    yield db
    db.close()


@pytest.fixture(scope="package")
def web(database: TestDatabase) -> Iterator[Instance]:
    """A web instance."""
    with web_instance(database, "web1") as instance:
        yield instance


@pytest.fixture(scope="package")
def web2(database: TestDatabase) -> Iterator[Instance]:
    """Another web instance of the same installation."""
    with web_instance(database, "web2") as instance:
        yield instance

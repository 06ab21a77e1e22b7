"""A server that may be stopped and started, and two tenants who must not see each other."""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest

from backend.bundled import DATABASE, prepare_bundled
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE
from backend.db.migrate import migrate
from backend.db.notify import Channel, Notifier
from tests.conftest import FAST, TestDatabase, clone, settings_for
from tests.db.samples import fill

Hints = list[tuple[Channel, str]]


class Recorder(Notifier):
    """Writes down what would be sent, at the moment it would be."""

    def __init__(self) -> None:
        super().__init__("")
        self.published: Hints = []

    def publish(self, hints: Iterable[tuple[Channel, str]]) -> None:
        self.published.extend(hints)


class Neighbours(NamedTuple):
    """Two tenants of one database, with a row in every table each."""

    database: TestDatabase
    mine: UUID
    theirs: UUID


@pytest.fixture(scope="module")
def neighbours(server: EmbeddedPostgres) -> Iterator[Neighbours]:
    """Their database is the module's own."""
    made = clone(server)
    mine, theirs = uuid4(), uuid4()
    with made.admin() as connection:
        fill(connection, mine)
        fill(connection, theirs)
    yield Neighbours(made, mine, theirs)
    made.db.close()


@pytest.fixture(scope="session")
def restartable_server() -> Iterator[EmbeddedPostgres]:
    """A migrated server that no other test depends on."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="secondbrain-tests-"))
        os.chmod(folder, 0o755)  # noqa: S103
        postgres = EmbeddedPostgres(Path(folder, "postgres"), settings=FAST)
        postgres.start(bound_to_parent=True)
        stack.callback(postgres.stop, "immediate")
        prepare_bundled(postgres)
        migrate(settings_for(postgres.url(APP_ROLE, DATABASE), postgres.url("postgres", DATABASE)))
        yield postgres


@pytest.fixture
def restartable(restartable_server: EmbeddedPostgres) -> Iterator[TestDatabase]:
    """The database of that server, which runs again afterwards."""
    restartable_server.start(bound_to_parent=True)
    made = TestDatabase(restartable_server, DATABASE)
    yield made
    made.db.close()
    restartable_server.start(bound_to_parent=True)


def eventually(condition: Callable[[], object], *, seconds: float = 10.0) -> None:
    """Waits for what sends no signal. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)

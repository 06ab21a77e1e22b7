"""Hints leave after the commit, from a connection of their own, many at a time, and survive a restart."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import event, text

from backend.db.notify import Channel, Notifier
from backend.db.transaction import hint
from tests.conftest import Account, TestDatabase
from tests.db.conftest import eventually

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")


class Ear:
    """A plain LISTEN connection, past the product's own listener."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        for channel in Channel:
            self._connection.execute(f"LISTEN {channel.value}".encode())

    def hear(self, count: int = 1, *, seconds: float = 10.0) -> list[psycopg.Notify]:
        """The next `count` notifications; fewer if they do not come within `seconds`."""
        return list(self._connection.notifies(timeout=seconds, stop_after=count))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def ear(database: TestDatabase) -> Iterator[Ear]:
    made = Ear(database.url)
    yield made
    made.close()


@pytest.fixture
def notifier(database: TestDatabase) -> Iterator[Notifier]:
    made = Notifier(database.url, application_name="tests notifier")
    yield made
    made.close()


def test_channels_are_named_after_tables(database: TestDatabase) -> None:
    with database.admin() as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert {channel.value for channel in Channel} <= {table for (table,) in tables}


def test_hint_names_channel_and_ids(database: TestDatabase, account: Account, ear: Ear) -> None:
    run = uuid4()
    with database.db.transaction(account.tenant_id) as session:
        hint(session, Channel.SYNC_RUNS, account.tenant_id, run)
    (heard,) = ear.hear()
    assert (heard.channel, heard.payload) == ("sync_runs", f"{account.tenant_id}:{run}")


def test_hint_does_not_travel_in_the_writing_transaction(
    database: TestDatabase, account: Account, ear: Ear
) -> None:
    """There it would hold a lock of the whole server until the commit is flushed."""
    statements: list[str] = []
    db = database.connect(pool_size=1)
    event.listen(db.engine, "before_cursor_execute", lambda *details: statements.append(details[2].lower()))
    try:
        with db.transaction(account.tenant_id) as session:
            writer = session.scalar(text("SELECT pg_backend_pid()"))
            hint(session, Channel.JOBS, account.tenant_id)
        (heard,) = ear.hear()
    finally:
        db.close()
    assert heard.pid != writer
    assert statements
    assert not [statement for statement in statements if "notify" in statement]


def test_notifier_does_not_wait_for_the_disk(notifier: Notifier, database: TestDatabase, ear: Ear) -> None:
    """Said within the statement: a setting of the session would reach others behind a pooler."""
    notifier.publish([(Channel.JOBS, "1")])
    (heard,) = ear.hear()
    with database.admin() as connection:
        row = connection.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (heard.pid,)).fetchone()
    assert row is not None
    assert "pg_notify" in str(row[0])
    assert "set_config('synchronous_commit', 'off', true)" in str(row[0])
    assert notifier.COALESCE_SECONDS <= 0.05


def test_burst_of_equal_hints_is_sent_a_few_times_at_most(notifier: Notifier, ear: Ear) -> None:
    for _ in range(2000):
        notifier.publish([(Channel.SYNC_RUNS, "the same")])
    notifier.publish([(Channel.JOBS, "end")])
    heard: list[str] = []
    while "end" not in heard and (more := ear.hear()):
        heard += [notify.payload for notify in more]
    assert "end" in heard
    assert 1 <= heard.count("the same") <= 100


def test_different_hints_are_all_sent(notifier: Notifier, ear: Ear) -> None:
    notifier.publish((Channel.SYNC_RUNS, str(number)) for number in range(500))
    heard: set[str] = set()
    while len(heard) < 500 and (more := ear.hear()):
        heard |= {notify.payload for notify in more}
    assert heard == {str(number) for number in range(500)}


def test_hints_of_many_threads_are_all_sent(notifier: Notifier, ear: Ear) -> None:
    def publish(thread: int) -> None:
        for number in range(50):
            notifier.publish([(Channel.JOBS, f"{thread}:{number}")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(publish, range(8)))
    heard: set[str] = set()
    while len(heard) < 400 and (more := ear.hear()):
        heard |= {notify.payload for notify in more}
    assert len(heard) == 400


def test_idle_notifier_has_neither_thread_nor_connection(database: TestDatabase) -> None:
    """Most processes of the command line never send a hint."""
    before = threading.active_count()
    notifier = Notifier(database.url, application_name="idle notifier")
    notifier.publish([])
    assert threading.active_count() == before
    notifier.close()


def test_closing_sends_what_is_queued(database: TestDatabase, ear: Ear) -> None:
    notifier = Notifier(database.url)
    notifier.publish([(Channel.JOBS, "last words")])
    notifier.close()
    assert [notify.payload for notify in ear.hear()] == ["last words"]


def test_closing_ends_thread_and_connection(database: TestDatabase, ear: Ear) -> None:
    notifier = Notifier(database.url, application_name="closing notifier")
    notifier.publish([(Channel.JOBS, "1")])
    ear.hear()
    notifier.close()
    assert notifier._thread is not None
    assert not notifier._thread.is_alive()
    with database.admin() as connection:
        eventually(
            lambda: (
                not connection.execute(
                    "SELECT FROM pg_stat_activity WHERE application_name = 'closing notifier'"
                ).fetchall()
            )
        )


def test_publishing_after_closing_does_nothing(notifier: Notifier) -> None:
    notifier.close()
    notifier.publish([(Channel.JOBS, "too late")])


def test_publishing_never_raises_though_nobody_answers() -> None:
    notifier = Notifier("postgresql://x@/x?host=/nonexistent")
    notifier.publish([(Channel.JOBS, "1")])
    notifier.close(timeout=5)


def test_hint_sent_while_the_connection_is_cut_is_sent_again(
    notifier: Notifier, database: TestDatabase, ear: Ear
) -> None:
    notifier.publish([(Channel.JOBS, "before")])
    (heard,) = ear.hear()
    with database.admin() as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (heard.pid,))
    notifier.publish([(Channel.JOBS, "after")])
    (again,) = ear.hear()
    assert again.payload == "after"
    assert again.pid != heard.pid


def test_hints_of_an_outage_are_sent_after_it(restartable: TestDatabase) -> None:
    notifier = Notifier(restartable.url)
    try:
        notifier.publish([(Channel.JOBS, "before")])
        restartable.server.kill()
        notifier.publish([(Channel.JOBS, "meanwhile")])
        restartable.server.start()
        ear = Ear(restartable.url)
        notifier.publish([(Channel.JOBS, "after")])
        heard: set[str] = set()
        while "after" not in heard and (more := ear.hear()):
            heard |= {notify.payload for notify in more}
        ear.close()
        assert "after" in heard
    finally:
        notifier.close()


def test_hint_that_is_refused_does_not_hold_up_the_others(notifier: Notifier, ear: Ear) -> None:
    """Ids never get that long; but one that did would be refused every time."""

    def fine_hint_arrives() -> bool:
        notifier.publish([(Channel.JOBS, "fine")])
        return bool(ear.hear(seconds=0.2))

    notifier.publish([(Channel.JOBS, "x" * 9000)])
    eventually(fine_hint_arrives)


def test_backlog_is_bounded_while_nobody_answers() -> None:
    notifier = Notifier("postgresql://x@/x?host=/nonexistent")
    for number in range(3):
        notifier.publish((Channel.JOBS, f"{number}:{k}") for k in range(notifier.LARGEST_BACKLOG))
    assert len(notifier._pending) <= 2 * notifier.LARGEST_BACKLOG
    notifier.close()

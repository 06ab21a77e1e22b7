"""Hints reach whoever waits, in any process; a lost connection makes everybody read again."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from backend.db.listen import Listener
from backend.db.notify import Channel, Notifier
from backend.db.transaction import hint
from tests.conftest import Account, TestDatabase
from tests.db.conftest import eventually

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 10.0


@pytest.fixture
def listener(database: TestDatabase) -> Iterator[Listener]:
    """Connected, and everybody has been woken once."""
    name = f"listener {uuid4()}"
    made = Listener(database.url, application_name=name)
    with made.subscribe(Channel.JOBS, "first") as first:
        made.start()
        assert first.wait(SECONDS), "a fresh connection wakes everybody"
    yield made
    made.close()


@pytest.fixture
def notifier(database: TestDatabase) -> Iterator[Notifier]:
    made = Notifier(database.url)
    yield made
    made.close()


def sessions_of(database: TestDatabase, listener: Listener) -> list[object]:
    """Process ids of the server's sessions that belong to the listener."""
    with database.admin() as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (listener._name,)
        ).fetchall()
    return [pid for (pid,) in found]


def cut(database: TestDatabase, listener: Listener) -> None:
    """Ends the listener's session from the server's side."""
    (pid,) = sessions_of(database, listener)
    with database.admin() as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_hint_reaches_another_process(database: TestDatabase, account: Account) -> None:
    program = (
        "import sys\n"
        "from backend.db.listen import Listener\n"
        "from backend.db.notify import Channel\n"
        "listener = Listener(sys.argv[1])\n"
        "with listener.subscribe(Channel.SYNC_RUNS, *sys.argv[2:]) as subscription:\n"
        "    listener.start()\n"
        "    subscription.wait(10)\n"
        "    print('ready', flush=True)\n"
        "    print('woken' if subscription.wait(10) else 'not woken', flush=True)\n"
        "listener.close()\n"
    )
    run = uuid4()
    command = [sys.executable, "-c", program, database.url, str(account.tenant_id), str(run)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with database.db.transaction(account.tenant_id) as session:
            hint(session, Channel.SYNC_RUNS, account.tenant_id, run)
        assert process.stdout.readline() == "woken\n"
    assert process.returncode == 0


def test_hint_wakes_who_waits_for_that_row_or_for_any(listener: Listener, notifier: Notifier) -> None:
    with (
        listener.subscribe(Channel.JOBS, "a", 1) as same,
        listener.subscribe(Channel.JOBS, "a", 1) as same_again,
        listener.subscribe(Channel.JOBS) as any_of_channel,
        listener.subscribe(Channel.JOBS, "a", 2) as other_row,
        listener.subscribe(Channel.SYNC_RUNS, "a", 1) as other_channel,
        listener.subscribe(Channel.SYNC_RUNS) as any_of_other_channel,
    ):
        notifier.publish([(Channel.JOBS, "a:1")])
        for subscription in (same, same_again, any_of_channel):
            assert subscription.wait(SECONDS)
        for subscription in (other_row, other_channel, any_of_other_channel):
            assert not subscription.wait(0)


def test_burst_costs_one_reading(listener: Listener, notifier: Notifier) -> None:
    with (
        listener.subscribe(Channel.SYNC_RUNS, "run") as subscription,
        listener.subscribe(Channel.JOBS, "end") as end,
    ):
        for seq in range(200):
            notifier.publish([(Channel.SYNC_RUNS, "run")])
            if seq % 50 == 0:
                notifier.publish([(Channel.SYNC_RUNS, f"other {seq}")])
        # Twice: within one batch the order is arbitrary, so only the second end is after everything.
        for _ in range(2):
            notifier.publish([(Channel.JOBS, "end")])
            assert end.wait(SECONDS)
        assert subscription.wait(0)
        assert not subscription.wait(0)


def test_hint_between_reading_and_waiting_is_not_missed(listener: Listener, notifier: Notifier) -> None:
    """Subscribe, read, wait: whatever changes after the subscription ends the wait."""
    with (
        listener.subscribe(Channel.SYNC_RUNS, "run") as subscription,
        listener.subscribe(Channel.JOBS, "sent") as sent,
    ):
        notifier.publish([(Channel.SYNC_RUNS, "run"), (Channel.JOBS, "sent")])
        assert sent.wait(SECONDS)
        assert subscription.wait(SECONDS)


def test_waiting_ends_without_a_hint_too(listener: Listener) -> None:
    """A hint may be lost; whoever waits reads the row every `poll_seconds` whatever happens."""
    with listener.subscribe(Channel.JOBS) as subscription:
        assert not subscription.wait(0.01)
    assert listener.poll_seconds == listener.POLL_HEALTHY_SECONDS


def test_poll_is_more_frequent_while_not_connected() -> None:
    listener = Listener("postgresql://x@/x?host=/nonexistent")
    assert not listener.is_healthy
    assert listener.poll_seconds == listener.POLL_UNHEALTHY_SECONDS < listener.POLL_HEALTHY_SECONDS


def test_lost_connection_wakes_everybody_and_hints_flow_again(
    listener: Listener, notifier: Notifier, database: TestDatabase
) -> None:
    with (
        listener.subscribe(Channel.JOBS, "a") as one,
        listener.subscribe(Channel.SYNC_RUNS, "b") as two,
        listener.subscribe(Channel.SESSIONS) as three,
    ):
        cut(database, listener)
        for subscription in (one, two, three):
            assert subscription.wait(SECONDS), "what was missed meanwhile has to be read"
        assert listener.wait_until_connected(SECONDS)
        notifier.publish([(Channel.JOBS, "a")])
        assert one.wait(SECONDS)
        assert not two.wait(0)


def test_connection_is_replaced_again_and_again(listener: Listener, database: TestDatabase) -> None:
    with listener.subscribe(Channel.JOBS) as subscription:
        for _ in range(3):
            cut(database, listener)
            assert subscription.wait(SECONDS)
            assert len(sessions_of(database, listener)) == 1


def test_listener_outlives_the_server(restartable: TestDatabase) -> None:
    """Also what was subscribed while nobody answered is woken afterwards."""
    listener = Listener(restartable.url).start()
    notifier = Notifier(restartable.url)
    try:
        assert listener.wait_until_connected(SECONDS)
        restartable.server.stop("immediate")
        eventually(lambda: not listener.is_healthy)
        with listener.subscribe(Channel.JOBS, "a") as late:
            restartable.server.start()
            assert late.wait(SECONDS)
            assert listener.is_healthy
            notifier.publish([(Channel.JOBS, "a")])
            assert late.wait(SECONDS)
    finally:
        notifier.close()
        listener.close()


def test_listener_starts_before_the_server(restartable: TestDatabase) -> None:
    restartable.server.stop("immediate")
    listener = Listener(restartable.url).start()
    try:
        assert not listener.is_healthy
        restartable.server.start()
        assert listener.wait_until_connected(SECONDS)
    finally:
        listener.close()


def test_hints_that_arrive_together_with_the_ping_are_not_lost(
    database: TestDatabase, notifier: Notifier
) -> None:
    """The listener asks the server every so often whether it is there; hints keep coming meanwhile."""
    listener = Listener(database.url)
    listener.PING_SECONDS = 0.001
    with listener.subscribe(Channel.JOBS, "first") as first:
        listener.start()
        assert first.wait(SECONDS)
    try:
        for batch in range(50):
            subscriptions = [listener.subscribe(Channel.SYNC_RUNS, batch, number) for number in range(40)]
            for subscription in subscriptions:
                subscription.__enter__()
            notifier.publish((Channel.SYNC_RUNS, f"{batch}:{number}") for number in range(40))
            assert all(subscription.wait(SECONDS) for subscription in subscriptions)
            for subscription in subscriptions:
                subscription.__exit__(None, None, None)
    finally:
        listener.close()


def test_closing_ends_thread_connection_and_waiting(database: TestDatabase) -> None:
    listener = Listener(database.url, application_name="closing listener").start()
    assert listener.wait_until_connected(SECONDS)
    subscription = listener.subscribe(Channel.JOBS)
    with subscription:
        subscription.wait(0.1)
        waiting = threading.Thread(target=subscription.wait, args=(60,))
        waiting.start()
        listener.close()
        waiting.join(SECONDS)
        assert not waiting.is_alive()
    assert listener._thread is not None
    assert not listener._thread.is_alive()
    eventually(lambda: sessions_of(database, listener) == [])


def test_closing_is_quick_at_any_moment(database: TestDatabase) -> None:
    for _ in range(20):
        listener = Listener(database.url, application_name="brief listener").start()
        listener.close()
        assert listener._thread is not None
        assert not listener._thread.is_alive()
    listener = Listener(database.url)
    listener.close()


def test_left_subscriptions_are_forgotten(listener: Listener) -> None:
    """Otherwise a process that serves streams for weeks would fill up with them."""
    for number in range(100):
        with listener.subscribe(Channel.SYNC_RUNS, number):
            pass
    assert not listener._subscriptions

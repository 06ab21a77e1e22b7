"""Streams: the state first, each change, the end; through lost hints, dropped listeners and outages."""

import json
import queue
import threading
import time
from collections.abc import Iterator
from uuid import UUID

import pytest

from backend.connectors.repository import ConnectorRepository
from backend.db.listen import Listener
from backend.db.transaction import Database, DatabaseUnavailable
from backend.sync.feeds import CHANGES_PER_SECOND, Feeds
from backend.sync.models import SyncRun
from backend.sync.progress.repository import SyncProgressRepository
from backend.sync.reads import SharedReads
from backend.sync.repository import PageResult, SyncRunNotFound, SyncRunRepository
from backend.sync.stream import Viewer, follow, progress_of
from backend.tenants.watch.repository import Holder
from backend.tenants.watch.watch import HolderWatch
from tests.conftest import Account, TestDatabase


@pytest.fixture
def listener(database: TestDatabase) -> Iterator[Listener]:
    made = Listener(database.url, application_name="stream tests").start()
    assert made.wait_until_connected(10)
    yield made
    made.close()


@pytest.fixture
def run(db: Database, account: Account) -> SyncRun:
    with db.transaction(account.tenant_id) as session:
        connector = ConnectorRepository(session).connect(
            account.tenant_id, "github", connected_by=account.user_id, account_id="1", account_label="octocat"
        )
        return SyncRunRepository(session).start(
            account.tenant_id, connector.id, connector_type="github", requested_by=account.user_id
        )[0]


class Watcher:
    """Somebody who follows a run in a thread of their own."""

    def __init__(
        self,
        db: Database,
        listener: Listener,
        run: SyncRun,
        feeds: Feeds | None = None,
        holder: Holder | None = None,
    ) -> None:
        self.frames: queue.Queue[str | None] = queue.Queue()
        frames = follow(
            feeds or Feeds(db, listener),
            run.tenant_id,
            run.id,
            Viewer("s"),
            holders=HolderWatch(db, listener, every_seconds=0.05),
            holder=holder or Holder(run.tenant_id),
            linger=0.0,
        )

        def watch() -> None:
            for frame in frames:
                self.frames.put(frame)
            self.frames.put(None)

        self._thread = threading.Thread(target=watch, daemon=True)
        self._thread.start()

    def next_event(self, timeout: float = 10.0) -> tuple[str, dict[str, object]]:
        """The next frame that is an event, with its data."""
        while True:
            frame = self.frames.get(timeout=timeout)
            assert frame is not None, "the stream has ended"
            if "event: " in frame:
                name = frame.partition("event: ")[2].partition("\n")[0]
                return name, json.loads(frame.partition("data: ")[2].partition("\n")[0])

    def ends(self, timeout: float = 10.0) -> bool:
        return self.frames.get(timeout=timeout) is None


def advance(db: Database, run: SyncRun, **more: int) -> None:
    with db.transaction(run.tenant_id) as session:
        runs = SyncRunRepository(session)
        runs.take_up(run.tenant_id, run.id, cursor=None, is_full=True)
        runs.advance(
            run.tenant_id,
            run.id,
            PageResult(stored=2, chunks=4, total=more.get("total")),
        )


def finish(db: Database, run: SyncRun) -> None:
    with db.transaction(run.tenant_id) as session:
        SyncRunRepository(session).finish(run.tenant_id, run.id)


def test_follow_sends_state_changes_and_the_end(
    database: TestDatabase, db: Database, listener: Listener, run: SyncRun
) -> None:
    other = database.connect()
    try:
        watcher = Watcher(db, listener, run)
        assert watcher.next_event()[0] == "current_state"
        advance(other, run, total=8)
        name, data = watcher.next_event()
        assert (name, data["processed_items"], data["total_items"]) == ("progress", 2, 8)
        assert data["percent_complete"] == 25
        finish(other, run)
        name, data = watcher.next_event()
        assert (name, data["status"], data["percent_complete"]) == ("complete", "complete", 100)
        assert watcher.ends()
    finally:
        other.close()


def test_follow_finished_run_sends_state_and_end(db: Database, listener: Listener, run: SyncRun) -> None:
    finish(db, run)
    watcher = Watcher(db, listener, run)
    assert [watcher.next_event()[0], watcher.next_event()[0]] == ["current_state", "complete"]
    assert watcher.ends()


def test_follow_without_a_total_shows_no_percentage(db: Database, listener: Listener, run: SyncRun) -> None:
    watcher = Watcher(db, listener, run)
    watcher.next_event()
    advance(db, run)
    _, data = watcher.next_event()
    assert (data["percent_complete"], data["total_items"], data["processed_items"]) == (0, 0, 2)
    finish(db, run)


def test_follow_sees_changes_although_hints_are_lost(
    database: TestDatabase, listener: Listener, run: SyncRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "POLL_HEALTHY_SECONDS", 0.2)
    watcher = Watcher(database.db, listener, run)
    watcher.next_event()
    # Past the product, so nobody sends a hint.
    with database.admin() as connection:
        connection.execute("UPDATE sync_runs SET seq = seq + 1, note = 'by hand' WHERE id = %s", (run.id,))
    name, data = watcher.next_event()
    assert (name, data["current_item"]) == ("started", "by hand")
    finish(database.db, run)


def test_follow_resyncs_after_the_listener_was_cut_off(
    database: TestDatabase, db: Database, listener: Listener, run: SyncRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "POLL_HEALTHY_SECONDS", 60.0)
    monkeypatch.setattr(Listener, "POLL_UNHEALTHY_SECONDS", 60.0)
    watcher = Watcher(db, listener, run)
    watcher.next_event()
    with database.admin() as connection:
        # In one statement, so the change falls into the time in which nobody listens.
        connection.execute(
            "WITH cut AS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'stream tests' AND datname = current_database()),"
            " changed AS (UPDATE sync_runs SET seq = seq + 1, note = 'meanwhile' WHERE id = %s)"
            " SELECT * FROM cut",
            (run.id,),
        )
    _, data = watcher.next_event()
    assert data["current_item"] == "meanwhile"
    finish(db, run)


def test_follow_shows_at_most_ten_states_a_second_and_always_the_last(
    database: TestDatabase, listener: Listener, run: SyncRun
) -> None:
    watcher = Watcher(database.db, listener, run)
    watcher.next_event()
    began = time.monotonic()
    for number in range(120):
        with database.db.transaction(run.tenant_id) as session:
            note = f"item {number}"
            SyncRunRepository(session).describe(run.tenant_id, run.id, stage="indexing", note=note)
    shown = 0
    while watcher.next_event()[1]["current_item"] != "item 119":
        shown += 1
    assert shown <= CHANGES_PER_SECOND * (time.monotonic() - began) + 1
    finish(database.db, run)
    assert watcher.next_event()[0] == "complete"


def test_follow_unknown_run_raises(db: Database, listener: Listener, account: Account) -> None:
    with pytest.raises(SyncRunNotFound):
        next(
            follow(
                Feeds(db, listener),
                account.tenant_id,
                UUID(int=1),
                Viewer("s"),
                holders=HolderWatch(db, listener),
                holder=Holder(account.tenant_id),
            )
        )


def test_follow_ends_when_its_holder_is_deactivated(
    database: TestDatabase, listener: Listener, run: SyncRun, account: Account
) -> None:
    deactivated = Watcher(database.db, listener, run, holder=Holder(run.tenant_id, account.user_id))
    stays = Watcher(database.db, listener, run)
    for watcher in (deactivated, stays):
        assert watcher.next_event()[0] == "current_state"
    with database.admin() as connection:
        connection.execute("UPDATE users SET deactivated_at = now() WHERE id = %s", (account.user_id,))
    assert deactivated.ends()
    finish(database.db, run)
    assert stays.next_event()[0] == "complete"


def test_follow_by_twenty_shares_one_connection(
    database: TestDatabase, listener: Listener, run: SyncRun
) -> None:
    narrow = database.connect(pool_size=1)
    try:
        feeds = Feeds(narrow, listener)
        watchers = [Watcher(database.db, listener, run, feeds) for _ in range(20)]
        for watcher in watchers:
            assert watcher.next_event()[0] == "current_state"
        finish(database.db, run)
        for watcher in watchers:
            assert watcher.next_event()[0] == "complete"
            assert watcher.ends()
    finally:
        narrow.close()


def test_one_read_serves_all_who_were_woken_by_it_and_nobody_is_shown_an_older_one(
    database: TestDatabase, run: SyncRun
) -> None:
    reads = SharedReads(database.db)
    woken_at = time.monotonic()
    first = reads.read(run.tenant_id, run.id, since=woken_at)
    assert reads.read(run.tenant_id, run.id, since=woken_at) is first
    advance(database.db, run)
    later = reads.read(run.tenant_id, run.id, since=time.monotonic())
    assert (later.run.processed_count, first.run.processed_count) == (2, 0)
    assert reads.read(run.tenant_id, run.id, since=woken_at) is later


def test_read_is_waited_for_by_those_who_came_while_it_was_under_way(
    database: TestDatabase, run: SyncRun
) -> None:
    narrow = database.connect(pool_size=1)
    reads = SharedReads(narrow)
    since = time.monotonic()
    found: list[object] = []
    try:
        with narrow.operator_transaction():
            # The only connection is taken, so the first read waits for it, and the others for the first.
            readers = [
                threading.Thread(
                    target=lambda: found.append(reads.read(run.tenant_id, run.id, since=since).run)
                )
                for _ in range(8)
            ]
            for reader in readers:
                reader.start()
        for reader in readers:
            reader.join(10)
        assert len(found) == 8
        assert len(set(map(id, found))) == 1
    finally:
        narrow.close()


def test_failed_read_fails_for_all_who_wait_and_is_not_remembered(
    database: TestDatabase, account: Account
) -> None:
    reads = SharedReads(database.db)
    nobody = UUID(int=2)
    with pytest.raises(SyncRunNotFound):
        _ = reads.read(account.tenant_id, nobody, since=time.monotonic()).run
    with pytest.raises(SyncRunNotFound):
        _ = reads.read(account.tenant_id, nobody, since=time.monotonic()).run


def test_progress_leaves_titles_out_when_told(db: Database, run: SyncRun) -> None:
    with db.transaction(run.tenant_id) as session:
        runs = SyncRunRepository(session)
        runs.describe(run.tenant_id, run.id, stage="indexing", note="Salaries 2026")
        now = runs.get(run.tenant_id, run.id)
    assert progress_of(now, sync_id="s").data["current_item"] == "Salaries 2026"
    assert "Salaries" not in json.dumps(progress_of(now, sync_id="s", with_note=False).data)


def test_feed_reads_once_a_hint_for_all_who_follow(
    database: TestDatabase, listener: Listener, run: SyncRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = Feeds(database.db, listener)
    watchers = [Watcher(database.db, listener, run, feeds) for _ in range(20)]
    for watcher in watchers:
        watcher.next_event()
    readings: list[object] = []
    read = SharedReads.read

    def counted(reads: SharedReads, tenant_id: UUID, run_id: UUID, *, since: float) -> object:
        readings.append(since)
        return read(reads, tenant_id, run_id, since=since)

    monkeypatch.setattr(SharedReads, "read", counted)
    finish(database.db, run)
    for watcher in watchers:
        assert watcher.next_event()[0] == "complete"
    assert len(readings) == 1


def test_feed_ends_with_its_last_follower_and_starts_anew_for_the_next(
    database: TestDatabase, listener: Listener, run: SyncRun
) -> None:
    def count_threads() -> int:
        return sum(thread.name == "feed" for thread in threading.enumerate())

    before = count_threads()
    feeds = Feeds(database.db, listener)
    with feeds.follow(run.tenant_id, run.id) as first, feeds.follow(run.tenant_id, run.id) as second:
        assert first is second
        assert count_threads() == before + 1
    deadline = time.monotonic() + 10
    while count_threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert count_threads() == before
    with feeds.follow(run.tenant_id, run.id) as third:
        assert third is not first
        news = third.newest
        advance(database.db, run)
        assert news.wait(10)
        assert third.newest.reading is not None
        assert third.newest.reading.run.processed_count == 2


def test_follow_goes_on_after_an_outage(
    database: TestDatabase, listener: Listener, run: SyncRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher(database.db, listener, run)
    watcher.next_event()
    with monkeypatch.context() as away:

        def no_answer(*_: object) -> None:
            raise DatabaseUnavailable

        away.setattr(SyncProgressRepository, "get", no_answer)
        advance(database.db, run)
        frame = watcher.frames.get(timeout=10)
        assert frame is not None
        assert frame.startswith(": the database does not answer")
    assert watcher.next_event()[1]["processed_items"] == 2
    finish(database.db, run)

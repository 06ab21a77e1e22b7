"""Runs: started once per connector, advanced with their checkpoint, ended once."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Database
from backend.sync.failures.repository import Failure, SyncErrorRepository
from backend.sync.models import SyncRun
from backend.sync.repository import PageResult, SyncRunNotFound, SyncRunRepository
from tests.conftest import Account, TestDatabase


@pytest.fixture
def connector_id(db: Database, account: Account) -> UUID:
    with db.transaction(account.tenant_id) as session:
        connector = ConnectorRepository(session).connect(
            account.tenant_id, "github", connected_by=account.user_id, account_id="1", account_label="octocat"
        )
    return connector.id


@pytest.fixture
def run(db: Database, account: Account, connector_id: UUID) -> SyncRun:
    return start(db, account, connector_id)[0]


def start(db: Database, account: Account, connector_id: UUID) -> tuple[SyncRun, bool]:
    with db.transaction(account.tenant_id) as session:
        return SyncRunRepository(session).start(
            account.tenant_id, connector_id, connector_type="github", requested_by=account.user_id
        )


def get(db: Database, account: Account, run_id: UUID) -> SyncRun:
    with db.transaction(account.tenant_id) as session:
        return SyncRunRepository(session).get(account.tenant_id, run_id)


PAGE = PageResult(stored=2, unchanged=1, chunks=9)


def take_up(runs: SyncRunRepository, run: SyncRun) -> SyncRun | None:
    return runs.take_up(run.tenant_id, run.id, cursor={"at": "a"}, is_full=False)


def test_start_joins_the_unfinished_run(db: Database, account: Account, connector_id: UUID) -> None:
    first, is_new = start(db, account, connector_id)
    again, is_new_again = start(db, account, connector_id)
    assert (is_new, is_new_again) == (True, False)
    assert first.id == again.id
    with db.transaction(account.tenant_id) as session:
        SyncRunRepository(session).finish(account.tenant_id, first.id)
    later, is_new_later = start(db, account, connector_id)
    assert is_new_later
    assert later.id != first.id


def test_start_by_many_at_once_makes_one_run(
    database: TestDatabase, account: Account, connector_id: UUID
) -> None:
    barrier = threading.Barrier(16)
    made: list[tuple[UUID, bool]] = []

    def begin() -> None:
        barrier.wait()
        run, is_new = start(database.db, account, connector_id)
        made.append((run.id, is_new))

    threads = [threading.Thread(target=begin) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run_id for run_id, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


def test_advance_adds_counts(db: Database, account: Account, run: SyncRun) -> None:
    with db.transaction(account.tenant_id) as session:
        runs = SyncRunRepository(session)
        take_up(runs, run)
        runs.advance(account.tenant_id, run.id, PAGE)
    with db.transaction(account.tenant_id) as session:
        SyncRunRepository(session).advance(account.tenant_id, run.id, PAGE)
    now = get(db, account, run.id)
    assert (now.found_count, now.processed_count, now.stored_count, now.unchanged_count) == (6, 6, 4, 2)
    assert (now.chunk_count, now.cursor, now.state) == (18, {"at": "a"}, "running")
    assert now.seq == run.seq + 3


def test_advance_rolled_back_leaves_counts(db: Database, account: Account, run: SyncRun) -> None:
    with suppress(RuntimeError), db.transaction(account.tenant_id) as session:
        SyncRunRepository(session).advance(account.tenant_id, run.id, PAGE)
        raise RuntimeError
    now = get(db, account, run.id)
    assert (now.found_count, now.seq) == (0, run.seq)


def test_advance_by_many_at_once_loses_nothing(
    database: TestDatabase, account: Account, run: SyncRun
) -> None:
    def advance() -> None:
        for _ in range(10):
            with database.db.transaction(account.tenant_id) as session:
                SyncRunRepository(session).advance(account.tenant_id, run.id, PAGE)

    threads = [threading.Thread(target=advance) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = get(database.db, account, run.id)
    assert (now.found_count, now.seq) == (240, run.seq + 80)


def test_failures_are_recorded_once_and_make_the_end_say_so(
    db: Database, account: Account, run: SyncRun
) -> None:
    failure = Failure("a/b:file:x.pdf", "https://example.org/x.pdf", "parse", "The document is encrypted.")
    for _ in range(2):
        with db.transaction(account.tenant_id) as session:
            SyncRunRepository(session).advance(
                account.tenant_id,
                run.id,
                PageResult(failures=[failure]),
            )
    with db.transaction(account.tenant_id) as session:
        runs = SyncRunRepository(session)
        listed = SyncErrorRepository(session).list_of(account.tenant_id, run.id)
        runs.finish(account.tenant_id, run.id)
    assert [(f.external_id, f.stage, f.reason) for f in listed] == [
        ("a/b:file:x.pdf", "parse", "The document is encrypted.")
    ]
    ended = get(db, account, run.id)
    assert (ended.state, ended.failed_count) == ("completed_with_errors", 1)
    assert ended.finished_at is not None


@pytest.mark.parametrize("end", ["finish", "cancel", "fail", "interrupt"])
def test_ended_run_never_changes_again(db: Database, account: Account, run: SyncRun, end: str) -> None:
    arguments = ("Broken.",) if end in ("fail", "interrupt") else ()
    with db.transaction(account.tenant_id) as session:
        getattr(SyncRunRepository(session), end)(account.tenant_id, run.id, *arguments)
    before = get(db, account, run.id)
    with db.transaction(account.tenant_id) as session:
        runs = SyncRunRepository(session)
        assert runs.advance(account.tenant_id, run.id, PAGE) is None
        assert take_up(runs, run) is None
        runs.fail(account.tenant_id, run.id, "late")
        runs.describe(account.tenant_id, run.id, stage="indexing", note="late")
    after = get(db, account, run.id)
    assert (after.seq, after.state, after.error) == (before.seq, before.state, before.error)


def test_advance_counts_what_is_still_ahead_as_found(db: Database, account: Account, run: SyncRun) -> None:
    """A page half done and done again from its beginning shows no item more than there is."""
    for ahead in (7, 7, 4):
        with db.transaction(account.tenant_id) as session:
            page = PageResult(stored=3 if ahead == 4 else 0, ahead=ahead)
            SyncRunRepository(session).advance(account.tenant_id, run.id, page)
    now = get(db, account, run.id)
    assert (now.found_count, now.processed_count) == (7, 3)


def test_start_and_end_say_who_did_it(db: Database, account: Account, connector_id: UUID) -> None:
    with db.transaction(account.tenant_id) as session:
        run, _ = SyncRunRepository(session, actor="schedule").start(
            account.tenant_id, connector_id, connector_type="github", requested_by=None, trigger="schedule"
        )
    with db.transaction(account.tenant_id) as session:
        SyncRunRepository(session, actor="worker 7").fail(account.tenant_id, run.id, "Broken.")
    with db.transaction(account.tenant_id) as session:
        seen = SyncRunRepository(session).list_transitions(account.tenant_id, run.id)
    assert [(t.state, t.actor, t.reason) for t in seen] == [
        ("queued", "schedule", None),
        ("failed", "worker 7", "Broken."),
    ]


def test_wait_says_until_when_and_goes_on(db: Database, account: Account, run: SyncRun) -> None:
    until = datetime.now(UTC) + timedelta(minutes=5)
    with db.transaction(account.tenant_id) as session:
        SyncRunRepository(session).wait(account.tenant_id, run.id, until=until, note="Rate limit")
    waiting = get(db, account, run.id)
    assert (waiting.state, waiting.resume_at, waiting.note) == ("waiting", until, "Rate limit")
    with db.transaction(account.tenant_id) as session:
        taken = take_up(SyncRunRepository(session), run)
    assert taken is not None
    assert (taken.state, taken.resume_at) == ("running", None)


def test_get_another_tenants_run_finds_nothing(
    db: Database, run: SyncRun, make_account: Callable[[], Account]
) -> None:
    stranger = make_account()
    with db.transaction(stranger.tenant_id) as session:
        runs = SyncRunRepository(session)
        for tenant_id in (stranger.tenant_id, run.tenant_id):
            with pytest.raises(SyncRunNotFound):
                runs.get(tenant_id, run.id)
    with db.transaction(stranger.tenant_id) as session, pytest.raises(SyncRunNotFound):
        SyncRunRepository(session).get(stranger.tenant_id, uuid4())


def test_purge_finished_keeps_the_newest_run(own_database: TestDatabase) -> None:
    db, account = own_database.db, own_database.make_tenant()
    with db.transaction(account.tenant_id) as session:
        connector = ConnectorRepository(session).connect(
            account.tenant_id, "github", connected_by=account.user_id, account_id="1", account_label="o"
        )
    runs = []
    for _ in range(3):
        run, _ = start(db, account, connector.id)
        with db.transaction(account.tenant_id) as session:
            SyncRunRepository(session).finish(account.tenant_id, run.id)
        runs.append(run.id)
    with own_database.admin() as connection:
        connection.execute("UPDATE sync_runs SET finished_at = finished_at - interval '100 days'")
    with db.operator_transaction() as session:
        assert SyncRunRepository(session).purge_finished(older_than=timedelta(days=90)) == 2
    assert get(db, account, runs[-1]).id == runs[-1]
    with pytest.raises(SyncRunNotFound):
        get(db, account, runs[0])


def end_it(database: TestDatabase, run: SyncRun, ago: timedelta) -> None:
    """As if the run had ended so long ago."""
    with database.admin() as connection:
        connection.execute(
            "UPDATE sync_runs SET state = 'completed', finished_at = now() - %s WHERE id = %s", (ago, run.id)
        )


def test_current_run_is_none_a_day_after_its_end(
    db: Database, database: TestDatabase, account: Account, connector_id: UUID, run: SyncRun
) -> None:
    def current() -> SyncRun | None:
        with db.transaction(account.tenant_id) as session:
            return SyncRunRepository(session).find_current(account.tenant_id, connector_id)

    assert (found := current()) is not None
    assert found.id == run.id
    end_it(database, run, timedelta(hours=23, minutes=59))
    assert current() is not None
    end_it(database, run, timedelta(hours=24, seconds=5))
    assert current() is None
    # The history stays, and the next run is shown again.
    assert get(db, account, run.id).state == "completed"
    newer, _ = start(db, account, connector_id)
    assert (found := current()) is not None
    assert found.id == newer.id

"""One statement as a transaction: whose it is, what it may do, and what is left of it."""

# ruff: noqa: PT012 - what is raised has to pass through the unit of work

import threading
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from backend.db.engine import APP_ROLE, OPERATOR_ROLE, create_engine
from backend.db.notify import Channel
from backend.db.transaction import Database, DatabaseUnavailable, hint, is_outage
from tests.conftest import Account, TestDatabase
from tests.db.conftest import Recorder

RENAME = text("UPDATE tenants SET name = :name WHERE id = :id RETURNING name")
NAMES = text("SELECT name FROM tenants")
WHO = text(
    "SELECT current_user::text, coalesce(current_setting('app.tenant_id', true), ''),"
    " current_setting('synchronous_commit')"
)
DIVIDE = text("SELECT 1 / :zero")
EVERYBODY = text("SELECT count(*) FROM users")
PID = text("SELECT pg_backend_pid()")


@pytest.fixture
def single(database: TestDatabase) -> Iterator[Database]:
    """A database with one connection, so that each statement gets what the one before has left."""
    db = database.connect(pool_size=1)
    yield db
    db.close()


def test_statement_has_committed_when_it_returns(db: Database, account: Account) -> None:
    with db.statement(account.tenant_id) as unit:
        assert unit.execute(RENAME, {"name": "New", "id": account.tenant_id}).one() == ("New",)
        with db.transaction(account.tenant_id) as session:
            assert session.execute(NAMES).one() == ("New",)


def test_statement_sees_and_writes_its_tenant_only(
    db: Database, account: Account, database: TestDatabase
) -> None:
    other = database.make_tenant()
    with db.statement(account.tenant_id) as unit:
        assert unit.execute(RENAME, {"name": "New", "id": other.tenant_id}).one_or_none() is None
        assert unit.execute(NAMES, {}).all() == [("Tests",)]


def test_only_the_first_statement_may_write(db: Database, account: Account) -> None:
    """What has been committed cannot be taken back, so nothing else may be written beside it."""
    with pytest.raises(DBAPIError) as caught, db.statement(account.tenant_id) as unit:
        unit.execute(NAMES, {})
        unit.execute(RENAME, {"name": "New", "id": account.tenant_id})
    assert isinstance(caught.value.orig, psycopg.errors.ReadOnlySqlTransaction)
    with db.statement(account.tenant_id) as unit:
        assert unit.execute(NAMES, {}).one() == ("Tests",)


def test_statement_that_fails_has_no_effect(db: Database, account: Account) -> None:
    broken = text("INSERT INTO tenants (id, name, slug) SELECT id, name, slug FROM tenants")
    with pytest.raises(IntegrityError), db.statement(account.tenant_id) as unit:
        unit.execute(broken, {})


@pytest.mark.parametrize("how", ["well", "failed", "raised", "cannot be adapted"])
def test_connection_is_given_back_clean(single: Database, account: Account, how: str) -> None:
    seen = set()
    for durable in (True, False):
        for opened in (
            single.operator_statement(durable=durable),
            single.statement(account.tenant_id, durable=durable),
        ):
            try:
                with opened as unit:
                    seen.add(unit.execute(PID, {}).scalar_one())
                    if how == "failed":
                        unit.execute(DIVIDE, {"zero": 0})
                    if how == "raised":
                        raise ZeroDivisionError
                    if how == "cannot be adapted":
                        unit.execute(DIVIDE, {"zero": object()})
            except (ZeroDivisionError, DBAPIError):
                pass
            with single.engine.connect() as connection:
                assert tuple(connection.execute(WHO).one()) == (APP_ROLE, "", "on")
                assert connection.execute(EVERYBODY).scalar_one() == 0
    assert len(seen) == 1, "the connection was not used again, so this proves nothing"


def test_statement_says_who_it_is_and_whether_it_waits_for_the_disk(db: Database, account: Account) -> None:
    with db.statement(account.tenant_id) as unit:
        assert unit.execute(WHO, {}).one() == (APP_ROLE, str(account.tenant_id), "on")
    with db.statement(account.tenant_id, durable=False) as unit:
        assert unit.execute(WHO, {}).one() == (APP_ROLE, str(account.tenant_id), "off")
    with db.operator_statement() as unit:
        assert unit.execute(WHO, {}).one() == (OPERATOR_ROLE, "", "on")


def test_statements_go_on_after_a_rollback_has_dropped_what_was_prepared(
    single: Database, account: Account
) -> None:
    """psycopg deallocates everything on a rollback, if it had prepared something itself."""
    for _ in range(2):
        with single.statement(account.tenant_id) as unit:
            assert unit.execute(NAMES, {}).one() == ("Tests",)
        with pytest.raises(ZeroDivisionError), single.transaction(account.tenant_id) as session:
            for _ in range(8):
                session.execute(NAMES)
            raise ZeroDivisionError
    with single.transaction(account.tenant_id) as session:
        assert session.execute(NAMES).one() == ("Tests",)


def test_statement_goes_on_after_its_table_has_changed(own_database: TestDatabase) -> None:
    account = own_database.make_tenant()
    everything = text("SELECT * FROM tenants")

    def read() -> int:
        with own_database.db.statement(account.tenant_id) as unit:
            return len(unit.execute(everything, {}).one())

    before = read()
    with own_database.admin() as connection:
        connection.execute("ALTER TABLE tenants ADD COLUMN extra text")
    # The server refuses the old plan once; the next try is prepared anew.
    with pytest.raises(DBAPIError):
        read()
    assert read() == before + 1


def test_hints_are_published_after_the_statement_and_not_when_it_failed(
    database: TestDatabase, account: Account
) -> None:
    recorder = Recorder()
    db = Database(create_engine(database.url, pool_size=1, application_name="tests"), recorder)
    with db.statement(account.tenant_id) as unit:
        unit.execute(NAMES, {})
        hint(unit, Channel.JOBS, account.tenant_id)
        assert recorder.published == []
    assert recorder.published == [(Channel.JOBS, str(account.tenant_id))]
    with pytest.raises(DBAPIError), db.statement(account.tenant_id) as unit:
        hint(unit, Channel.JOBS, account.tenant_id)
        unit.execute(DIVIDE, {"zero": 0})
    assert len(recorder.published) == 1
    db.close()


def test_connection_that_was_ended_while_idle_is_replaced_unnoticed(
    single: Database, database: TestDatabase, account: Account
) -> None:
    with single.statement(account.tenant_id) as unit:
        pid = unit.execute(PID, {}).scalar_one()
    _terminate(database, pid)
    with single.statement(account.tenant_id) as unit:
        assert unit.execute(PID, {}).scalar_one() != pid


def test_connection_that_breaks_is_an_outage_and_is_not_used_again(
    single: Database, database: TestDatabase, account: Account
) -> None:
    with pytest.raises(DatabaseUnavailable), single.statement(account.tenant_id) as unit:
        _terminate(database, unit.execute(PID, {}).scalar_one())
        unit.execute(NAMES, {})
    with single.statement(account.tenant_id) as unit:
        assert unit.execute(NAMES, {}).one() == ("Tests",)


def test_unknown_host_is_an_outage() -> None:
    engine = create_engine("postgresql://x@/x?host=/nonexistent", pool_size=1, application_name="tests")
    db = Database(engine, Recorder())
    with pytest.raises(DatabaseUnavailable), db.statement(uuid4()):
        pass
    db.close()


def test_statement_that_takes_too_long_is_no_outage(db: Database, account: Account) -> None:
    slow = text("SELECT set_config('statement_timeout', '10ms', true), pg_sleep(0)")
    with db.statement(account.tenant_id) as unit:
        unit.execute(slow, {})
    with pytest.raises(DBAPIError) as caught, db.statement(account.tenant_id) as unit:
        unit.execute(DIVIDE, {"zero": 0})
    assert not is_outage(caught.value)


def test_threads_at_once_each_see_their_tenant(db: Database, database: TestDatabase) -> None:
    accounts = [database.make_tenant(f"Tenant {number}") for number in range(8)]
    wrong: list[object] = []

    def run(number: int) -> None:
        for _ in range(25):
            with db.statement(accounts[number].tenant_id) as unit:
                if (names := unit.execute(NAMES, {}).all()) != [(f"Tenant {number}",)]:
                    wrong.append(names)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def _terminate(database: TestDatabase, pid: object) -> None:
    """Ends a session of the server; returns once it is gone."""
    with database.admin() as connection:
        ended = connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone()
    assert ended == (True,)

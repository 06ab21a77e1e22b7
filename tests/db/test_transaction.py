"""The unit of work: return commits, raise rolls back, the tenant and the role end with it."""

# ruff: noqa: PT012 - what is raised has to pass through the transaction, which is the other half of the block

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError, InvalidRequestError, OperationalError
from sqlalchemy.pool import QueuePool

from backend.db.engine import APP_ROLE, OPERATOR_ROLE, create_engine
from backend.db.notify import Channel
from backend.db.transaction import (
    Database,
    DatabaseUnavailable,
    Session,
    has_carried,
    hint,
    is_outage,
    is_value_refused,
)
from backend.errors import StateError
from backend.tenants.repository import TenantRepository
from tests.conftest import Account, TestDatabase
from tests.db.conftest import Hints, Recorder


@pytest.fixture
def recorded(database: TestDatabase) -> Iterator[tuple[Database, Hints]]:
    """A database whose hints are written down, and what was."""
    recorder = Recorder()
    db = Database(create_engine(database.url, pool_size=2, application_name="tests"), recorder)
    yield db, recorder.published
    db.close()


@pytest.fixture
def single(database: TestDatabase) -> Iterator[Database]:
    """A database with one connection, so that each transaction gets what the one before has left."""
    db = database.connect(pool_size=1)
    yield db
    db.close()


def rename(session: Session, tenant_id: UUID, name: str) -> None:
    """Writes something."""
    session.execute(text("UPDATE tenants SET name = :name WHERE id = :id"), {"name": name, "id": tenant_id})


def name_of(db: Database, tenant_id: UUID) -> str:
    """What was written."""
    with db.transaction(tenant_id) as session:
        return str(session.scalar(text("SELECT name FROM tenants")))


def test_leaving_commits(db: Database, account: Account) -> None:
    with db.transaction(account.tenant_id) as session:
        rename(session, account.tenant_id, "New")
    assert name_of(db, account.tenant_id) == "New"


@pytest.mark.parametrize("error", [StateError, KeyboardInterrupt, GeneratorExit, ZeroDivisionError])
def test_raising_rolls_back_and_raises_the_same(
    db: Database, account: Account, error: type[BaseException]
) -> None:
    raised = error()
    with pytest.raises(error) as caught, db.transaction(account.tenant_id) as session:
        rename(session, account.tenant_id, "New")
        raise raised
    assert caught.value is raised
    assert name_of(db, account.tenant_id) == "Tests"


def test_repository_cannot_commit_by_itself(db: Database, account: Account) -> None:
    with pytest.raises(InvalidRequestError), db.transaction(account.tenant_id) as session:
        session.commit()
        rename(session, account.tenant_id, "New")
    assert name_of(db, account.tenant_id) == "Tests"


def test_savepoint_rolls_back_alone(db: Database, account: Account) -> None:
    with db.transaction(account.tenant_id) as session:
        rename(session, account.tenant_id, "New")
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            rename(session, account.tenant_id, "Newer")
            raise ZeroDivisionError
        assert session.scalar(text("SELECT current_setting('app.tenant_id')")) == str(account.tenant_id)
    assert name_of(db, account.tenant_id) == "New"


def test_objects_can_be_read_after_the_commit(db: Database, account: Account) -> None:
    """No attribute goes back to the database behind the repository's back."""
    with db.transaction(account.tenant_id) as session:
        user, tenant = TenantRepository(session).get_account(account.tenant_id, account.user_id)
    assert (user.email, tenant.slug) == (account.email, account.slug)


def test_hint_is_published_after_the_commit(recorded: tuple[Database, Hints], account: Account) -> None:
    db, published = recorded
    run = uuid4()
    with db.transaction(account.tenant_id) as session:
        hint(session, Channel.SYNC_RUNS, account.tenant_id, run)
        hint(session, Channel.SYNC_RUNS, account.tenant_id, run)
        assert published == []
    assert published == [(Channel.SYNC_RUNS, f"{account.tenant_id}:{run}")]


def test_hint_of_what_was_rolled_back_is_not_published(
    recorded: tuple[Database, Hints], account: Account
) -> None:
    db, published = recorded
    with pytest.raises(ZeroDivisionError), db.transaction(account.tenant_id) as session:
        hint(session, Channel.JOBS, account.tenant_id)
        raise ZeroDivisionError
    assert published == []


def test_hint_of_a_commit_that_failed_is_not_published(
    recorded: tuple[Database, Hints], account: Account
) -> None:
    """A constraint that is checked at the end lets the commit itself fail."""
    db, published = recorded
    with pytest.raises(IntegrityError), db.transaction(account.tenant_id) as session:
        hint(session, Channel.JOBS, account.tenant_id)
        session.execute(text("CREATE TEMPORARY TABLE late (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
        session.execute(text("INSERT INTO late VALUES (1), (1)"))
    assert published == []


def test_operator_transaction_is_the_operator(db: Database) -> None:
    with db.operator_transaction() as session:
        assert session.scalar(text("SELECT current_user")) == OPERATOR_ROLE


def test_tenant_transaction_is_the_app(db: Database, account: Account) -> None:
    with db.transaction(account.tenant_id) as session:
        assert session.scalar(text("SELECT current_user")) == APP_ROLE
        assert session.info["tenant_id"] == account.tenant_id


@pytest.mark.parametrize("how", ["commit", "rollback", "failed statement"])
def test_connection_is_given_back_clean(single: Database, account: Account, how: str) -> None:
    seen = set()
    for transaction in (single.operator_transaction(), single.transaction(account.tenant_id)):
        try:
            with transaction as session:
                seen.add(session.scalar(text("SELECT pg_backend_pid()")))
                if how == "rollback":
                    raise ZeroDivisionError
                if how == "failed statement":
                    session.execute(text("SELECT 1 / 0"))
        except (ZeroDivisionError, DataError):
            pass
        with single.engine.connect() as connection:
            left = connection.execute(
                text(
                    "SELECT pg_backend_pid(), current_user, coalesce(current_setting('app.tenant_id', true), '')"
                )
            ).one()
            rows = connection.scalar(text("SELECT count(*) FROM users"))
        assert left[1:] == (APP_ROLE, "")
        assert rows == 0
        seen.add(left[0])
    assert len(seen) == 1, "the connection was not used again, so this proves nothing"


def test_next_tenant_sees_nothing_of_the_one_before(single: Database, database: TestDatabase) -> None:
    first, second = database.make_tenant(), database.make_tenant()
    for account in (first, second, first):
        with single.transaction(account.tenant_id) as session:
            assert session.scalars(text("SELECT email FROM users")).all() == [account.email]


@pytest.mark.parametrize("kind", ["transaction", "statement"])
@pytest.mark.parametrize("size", [0, 5 * 1024 * 1024])
def test_connection_that_has_carried_much_is_not_used_again(
    single: Database, account: Account, kind: str, size: int
) -> None:
    """It would keep room for as much for as long as it lives."""
    seen = set()
    for _ in range(2):
        with getattr(single, kind)(account.tenant_id) as unit:
            ((pid,),) = unit.execute(text("SELECT pg_backend_pid()"), {}).all()
            has_carried(unit, size)
        seen.add(pid)
    assert len(seen) == (2 if size else 1)


def test_connection_that_has_carried_much_is_not_used_again_after_an_error(
    single: Database, account: Account
) -> None:
    seen = []
    for _ in range(2):
        with pytest.raises(StateError), single.transaction(account.tenant_id) as session:
            seen.append(session.scalar(text("SELECT pg_backend_pid()")))
            has_carried(session, 5 * 1024 * 1024)
            raise StateError
    assert len(set(seen)) == 2


def test_tenant_id_is_a_value_not_a_piece_of_sql(single: Database, account: Account) -> None:
    """Only a UUID can be passed; whatever else is passed all the same does not become SQL."""
    with (
        pytest.raises(DataError),
        single.transaction("' || (SELECT id FROM tenants LIMIT 1) || '") as session,  # type: ignore[arg-type]
    ):
        session.execute(text("SELECT count(*) FROM users"))


def test_exhausted_pool_is_an_outage(database: TestDatabase, account: Account) -> None:
    db = database.connect(pool_size=1)
    assert isinstance(db.engine.pool, QueuePool)
    db.engine.pool._timeout = 0.05
    try:
        with (
            db.transaction(account.tenant_id),
            pytest.raises(DatabaseUnavailable),
            db.transaction(account.tenant_id),
        ):
            pass
    finally:
        db.close()


def test_statement_that_takes_too_long_is_no_outage(db: Database, account: Account) -> None:
    with pytest.raises(OperationalError) as caught, db.transaction(account.tenant_id) as session:
        session.execute(text("SET LOCAL statement_timeout = '10ms'"))
        session.execute(text("SELECT pg_sleep(5)"))
    assert not is_outage(caught.value)


def test_refused_value_is_told_from_an_outage(db: Database, account: Account) -> None:
    with pytest.raises(DataError) as caught, db.transaction(account.tenant_id) as session:
        rename(session, account.tenant_id, "a\x00b")
    assert is_value_refused(caught.value)
    assert not is_outage(caught.value)


def test_connection_that_was_ended_while_idle_is_replaced_unnoticed(
    single: Database, database: TestDatabase, account: Account
) -> None:
    with single.transaction(account.tenant_id) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    _terminate(database, pid)
    with single.transaction(account.tenant_id) as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != pid


def test_connection_that_breaks_within_a_transaction_is_an_outage(
    single: Database, database: TestDatabase, account: Account
) -> None:
    with pytest.raises(DatabaseUnavailable), single.transaction(account.tenant_id) as session:
        rename(session, account.tenant_id, "New")
        _terminate(database, session.scalar(text("SELECT pg_backend_pid()")))
        session.execute(text("SELECT 1"))
    assert name_of(single, account.tenant_id) == "Tests"


def test_connection_that_breaks_before_the_commit_is_an_outage(
    recorded: tuple[Database, Hints], database: TestDatabase, account: Account
) -> None:
    db, published = recorded
    with pytest.raises(DatabaseUnavailable), db.transaction(account.tenant_id) as session:
        rename(session, account.tenant_id, "New")
        hint(session, Channel.JOBS, account.tenant_id)
        _terminate(database, session.scalar(text("SELECT pg_backend_pid()")))
    assert published == []
    assert name_of(db, account.tenant_id) == "Tests"


def test_stopped_server_is_an_outage_and_its_return_is_enough(restartable: TestDatabase) -> None:
    """The same process goes on, with the same engine; what was committed before the crash is there."""
    account = restartable.make_tenant()
    restartable.server.kill()
    for transaction in (restartable.db.transaction(account.tenant_id), restartable.db.operator_transaction()):
        with pytest.raises(DatabaseUnavailable), transaction:
            pass
    restartable.server.start()
    with restartable.db.transaction(account.tenant_id) as session:
        assert session.scalars(text("SELECT email FROM users")).all() == [account.email]


def test_server_that_stops_within_a_transaction_is_an_outage(restartable: TestDatabase) -> None:
    account = restartable.make_tenant()
    with pytest.raises(DatabaseUnavailable), restartable.db.transaction(account.tenant_id) as session:
        rename(session, account.tenant_id, "New")
        restartable.server.stop("immediate")
        rename(session, account.tenant_id, "Newer")
    restartable.server.start()
    assert name_of(restartable.db, account.tenant_id) == "Tests"


def test_unknown_host_is_an_outage() -> None:
    """Nothing but an answer of the server counts as one."""
    db = Database(
        create_engine("postgresql://x@/x?host=/nonexistent", pool_size=1, application_name="tests"),
        Recorder(),
    )
    with pytest.raises(DatabaseUnavailable) as caught, db.transaction(uuid4()):
        pass
    assert isinstance(caught.value.__cause__, OperationalError)
    db.close()


def _terminate(database: TestDatabase, pid: object) -> None:
    """Ends a session of the server; returns once it is gone."""
    with database.admin() as connection:
        ended = connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone()
    assert ended == (True,)

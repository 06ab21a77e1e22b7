"""Tenants, users, sessions and refresh tokens in the database."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.db.listen import Listener
from backend.db.notify import Channel
from backend.db.transaction import Database
from backend.errors import NotFound
from backend.tenants.repository import (
    EmailExists,
    InvalidRefreshToken,
    RefreshTokenReused,
    SessionRepository,
    TenantNotFound,
    TenantRepository,
    tenant_of_refresh_token,
)
from tests.conftest import Account, TestDatabase

MONTH = timedelta(days=30)


def make_tenant(db: Database, name: str) -> str:
    """The slug of a new tenant."""
    tenant_id = uuid4()
    with db.transaction(tenant_id) as session:
        return TenantRepository(session).create_tenant(tenant_id, name=name).slug


def start(db: Database, account: Account, *, lifetime: timedelta = MONTH) -> tuple[UUID, str]:
    with db.transaction(account.tenant_id) as session:
        return SessionRepository(session).start(
            account.tenant_id, account.user_id, lifetime=lifetime, user_agent="x" * 500, ip_address="::1"
        )


def rotate(db: Database, account: Account, token: str, *, lifetime: timedelta = MONTH) -> str:
    with db.transaction(account.tenant_id) as session:
        return SessionRepository(session).rotate(account.tenant_id, token, lifetime=lifetime).refresh_token


def is_active(db: Database, account: Account, session_id: UUID) -> bool:
    with db.transaction(account.tenant_id) as session:
        return SessionRepository(session).find_active(account.tenant_id, session_id) is not None


def change(database: TestDatabase, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.admin() as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


# -- tenants and users --------------------------------------------------------------------------------------


def test_create_tenant_makes_a_short_name_that_is_free(db: Database) -> None:
    name = f"Öl & Gas {uuid4().hex[:8]}"
    plain = name.lower().replace("ö", "o").replace(" & ", "-").replace(" ", "-")
    assert make_tenant(db, name) == plain
    others = {make_tenant(db, name) for _ in range(3)}
    assert len(others) == 3
    assert all(slug.startswith(f"{plain}-") for slug in others)


@pytest.mark.parametrize("name", ["日本語", "---", "x" * 255, "É" * 200, "a" * 59 + " b" * 30])
def test_create_tenant_of_any_name_twice_works(db: Database, name: str) -> None:
    for slug in (make_tenant(db, name), make_tenant(db, name)):
        assert 1 <= len(slug) <= 63


def test_create_user_with_an_address_of_any_tenant_is_refused(
    db: Database, account: Account, make_account: Callable[[], Account]
) -> None:
    other = make_account()
    for email in (account.email, account.email.upper()):
        with pytest.raises(EmailExists), db.transaction(other.tenant_id) as session:
            TenantRepository(session).create_user(
                other.tenant_id, email=email, full_name="X", role="admin", password_hash="!"
            )


def test_find_and_get_see_no_further_than_their_transaction(
    db: Database, account: Account, make_account: Callable[[], Account]
) -> None:
    other = make_account()
    with db.transaction(account.tenant_id) as session:
        tenants = TenantRepository(session)
        user, tenant = tenants.get_account(account.tenant_id, account.user_id)
        assert (user.email, tenant.slug) == (account.email, account.slug)
        assert tenants.find_user_by_email(other.email) is None
        for tenant_id, user_id in (
            (other.tenant_id, other.user_id),
            (account.tenant_id, other.user_id),
        ):
            with pytest.raises(NotFound):
                tenants.get_account(tenant_id, user_id)
        with pytest.raises(TenantNotFound):
            tenants.get_tenant_by_slug(other.slug)
    with db.operator_transaction() as session:
        tenants = TenantRepository(session)
        found = tenants.find_user_by_email(other.email.upper())
        assert found is not None
        assert (found[0].id, found[1].id) == (other.user_id, other.tenant_id)
        assert tenants.get_tenant_by_slug(other.slug).id == other.tenant_id


# -- sessions -----------------------------------------------------------------------------------------------


def test_start_stores_no_token(db: Database, account: Account, database: TestDatabase) -> None:
    _, token = start(db, account)
    assert tenant_of_refresh_token(token) == account.tenant_id
    rows = str(change(database, "SELECT r::text, s::text FROM refresh_tokens r, sessions s"))
    assert token not in rows
    assert token.partition(".")[2] not in rows


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sessions SET expires_at = now() WHERE tenant_id = %s",
        "UPDATE sessions SET ended_at = now(), end_reason = 'revoked' WHERE tenant_id = %s",
        "UPDATE users SET deactivated_at = now() WHERE tenant_id = %s",
        "UPDATE tenants SET deactivated_at = now() WHERE id = %s",
    ],
)
def test_session_stops_counting(
    db: Database, account: Account, database: TestDatabase, statement: str
) -> None:
    session_id, token = start(db, account)
    assert is_active(db, account, session_id)
    change(database, statement, account.tenant_id)
    assert not is_active(db, account, session_id)
    with pytest.raises(InvalidRefreshToken):
        rotate(db, account, token)


def test_session_of_another_tenant_is_not_there(
    db: Database, account: Account, make_account: Callable[[], Account]
) -> None:
    other = make_account()
    session_id, token = start(db, other)
    assert not is_active(db, account, session_id)
    with db.transaction(account.tenant_id) as session:
        sessions = SessionRepository(session)
        assert not sessions.end(account.tenant_id, session_id, reason="revoked")
        assert not sessions.end(other.tenant_id, session_id, reason="revoked")
        assert not sessions.list_active(other.tenant_id, other.user_id)
        with pytest.raises(InvalidRefreshToken):
            sessions.rotate(other.tenant_id, token, lifetime=MONTH)
    assert is_active(db, other, session_id)


def test_last_use_is_written_only_when_it_is_old(
    db: Database, account: Account, database: TestDatabase
) -> None:
    session_id, _ = start(db, account)

    def version() -> tuple[Any, ...]:
        columns = "xmin::text, last_used_at > now() - interval '1 minute'"
        return change(database, f"SELECT {columns} FROM sessions WHERE id = %s", session_id)[0]

    first = version()
    assert is_active(db, account, session_id)
    assert version() == first
    change(
        database, "UPDATE sessions SET last_used_at = now() - interval '6 minutes' WHERE id = %s", session_id
    )
    assert is_active(db, account, session_id)
    assert version()[1] is True


def test_rotate_extends_the_session(db: Database, account: Account, database: TestDatabase) -> None:
    session_id, token = start(db, account, lifetime=timedelta(hours=1))
    rotate(db, account, token, lifetime=timedelta(hours=5))
    rows = change(
        database, "SELECT expires_at > now() + interval '4 hours' FROM sessions WHERE id = %s", session_id
    )
    assert rows == [(True,)]


def test_rotate_that_is_rolled_back_leaves_the_token_good(db: Database, account: Account) -> None:
    _, token = start(db, account)

    def rotate_in_vain() -> None:
        with db.transaction(account.tenant_id) as session:
            SessionRepository(session).rotate(account.tenant_id, token, lifetime=MONTH)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rotate_in_vain()
    second = rotate(db, account, token)
    with pytest.raises(RefreshTokenReused):
        rotate(db, account, token)
    rotate(db, account, second)


def test_rotate_while_the_session_is_being_ended_waits_and_is_refused(own_database: TestDatabase) -> None:
    db, account = own_database.db, own_database.make_tenant()
    session_id, token = start(db, account)
    refused: list[BaseException] = []

    def rotate_meanwhile() -> None:
        try:
            rotate(db, account, token)
        except InvalidRefreshToken as error:
            refused.append(error)

    meanwhile = threading.Thread(target=rotate_meanwhile)
    with db.transaction(account.tenant_id) as session:
        SessionRepository(session).end(account.tenant_id, session_id, reason="logged_out")
        meanwhile.start()
        deadline = time.monotonic() + 30
        while not change(own_database, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert time.monotonic() < deadline, "it did not wait"
            time.sleep(0.01)
    meanwhile.join()
    assert len(refused) == 1
    assert change(own_database, "SELECT count(*) FROM refresh_tokens") == [(1,)]


@pytest.fixture
def listener(database: TestDatabase) -> Iterator[Listener]:
    listening = Listener(database.url).start()
    assert listening.wait_until_connected(10)
    yield listening
    listening.close()


def test_end_tells_other_processes_once(db: Database, account: Account, listener: Listener) -> None:
    session_id, _ = start(db, account)
    with listener.subscribe(Channel.SESSIONS, account.tenant_id, session_id) as subscription:
        for expected in (True, False):
            with db.transaction(account.tenant_id) as session:
                ended = SessionRepository(session).end(account.tenant_id, session_id, reason="logged_out")
            assert ended is expected
            if expected:
                assert subscription.wait(10)


def test_purge_deletes_only_what_expired_long_ago(own_database: TestDatabase) -> None:
    db = own_database.db
    account, other = own_database.make_tenant(), own_database.make_tenant()
    for owner in (account, account, other):
        start(db, owner, lifetime=timedelta(days=-8))
    kept = [start(db, account, lifetime=timedelta(days=-6))[0], start(db, other)[0]]

    def purge(limit: int) -> int:
        with db.operator_transaction() as session:
            return SessionRepository(session).purge_expired(older_than=timedelta(days=7), limit=limit)

    assert [purge(2), purge(2), purge(2)] == [2, 1, 0]
    left = change(own_database, "SELECT id FROM sessions ORDER BY expires_at")
    assert [row[0] for row in left] == kept
    assert change(own_database, "SELECT count(*) FROM refresh_tokens") == [(2,)]

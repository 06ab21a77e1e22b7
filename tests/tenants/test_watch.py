"""Who stays: sessions, keys, people and workspaces that stop counting while something of theirs is open."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from uuid import uuid4

import pytest

from backend.db.listen import Listener
from backend.db.transaction import Database
from backend.flows.deactivate.flow import deactivate_tenant, deactivate_user
from backend.tenants.api_keys.repository import ApiKeyRepository
from backend.tenants.repository import SessionRepository, TenantRepository
from backend.tenants.watch.repository import Holder, HolderRepository
from backend.tenants.watch.watch import HolderWatch
from tests.conftest import Account, TestDatabase


def session_of(db: Database, account: Account) -> Holder:
    with db.transaction(account.tenant_id) as session:
        session_id, _ = SessionRepository(session).start(
            account.tenant_id, account.user_id, lifetime=timedelta(hours=1), user_agent=None, ip_address=None
        )
    return Holder(account.tenant_id, account.user_id, session_id)


def key_of(db: Database, account: Account) -> Holder:
    with db.transaction(account.tenant_id) as session:
        user, _ = TenantRepository(session).get_account(account.tenant_id, account.user_id)
        key, _ = ApiKeyRepository(session).create(user, name="k", scopes=["read"], lifetime=None)
    return Holder(account.tenant_id, account.user_id, None, key.id)


@pytest.fixture
def listener(database: TestDatabase) -> Iterator[Listener]:
    made = Listener(database.url).start()
    assert made.wait_until_connected(10)
    yield made
    made.close()


@pytest.fixture
def holders(db: Database, listener: Listener) -> Iterator[HolderWatch]:
    made = HolderWatch(db, listener, every_seconds=60.0)
    yield made
    made.close()


def test_holders_count_until_what_they_rest_on_does_not(
    database: TestDatabase, db: Database, holders: HolderWatch, account: Account
) -> None:
    a_session, a_key = session_of(db, account), key_of(db, account)
    person, workspace = Holder(account.tenant_id, account.user_id), Holder(account.tenant_id)
    everybody = [a_session, a_key, person, workspace]
    strangers = [
        Holder(uuid4()),
        Holder(account.tenant_id, uuid4()),
        Holder(account.tenant_id, account.user_id, uuid4()),
        Holder(account.tenant_id, account.user_id, None, uuid4()),
    ]
    # Somebody else's session is no door into this workspace.
    other = session_of(db, database.make_tenant())
    strangers.append(Holder(account.tenant_id, account.user_id, other.session_id))

    def counting() -> list[bool]:
        with db.operator_statement() as unit:
            found = HolderRepository(unit).find_counting([*everybody, *strangers])
        assert not found & set(strangers)
        return [holder in found for holder in everybody]

    assert counting() == [True, True, True, True]
    with db.transaction(account.tenant_id) as session:
        assert a_session.session_id
        SessionRepository(session).end(account.tenant_id, a_session.session_id, reason="logged_out")
    assert counting() == [False, True, True, True]
    with db.transaction(account.tenant_id) as session:
        assert a_key.key_id
        ApiKeyRepository(session).revoke(account.tenant_id, a_key.key_id)
    assert counting() == [False, False, True, True]
    with db.transaction(account.tenant_id) as session:
        deactivate_user(session, account.tenant_id, account.user_id, even_the_last=True)
    assert counting() == [False, False, False, True]
    with db.transaction(account.tenant_id) as session:
        deactivate_tenant(session, account.tenant_id)
    assert counting() == [False, False, False, False]


def test_deactivation_is_told_at_once_to_those_concerned_and_to_nobody_else(
    database: TestDatabase, db: Database, holders: HolderWatch, account: Account
) -> None:
    """The watch would look by itself in a minute: it is the hint that tells."""
    other = database.make_tenant()
    told = {name: threading.Event() for name in ("one", "two", "other")}
    with ExitStack() as stack:
        for name, holder in (
            ("one", session_of(db, account)),
            ("two", session_of(db, account)),
            ("other", session_of(db, other)),
        ):
            stack.enter_context(holders.watch(holder, told[name].set))
        with db.transaction(account.tenant_id) as session:
            deactivate_user(session, account.tenant_id, account.user_id, even_the_last=True)
        assert told["one"].wait(10)
        assert told["two"].wait(10)
        assert not told["other"].is_set()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tenants SET deactivated_at = now() WHERE id = %s",
        "UPDATE users SET deactivated_at = now() WHERE tenant_id = %s",
        "UPDATE sessions SET expires_at = now() WHERE tenant_id = %s",
    ],
)
def test_what_no_hint_tells_is_seen_by_looking(
    database: TestDatabase, db: Database, listener: Listener, account: Account, statement: str
) -> None:
    holders = HolderWatch(db, listener, every_seconds=0.05)
    told = threading.Event()
    try:
        with holders.watch(session_of(db, account), told.set) as watched:
            with database.admin() as connection:
                connection.execute(statement.encode(), (account.tenant_id,))
            assert told.wait(10)
            assert watched.has_ended
    finally:
        holders.close()


def test_watch_ends_while_nobody_is_watched(db: Database) -> None:
    """Its thread ends by itself, and begins anew with whoever comes."""
    told = threading.Event()
    quick = HolderWatch(db, Listener("postgresql://nowhere/none"), every_seconds=0.02)
    for _ in range(2):
        with quick.watch(Holder(uuid4()), told.set):
            assert told.wait(10)
        for thread in [t for t in threading.enumerate() if t.name == "holders"]:
            thread.join(10)
            assert not thread.is_alive()
        told.clear()

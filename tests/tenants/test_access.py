"""From an access token to who is asking."""

from datetime import timedelta
from uuid import UUID

import pytest

from backend.db.transaction import Database
from backend.keyring import Keyring
from backend.tenants.access import (
    AccessTokenExpired,
    AccessTokenInvalid,
    Principal,
    authenticate,
    issue_access_token,
)
from backend.tenants.repository import SessionRepository, SessionRevoked
from tests.conftest import Account


@pytest.fixture
def session_id(db: Database, account: Account) -> UUID:
    with db.transaction(account.tenant_id) as session:
        started, _ = SessionRepository(session).start(
            account.tenant_id, account.user_id, lifetime=timedelta(days=1), user_agent=None, ip_address=None
        )
    return started


def token(keyring: Keyring, account: Account, session_id: UUID, lifetime_seconds: int = 60) -> str:
    return issue_access_token(
        keyring,
        tenant_id=account.tenant_id,
        user_id=account.user_id,
        session_id=session_id,
        lifetime_seconds=lifetime_seconds,
    )


def test_authenticate_finds_the_person_of_the_session(
    db: Database, keyring: Keyring, account: Account, session_id: UUID
) -> None:
    who: Principal = authenticate(db, keyring, token(keyring, account, session_id))
    assert (who.tenant_id, who.user_id, who.session_id) == (account.tenant_id, account.user_id, session_id)
    assert (who.user.email, who.tenant.slug, who.is_admin) == (account.email, account.slug, True)


def test_authenticate_refuses_tokens_by_what_is_wrong_with_them(
    db: Database, keyring: Keyring, account: Account, session_id: UUID
) -> None:
    with pytest.raises(AccessTokenExpired):
        authenticate(db, keyring, token(keyring, account, session_id, lifetime_seconds=-1))
    with pytest.raises(AccessTokenInvalid):
        authenticate(db, Keyring([("test", b"x" * 32)]), token(keyring, account, session_id))
    with pytest.raises(AccessTokenInvalid):
        authenticate(db, keyring, "")


def test_authenticate_after_key_rotation_accepts_old_tokens_until_the_key_is_dropped(
    db: Database, keyring: Keyring, account: Account, session_id: UUID
) -> None:
    old = token(keyring, account, session_id)
    rotated = Keyring([("new", b"n" * 32), ("test", b"k" * 32)])
    assert authenticate(db, rotated, old).session_id == session_id
    with pytest.raises(AccessTokenInvalid):
        authenticate(db, Keyring([("new", b"n" * 32)]), old)


def test_authenticate_reads_the_session_each_time(
    db: Database, keyring: Keyring, account: Account, session_id: UUID
) -> None:
    issued = token(keyring, account, session_id)
    authenticate(db, keyring, issued)
    with db.transaction(account.tenant_id) as session:
        SessionRepository(session).end(account.tenant_id, session_id, reason="logged_out")
    with pytest.raises(SessionRevoked):
        authenticate(db, keyring, issued)

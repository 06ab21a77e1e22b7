"""One-time nonces: what takes them, what does not, and which reason is given."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias
from uuid import UUID, uuid4

import pytest

from backend.db.transaction import Database
from backend.errors import StateError
from backend.oauth.repository import (
    NonceAlreadyUsed,
    NonceExpired,
    NonceMismatch,
    NonceNotFound,
    NonceOfAnotherBrowser,
    OAuthNonceRepository,
)
from backend.tenants.repository import TenantRepository
from tests.conftest import Account, TestDatabase

Wrong: TypeAlias = "dict[str, UUID | str]"

BROWSER = "the browser's secret"
ANOTHER_BROWSER: Final[tuple[Wrong, type[StateError]]] = ({"browser": "another one"}, NonceOfAnotherBrowser)


class Attempts:
    """Issues, begins and consumes nonces of one account, each call in a transaction of its own."""

    def __init__(self, db: Database, account: Account) -> None:
        self.db = db
        self.account = account

    def issue(self, *, lifetime: timedelta = timedelta(minutes=10)) -> str:
        nonce = uuid4().hex
        with self.db.transaction(self.account.tenant_id) as session:
            OAuthNonceRepository(session).issue(
                self.account.tenant_id,
                nonce,
                user_id=self.account.user_id,
                connector_type="github",
                lifetime=lifetime,
            )
        return nonce

    def begin(
        self,
        nonce: str,
        *,
        tenant_id: UUID | None = None,
        user_id: UUID | None = None,
        connector_type: str = "github",
        browser: str = BROWSER,
    ) -> None:
        tenant_id = tenant_id or self.account.tenant_id
        with self.db.transaction(tenant_id) as session:
            OAuthNonceRepository(session).begin(
                tenant_id,
                nonce,
                user_id=user_id or self.account.user_id,
                connector_type=connector_type,
                browser=browser,
            )

    def consume(
        self,
        nonce: str,
        *,
        tenant_id: UUID | None = None,
        user_id: UUID | None = None,
        connector_type: str = "github",
        browser: str = BROWSER,
    ) -> None:
        tenant_id = tenant_id or self.account.tenant_id
        with self.db.transaction(tenant_id) as session:
            OAuthNonceRepository(session).consume(
                tenant_id,
                nonce,
                user_id=user_id or self.account.user_id,
                connector_type=connector_type,
                browser=browser,
            )

    def begun(self) -> str:
        nonce = self.issue()
        self.begin(nonce)
        return nonce


@pytest.fixture
def attempts(db: Database, account: Account) -> Attempts:
    return Attempts(db, account)


def test_consume_after_begin_succeeds_once(attempts: Attempts) -> None:
    nonce = attempts.begun()
    attempts.consume(nonce)
    with pytest.raises(NonceAlreadyUsed):
        attempts.consume(nonce)


def test_begin_twice_is_refused_even_to_the_same_browser(attempts: Attempts) -> None:
    nonce = attempts.begun()
    with pytest.raises(NonceAlreadyUsed):
        attempts.begin(nonce)
    attempts.consume(nonce)
    with pytest.raises(NonceAlreadyUsed):
        attempts.begin(nonce)


def test_consume_before_begin_takes_nothing(attempts: Attempts) -> None:
    nonce = attempts.issue()
    with pytest.raises(NonceOfAnotherBrowser):
        attempts.consume(nonce)
    attempts.begin(nonce)
    attempts.consume(nonce)


def test_use_of_an_unknown_nonce_is_not_found(attempts: Attempts) -> None:
    with pytest.raises(NonceNotFound):
        attempts.begin("never issued")
    with pytest.raises(NonceNotFound):
        attempts.consume("never issued")


def test_store_keeps_only_hashes(attempts: Attempts, database: TestDatabase) -> None:
    nonce = attempts.begun()
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT oauth_nonces::text FROM oauth_nonces WHERE tenant_id = %s", (attempts.account.tenant_id,)
        ).fetchall()
    assert len(rows) == 1
    for secret in (nonce, BROWSER):
        assert secret not in str(rows)
        assert secret.encode().hex() not in str(rows)


# -- mismatches take nothing and say which ------------------------------------------------------------------


def test_use_with_a_mismatch_takes_nothing_and_says_which(
    attempts: Attempts, make_account: Callable[[], Account], db: Database
) -> None:
    other = make_account()
    with db.transaction(attempts.account.tenant_id) as session:
        colleague = TenantRepository(session).create_user(
            attempts.account.tenant_id,
            email=f"{uuid4().hex}@example.org",
            full_name="Colleague",
            role="admin",
            password_hash="!",
        )
    nonce = attempts.issue()
    wrong_begins: list[tuple[Wrong, type[StateError]]] = [
        ({"user_id": colleague.id}, NonceMismatch),
        ({"connector_type": "slack"}, NonceMismatch),
        ({"tenant_id": other.tenant_id}, NonceNotFound),
        ({"tenant_id": other.tenant_id, "user_id": other.user_id}, NonceNotFound),
    ]
    for wrong, error in wrong_begins:
        with pytest.raises(error):
            attempts.begin(nonce, **wrong)  # type: ignore[arg-type]
    attempts.begin(nonce)
    for wrong, error in (*wrong_begins, ANOTHER_BROWSER):
        with pytest.raises(error):
            attempts.consume(nonce, **wrong)  # type: ignore[arg-type]
    attempts.consume(nonce)


def test_consume_in_another_tenants_transaction_finds_nothing(
    attempts: Attempts, make_account: Callable[[], Account], db: Database
) -> None:
    nonce = attempts.begun()
    other = make_account()
    with pytest.raises(NonceNotFound), db.transaction(other.tenant_id) as session:
        OAuthNonceRepository(session).consume(
            attempts.account.tenant_id,
            nonce,
            user_id=attempts.account.user_id,
            connector_type="github",
            browser=BROWSER,
        )
    attempts.consume(nonce)


# -- expiry -------------------------------------------------------------------------------------------------


def test_use_after_expiry_is_refused(attempts: Attempts) -> None:
    nonce = attempts.issue(lifetime=timedelta(seconds=-1))
    with pytest.raises(NonceExpired):
        attempts.begin(nonce)
    with pytest.raises(NonceExpired):
        attempts.consume(nonce)


def test_expiry_goes_by_the_clock_of_the_database(attempts: Attempts, database: TestDatabase) -> None:
    begun = attempts.begun()
    with database.admin() as connection:
        connection.execute(
            "UPDATE oauth_nonces SET expires_at = clock_timestamp() WHERE tenant_id = %s",
            (attempts.account.tenant_id,),
        )
    with pytest.raises(NonceExpired):
        attempts.consume(begun)
    with database.admin() as connection:
        row = connection.execute(
            "SELECT used_at FROM oauth_nonces WHERE tenant_id = %s", (attempts.account.tenant_id,)
        ).fetchone()
    assert row == (None,)


# -- deactivation voids what is pending ---------------------------------------------------------------------


@pytest.mark.parametrize("who", ["users", "tenants"])
def test_deactivation_voids_what_is_pending(attempts: Attempts, database: TestDatabase, who: str) -> None:
    issued, begun = attempts.issue(), attempts.begun()
    key = "tenant_id" if who == "users" else "id"

    def set_deactivated(value: str) -> None:
        with database.admin() as connection:
            connection.execute(
                f"UPDATE {who} SET deactivated_at = {value} WHERE {key} = %s".encode(),
                (attempts.account.tenant_id,),
            )

    set_deactivated("now()")
    with pytest.raises(NonceMismatch, match="deactivated"):
        attempts.begin(issued)
    with pytest.raises(NonceMismatch, match="deactivated"):
        attempts.consume(begun)
    set_deactivated("NULL")
    attempts.begin(issued)
    attempts.consume(begun)


# -- purge --------------------------------------------------------------------------------------------------


def test_purge_deletes_only_what_expired_long_ago(own_database: TestDatabase) -> None:
    attempts = Attempts(own_database.db, own_database.make_tenant())
    others = Attempts(own_database.db, own_database.make_tenant())
    for _ in range(3):
        attempts.issue(lifetime=timedelta(days=-8))
    others.issue(lifetime=timedelta(days=-8))
    kept = [attempts.issue(lifetime=timedelta(days=-6)), attempts.begun()]

    def purge(limit: int) -> int:
        with own_database.db.operator_transaction() as session:
            return OAuthNonceRepository(session).purge_expired(older_than=timedelta(days=7), limit=limit)

    assert purge(limit=3) == 3
    assert purge(limit=3) == 1
    assert purge(limit=3) == 0
    with pytest.raises(NonceExpired):
        attempts.consume(kept[0])
    attempts.consume(kept[1])

"""Of requests with one key exactly one is carried out; the others get its answer."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, Final

import pytest

from backend.db.transaction import Database
from backend.limits.repository import (
    AnswerNotKept,
    IdempotencyKeyReused,
    IdempotencyRepository,
    Lease,
    RequestInProgress,
    Stored,
    purge_expired,
)
from backend.tenants.repository import TenantRepository
from tests.conftest import Account, TestDatabase
from tests.limits.together import together

KEY: Final = b"k" * 32
ASKED: Final = b"f" * 32
OTHER: Final = b"o" * 32


def ask(db: Database, account: Account, fingerprint: bytes = ASKED) -> Lease | Stored:
    with db.transaction(account.tenant_id) as session:
        return IdempotencyRepository(session, account.tenant_id, account.user_id).claim(
            KEY, fingerprint, "POST /tests", lease=timedelta(seconds=60), keep=timedelta(days=1)
        )


def claim(db: Database, account: Account, fingerprint: bytes = ASKED) -> Lease:
    """The same, where the answer is not there yet."""
    lease = ask(db, account, fingerprint)
    assert isinstance(lease, Lease)
    return lease


def give_answer(db: Database, account: Account, lease: Lease, answer: bytes | None = b"sealed") -> bool:
    with db.transaction(account.tenant_id) as session:
        return IdempotencyRepository(session, account.tenant_id, account.user_id).answer(
            KEY, lease, status_code=201, sealed_answer=answer
        )


def release(db: Database, account: Account, lease: Lease) -> bool:
    with db.transaction(account.tenant_id) as session:
        return IdempotencyRepository(session, account.tenant_id, account.user_id).release(KEY, lease)


def pass_time(database: TestDatabase, account: Account, seconds: float) -> None:
    with database.admin() as connection:
        connection.execute(
            "UPDATE idempotency_keys SET leased_until = leased_until - make_interval(secs => %(s)s),"
            " expires_at = expires_at - make_interval(secs => %(s)s) WHERE tenant_id = %(t)s",
            {"s": seconds, "t": account.tenant_id},
        )


def state(database: TestDatabase, account: Account) -> Any:
    with database.admin() as connection:
        connection.execute("SET ROLE secondbrain_readonly")
        return connection.execute(
            "SELECT state, status, attempt FROM ops.idempotency_keys WHERE email = %s", (account.email,)
        ).fetchall()


def test_claim_is_answered_once_and_repeated_then(
    db: Database, database: TestDatabase, account: Account
) -> None:
    lease = claim(db, account)
    assert state(database, account) == [("running", None, 1)]
    assert give_answer(db, account, lease)
    assert state(database, account) == [("answered", 201, 1)]
    for _ in range(2):
        assert ask(db, account) == Stored(201, b"sealed")


def test_claim_of_another_request_is_refused_before_and_after_the_answer(
    db: Database, account: Account
) -> None:
    lease = claim(db, account)
    with pytest.raises(IdempotencyKeyReused):
        claim(db, account, OTHER)
    give_answer(db, account, lease)
    with pytest.raises(IdempotencyKeyReused):
        claim(db, account, OTHER)


def test_claim_while_it_is_carried_out_says_when_to_ask_again(db: Database, account: Account) -> None:
    claim(db, account)
    with pytest.raises(RequestInProgress) as refused:
        claim(db, account)
    assert refused.value.context["retry_after"] >= 1


def test_released_key_is_carried_out_again(db: Database, account: Account) -> None:
    lease = claim(db, account)
    assert release(db, account, lease)
    assert claim(db, account, OTHER).number == 1


def test_claim_takes_over_what_was_left_behind(
    db: Database, database: TestDatabase, account: Account
) -> None:
    """A process died in the middle: after its lease the next repeat runs, and the dead one's answer is refused."""
    lease = claim(db, account)
    pass_time(database, account, 61)
    assert state(database, account) == [("stalled", None, 1)]
    with pytest.raises(IdempotencyKeyReused):
        claim(db, account, OTHER)
    taken_over = claim(db, account)
    assert taken_over.number == lease.number + 1
    assert not give_answer(db, account, lease, b"too late")
    assert not release(db, account, lease)
    assert give_answer(db, account, taken_over)
    assert ask(db, account) == Stored(201, b"sealed")


def test_answer_of_somebody_who_slept_is_not_given_to_another_request(
    db: Database, database: TestDatabase, account: Account
) -> None:
    """The key was taken over, released, and taken for something else meanwhile: the count began at 1 again."""
    slept = claim(db, account)
    pass_time(database, account, 61)
    assert release(db, account, claim(db, account))
    other = claim(db, account, OTHER)
    assert other.number == slept.number
    assert not give_answer(db, account, slept, b"not for them")
    assert not release(db, account, slept)
    assert give_answer(db, account, other)
    assert ask(db, account, OTHER) == Stored(201, b"sealed")


def test_answer_is_stored_once(db: Database, account: Account) -> None:
    lease = claim(db, account)
    assert give_answer(db, account, lease)
    assert not give_answer(db, account, lease, b"another")
    assert not release(db, account, lease)


def test_answer_after_the_lease_counts_if_nobody_took_over(
    db: Database, database: TestDatabase, account: Account
) -> None:
    lease = claim(db, account)
    pass_time(database, account, 61)
    assert give_answer(db, account, lease)
    assert ask(db, account) == Stored(201, b"sealed")


def test_answer_that_was_too_large_is_not_made_twice(db: Database, account: Account) -> None:
    lease = claim(db, account)
    give_answer(db, account, lease, None)
    with pytest.raises(AnswerNotKept):
        claim(db, account)


def test_key_is_free_again_after_a_day(db: Database, database: TestDatabase, account: Account) -> None:
    lease = claim(db, account)
    give_answer(db, account, lease)
    pass_time(database, account, 86_401)
    assert claim(db, account, OTHER).number == 2
    assert state(database, account) == [("running", None, 2)]


def test_key_belongs_to_one_user(db: Database, account: Account, make_account: Any) -> None:
    claim(db, account)
    assert claim(db, make_account(), OTHER).number == 1
    with db.transaction(account.tenant_id) as session:
        colleague = TenantRepository(session).create_user(
            account.tenant_id,
            email=f"colleague-{account.email}",
            full_name="Colleague",
            role="member",
            password_hash="!",
        )
    assert claim(db, Account(account.tenant_id, colleague.id, "", ""), OTHER).number == 1


def test_purge_takes_expired_keys_only(own_database: TestDatabase) -> None:
    db = own_database.db
    old, young = own_database.make_tenant(), own_database.make_tenant()
    for account in (old, young):
        claim(db, account)
    pass_time(own_database, old, 86_401)
    with db.operator_transaction() as session:
        assert purge_expired(session) == 1
        assert purge_expired(session) == 0
    assert state(own_database, old) == []
    assert state(own_database, young) == [("running", None, 1)]


def test_purge_spares_a_key_that_is_taken_again_meanwhile(own_database: TestDatabase) -> None:
    db, account = own_database.db, own_database.make_tenant()
    claim(db, account)
    pass_time(own_database, account, 86_401)
    done: list[int] = []

    def purge() -> None:
        with db.operator_transaction() as session:
            done.append(purge_expired(session))

    with db.transaction(account.tenant_id) as session:
        keys = IdempotencyRepository(session, account.tenant_id, account.user_id)
        lease = timedelta(seconds=60)
        taken = keys.claim(KEY, OTHER, "POST /tests", lease=lease, keep=timedelta(days=1))
        assert isinstance(taken, Lease)
        assert taken.number == 2
        purging = threading.Thread(target=purge)
        purging.start()
        with own_database.admin() as connection:
            while not connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone():
                assert purging.is_alive()
    purging.join()
    assert done == [0]
    assert state(own_database, account) == [("running", None, 2)]


@pytest.fixture
def processes(own_database: TestDatabase) -> Iterator[list[Database]]:
    """Engines as separate processes have them."""
    with ExitStack() as stack:
        made = [own_database.connect(pool_size=5) for _ in range(4)]
        for db in made:
            stack.callback(db.close)
        yield made


@pytest.mark.parametrize("was_left_behind", [False, True])
def test_concurrent_claims_get_one_lease(
    own_database: TestDatabase, processes: list[Database], was_left_behind: bool
) -> None:
    account = own_database.make_tenant()
    if was_left_behind:
        claim(own_database.db, account)
        pass_time(own_database, account, 61)

    def attempt(number: int) -> object:
        try:
            return claim(processes[number % len(processes)], account).number
        except RequestInProgress:
            return "waits"

    assert Counter(together(20, attempt)) == {1 + was_left_behind: 1, "waits": 19}

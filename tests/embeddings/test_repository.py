"""Rows of the cache: vectors as halves, expiry by the database's clock, limits in bytes, one tenant at a time."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from threading import Barrier
from uuid import UUID, uuid4

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import text

from backend.db.transaction import Database
from backend.embeddings.repository import ROW_BYTES, EmbeddingCacheRepository
from tests.conftest import Account, TestDatabase

DIMENSIONS = 64
MODEL = f"sample/{DIMENSIONS}"
DAY = timedelta(days=1)
Vectors = dict[bytes, NDArray[np.float32]]


def vectors(count: int, dimensions: int = DIMENSIONS) -> Vectors:
    """`count` unit vectors by key."""
    rows = np.random.default_rng(count).standard_normal((count, dimensions)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows.astype(np.float16).astype(np.float32)
    return {sha256(f"text {number}".encode()).digest(): row for number, row in enumerate(rows)}


def put(db: Database, tenant_id: UUID, given: Vectors, lifetime: timedelta = DAY) -> None:
    with db.transaction(tenant_id) as session:
        EmbeddingCacheRepository(session).put_many(tenant_id, MODEL, given, lifetime=lifetime)


def get(
    db: Database, tenant_id: UUID, keys: Sequence[bytes], model: str = MODEL, dimensions: int = DIMENSIONS
) -> Vectors:
    with db.transaction(tenant_id) as session:
        return EmbeddingCacheRepository(session).get_many(tenant_id, model, keys, dimensions=dimensions)


def claim(
    db: Database, tenant_id: UUID, keys: Sequence[bytes], claimant: UUID, lease: timedelta
) -> set[bytes]:
    with db.transaction(tenant_id) as session:
        return set(
            EmbeddingCacheRepository(session).claim(tenant_id, MODEL, keys, claimant=claimant, lease=lease)
        )


@pytest.mark.parametrize("dimensions", [1, 256, 1536, 4000])
def test_get_many_returns_the_very_numbers_that_were_put(
    db: Database, account: Account, dimensions: int
) -> None:
    given = vectors(30, dimensions)
    put(db, account.tenant_id, given)
    found = get(db, account.tenant_id, [*given, b"?" * 32], dimensions=dimensions)
    assert set(found) == set(given)
    for key, vector in found.items():
        assert vector.dtype == np.float32
        np.testing.assert_array_equal(vector, given[key])


def test_get_many_of_nothing_known_is_empty(db: Database, account: Account) -> None:
    assert get(db, account.tenant_id, list(vectors(3))) == {}
    assert get(db, account.tenant_id, []) == {}


def test_get_many_knows_no_other_tenant_and_no_other_model(
    db: Database, account: Account, make_account: Callable[[], Account]
) -> None:
    given = vectors(3)
    put(db, account.tenant_id, given)
    assert get(db, make_account().tenant_id, list(given)) == {}
    assert get(db, account.tenant_id, list(given), model="another/64") == {}


def test_put_many_again_replaces(db: Database, account: Account) -> None:
    given = vectors(2)
    put(db, account.tenant_id, given)
    key = next(iter(given))
    put(db, account.tenant_id, {key: -given[key]})
    np.testing.assert_array_equal(get(db, account.tenant_id, [key])[key], -given[key])


def test_vector_stops_counting_when_the_database_says_so(db: Database, account: Account) -> None:
    """Put and read with one `now()`: a lifetime of nothing is over at once, however the process's clock goes."""
    given = vectors(1)
    with db.transaction(account.tenant_id) as session:
        repository = EmbeddingCacheRepository(session)
        repository.put_many(account.tenant_id, MODEL, given, lifetime=timedelta())
        assert repository.get_many(account.tenant_id, MODEL, list(given), dimensions=DIMENSIONS) == {}
        repository.put_many(account.tenant_id, MODEL, given, lifetime=timedelta(microseconds=1))
        assert repository.get_many(account.tenant_id, MODEL, list(given), dimensions=DIMENSIONS)


def test_claim_gives_each_key_to_one(db: Database, account: Account) -> None:
    first, second, third = vectors(3)
    one, other = uuid4(), uuid4()
    assert claim(db, account.tenant_id, [first, second], one, DAY) == {first, second}
    assert claim(db, account.tenant_id, [first, second, third], other, DAY) == {third}
    assert get(db, account.tenant_id, [first, second, third]) == {}


def test_claim_of_somebody_who_died_ends(db: Database, account: Account) -> None:
    keys = list(vectors(1))
    assert claim(db, account.tenant_id, keys, uuid4(), timedelta())
    assert claim(db, account.tenant_id, keys, uuid4(), DAY)


def test_claim_takes_what_expired_and_not_what_is_there(db: Database, account: Account) -> None:
    given = vectors(2)
    fresh, stale = given
    put(db, account.tenant_id, {fresh: given[fresh]})
    put(db, account.tenant_id, {stale: given[stale]}, lifetime=timedelta(seconds=-1))
    assert claim(db, account.tenant_id, [fresh, stale], uuid4(), DAY) == {stale}


def test_release_gives_up_own_claims_only(db: Database, account: Account) -> None:
    first, second = vectors(2)
    one, other = uuid4(), uuid4()
    claim(db, account.tenant_id, [first], one, DAY)
    claim(db, account.tenant_id, [second], other, DAY)
    with db.transaction(account.tenant_id) as session:
        EmbeddingCacheRepository(session).release(account.tenant_id, MODEL, [first, second], claimant=one)
    assert claim(db, account.tenant_id, [first, second], uuid4(), DAY) == {first}


def test_evict_keeps_the_newest_within_the_limit(
    db: Database, account: Account, make_account: Callable[[], Account]
) -> None:
    given = vectors(10)
    keys = list(given)
    other = make_account()
    put(db, other.tenant_id, given)
    for place, key in enumerate(keys):
        put(db, account.tenant_id, {key: given[key]}, lifetime=DAY + timedelta(minutes=place))
    row = ROW_BYTES + 2 * DIMENSIONS
    with db.transaction(account.tenant_id) as session:
        repository = EmbeddingCacheRepository(session)
        assert repository.evict(account.tenant_id, capacity=10 * row) == 0
        assert repository.evict(account.tenant_id, capacity=7 * row, batch=2) == 2
        assert repository.evict(account.tenant_id, capacity=7 * row, batch=2) == 1
    assert set(get(db, account.tenant_id, keys)) == set(keys[3:])
    assert len(get(db, other.tenant_id, keys)) == 10


def test_evict_leaves_what_somebody_computes(db: Database, account: Account) -> None:
    """Its end is near, so it would be the first to go, and others would ask for the same text meanwhile."""
    given = vectors(3)
    put(db, account.tenant_id, given)
    assert claim(db, account.tenant_id, [b"c" * 32], uuid4(), timedelta(seconds=30))
    with db.transaction(account.tenant_id) as session:
        assert EmbeddingCacheRepository(session).evict(account.tenant_id, capacity=1) == 3
    assert claim(db, account.tenant_id, [b"c" * 32], uuid4(), DAY) == frozenset()


def test_two_that_store_and_evict_at_once_do_not_wait_for_each_other(db: Database, account: Account) -> None:
    """Each holds rows that the other would like to delete."""
    given = vectors(40)
    old, first, second = (dict(list(given.items())[n : n + 10]) for n in (0, 10, 20))
    put(db, account.tenant_id, old, lifetime=timedelta(hours=1))
    for part in (first, second):
        put(db, account.tenant_id, part, lifetime=timedelta(hours=2))
    stored, evicted = Barrier(2), list[int]()

    def store(part: Vectors) -> None:
        with db.transaction(account.tenant_id) as session:
            repository = EmbeddingCacheRepository(session)
            session.execute(text("SET LOCAL lock_timeout = '10s'"))
            repository.put_many(account.tenant_id, MODEL, part, lifetime=DAY)
            stored.wait(30)
            evicted.append(repository.evict(account.tenant_id, capacity=1))
            stored.wait(30)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(store, part) for part in (first, second)]:
            future.result()
    assert sum(evicted) >= 10
    with db.transaction(account.tenant_id) as session:
        EmbeddingCacheRepository(session).evict(account.tenant_id, capacity=1)
    assert get(db, account.tenant_id, list(given)) == {}


def test_purge_expired_deletes_in_batches_across_tenants(own_database: TestDatabase) -> None:
    db = own_database.db
    tenants = [own_database.make_tenant().tenant_id for _ in range(2)]
    given = vectors(4)
    for tenant_id in tenants:
        for place, key in enumerate(given):
            put(db, tenant_id, {key: given[key]}, lifetime=timedelta(seconds=-10 * place - 5))
        put(db, tenant_id, {b"k" * 32: given[key]})
    with db.operator_transaction() as session:
        repository = EmbeddingCacheRepository(session)
        assert repository.purge_expired(older_than=timedelta(hours=1)) == 0
        assert repository.purge_expired(batch=3) == 3
        assert repository.purge_expired() == 5
        assert repository.purge_expired() == 0
    assert [len(get(db, tenant_id, [b"k" * 32])) for tenant_id in tenants] == [1, 1]


def test_view_shows_what_is_kept(own_database: TestDatabase) -> None:
    account = own_database.make_tenant()
    given = vectors(3)
    put(own_database.db, account.tenant_id, given)
    claim(own_database.db, account.tenant_id, [b"c" * 32], uuid4(), DAY)
    with own_database.admin() as connection:
        connection.execute("SET ROLE secondbrain_readonly")
        row = connection.execute(
            "SELECT tenant, model, vectors, bytes, being_computed, expired FROM ops.embedding_cache"
        ).fetchone()
    assert row == (account.slug, MODEL, 3, 3 * (ROW_BYTES + 2 * DIMENSIONS), 1, 0)

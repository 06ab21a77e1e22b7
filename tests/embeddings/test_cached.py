"""An embedder that remembers: every text is paid for once, whoever asks, and a failure leaves nothing behind."""

import gc
import signal
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from backend.db.transaction import Database
from backend.embeddings.cached import CachedEmbedder, EmbeddingCache
from backend.embeddings.providers.contract import EmbeddingFailed, NotEmbeddable
from backend.embeddings.repository import EmbeddingCacheRepository
from backend.lru import ByteLRU
from tests.conftest import Account, TestDatabase
from tests.embeddings.providers import CountingProvider
from tests.processes import process_that_said

DAY = timedelta(days=1)
THREADS, INSTANCES = 60, 4


def cache_of(db: Database, provider: CountingProvider, tenant_bytes: int = 10**9) -> EmbeddingCache:
    """A process's cache: a memory of its own."""
    return EmbeddingCache(db, provider, ByteLRU(10**6, 60), lifetime=DAY, tenant_bytes=tenant_bytes)


@pytest.fixture
def provider() -> CountingProvider:
    return CountingProvider()


@pytest.fixture
def cached(db: Database, account: Account, provider: CountingProvider) -> CachedEmbedder:
    return cache_of(db, provider).for_tenant(account.tenant_id)


@pytest.fixture
def instances(own_database: TestDatabase) -> Iterator[list[Database]]:
    with ExitStack() as stack:
        made = [own_database.connect(pool_size=THREADS // INSTANCES) for _ in range(INSTANCES)]
        for db in made:
            stack.callback(db.close)
        yield made


def test_embed_again_asks_nobody(cached: CachedEmbedder, provider: CountingProvider) -> None:
    texts = ["one", "two", "three"]
    first, again = cached.embed(texts), cached.embed(texts[::-1])[::-1]
    np.testing.assert_array_equal(first, [provider.vector(text) for text in texts])
    np.testing.assert_array_equal(again, first)
    assert provider.asked == texts


def test_embed_in_another_process_asks_nobody(
    db: Database, account: Account, cached: CachedEmbedder, provider: CountingProvider
) -> None:
    first = cached.embed(["one", "two"])
    other = cache_of(db, provider).for_tenant(account.tenant_id)
    np.testing.assert_array_equal(other.embed(["two", "three", "one"])[[2, 0]], first)
    assert provider.asked == ["one", "two", "three"]


def test_embed_of_equal_texts_in_a_batch_asks_once(
    cached: CachedEmbedder, provider: CountingProvider
) -> None:
    rows = cached.embed(["same", " same", "other", "sa\u00adme", "same\n"])
    assert provider.asked == ["same", "other", "sa\u00adme"]
    np.testing.assert_array_equal(rows[[0, 0]], rows[[1, 4]])


def test_embed_takes_composed_and_decomposed_letters_for_the_same(
    cached: CachedEmbedder, provider: CountingProvider
) -> None:
    cached.embed(["Mun\u0303oz", "Mu\u00f1oz"])
    assert provider.asked == ["Mu\u00f1oz"]


def test_embed_of_many_asks_in_batches_and_keeps_what_was_paid_for(
    db: Database, account: Account, provider: CountingProvider
) -> None:
    texts = [f"text {number}" for number in range(300)]
    rows = cache_of(db, provider).for_tenant(account.tenant_id).embed(texts)
    assert (rows.shape, provider.calls) == ((300, 8), 3)
    provider.failing = True
    more = cache_of(db, provider).for_tenant(account.tenant_id)
    np.testing.assert_array_equal(more.embed(texts), rows)


def test_embed_for_another_tenant_asks_again(
    db: Database, provider: CountingProvider, make_account: Callable[[], Account]
) -> None:
    """Otherwise the time an answer takes would tell what other tenants ask."""
    cache = cache_of(db, provider)
    for _ in range(2):
        cache.for_tenant(make_account().tenant_id).embed(["the same question"])
    assert len(provider.asked) == 2


def test_embed_of_nothing_is_empty_and_of_a_blank_refused(
    cached: CachedEmbedder, provider: CountingProvider
) -> None:
    assert cached.embed([]).shape == (0, 8)
    with pytest.raises(NotEmbeddable):
        cached.embed(["text", " \n"])
    assert provider.asked == []


def test_failed_embedding_is_an_error_and_leaves_nothing(
    own_database: TestDatabase, provider: CountingProvider
) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    cached = cache_of(own_database.db, provider).for_tenant(tenant_id)
    provider.failing = True
    with pytest.raises(EmbeddingFailed):
        cached.embed(["question"])
    with own_database.admin() as connection:
        assert connection.execute("SELECT count(*) FROM embedding_cache").fetchone() == (0,)
    provider.failing = False
    np.testing.assert_array_equal(cached.embed(["question"])[0], provider.vector("question"))


def test_misses_at_once_on_many_instances_ask_once(
    own_database: TestDatabase, instances: list[Database], provider: CountingProvider
) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    # Batches with keys in common, in different orders: each text still travels once.
    texts = [f"question {number}" for number in range(20)]
    together = threading.Barrier(THREADS)
    answers: list[NDArray[np.float32]] = []
    provider.may_answer.clear()

    def ask(number: int) -> None:
        cached = cache_of(instances[number % INSTANCES], provider).for_tenant(tenant_id)
        mine = texts[number % 7 :] + texts[: number % 7]
        together.wait(60)
        rows = cached.embed(mine)
        answers.append(np.roll(rows, number % 7, axis=0))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    assert provider.entered.wait(30)
    provider.may_answer.set()
    for thread in threads:
        thread.join()

    assert sorted(provider.asked) == sorted(texts)
    assert len(answers) == THREADS
    expected = np.stack([provider.vector(text) for text in texts])
    for rows in answers:
        np.testing.assert_array_equal(rows, expected)


def test_whoever_waits_for_a_process_that_died_goes_on(
    db: Database, account: Account, cached: CachedEmbedder, provider: CountingProvider
) -> None:
    claim_as_somebody_else(db, account.tenant_id, "question", timedelta(seconds=0.3))
    np.testing.assert_array_equal(cached.embed(["question"])[0], provider.vector("question"))
    assert provider.asked == ["question"]


def test_process_killed_while_it_embeds_is_taken_over_from_after_its_lease(
    own_database: TestDatabase, instances: list[Database], provider: CountingProvider
) -> None:
    """The others wait for it until then, and one of them asks the provider for all."""
    tenant_id = own_database.make_tenant().tenant_id
    arguments = (own_database.url, tenant_id, 1.5)
    rows: list[NDArray[np.float32]] = []
    with process_that_said("asked", "tests.embeddings.embedder_process", *arguments) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        threads = [
            threading.Thread(
                target=lambda db=db: rows.append(
                    cache_of(db, provider).for_tenant(tenant_id).embed(["question"])
                )
            )
            for db in instances
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert provider.asked == ["question"]
    for row in rows:
        np.testing.assert_array_equal(row[0], provider.vector("question"))
    assert len(rows) == len(instances)


def test_whoever_waits_for_a_process_that_failed_tries_it(
    own_database: TestDatabase, instances: list[Database]
) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    failing, working = CountingProvider(), CountingProvider()
    failing.failing = True
    failing.may_answer.clear()
    outcome: list[object] = []

    def fail() -> None:
        try:
            cache_of(instances[0], failing).for_tenant(tenant_id).embed(["question"])
        except EmbeddingFailed as error:
            outcome.append(error)

    first = threading.Thread(target=fail)
    first.start()
    assert failing.entered.wait(30)
    second = threading.Thread(
        target=lambda: outcome.append(
            cache_of(instances[1], working).for_tenant(tenant_id).embed(["question"])
        )
    )
    second.start()
    failing.may_answer.set()
    first.join()
    second.join()
    assert len(outcome) == 2
    assert working.asked == ["question"]


def test_vector_that_cannot_be_stored_is_used_all_the_same(
    own_database: TestDatabase, provider: CountingProvider
) -> None:
    """The database goes away while the provider computes what was paid for."""
    tenant_id = own_database.make_tenant().tenant_id
    gone = own_database.connect(pool_size=2)
    cached = cache_of(gone, provider).for_tenant(tenant_id)
    provider.may_answer.clear()
    rows: list[NDArray[np.float32]] = []
    thread = threading.Thread(target=lambda: rows.append(cached.embed(["question"])))
    thread.start()
    assert provider.entered.wait(30)
    elsewhere = own_database.server.url("postgres", "postgres")
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {own_database.name} ALLOW_CONNECTIONS false".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (own_database.name,)
        )
        provider.may_answer.set()
        thread.join()
        connection.execute(f"ALTER DATABASE {own_database.name} ALLOW_CONNECTIONS true".encode())
    np.testing.assert_array_equal(rows[0][0], provider.vector("question"))
    gone.close()


def test_tenant_holds_about_as_much_as_it_may(own_database: TestDatabase, provider: CountingProvider) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    cached = cache_of(own_database.db, provider, tenant_bytes=60_000).for_tenant(tenant_id)
    for first in range(0, 2000, 128):
        cached.embed([f"text {number}" for number in range(first, first + 128)])
    with own_database.admin() as connection:
        (held,) = connection.execute("SELECT sum(byte_size) FROM embedding_cache").fetchone() or (0,)
    assert isinstance(held, int)
    assert held <= 60_000 + 128 * 300


def test_memory_of_a_process_is_bounded_in_real_bytes(
    db: Database, account: Account, provider: CountingProvider
) -> None:
    capacity = 200_000
    cache = EmbeddingCache(db, provider, ByteLRU(capacity, 60), lifetime=DAY, tenant_bytes=10**9)
    cached = cache.for_tenant(account.tenant_id)
    tracemalloc.start()
    try:
        for first in range(0, 1000, 100):
            cached.embed([f"text {number}" for number in range(first, first + 100)])
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        cache.memory.clear()
        gc.collect()
        held -= tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.5 * capacity < held <= capacity


def claim_as_somebody_else(db: Database, tenant_id: UUID, text: str, lease: timedelta) -> None:
    with db.transaction(tenant_id) as session:
        EmbeddingCacheRepository(session).claim(
            tenant_id, "counting/8", [sha256(text.encode()).digest()], claimant=uuid4(), lease=lease
        )

"""Components as processes use them: built once for all, never waited for when there is an older one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import ProgrammingError

from backend.components.cache import ComponentCache, Value
from backend.components.repository import ComponentRepository
from backend.db.listen import Listener
from tests.conftest import TestDatabase
from tests.processes import process_that_said

DAY = timedelta(days=1)
THREADS, INSTANCES = 100, 5
NAME = "sample"


class Builder:
    """Builds {"build": n}, counting; can be held up or fail."""

    def __init__(self) -> None:
        self.count = 0
        self.previous: list[Value | None] = []
        self.error: Exception | None = None
        self.entered = threading.Event()
        self.may_finish = threading.Event()
        self.may_finish.set()

    def __call__(self, previous: Value | None) -> Value:
        self.count += 1
        self.previous.append(previous)
        self.entered.set()
        assert self.may_finish.wait(30)
        if self.error is not None:
            raise self.error
        return {"build": self.count}


@pytest.fixture
def caches(own_database: TestDatabase) -> Iterator[list[ComponentCache]]:
    """As separate processes have them: engine, notifier, listener and memory of their own."""
    with ExitStack() as stack:
        made = []
        for _ in range(INSTANCES):
            db = own_database.connect(pool_size=THREADS // INSTANCES)
            stack.callback(db.close)
            listener = Listener(own_database.url).start()
            stack.callback(listener.close)
            cache = ComponentCache(db, listener, capacity=10**6)
            stack.callback(cache.close)
            made.append(cache)
            assert listener.wait_until_connected(20)
        yield made


@pytest.fixture
def tenant_id(own_database: TestDatabase) -> UUID:
    return own_database.make_tenant().tenant_id


@pytest.fixture
def build() -> Builder:
    return Builder()


def give(value: Value, _previous: Value | None) -> Value:
    return value


def make_stale(database: TestDatabase, tenant_id: UUID) -> None:
    with database.db.transaction(tenant_id) as session:
        repository = ComponentRepository(session)
        stored = repository.load(tenant_id, NAME)
        assert stored
        assert stored[1]
        repository.save(tenant_id, NAME, stored[1], lifetime=timedelta())


def wait_until_stale(cache: ComponentCache, database: TestDatabase, tenant_id: UUID) -> None:
    """Makes it stale, and returns once the cache has been told."""
    woken = cache._subscription
    woken.wait(0)
    make_stale(database, tenant_id)
    assert woken.wait(20)
    woken.wake()


def test_misses_at_once_on_many_instances_build_once(
    caches: list[ComponentCache], tenant_id: UUID, build: Builder
) -> None:
    together = threading.Barrier(THREADS)
    values: list[Value] = []
    build.may_finish.clear()

    def ask(number: int) -> None:
        together.wait(60)
        values.append(caches[number % INSTANCES].get_or_build(tenant_id, NAME, build, lifetime=DAY))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    assert build.entered.wait(30)
    build.may_finish.set()
    for thread in threads:
        thread.join()
    assert values == [{"build": 1}] * THREADS
    assert build.count == 1


def test_stale_component_is_built_by_one_while_others_get_the_old(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    caches[0].get_or_build(tenant_id, NAME, build, lifetime=DAY)
    wait_until_stale(caches[0], own_database, tenant_id)
    build.entered.clear()
    build.may_finish.clear()
    fresh: list[Value] = []
    builder = threading.Thread(
        target=lambda: fresh.append(caches[0].get_or_build(tenant_id, NAME, build, lifetime=DAY))
    )
    builder.start()
    assert build.entered.wait(30)
    for cache in caches[1:]:
        assert cache.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 1}
    build.may_finish.set()
    builder.join()
    assert fresh == [{"build": 2}]
    assert build.previous == [None, {"build": 1}]


def test_new_version_reaches_other_processes_by_a_hint(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    """Long before the copies in their memory run out."""
    one, other = caches[:2]
    for cache in (one, other):
        assert cache.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 1}
    wait_until_stale(one, own_database, tenant_id)
    assert one.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 2}
    for _ in range(200):
        if other.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 2}:
            break
        threading.Event().wait(0.02)
    else:
        raise AssertionError("the other process still has the old version after 4 s")
    assert build.count == 2


def test_copy_in_memory_needs_no_database(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    def is_answered_without() -> bool:
        caches[0].get_or_build(tenant_id, NAME, build, lifetime=DAY)
        with own_database.admin() as connection:
            connection.execute("ALTER TABLE tenant_components RENAME TO elsewhere")
            try:
                return caches[0].get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 1}
            except ProgrammingError:
                return False
            finally:
                connection.execute("ALTER TABLE elsewhere RENAME TO tenant_components")

    # The hint of the build itself may still be on its way, and has the copy read anew once.
    assert any(is_answered_without() for _ in range(5))


def test_deleted_component_is_built_again(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    cache = caches[0]
    cache.get_or_build(tenant_id, NAME, build, lifetime=DAY)
    cache._subscription.wait(0)
    with own_database.db.transaction(tenant_id) as session:
        ComponentRepository(session).delete(tenant_id, NAME)
    assert cache._subscription.wait(20)
    cache._subscription.wake()
    assert cache.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 2}


def test_component_that_was_deleted_and_built_again_is_the_new_one_everywhere(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    """It begins at version 1 again; a copy that some process has of the first version 1 is another content."""
    one, other = caches[:2]
    for cache in (one, other):
        assert cache.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 1}
    with own_database.admin() as connection:
        connection.execute("DELETE FROM tenant_components WHERE tenant_id = %s", (tenant_id,))
    # As if the hint had come: by hand there is none, and what is held counts for some seconds more.
    one._subscription.wake()
    assert one.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 2}
    other._subscription.wake()
    assert other.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 2}
    assert build.count == 2


def test_builder_that_slept_past_its_lease_does_not_put_its_own_over_the_newer_one(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    build.may_finish.clear()
    slow: list[Value] = []
    thread = threading.Thread(
        target=lambda: slow.append(caches[0].get_or_build(tenant_id, NAME, build, lifetime=DAY))
    )
    thread.start()
    assert build.entered.wait(30)
    with own_database.admin() as connection:
        connection.execute("UPDATE tenant_components SET building_until = now()")
    assert caches[1].get_or_build(tenant_id, NAME, partial(give, {"build": "new"}), lifetime=DAY) == {
        "build": "new"
    }
    build.may_finish.set()
    thread.join()
    assert slow == [{"build": 1}]
    for cache in caches[2:]:
        assert cache.get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": "new"}


def test_failed_build_raises_and_lets_the_next_one_try(
    caches: list[ComponentCache], tenant_id: UUID, build: Builder
) -> None:
    build.error = ValueError("broken")
    with pytest.raises(ValueError, match="broken"):
        caches[0].get_or_build(tenant_id, NAME, build, lifetime=DAY)
    build.error = None
    assert caches[1].get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 2}


def test_failed_build_of_a_stale_component_leaves_the_old(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    caches[0].get_or_build(tenant_id, NAME, build, lifetime=DAY)
    make_stale(own_database, tenant_id)
    build.error = ValueError("broken")
    assert caches[1].get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 1}
    assert build.count == 2


def test_builder_that_died_is_not_waited_for_for_ever(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    with own_database.db.transaction(tenant_id) as session:
        ComponentRepository(session).claim(tenant_id, NAME, claimant=uuid4(), lease=timedelta(seconds=0.3))
    assert caches[0].get_or_build(tenant_id, NAME, build, lifetime=DAY) == {"build": 1}


def test_builder_killed_in_the_middle_is_taken_over_from_after_its_lease(
    caches: list[ComponentCache], own_database: TestDatabase, tenant_id: UUID, build: Builder
) -> None:
    arguments = (own_database.url, tenant_id, 1.5)
    with process_that_said("building", "tests.components.builder_process", *arguments) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        together: list[Value] = []
        threads = [
            threading.Thread(
                target=lambda cache=cache: together.append(
                    cache.get_or_build(tenant_id, NAME, build, lifetime=DAY)
                )
            )
            for cache in caches
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert together == [{"build": 1}] * len(caches)
    assert build.count == 1


def test_memory_is_bounded_in_bytes(own_database: TestDatabase, tenant_id: UUID) -> None:
    listener = Listener(own_database.url)
    cache = ComponentCache(own_database.db, listener, capacity=50_000)
    for number in range(20):
        value = {"text": f"{number} " * 1000}
        cache.get_or_build(tenant_id, f"c{number}", partial(give, value), lifetime=DAY)
    assert 0 < cache._contents.byte_size <= 50_000
    cache.close()

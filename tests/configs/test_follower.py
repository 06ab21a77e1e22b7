"""A process's copies: made once, and gone within two seconds of a change, however it comes to know."""

import threading
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from backend.configs.follower import ConfigFollower
from backend.configs.repository import ConfigRepository
from backend.configs.schemas import ParserConfig
from backend.db.listen import Listener
from backend.db.transaction import Database, DatabaseUnavailable
from tests.configs.conftest import Follow
from tests.conftest import TestDatabase


def publish(db: Database, tenant_id: UUID | None, characters: int) -> None:
    config = ParserConfig(chunk_characters=characters)
    with db.operator_transaction() if tenant_id is None else db.transaction(tenant_id) as session:
        ConfigRepository(session).publish(tenant_id, config, expected=None)


def seconds_until(condition: Callable[[], bool], *, at_most: float = 10.0) -> float:
    """How long it took to come about; nothing tells when."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < at_most, "it did not come about"
        time.sleep(0.005)
    return time.monotonic() - began


def characters(follower: ConfigFollower, tenant_id: UUID) -> int:
    return follower.current(tenant_id, ParserConfig).chunk_characters


def test_every_process_follows_a_hint_at_once(own_database: TestDatabase, follow: Follow) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    followers = [follow(poll_seconds=60.0)[0] for _ in range(3)]
    for follower in followers:
        assert characters(follower, tenant_id) == ParserConfig().chunk_characters
    publish(own_database.db, tenant_id, 500)
    seconds = seconds_until(lambda: all(characters(one, tenant_id) == 500 for one in followers))
    assert seconds < 1.0


def test_copy_is_made_once_and_kept(
    own_database: TestDatabase, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    follower, _ = follow()
    asked: list[UUID] = []
    read = ConfigRepository.current

    def counting(self: ConfigRepository, tenant_id: UUID, name: str) -> object:
        asked.append(tenant_id)
        return read(self, tenant_id, name)

    monkeypatch.setattr(ConfigRepository, "current", counting)
    first = follower.current(tenant_id, ParserConfig)
    assert all(follower.current(tenant_id, ParserConfig) is first for _ in range(5))
    assert asked == [tenant_id]


def test_lost_hint_is_made_up_for_within_two_seconds(
    own_database: TestDatabase, mute: Database, follow: Follow
) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    follower, _ = follow()
    assert characters(follower, tenant_id) == ParserConfig().chunk_characters
    publish(mute, tenant_id, 500)
    assert seconds_until(lambda: characters(follower, tenant_id) == 500) < 2.0


def test_listener_cut_off_is_made_up_for_within_two_seconds(
    own_database: TestDatabase, follow: Follow
) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    follower, listener = follow()
    assert characters(follower, tenant_id) == ParserConfig().chunk_characters
    listener.close()
    publish(own_database.db, tenant_id, 500)
    assert seconds_until(lambda: characters(follower, tenant_id) == 500) < 2.0


def test_installation_s_change_reaches_tenants_without_their_own(
    own_database: TestDatabase, follow: Follow
) -> None:
    own, general = own_database.make_tenant().tenant_id, own_database.make_tenant().tenant_id
    publish(own_database.db, own, 500)
    follower, _ = follow()
    assert (characters(follower, own), characters(follower, general)) == (
        500,
        ParserConfig().chunk_characters,
    )
    publish(own_database.db, None, 900)
    seconds_until(lambda: characters(follower, general) == 900)
    assert characters(follower, own) == 500


def test_change_of_one_tenant_leaves_copies_of_others(own_database: TestDatabase, follow: Follow) -> None:
    one, two = own_database.make_tenant().tenant_id, own_database.make_tenant().tenant_id
    follower, _ = follow()
    kept = follower.current(two, ParserConfig)
    publish(own_database.db, one, 500)
    seconds_until(lambda: characters(follower, one) == 500)
    assert follower.current(two, ParserConfig) is kept


def test_change_while_a_copy_is_made_is_not_missed(
    own_database: TestDatabase, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has read the old version and has not kept it yet, when the follower learns of the new one."""
    tenant_id = own_database.make_tenant().tenant_id
    follower, _ = follow()
    has_read, may_go_on = threading.Event(), threading.Event()
    read = ConfigRepository.current

    def slow(self: ConfigRepository, tenant_id: UUID, name: str) -> object:
        found = read(self, tenant_id, name)
        has_read.set()
        assert may_go_on.wait(10)
        return found

    monkeypatch.setattr(ConfigRepository, "current", slow)
    asking = threading.Thread(target=lambda: follower.current(tenant_id, ParserConfig))
    asking.start()
    assert has_read.wait(10)
    seen = follower.revision
    publish(own_database.db, tenant_id, 500)
    seconds_until(lambda: follower.revision != seen)
    may_go_on.set()
    asking.join(10)
    assert characters(follower, tenant_id) == 500


def test_whoever_does_not_follow_asks_every_time(own_database: TestDatabase) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    follower = ConfigFollower(own_database.db, Listener(own_database.url))
    assert characters(follower, tenant_id) == ParserConfig().chunk_characters
    publish(own_database.db, tenant_id, 500)
    assert characters(follower, tenant_id) == 500


def test_start_tells_of_each_new_revision(own_database: TestDatabase) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    listener = Listener(own_database.url).start()
    told = threading.Event()
    follower = ConfigFollower(own_database.db, listener).start(on_change=told.set)
    assert told.wait(10)
    told.clear()
    publish(own_database.db, tenant_id, 500)
    assert told.wait(10)
    with own_database.db.operator_transaction() as session:
        assert follower.revision == ConfigRepository(session).head()
    follower.close()
    listener.close()


def test_outage_ends_following_and_comes_back(
    own_database: TestDatabase, mute: Database, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    follower, _ = follow()
    assert characters(follower, tenant_id) == ParserConfig().chunk_characters

    def unavailable(self: ConfigRepository, *, since: int) -> object:
        raise DatabaseUnavailable

    monkeypatch.setattr(ConfigRepository, "list_changes", unavailable)
    monkeypatch.setattr(ConfigRepository, "head", lambda self: unavailable(self, since=0))
    seconds_until(lambda: follower.revision is None)
    publish(mute, tenant_id, 500)
    assert characters(follower, tenant_id) == 500, "not following, it must ask"
    monkeypatch.undo()
    seconds_until(lambda: follower.revision is not None)
    assert characters(follower, tenant_id) == 500

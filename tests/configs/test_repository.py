"""Versions: what counts, who may write, one winner of many."""

import threading
from collections.abc import Callable
from dataclasses import fields
from uuid import UUID

import pytest
from pydantic import ValidationError
from sqlalchemy.exc import ProgrammingError

from backend.configs.repository import (
    Change,
    ConfigChanged,
    ConfigRepository,
    ConfigVersionNotFound,
    InForce,
)
from backend.configs.schemas import ConfigUnknown, ParserConfig, stored, validated
from backend.db.transaction import Database
from backend.documents.chunking import MAX_CHARACTERS, OVERLAP
from backend.documents.parsing.limits import Limits
from tests.conftest import Account, TestDatabase


def publish(db: Database, tenant_id: UUID, characters: int, *, expected: int | None = None) -> int:
    with db.transaction(tenant_id) as session:
        return ConfigRepository(session).publish(
            tenant_id, ParserConfig(chunk_characters=characters), expected=expected
        )


def publish_for_all(db: Database, characters: int) -> int:
    with db.operator_transaction() as session:
        config = ParserConfig(chunk_characters=characters)
        return ConfigRepository(session).publish(None, config, expected=None)


def current(db: Database, tenant_id: UUID) -> InForce:
    with db.transaction(tenant_id) as session:
        return ConfigRepository(session).current(tenant_id, "parser")


def characters(found: InForce) -> int:
    assert isinstance(found.settings, ParserConfig)
    return found.settings.chunk_characters


def test_current_is_the_default_until_something_is_published(db: Database, account: Account) -> None:
    found = current(db, account.tenant_id)
    assert (found.version, found.origin, found.settings) == (0, "default", ParserConfig())


def test_defaults_are_those_of_parser_and_chunking() -> None:
    assert ParserConfig() == ParserConfig(
        **{field.name: getattr(Limits(), field.name) for field in fields(Limits)},
        chunk_characters=MAX_CHARACTERS,
        chunk_overlap=OVERLAP,
    )


def test_publish_counts_and_keeps_every_version(db: Database, account: Account) -> None:
    for number, size in enumerate((500, 600, 700)):
        with db.transaction(account.tenant_id) as session:
            made = ConfigRepository(session).publish(
                account.tenant_id,
                ParserConfig(chunk_characters=size),
                expected=number,
                by=account.user_id,
            )
        assert made == number + 1
    assert characters(current(db, account.tenant_id)) == 700
    with db.transaction(account.tenant_id) as session:
        rows = ConfigRepository(session).history(account.tenant_id, "parser")
        older = ConfigRepository(session).history(account.tenant_id, "parser", limit=1, before=3)
    assert [(row.version, (row.settings or {})["chunk_characters"]) for row in rows] == [
        (3, 700),
        (2, 600),
        (1, 500),
    ]
    assert {getattr(row, "published_by", None) for row in rows} == {account.user_id}
    assert [row.version for row in older] == [2]


def test_tenant_s_value_wins_over_the_installation_s(own_database: TestDatabase) -> None:
    db, tenant, other = own_database.db, own_database.make_tenant(), own_database.make_tenant()
    publish_for_all(db, 1000)
    publish(db, tenant.tenant_id, 500)
    publish_for_all(db, 1100)
    mine, theirs = current(db, tenant.tenant_id), current(db, other.tenant_id)
    assert (characters(mine), mine.origin, mine.version, mine.installation_version) == (500, "tenant", 1, 2)
    assert (characters(theirs), theirs.origin, theirs.version) == (1100, "installation", 0)


def test_withdraw_goes_back_to_the_installation_s(own_database: TestDatabase) -> None:
    db, tenant_id = own_database.db, own_database.make_tenant().tenant_id
    publish_for_all(db, 1000)
    publish(db, tenant_id, 500)
    with db.transaction(tenant_id) as session:
        assert ConfigRepository(session).withdraw(tenant_id, "parser", expected=1) == 2
    found = current(db, tenant_id)
    assert (characters(found), found.origin, found.version) == (1000, "installation", 2)


def test_restore_appends_the_old_settings(db: Database, account: Account) -> None:
    publish(db, account.tenant_id, 500)
    publish(db, account.tenant_id, 600)
    with db.transaction(account.tenant_id) as session:
        made = ConfigRepository(session).restore(account.tenant_id, "parser", 1, expected=2)
    assert made == 3
    assert characters(current(db, account.tenant_id)) == 500
    with db.transaction(account.tenant_id) as session:
        assert ConfigRepository(session).history(account.tenant_id, "parser")[0].note == (
            "restored from version 1"
        )


def test_restore_refuses_unknown_and_other_tenants_versions(
    db: Database, account: Account, make_account: Callable[[], Account]
) -> None:
    other = make_account()
    publish(db, other.tenant_id, 500)
    with pytest.raises(ConfigVersionNotFound), db.transaction(account.tenant_id) as session:
        ConfigRepository(session).restore(account.tenant_id, "parser", 1, expected=None)
    # Row level security holds even where the other tenant is named.
    with db.transaction(account.tenant_id) as session:
        assert not ConfigRepository(session).history(other.tenant_id, "parser")
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        db.transaction(account.tenant_id) as session,
    ):
        ConfigRepository(session).publish(other.tenant_id, ParserConfig(), expected=None)
    assert characters(current(db, account.tenant_id)) == ParserConfig().chunk_characters


def test_publish_for_all_is_refused_to_tenants(db: Database, account: Account) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        db.transaction(account.tenant_id) as session,
    ):
        ConfigRepository(session).publish(None, ParserConfig(), expected=None)


@pytest.mark.parametrize(
    "statement", ["UPDATE config_versions SET note = 'x'", "DELETE FROM config_versions"]
)
def test_versions_cannot_be_changed(database: TestDatabase, account: Account, statement: str) -> None:
    publish(database.db, account.tenant_id, 500)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        database.db.transaction(account.tenant_id) as session,
    ):
        session.connection().exec_driver_sql(statement)


@pytest.mark.parametrize("expected", [0, 2])
def test_publish_refuses_when_another_version_is_there(db: Database, account: Account, expected: int) -> None:
    publish(db, account.tenant_id, 500)
    with pytest.raises(ConfigChanged) as caught:
        publish(db, account.tenant_id, 600, expected=expected)
    assert caught.value.context == {"expected_version": expected, "current_version": 1}
    assert characters(current(db, account.tenant_id)) == 500


@pytest.mark.parametrize("first", [0, 1])
def test_publish_of_many_at_once_has_one_winner(database: TestDatabase, account: Account, first: int) -> None:
    if first:
        publish(database.db, account.tenant_id, 400)
    together = threading.Barrier(8)
    outcomes: list[int | ConfigChanged] = []

    def race(characters: int) -> None:
        together.wait(10)
        try:
            outcomes.append(publish(database.db, account.tenant_id, characters, expected=first))
        except ConfigChanged as error:
            outcomes.append(error)

    threads = [threading.Thread(target=race, args=(500 + number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConfigChanged"] * 7 + ["int"]
    with database.db.transaction(account.tenant_id) as session:
        versions = [row.version for row in ConfigRepository(session).history(account.tenant_id, "parser")]
    assert versions == list(range(first + 1, 0, -1))


def test_revisions_become_visible_in_their_order(own_database: TestDatabase) -> None:
    """Whoever has seen a revision has seen all before it: a publisher waits for one that has not committed."""
    db, one, two = own_database.db, own_database.make_tenant(), own_database.make_tenant()
    done = threading.Event()

    def publish_late() -> None:
        publish(db, two.tenant_id, 600)
        done.set()

    late = threading.Thread(target=publish_late)
    with db.transaction(one.tenant_id) as session:
        ConfigRepository(session).publish(one.tenant_id, ParserConfig(), expected=None)
        late.start()
        assert not done.wait(0.3)
        with db.operator_transaction() as look:
            assert ConfigRepository(look).head() == 0
    assert done.wait(10)
    late.join()
    with db.operator_transaction() as session:
        repository = ConfigRepository(session)
        changes = repository.list_changes(since=0)
        assert repository.head() == max(change.revision for change in changes)
    in_order = sorted(changes, key=lambda change: change.revision)
    assert [change.tenant_id for change in in_order] == [one.tenant_id, two.tenant_id]


def test_list_changes_shows_tenants_and_installation(own_database: TestDatabase) -> None:
    db, tenant = own_database.db, own_database.make_tenant()
    publish(db, tenant.tenant_id, 500)
    with db.operator_transaction() as session:
        seen = ConfigRepository(session).head()
    publish_for_all(db, 600)
    publish(db, tenant.tenant_id, 700)
    with db.operator_transaction() as session:
        changes = ConfigRepository(session).list_changes(since=seen)
    assert sorted(changes, key=lambda change: change.revision) == [
        Change(None, "parser", seen + 1),
        Change(tenant.tenant_id, "parser", seen + 2),
    ]
    with db.transaction(tenant.tenant_id) as session:
        at = ConfigRepository(session).list_versions_at(
            tenant.tenant_id, "parser", [0, seen, seen + 1, seen + 2]
        )
    assert at == {0: (0, 0), seen: (1, 0), seen + 1: (1, 1), seen + 2: (2, 1)}


def test_reload_appends_the_same_once_more(db: Database, account: Account) -> None:
    publish(db, account.tenant_id, 500)
    with db.transaction(account.tenant_id) as session:
        assert ConfigRepository(session).reload(account.tenant_id, "parser") == 2
    assert characters(current(db, account.tenant_id)) == 500


def test_reload_of_nothing_published_still_follows_the_installation(own_database: TestDatabase) -> None:
    db, tenant_id = own_database.db, own_database.make_tenant().tenant_id
    with db.transaction(tenant_id) as session:
        assert ConfigRepository(session).reload(tenant_id, "parser") == 1
    publish_for_all(db, 900)
    assert characters(current(db, tenant_id)) == 900


@pytest.mark.parametrize(
    "settings",
    [
        {"chunk_characters": 10},
        {"chunk_characters": 100_000},
        {"chunk_characters": "2000"},
        {"chunk_characters": True},
        {"chunk_characters": None},
        {"chunk_overlap": -1},
        {"chunk_characters": 1000, "chunk_overlap": 501},
        {"max_bytes": 0},
        {"timeout_seconds": 0},
        {"timeout_seconds": 1.5},
        {"chunk_charactres": 2000},
    ],
)
def test_validated_refuses(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        validated("parser", settings)


def test_validated_fills_in_defaults() -> None:
    assert validated("parser", {"max_bytes": 4096}) == ParserConfig(max_bytes=4096)


def test_names_that_nobody_knows_are_not_found(db: Database, account: Account) -> None:
    with pytest.raises(ConfigUnknown):
        validated("nothing", {})
    with pytest.raises(ConfigUnknown), db.transaction(account.tenant_id) as session:
        ConfigRepository(session).current(account.tenant_id, "nothing")


def test_stored_by_a_newer_version_can_be_read() -> None:
    assert stored("parser", {"max_bytes": 4096, "invented_later": 1}) == ParserConfig(max_bytes=4096)


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        ({"chunk_characters": 100_000, "max_bytes": 4096}, ParserConfig(max_bytes=4096)),
        ({"chunk_characters": "many", "timeout_seconds": 5}, ParserConfig(timeout_seconds=5)),
        ({"chunk_characters": 400, "chunk_overlap": 399}, ParserConfig()),
        ({"chunk_characters": 0, "chunk_overlap": 1500}, ParserConfig()),
    ],
)
def test_stored_under_other_limits_can_be_read_with_defaults(
    settings: dict[str, object], read: ParserConfig
) -> None:
    assert stored("parser", settings) == read


def test_version_of_other_limits_counts_as_far_as_it_can_and_is_not_restored(
    db: Database, database: TestDatabase, account: Account
) -> None:
    """Published by a version of the product that allowed more, and knew a setting that is gone."""
    with database.admin() as connection:
        connection.execute(
            "INSERT INTO config_versions (tenant_id, name, version, settings, revision) VALUES (%s, 'parser', 1,"
            ' \'{"chunk_characters": 100000, "max_bytes": 4096, "gone": 1}\', nextval(\'config_revisions\'))',
            (account.tenant_id,),
        )
    with db.transaction(account.tenant_id) as session:
        assert ConfigRepository(session).current(account.tenant_id, "parser").settings == ParserConfig(
            max_bytes=4096
        )
    publish(db, account.tenant_id, 500)
    with (
        pytest.raises(ValidationError, match="chunk_characters"),
        db.transaction(account.tenant_id) as session,
    ):
        ConfigRepository(session).restore(account.tenant_id, "parser", 1, expected=2)
    assert characters(current(db, account.tenant_id)) == 500

"""Versions of components, claims to build them, and what a purge leaves."""

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from backend.components.repository import ComponentLoads, ComponentRepository, Head
from backend.db.transaction import Database
from tests.conftest import Account, TestDatabase

DAY = timedelta(days=1)
NAME = "sample"


def save(db: Database, tenant_id: UUID, content: bytes, lifetime: timedelta = DAY, name: str = NAME) -> int:
    with db.transaction(tenant_id) as session:
        saved = ComponentRepository(session).save(tenant_id, name, content, lifetime=lifetime)
    assert saved is not None
    return saved.version


def load(db: Database, tenant_id: UUID, name: str = NAME) -> tuple[int, bytes] | None:
    with db.transaction(tenant_id) as session:
        loaded = ComponentRepository(session).load(tenant_id, name)
    return None if loaded is None else (loaded[0].version, loaded[1])


def head(db: Database, tenant_id: UUID) -> Head | None:
    with db.transaction(tenant_id) as session:
        loaded = ComponentRepository(session).load(tenant_id, NAME)
    return loaded and loaded[0]


def claim(db: Database, tenant_id: UUID, claimant: UUID, lease: timedelta = DAY) -> bool:
    with db.transaction(tenant_id) as session:
        return ComponentRepository(session).claim(tenant_id, NAME, claimant=claimant, lease=lease)


@pytest.mark.parametrize("content", [b"\x00\xff\x80", b"x" * 3_000_000])
def test_load_returns_the_very_bytes_that_were_saved(db: Database, account: Account, content: bytes) -> None:
    assert load(db, account.tenant_id) is None
    assert save(db, account.tenant_id, content) == 1
    assert load(db, account.tenant_id) == (1, content)


def test_content_is_read_by_statements_of_its_own(db: Database, account: Account) -> None:
    save(db, account.tenant_id, b"a")
    with db.statement(account.tenant_id) as unit:
        found = ComponentLoads(unit).find_head(account.tenant_id, NAME)
        assert ComponentLoads(unit).load(account.tenant_id, NAME) == (found, b"a")


def test_save_of_other_content_is_a_new_version_and_of_the_same_none(db: Database, account: Account) -> None:
    assert [save(db, account.tenant_id, content) for content in (b"a", b"a", b"b", b"a")] == [1, 1, 2, 3]
    assert load(db, account.tenant_id) == (3, b"a")


def test_component_becomes_stale_by_the_database_s_clock(db: Database, account: Account) -> None:
    assert head(db, account.tenant_id) is None
    save(db, account.tenant_id, b"a", timedelta())
    assert head(db, account.tenant_id) == Head(1, sha256(b"a").digest(), is_stale=True)
    save(db, account.tenant_id, b"a")
    assert head(db, account.tenant_id) == Head(1, sha256(b"a").digest(), is_stale=False)


def test_load_knows_no_other_tenant(
    db: Database, account: Account, make_account: Callable[[], Account]
) -> None:
    save(db, account.tenant_id, b"a")
    other = make_account().tenant_id
    assert load(db, other) is None
    with db.transaction(other) as session:
        assert ComponentRepository(session).load(account.tenant_id, NAME) is None


def test_claim_is_one_s_while_it_lasts(db: Database, account: Account) -> None:
    assert claim(db, account.tenant_id, uuid4(), timedelta())
    assert claim(db, account.tenant_id, uuid4())
    assert not claim(db, account.tenant_id, uuid4())
    assert head(db, account.tenant_id) is None


def test_claim_of_what_is_fresh_is_refused_and_of_what_is_stale_given(db: Database, account: Account) -> None:
    save(db, account.tenant_id, b"a")
    assert not claim(db, account.tenant_id, uuid4())
    save(db, account.tenant_id, b"a", timedelta())
    assert claim(db, account.tenant_id, uuid4())
    assert load(db, account.tenant_id) == (1, b"a")


def test_save_of_a_claim_that_was_lost_changes_nothing(db: Database, account: Account) -> None:
    """A builder that slept past its lease would put its old content over the newer one."""
    slow, quick = uuid4(), uuid4()
    assert claim(db, account.tenant_id, slow, timedelta())
    assert claim(db, account.tenant_id, quick)

    def finish(claimant: UUID, content: bytes) -> Head | None:
        with db.transaction(account.tenant_id) as session:
            return ComponentRepository(session).save(
                account.tenant_id, NAME, content, lifetime=DAY, claimant=claimant
            )

    assert finish(slow, b"old") is None
    assert finish(quick, b"new") == Head(1, sha256(b"new").digest(), is_stale=False)
    assert finish(slow, b"old") is None
    assert load(db, account.tenant_id) == (1, b"new")


def test_save_past_the_lease_counts_if_nobody_took_over(db: Database, account: Account) -> None:
    claimant = uuid4()
    assert claim(db, account.tenant_id, claimant, timedelta())
    with db.transaction(account.tenant_id) as session:
        repository = ComponentRepository(session)
        assert repository.save(account.tenant_id, NAME, b"a", lifetime=DAY, claimant=claimant)
    assert load(db, account.tenant_id) == (1, b"a")


def test_release_ends_the_own_claim_only(db: Database, account: Account) -> None:
    mine = uuid4()
    claim(db, account.tenant_id, mine)
    for claimant, is_free in ((uuid4(), False), (mine, True)):
        with db.transaction(account.tenant_id) as session:
            ComponentRepository(session).release(account.tenant_id, NAME, claimant=claimant)
        assert claim(db, account.tenant_id, uuid4()) is is_free


def test_list_names_and_delete(db: Database, account: Account) -> None:
    for name in ("b", "a"):
        save(db, account.tenant_id, b"same", name=name)
    claim(db, account.tenant_id, uuid4())
    with db.transaction(account.tenant_id) as session:
        repository = ComponentRepository(session)
        assert repository.list_names(account.tenant_id) == ["a", "b"]
        assert repository.delete(account.tenant_id, "a")
        assert not repository.delete(account.tenant_id, "a")
        assert repository.list_names(account.tenant_id) == ["b"]
    assert load(db, account.tenant_id, "b") == (1, b"same")


def test_purge_deletes_what_nobody_uses(own_database: TestDatabase) -> None:
    db, tenant_id = own_database.db, own_database.make_tenant().tenant_id
    save(db, tenant_id, b"old")
    save(db, tenant_id, b"new")
    save(db, tenant_id, b"given up", timedelta(days=-31), name="other")

    def purge(older_than: timedelta) -> int:
        with db.operator_transaction() as session:
            return ComponentRepository(session).purge(unused=timedelta(days=30), older_than=older_than)

    assert purge(timedelta(hours=1)) == 1, "the component; contents may be in use in a moment"
    assert load(db, tenant_id, "other") is None
    assert purge(timedelta()) == 2
    assert load(db, tenant_id) == (2, b"new")
    assert purge(timedelta()) == 0


def test_tenant_goes_with_its_components(own_database: TestDatabase) -> None:
    tenant_id = own_database.make_tenant().tenant_id
    save(own_database.db, tenant_id, b"a")
    with own_database.admin() as connection:
        connection.execute("DELETE FROM tenants WHERE id = %s", (tenant_id,))
        assert connection.execute("SELECT count(*) FROM component_contents").fetchone() == (0,)


def test_content_is_stored_uncompressed_out_of_line(own_database: TestDatabase) -> None:
    with own_database.admin() as connection:
        storage = connection.execute(
            "SELECT attstorage::text FROM pg_attribute WHERE attrelid = 'component_contents'::regclass"
            " AND attname = 'content'"
        ).fetchone()
    assert storage == ("e",)


def test_view_shows_the_largest_first(own_database: TestDatabase) -> None:
    account = own_database.make_tenant()
    save(own_database.db, account.tenant_id, b"x" * 10, name="small")
    save(own_database.db, account.tenant_id, b"x" * 1000, timedelta(), name="large")
    with own_database.admin() as connection:
        connection.execute("SET ROLE secondbrain_readonly")
        rows = connection.execute("SELECT tenant, name, version, bytes, stale FROM ops.components").fetchall()
    assert rows == [(account.slug, "large", 1, 1000, True), (account.slug, "small", 1, 10, False)]

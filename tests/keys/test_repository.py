"""Keys as rows: one first, one newest, retired by time or at once, worth nothing without the master key."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from backend.keyring import Keyring, SealBroken
from backend.keys.repository import SigningKeyRepository
from tests.conftest import TestDatabase
from tests.keys.conftest import MASTER

KEEP = timedelta(days=7)
DAYS = timedelta(days=90)
ROOT = Path(__file__).parents[2]

T = TypeVar("T")


def act(database: TestDatabase, do: Callable[[SigningKeyRepository], T], master: Keyring = MASTER) -> T:
    with database.db.operator_transaction() as session:
        return do(SigningKeyRepository(session, master))


def pass_time(database: TestDatabase, by: timedelta) -> None:
    """As if so much time had passed."""
    with database.admin() as connection:
        connection.execute(
            "UPDATE signing_keys SET created_at = created_at - %(by)s, active_from = active_from - %(by)s,"
            " retires_at = retires_at - %(by)s",
            {"by": by},
        )


def states(database: TestDatabase) -> list[str]:
    """As operators see them, the newest first."""
    with psycopg.connect(database.readonly_url) as connection:
        return [str(state) for (state,) in connection.execute("SELECT state FROM ops.signing_keys")]


def accepted(database: TestDatabase) -> list[tuple[str, bool]]:
    return [(key.kid, is_active) for key, is_active in act(database, lambda keys: keys.list_accepted())]


def test_first_key_is_published_before_it_signs(own_database: TestDatabase) -> None:
    kid = act(own_database, lambda keys: keys.make_first())
    assert kid is not None
    assert accepted(own_database) == [(kid, False)]
    assert act(own_database, lambda keys: keys.make_first()) is None
    assert states(own_database) == ["published"]
    pass_time(own_database, timedelta(minutes=6))
    assert accepted(own_database) == [(kid, True)]
    assert states(own_database) == ["signing"]


def test_three_processes_make_one_first_key(own_database: TestDatabase) -> None:
    program = (
        "import sys\n"
        "from backend.db.engine import create_engine\n"
        "from backend.db.listen import Listener\n"
        "from backend.db.notify import Notifier\n"
        "from backend.db.transaction import Database\n"
        "from backend.keyring import Keyring\n"
        "from backend.keys.follower import SigningKeyring\n"
        "url = sys.argv[1]\n"
        "db = Database(create_engine(url, pool_size=3, application_name='race'), Notifier(url))\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "ring = SigningKeyring(db, Listener(url), Keyring([('master', b'm' * 32)]))\n"
        "print(ring.derive_text('p', 'm')[1], flush=True)\n"
        "db.close()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, own_database.url],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = {process.communicate(timeout=30)[0] for process in processes}
    assert len(said) == 1
    assert "" not in said
    assert len(accepted(own_database)) == 1


def test_first_keys_of_many_threads_are_one(own_database: TestDatabase) -> None:
    barrier = threading.Barrier(8)

    def make(_: int) -> str | None:
        barrier.wait(10)
        return act(own_database, lambda keys: keys.make_first())

    with ThreadPoolExecutor(8) as pool:
        made = [kid for kid in pool.map(make, range(8)) if kid is not None]
    assert len(made) == 1


def test_rotated_key_signs_on_until_the_new_one_does_and_counts_for_longer(
    own_database: TestDatabase,
) -> None:
    old = act(own_database, lambda keys: keys.make_first())
    pass_time(own_database, timedelta(days=1))
    new = act(own_database, lambda keys: keys.rotate(keep=KEEP, by="a test"))
    assert accepted(own_database) == [(new, False), (old, True)]
    assert states(own_database) == ["published", "signing"]
    pass_time(own_database, timedelta(minutes=6))
    assert accepted(own_database) == [(new, True), (old, True)]
    assert states(own_database) == ["signing", "accepted"]
    pass_time(own_database, KEEP)
    assert accepted(own_database) == [(new, True)]
    assert states(own_database) == ["signing", "retired"]
    assert act(own_database, lambda keys: keys.purge_retired(older_than=timedelta(days=30))) == 0
    pass_time(own_database, timedelta(days=31))
    assert act(own_database, lambda keys: keys.purge_retired(older_than=timedelta(days=30))) == 1
    assert [key.kid for key in act(own_database, lambda keys: keys.list_keys())] == [new]


def test_newest_key_signs_even_if_an_older_one_was_to_begin_later(own_database: TestDatabase) -> None:
    first = act(own_database, lambda keys: keys.make_first())
    soon = act(own_database, lambda keys: keys.rotate(keep=KEEP, by="a test", lead=timedelta(seconds=1)))
    pass_time(own_database, timedelta(minutes=1))
    assert accepted(own_database) == [(soon, True), (first, False)]
    assert states(own_database) == ["signing", "published"]
    pass_time(own_database, timedelta(minutes=5))
    assert accepted(own_database) == [(soon, True), (first, True)]
    assert states(own_database) == ["signing", "accepted"]


def test_key_is_rotated_by_its_age_once(own_database: TestDatabase) -> None:
    def rotate() -> str | None:
        return act(own_database, lambda keys: keys.rotate_if_older(DAYS, keep=KEEP))

    assert rotate() is None, "the first one is made when it is needed"
    act(own_database, lambda keys: keys.make_first())
    assert rotate() is None
    pass_time(own_database, DAYS + timedelta(hours=1))
    barrier = threading.Barrier(6)

    def at_once(_: int) -> str | None:
        barrier.wait(10)
        return rotate()

    with ThreadPoolExecutor(6) as pool:
        assert sum(kid is not None for kid in pool.map(at_once, range(6))) == 1
    newest = act(own_database, lambda keys: keys.list_keys())[0]
    assert (newest.made_by, newest.follows_master) == ("maintenance", False)


def test_replacing_retires_everything_at_once(own_database: TestDatabase) -> None:
    act(own_database, lambda keys: keys.make_first())
    pass_time(own_database, timedelta(days=1))
    act(own_database, lambda keys: keys.rotate(keep=KEEP, by="a test"))
    kid = act(own_database, lambda keys: keys.replace_now(by="a test"))
    assert accepted(own_database) == [(kid, True)]
    assert states(own_database) == ["signing", "retired", "retired"]
    reasons = [key.retired_because for key in act(own_database, lambda keys: keys.list_keys())]
    assert reasons == [None, "compromised", "compromised"]


def test_row_is_worth_nothing_without_the_master_key(own_database: TestDatabase) -> None:
    act(own_database, lambda keys: keys.make_first())
    second = act(own_database, lambda keys: keys.replace_now(by="a test"))
    first_row, second_row = sorted(
        act(own_database, lambda keys: keys.list_keys()), key=lambda key: key.kid == second
    )
    opened = act(own_database, lambda keys: keys.open(second_row))
    assert len(opened) == 32
    assert opened not in second_row.sealed
    with pytest.raises(SealBroken):
        act(own_database, lambda keys: keys.open(second_row), Keyring([("master", b"x" * 32)]))
    with pytest.raises(SealBroken):
        act(own_database, lambda keys: keys.open(second_row), Keyring([("other", b"m" * 32)]))
    # Nor can it be put into another row, as if that key had never leaked.
    first_row.sealed = second_row.sealed
    with pytest.raises(SealBroken):
        act(own_database, lambda keys: keys.open(first_row))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE signing_keys SET sealed = 'x'",
        "UPDATE signing_keys SET active_from = now()",
        "UPDATE signing_keys SET follows_master = true",
        "TRUNCATE signing_keys",
    ],
)
def test_operator_cannot_alter_a_key(own_database: TestDatabase, statement: str) -> None:
    with psycopg.connect(own_database.url) as connection:
        connection.execute("SET ROLE secondbrain_operator")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


@pytest.mark.parametrize("statement", ["SELECT kid FROM signing_keys", "DELETE FROM signing_keys"])
def test_tenants_see_no_keys(own_database: TestDatabase, statement: str) -> None:
    for url in (own_database.url, own_database.readonly_url):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())

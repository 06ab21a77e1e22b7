"""Every process signs with the newest key, knows a key before it refuses it, and asks the database seldom."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import psycopg
import pytest

from backend.errors import Unavailable
from backend.keyring import Keyring, TokenInvalid
from backend.keys.follower import SigningKeyring
from backend.keys.repository import SigningKeyRepository
from tests.conftest import TestDatabase
from tests.jobs.handlers import eventually
from tests.keys.conftest import MASTER, MakeProcess

KEEP = timedelta(days=7)
NOW = timedelta(0)


def rotate(database: TestDatabase, *, lead: timedelta = NOW, keep: timedelta = KEEP) -> str:
    with database.db.operator_transaction() as session:
        return SigningKeyRepository(session, MASTER).rotate(keep=keep, by="a test", lead=lead)


def replace_now(database: TestDatabase) -> str:
    with database.db.operator_transaction() as session:
        return SigningKeyRepository(session, MASTER).replace_now(by="a test")


def token(ring: Keyring, **claims: Any) -> str:
    return ring.sign("access", {"exp": int(time.time()) + 600, **claims})


def kid_of(signed: str) -> str:
    return str(jwt.get_unverified_header(signed)["kid"])


class Readings:
    """Counts how often a process has read the set."""

    def __init__(self, ring: SigningKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        read = ring._read

        def counted() -> Keyring:
            self.count += 1
            return read()

        monkeypatch.setattr(ring, "_read", counted)


def test_until_the_first_key_signs_the_master_key_does(
    make_process: MakeProcess, own_database: TestDatabase
) -> None:
    """So a version that knows no rows goes on accepting what this one signs, while it is being replaced."""
    ring = make_process()
    early = token(ring)
    assert kid_of(early) == "master"
    assert MASTER.verify("access", early)
    with own_database.admin() as connection:
        connection.execute("UPDATE signing_keys SET active_from = now()")
    later = make_process()
    assert kid_of(token(later)) != "master"
    assert later.verify("access", early)
    assert later.verify("access", token(MASTER)), "signed before there were rows"


def test_what_the_master_key_signed_ends_with_the_first_key(
    make_process: MakeProcess, own_database: TestDatabase
) -> None:
    ring = make_process()
    old = token(ring)
    rotate(own_database, keep=NOW)
    with pytest.raises(TokenInvalid):
        make_process().verify("access", old)


def test_key_made_elsewhere_a_moment_ago_is_known(
    make_process: MakeProcess, own_database: TestDatabase
) -> None:
    """Without a hint and before the next poll: an unknown key leads to one reading."""
    here, there = make_process(), make_process()
    token(here)
    rotate(own_database)
    assert here.verify("access", token(there, sub="ada"))["sub"] == "ada"
    rotate(own_database)
    fresh = make_process()
    mac, (kid, text) = fresh.mac("p", b"m"), fresh.derive_text("p", "m")
    assert here.mac_matches("p", b"m", mac)
    rotate(own_database)
    assert there.derive_text("p", "m", kid=kid) == (kid, text)


def test_macs_and_texts_of_a_key_before_are_known_as_long_as_it_counts(
    make_process: MakeProcess, own_database: TestDatabase
) -> None:
    ring = make_process()
    rotate(own_database)
    before = make_process()
    mac, (kid, text) = before.mac("p", b"m"), before.derive_text("p", "m")
    rotate(own_database)
    after = make_process()
    assert after.mac("p", b"m") != mac
    assert after.mac_matches("p", b"m", mac[:16])
    assert after.derive_text("p", "m", kid=kid) == (kid, text)
    replace_now(own_database)
    last = make_process()
    assert not last.mac_matches("p", b"m", mac)
    with pytest.raises(TokenInvalid):
        last.derive_text("p", "m", kid=kid)
    assert ring.open("p", last.seal("p", b"secret", bound_to=b"x"), bound_to=b"x") == b"secret"


def test_forged_key_ids_cost_the_database_little(
    make_process: MakeProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = make_process()
    token(ring)
    readings = Readings(ring, monkeypatch)
    forged = [
        jwt.encode({"exp": 9e9}, "x" * 32, algorithm="HS256", headers={"kid": f"k{n}"}) for n in range(120)
    ]

    def refuse(each: str) -> None:
        with pytest.raises(TokenInvalid):
            ring.verify("access", each)
        assert not ring.mac_matches("p", b"m", each.encode())

    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(refuse, forged))
    assert readings.count <= (time.monotonic() - began) / ring.GAP_SECONDS + 2
    assert readings.count < len(forged) / 4


def test_what_is_known_costs_no_reading(make_process: MakeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = make_process()
    signed = token(ring)
    readings = Readings(ring, monkeypatch)
    monkeypatch.setattr(SigningKeyring, "FRESH_SECONDS", 60.0)
    for _ in range(50):
        ring.verify("access", signed)
        token(ring)
        ring.mac_matches("p", b"m", ring.mac("p", b"m"))
    assert readings.count == 0


@pytest.mark.parametrize("hints_are_lost", [False, True])
def test_emergency_reaches_every_process_within_two_seconds(
    make_process: MakeProcess, own_database: TestDatabase, hints_are_lost: bool
) -> None:
    processes = [make_process(follows=True) for _ in range(3)]
    signed = token(processes[0])
    for ring in processes:
        assert ring.verify("access", signed)
    if hints_are_lost:
        with own_database.admin() as connection:
            connection.execute("UPDATE signing_keys SET retires_at = now(), retired_because = 'compromised'")
            sealed = MASTER.seal("signing-key", b"s" * 32, bound_to=b"by hand")
            connection.execute(
                "INSERT INTO signing_keys (kid, sealed, active_from, follows_master, made_by)"
                " VALUES ('by hand', %s, now(), false, 'a test')",
                (sealed,),
            )
    else:
        replace_now(own_database)

    def refuses(ring: SigningKeyring) -> bool:
        try:
            ring.verify("access", signed)
        except TokenInvalid:
            return True
        return False

    began = time.monotonic()
    eventually(lambda: all(refuses(ring) for ring in processes))
    assert time.monotonic() - began < 2.0
    assert processes[1].verify("access", token(processes[2]))


def test_process_follows_to_the_next_key_when_its_time_comes(
    make_process: MakeProcess, own_database: TestDatabase
) -> None:
    ring = make_process(follows=True)
    signed = token(ring)
    kid = rotate(own_database, lead=timedelta(seconds=1))
    eventually(lambda: kid_of(token(ring)) == kid, 3.0)
    assert ring.verify("access", signed)


def test_key_sealed_with_a_master_key_unknown_here_is_told_and_not_replaced(
    make_process: MakeProcess, own_database: TestDatabase
) -> None:
    rotate(own_database)
    stranger = make_process(Keyring([("other", b"o" * 32)]))
    with pytest.raises(Unavailable, match="sealed"):
        token(stranger)
    with own_database.admin() as connection:
        assert connection.execute("SELECT count(*) FROM signing_keys").fetchone() == (1,)
    # An old one that cannot be opened is no obstacle.
    with own_database.db.operator_transaction() as session:
        SigningKeyRepository(session, Keyring([("other", b"o" * 32)])).rotate(keep=KEEP, by="x", lead=NOW)
    assert stranger.verify("access", token(stranger))


def test_nothing_is_verified_by_an_old_copy(
    make_process: MakeProcess, own_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = make_process()
    signed = token(ring)
    monkeypatch.setattr(SigningKeyring, "FRESH_SECONDS", 0.0)

    def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(SigningKeyRepository, "list_accepted", away)
    for use in _uses(ring, signed):
        with pytest.raises(Unavailable):
            use()


def _uses(ring: SigningKeyring, signed: str) -> list[Callable[[], object]]:
    return [
        lambda: token(ring),
        lambda: ring.verify("access", signed),
        lambda: ring.mac("p", b"m"),
        lambda: ring.mac_matches("p", b"m", b"x" * 32),
        lambda: ring.derive_text("p", "m"),
    ]


def test_operators_see_keys_but_no_secret(make_process: MakeProcess, own_database: TestDatabase) -> None:
    token(make_process())
    with psycopg.connect(own_database.readonly_url) as connection:
        cursor = connection.execute("SELECT * FROM ops.signing_keys")
        names = [column.name for column in cursor.description or ()]
        assert names == [
            "kid", "state", "created_at", "active_from", "retires_at", "retired_because", "made_by",
        ]  # fmt: skip
        assert len(cursor.fetchall()) == 1

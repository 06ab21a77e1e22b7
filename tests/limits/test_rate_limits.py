"""Token buckets: how many are let in, by the database's clock, whoever asks and from wherever."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from uuid import uuid4

import pytest

from backend.db.transaction import Database
from backend.limits.repository import RateLimitRepository, Taken, refusal
from backend.limits.rules import By, Rule
from tests.conftest import TestDatabase
from tests.limits.together import together

HOURLY = Rule("tests", By.USER, 10, timedelta(hours=1))


def take(db: Database, rule: Rule, subject: str) -> Taken:
    with db.operator_transaction() as session:
        return RateLimitRepository(session).take(rule, subject)


def pass_time(database: TestDatabase, subject: str, seconds: float) -> None:
    """As if so much time had gone by for the bucket."""
    with database.admin() as connection:
        connection.execute(
            "UPDATE rate_limits SET full_at = full_at - make_interval(secs => %s),"
            " refused_at = refused_at - make_interval(secs => %s) WHERE subject = %s",
            (seconds, seconds, subject),
        )


@pytest.mark.parametrize("count", [1, 3, 7, 10, 30])
def test_take_lets_in_as_many_as_fit_and_no_more(db: Database, count: int) -> None:
    """Also where the period is not a whole number of microseconds for each token."""
    rule = Rule("tests", By.USER, count, timedelta(hours=1))
    subject = str(uuid4())
    taken = [take(db, rule, subject) for _ in range(count + 2)]
    assert [t.is_allowed for t in taken] == [True] * count + [False] * 2
    assert [t.left for t in taken] == [*range(count - 1, -1, -1), 0, 0]


def test_take_says_when_the_next_one_is_let_in(db: Database, database: TestDatabase) -> None:
    subject = str(uuid4())
    for _ in range(10):
        take(db, HOURLY, subject)
    refused = take(db, HOURLY, subject)
    assert not refused.is_allowed
    assert 355 < refused.retry_after <= 360
    assert refusal(refused).context["retry_after"] in range(356, 361)
    pass_time(database, subject, 350)
    assert not take(db, HOURLY, subject).is_allowed
    pass_time(database, subject, 11)
    assert take(db, HOURLY, subject).is_allowed
    assert not take(db, HOURLY, subject).is_allowed


def test_refused_attempts_do_not_put_off_the_next_token(db: Database) -> None:
    subject = str(uuid4())
    for _ in range(10):
        take(db, HOURLY, subject)
    waits = [take(db, HOURLY, subject).retry_after for _ in range(20)]
    assert waits == sorted(waits, reverse=True)


def test_bucket_never_holds_more_than_its_size(db: Database, database: TestDatabase) -> None:
    subject = str(uuid4())
    take(db, HOURLY, subject)
    pass_time(database, subject, 100 * 3600)
    assert sum(take(db, HOURLY, subject).is_allowed for _ in range(15)) == 10


def test_buckets_of_others_and_of_other_rules_are_their_own(db: Database) -> None:
    one, two = str(uuid4()), str(uuid4())
    other = Rule("tests of another kind", By.USER, 10, timedelta(hours=1))
    assert sum(take(db, HOURLY, one).is_allowed for _ in range(11)) == 10
    assert take(db, HOURLY, two).left == 9
    assert take(db, other, one).left == 9


def test_give_back_undoes_one(db: Database) -> None:
    subject = str(uuid4())
    for _ in range(10):
        take(db, HOURLY, subject)
    with db.operator_transaction() as session:
        RateLimitRepository(session).give_back(HOURLY, subject)
    assert take(db, HOURLY, subject).is_allowed
    assert not take(db, HOURLY, subject).is_allowed


def test_refusals_are_counted_for_people_to_see(db: Database, database: TestDatabase) -> None:
    subject = str(uuid4())
    for _ in range(13):
        take(db, HOURLY, subject)
    with database.admin() as connection:
        connection.execute("SET ROLE secondbrain_readonly")
        row = connection.execute(
            "SELECT rule, refused, refused_at IS NOT NULL, full_in > interval '59 min' FROM ops.rate_limits"
            " WHERE subject = %s",
            (subject,),
        ).fetchone()
    assert row == ("tests", 3, True, True)


def test_purge_takes_full_buckets_only(own_database: TestDatabase) -> None:
    db = own_database.db
    for subject in ("full", "draining", "refused lately", "refused long ago"):
        for _ in range(11 if subject.startswith("refused") else 1):
            take(db, HOURLY, subject)
    pass_time(own_database, "full", 3600)
    pass_time(own_database, "refused lately", 3700)
    pass_time(own_database, "refused long ago", 100_000)
    with db.operator_transaction() as session:
        assert RateLimitRepository(session).purge_full(refused_for=timedelta(days=1)) == 2
    with own_database.admin() as connection:
        left = connection.execute("SELECT subject FROM rate_limits ORDER BY 1").fetchall()
    assert left == [("draining",), ("refused lately",)]


def test_table_is_not_logged_and_its_updates_stay_in_their_page(own_database: TestDatabase) -> None:
    """Unlogged: a take waits for no disk. HOT: no index is touched, so the table does not grow with its use."""
    for _ in range(200):
        take(own_database.db, HOURLY, "busy")
    with own_database.admin() as connection:
        assert connection.execute(
            "SELECT relpersistence::text, reloptions @> '{fillfactor=70}' FROM pg_class WHERE relname = 'rate_limits'"
        ).fetchone() == ("u", True)
        own_database.db.engine.dispose()
        # A connection hands in its numbers when it ends, which is a moment after it was closed.
        row: tuple[object, ...] | None = None
        for _ in range(1000):
            row = connection.execute(
                "SELECT n_tup_hot_upd, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'rate_limits'"
            ).fetchone()
            if row is not None and row[1] == 199:
                break
            connection.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.01)")
        assert row is not None
        assert row[1] == 199
        assert row[0] == row[1]


@pytest.fixture
def processes(own_database: TestDatabase) -> Iterator[list[Database]]:
    """Engines as separate processes have them."""
    with ExitStack() as stack:
        made = [own_database.connect(pool_size=10) for _ in range(5)]
        for db in made:
            stack.callback(db.close)
        yield made


def test_concurrent_takes_never_exceed_the_bucket(processes: list[Database]) -> None:
    def attempt(number: int) -> Taken:
        return take(processes[number % len(processes)], HOURLY, "everybody's")

    taken = together(50, attempt)
    assert sum(t.is_allowed for t in taken) == 10
    assert sorted(t.left for t in taken if t.is_allowed) == list(range(10))
    assert all(t.retry_after > 0 for t in taken if not t.is_allowed)


def test_concurrent_takes_and_returns_lose_nothing(processes: list[Database]) -> None:
    def borrow(number: int) -> bool:
        db = processes[number % len(processes)]
        is_allowed = take(db, HOURLY, "lent").is_allowed
        if is_allowed:
            with db.operator_transaction() as session:
                RateLimitRepository(session).give_back(HOURLY, "lent")
        return is_allowed

    assert any(together(40, borrow))
    assert sum(take(processes[0], HOURLY, "lent").is_allowed for _ in range(11)) == 10

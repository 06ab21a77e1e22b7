"""What was handed in is nowhere else: it is kept until it is a document, cannot be one, or nobody wants it any more."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from backend.documents.parsing.failures import ReaderUnavailable
from backend.embeddings.providers.contract import EmbeddingFailed, EmbeddingRefused
from backend.flows.deactivate.flow import deactivate_tenant
from backend.flows.follow_jobs.flow import follow_job, stop_job
from backend.flows.upload_documents.flow import MAX_ATTEMPTS
from backend.jobs.repository import JobRepository
from backend.tenants.deactivation.repository import DeactivationRepository
from tests.conftest import Account, TestDatabase
from tests.flows.upload_documents.scene import Bench, Model, be_due, hand_in, queued, states, stored


def test_stopped_job_makes_no_documents(
    bench: Bench, account: Account, alone: TestDatabase, model: Model
) -> None:
    first, second = hand_in(bench, account, "The first.", "The second.")
    claim = bench.claim()
    assert claim is not None

    def stop(_texts: Sequence[str]) -> None:
        with bench.db.transaction(account.tenant_id) as session:
            stop_job(session, account.tenant_id, claim.id, by=account.user_id)

    model.before = stop
    bench.handler.run(claim, lambda: False)
    cancelled = ("failed", "It was cancelled.")
    assert states(alone, account) == {first: cancelled, second: cancelled}
    assert stored(alone, account) == Counter()
    with bench.db.transaction(account.tenant_id) as session:
        assert follow_job(session, account.tenant_id, claim.id).job.state == "cancelled"
    assert queued(alone) == []


def test_workspace_deactivated_while_its_worker_dies_loses_no_file(
    bench: Bench, account: Account, alone: TestDatabase
) -> None:
    ids = hand_in(bench, account, *(f"Words of note {n}." for n in range(4)))
    dead = bench.register()
    assert bench.claim(dead) is not None
    with bench.db.transaction(account.tenant_id) as session:
        deactivate_tenant(session, account.tenant_id)
    with alone.admin() as connection:
        connection.execute(
            "UPDATE workers SET heartbeat_at = now() - interval '1 hour' WHERE id = %s", (dead,)
        )
    with bench.db.operator_transaction() as session:
        JobRepository(session).release_stalled()
    assert bench.claim() is None
    with bench.db.transaction(account.tenant_id) as session:
        DeactivationRepository(session).activate_tenant(account.tenant_id)
    claim = bench.claim()
    assert claim is not None
    assert not claim.is_cancelled
    bench.handler.run(claim, lambda: False)
    bench.work()
    assert set(stored(alone, account)) == set(ids)


@pytest.mark.parametrize("error", [EmbeddingFailed, ReaderUnavailable])
def test_what_is_not_there_for_a_while_is_waited_for(
    bench: Bench, account: Account, alone: TestDatabase, model: Model, error: type[Exception]
) -> None:
    def fail(_texts: Sequence[str]) -> None:
        raise error

    model.before = fail
    (upload_id,) = hand_in(bench, account, "The first.")
    for _ in range(3 * MAX_ATTEMPTS):
        be_due(alone)
        bench.work()
    with alone.admin() as connection:
        job = connection.execute(
            "SELECT state, attempt, last_error, run_at - now() BETWEEN interval '50 s' AND interval '1 min' FROM jobs"
        ).fetchone()
    assert job == ("queued", 0, error().args[0], True)
    assert states(alone, account) == {upload_id: ("waiting", None)}

    model.before = lambda _texts: None
    be_due(alone)
    bench.work()
    assert set(stored(alone, account)) == {upload_id}


def test_what_is_not_there_for_a_day_is_not_waited_for(
    bench: Bench, account: Account, alone: TestDatabase, model: Model
) -> None:
    def fail(_texts: Sequence[str]) -> None:
        raise EmbeddingFailed

    model.before = fail
    hand_in(bench, account, "The first.")
    bench.work()
    waited = "UPDATE jobs SET run_at = now(), args = args || jsonb_build_object('waiting_since', now() - %s::interval)"
    with alone.admin() as connection:
        connection.execute(waited, ("2 hours",))
    bench.work()
    with alone.admin() as connection:
        looks = connection.execute(
            "SELECT run_at - now() BETWEEN interval '29 min' AND interval '31 min' FROM jobs"
        ).fetchone()
        connection.execute(waited, ("25 hours",))
    assert looks == (True,)
    with pytest.raises(EmbeddingFailed):
        bench.work()


def test_outage_is_waited_for_however_old_the_file_is(
    bench: Bench, account: Account, alone: TestDatabase, model: Model
) -> None:
    def fail(_texts: Sequence[str]) -> None:
        raise EmbeddingFailed

    model.before = fail
    (upload_id,) = hand_in(bench, account, "The first.")
    with alone.admin() as connection:
        connection.execute("UPDATE uploads SET created_at = now() - interval '25 h'")
    bench.work()
    assert states(alone, account) == {upload_id: ("waiting", None)}


def test_text_that_the_model_refuses_is_not_tried_for_a_day(
    bench: Bench, account: Account, model: Model
) -> None:
    def fail(_texts: Sequence[str]) -> None:
        raise EmbeddingRefused

    model.before = fail
    hand_in(bench, account, "The first.")
    with pytest.raises(EmbeddingRefused):
        bench.work()


def test_same_request_while_it_is_being_stored_waits_for_no_circle(
    bench: Bench, account: Account, alone: TestDatabase
) -> None:
    """One file can be read, the other not. Handing both in again locks them by id, so storing does, too."""
    first, second = sorted(hand_in(bench, account, "The first one is fine.", " \n"))
    claim = bench.claim()
    assert claim is not None
    lock = "SELECT FROM uploads WHERE id = %s FOR UPDATE NOWAIT"
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(alone.admin_url) as again,
        psycopg.connect(alone.admin_url, autocommit=True) as looking,
    ):
        again.execute(lock, (first,))
        job = pool.submit(bench.handler.run, claim, lambda: False)
        while looking.execute(blocked).fetchone() == (0,):
            job.done() and job.result()
            time.sleep(0.02)
        again.execute(lock, (second,))
        again.commit()
        job.result(10)
    assert {state for state, _ in states(alone, account).values()} == {"stored", "failed"}

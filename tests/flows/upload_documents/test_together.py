"""Small files of one request are read by one job; none of them is lost, and none takes the others along."""

from collections import Counter
from collections.abc import Sequence

import pytest

from backend.documents.uploads.repository import UploadRepository
from backend.embeddings.providers.contract import EmbeddingFailed
from backend.flows.upload_documents import handler
from backend.flows.upload_documents.flow import OLD_JOB_KIND
from backend.jobs.claim import LeaseLost
from backend.jobs.repository import JobRepository
from tests.conftest import Account, TestDatabase
from tests.flows.upload_documents.scene import Bench, Model, be_due, hand_in, queued, states, stored


def test_jobs_are_of_ten_small_files_or_one_large_one(
    bench: Bench, account: Account, alone: TestDatabase
) -> None:
    small = [f"Words of note {n}." for n in range(45)]
    large = ["large " * 200_000, "greater " * 200_000]
    ids = [str(upload_id) for upload_id in hand_in(bench, account, *small[:3], *large, *small[3:])]
    assert queued(alone) == [
        ids[:3],
        ids[3:4],
        ids[4:5],
        *(ids[n : n + 10] for n in (5, 15, 25, 35)),
        ids[45:],
    ]
    assert bench.work() == 8
    assert {state for state, _ in states(alone, account).values()} == {"stored"}
    assert len(stored(alone, account)) == 47


def test_one_that_cannot_be_read_leaves_the_others_alone(
    bench: Bench, account: Account, alone: TestDatabase
) -> None:
    first, empty, last = hand_in(bench, account, "The first.", " \n", "The last.")
    assert bench.work() == 1
    assert states(alone, account) == {
        first: ("stored", None),
        empty: ("failed", "The document contains no text."),
        last: ("stored", None),
    }
    assert set(stored(alone, account)) == {first, last}


def test_after_a_failure_each_is_tried_alone(
    bench: Bench, account: Account, alone: TestDatabase, model: Model
) -> None:
    def fail(texts: Sequence[str]) -> None:
        if any("poison" in text for text in texts):
            raise EmbeddingFailed

    model.before = fail
    ids = hand_in(bench, account, "The first.", "The poison.", "The last.")
    claim = bench.claim()
    assert claim is not None
    with pytest.raises(EmbeddingFailed):
        bench.handler.run(claim, lambda: False)
    assert stored(alone, account) == Counter()
    with bench.db.transaction(account.tenant_id) as session:
        JobRepository(session).fail(claim, "The model does not answer.")
    be_due(alone)
    again = bench.claim()
    assert again is not None
    bench.handler.run(again, lambda: False)
    assert queued(alone) == [[str(upload_id)] for upload_id in ids]

    bench.work()
    assert set(stored(alone, account)) == {ids[0], ids[2]}
    assert states(alone, account)[ids[1]] == ("waiting", None)
    assert queued(alone) == [[str(ids[1])]]


def test_after_a_while_the_rest_is_for_whoever_is_free(
    bench: Bench, account: Account, alone: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "_SECONDS", 0.0)
    ids = hand_in(bench, account, *(f"Words of note {n}." for n in range(4)))
    claim = bench.claim()
    assert claim is not None
    bench.handler.run(claim, lambda: False)
    # The first is there, the others can be had by another worker.
    assert set(stored(alone, account)) == {ids[0]}
    assert queued(alone) == [[str(upload_id) for upload_id in ids[1:]]]
    assert bench.work() == 3
    assert set(stored(alone, account)) == set(ids)
    assert set(stored(alone, account).values()) == {1}


def test_worker_that_is_to_stop_leaves_the_rest_to_others(
    bench: Bench, account: Account, alone: TestDatabase
) -> None:
    ids = hand_in(bench, account, *(f"Words of note {n}." for n in range(4)))
    claim = bench.claim()
    assert claim is not None
    bench.handler.run(claim, lambda: True)
    assert set(stored(alone, account)) == {ids[0]}
    assert bench.work() == 1
    assert set(stored(alone, account)) == set(ids)


def test_nothing_of_a_job_that_was_lost_is_written(
    bench: Bench, account: Account, alone: TestDatabase
) -> None:
    ids = hand_in(bench, account, *(f"Words of note {n}." for n in range(4)))
    dead = bench.register()
    claim = bench.claim(dead)
    assert claim is not None
    with alone.admin() as connection:
        connection.execute(
            "UPDATE workers SET heartbeat_at = now() - interval '1 hour' WHERE id = %s", (dead,)
        )
    with bench.db.operator_transaction() as session:
        assert [job.id for job in JobRepository(session).release_stalled()] == [claim.id]
    with pytest.raises(LeaseLost):
        bench.handler.run(claim, lambda: False)
    assert stored(alone, account) == Counter()
    # The job, taken apart, and each of its files.
    assert bench.work() == 5
    assert stored(alone, account) == Counter(ids)


def test_one_that_is_cancelled_while_it_is_read_stays_cancelled(
    bench: Bench, account: Account, alone: TestDatabase, model: Model
) -> None:
    first, second = hand_in(bench, account, "The first.", "The second.")

    def cancel(_texts: Sequence[str]) -> None:
        with bench.db.transaction(account.tenant_id) as session:
            UploadRepository(session).fail_many(account.tenant_id, [second], "It was cancelled.")

    model.before = cancel
    bench.work()
    assert states(alone, account) == {first: ("stored", None), second: ("failed", "It was cancelled.")}
    assert set(stored(alone, account)) == {first}


def test_all_of_a_job_that_is_given_up_are_named_but_those_that_are_stored(
    bench: Bench, account: Account, alone: TestDatabase
) -> None:
    first, second = hand_in(bench, account, "The first.", "The second.")
    bench.work()
    (third,) = hand_in(bench, account, "The third.")
    args = {"upload_ids": [str(upload_id) for upload_id in (first, second, third)]}
    with bench.db.transaction(account.tenant_id) as session:
        bench.handler.on_given_up(session, account.tenant_id, args, "It was tried too often.")
    assert states(alone, account) == {
        first: ("stored", None),
        second: ("stored", None),
        third: ("failed", "It was tried too often."),
    }


def test_job_of_one_file_enqueued_before_an_upgrade_is_done(
    bench: Bench, account: Account, alone: TestDatabase
) -> None:
    (upload_id,) = hand_in(bench, account, "The first.")
    with alone.admin() as connection:
        connection.execute(
            "UPDATE jobs SET kind = %s, args = jsonb_build_object('upload_id', %s::text)",
            (OLD_JOB_KIND, str(upload_id)),
        )
    assert bench.work() == 1
    assert set(stored(alone, account)) == {upload_id}

"""Small files of one request are read by one job; none of them is lost, and none takes the others along."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.documents.uploads.repository import UploadRepository
from backend.embeddings.providers.contract import EmbeddingFailed
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.upload_documents import handler
from backend.flows.upload_documents.flow import OLD_JOB_KIND, new_upload, take_in
from backend.jobs.claim import LeaseLost
from backend.jobs.repository import JobRepository
from tests.conftest import Account, TestDatabase
from tests.flows.upload_documents.scene import Bench


class Model:
    """A model of another name than the one in the package, so that the worker asks it; `before` it answers, that is done."""

    model = "tests/model"
    dimensions = 256

    def __init__(self) -> None:
        self._local = LocalEmbedder()
        self.before: Callable[[Sequence[str]], None] = lambda _texts: None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.before(texts)
        return self._local.embed(texts)


@pytest.fixture(scope="module")
def alone(module_database: TestDatabase) -> TestDatabase:
    """A database of this module: nobody else's jobs are in it."""
    return module_database


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def bench(alone: TestDatabase, model: Model) -> Iterator[Bench]:
    made = Bench(alone, model)
    yield made
    with alone.admin() as connection:
        connection.execute("DELETE FROM jobs")


@pytest.fixture
def account(alone: TestDatabase) -> Account:
    return alone.make_tenant()


def hand_in(bench: Bench, account: Account, *bodies: str) -> list[UUID]:
    files = [new_upload(body.encode(), file_name=f"{n}.txt") for n, body in enumerate(bodies)]
    uploads = take_in(bench.db, account.tenant_id, files, by=account.user_id, quota_bytes=10**9)
    return [upload.id for upload in uploads]


def queued(database: TestDatabase) -> list[list[str]]:
    """What each job that waits is to read."""
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT args->'upload_ids' FROM jobs WHERE state = 'queued' ORDER BY id"
        ).fetchall()
    return [cast(list[str], ids) for (ids,) in rows]


def states(database: TestDatabase, account: Account) -> dict[UUID, tuple[str, str | None]]:
    """Of each upload."""
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT id, state, reason FROM uploads WHERE tenant_id = %s", (account.tenant_id,)
        ).fetchall()
    return {row[0]: row[1:] for row in cast(list[Any], rows)}


def stored(database: TestDatabase, account: Account) -> Counter[UUID]:
    """Documents by id, with how many passages each has."""
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT document_id, count(*) FROM chunks WHERE tenant_id = %s GROUP BY 1", (account.tenant_id,)
        ).fetchall()
    return Counter(dict(cast(list[Any], rows)))


def be_due(database: TestDatabase) -> None:
    """What is to be tried again later is to be tried now."""
    with database.admin() as connection:
        connection.execute("UPDATE jobs SET run_at = now() WHERE state = 'queued'")


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

    poisoned = 0
    while (claim := bench.claim()) is not None:
        try:
            bench.handler.run(claim, lambda: False)
        except EmbeddingFailed:
            poisoned += 1
    assert poisoned == 1
    assert set(stored(alone, account)) == {ids[0], ids[2]}
    assert states(alone, account)[ids[1]] == ("waiting", None)


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

"""Real threads, real commits: whoever comes first, the outcome is one that a queue may have."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from backend.jobs.claim import Claim, LeaseLost
from backend.jobs.repository import JobRepository
from tests.jobs.real_queue import KIND, Queue


def at_once(*calls: Callable[[], object]) -> list[Any]:
    """Starts all calls at the same moment; their results, an exception among them as a value."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait(10)
        try:
            return call()
        except LeaseLost as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@contextmanager
def holding(queue: Queue, claim: Claim) -> Iterator[None]:
    """A transaction that holds the claim and stays open."""
    with queue.db.transaction(claim.tenant_id) as session:
        assert JobRepository(session).hold(claim)
        yield


def test_sixteen_claimers_take_each_of_500_jobs_exactly_once(queue: Queue) -> None:
    for tenant_id in (queue.tenant_id, *(queue.make_tenant() for _ in range(9))):
        queue.enqueue_many(50, tenant_id)

    def claim_until_nothing_is_left(worker_id: UUID) -> list[UUID]:
        taken: list[UUID] = []
        while len(claimed) < 500:
            claims = queue.claim(worker_id, count=3, cap=1000)
            taken += [claim.id for claim in claims]
            claimed.extend(claims)
        return taken

    claimed: list[Claim] = []
    workers = [queue.register() for _ in range(16)]
    at_once(*(partial(claim_until_nothing_is_left, worker_id) for worker_id in workers))
    assert max(Counter(claim.id for claim in claimed).values()) == 1
    assert len(claimed) == 500
    holders = {row["id"]: row["worker_id"] for row in queue.sql("SELECT id, worker_id FROM jobs")}
    assert holders == {claim.id: claim.worker_id for claim in claimed}
    assert len({claim.worker_id for claim in claimed}) > 1


def test_claim_goes_past_jobs_that_somebody_else_is_taking(queue: Queue) -> None:
    queue.enqueue_many(3)
    with ExitStack() as stack:
        taken: list[Claim] = []
        for _ in range(3):
            session = stack.enter_context(queue.db.operator_transaction())
            taken += JobRepository(session).claim(queue.register(), [KIND])
        assert len({claim.id for claim in taken}) == 3
        # All three are locked and not committed: nothing to wait for, nothing to take.
        assert queue.claim(queue.register()) == []


def test_concurrent_claimers_exceed_the_cap_only_by_their_number(queue: Queue) -> None:
    queue.enqueue_many(200)
    workers = [queue.register() for _ in range(16)]
    at_once(*(partial(queue.claim, worker_id, cap=4) for worker_id in workers))
    assert 4 <= queue.states()["running"] <= 4 + 15
    assert queue.claim(workers[0], cap=4) == []


def test_zombie_is_refused_after_its_job_was_released_and_claimed_again(queue: Queue) -> None:
    job_id = queue.enqueue()
    worker_id = queue.register()
    zombie = queue.claim_one(worker_id)
    queue.silence(worker_id)
    queue.release()
    refuse_every_write(queue, zombie)
    current = queue.claim_one()
    refuse_every_write(queue, zombie)
    # Even by the same process under the same id, as when only it was there to take the job again.
    queue.give_back(current)
    queue.heartbeat(worker_id)
    mine_again = queue.claim_one(worker_id)
    refuse_every_write(queue, zombie)
    queue.complete(mine_again)
    assert (queue.state(job_id), mine_again.lease) == ("succeeded", 4)


def refuse_every_write(queue: Queue, zombie: Claim) -> None:
    before = queue.row(zombie.id)
    writes: Sequence[Callable[[], object]] = (
        lambda: queue.hold(zombie),
        lambda: queue.hold(zombie, progressed=True),
        lambda: queue.complete(zombie),
        lambda: queue.end_cancelled(zombie),
        lambda: queue.fail(zombie),
        lambda: queue.fail(zombie, retry=False),
        lambda: queue.give_back(zombie),
        lambda: queue.postpone(zombie, before["now"]),
    )
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    after = queue.row(zombie.id)
    assert {**after, "now": 0, "waits_for": 0} == {**before, "now": 0, "waits_for": 0}


def test_zombies_writes_go_with_its_transaction(queue: Queue) -> None:
    queue.enqueue()
    worker_id = queue.register()
    zombie = queue.claim_one(worker_id)
    queue.stop(worker_id)
    queue.release()

    def complete_with_an_effect(jobs: JobRepository) -> None:
        jobs.enqueue(zombie.tenant_id, "effect", {})
        jobs.complete(zombie)

    with pytest.raises(LeaseLost):
        queue.as_tenant(zombie, complete_with_an_effect)
    assert queue.states() == {"queued": 1}


def test_release_passes_over_a_job_that_is_being_written(queue: Queue) -> None:
    job_id = queue.enqueue()
    worker_id = queue.register()
    claim = queue.claim_one(worker_id)
    queue.silence(worker_id)
    with holding(queue, claim):
        assert queue.release() == []
        assert queue.give_back_all(worker_id) == []
        assert queue.state(job_id) == "running"
    assert [job.id for job in queue.release()] == [job_id]
    with pytest.raises(LeaseLost):
        queue.complete(claim)


def test_cancel_waits_for_the_write_in_progress_and_is_seen_by_the_next(queue: Queue) -> None:
    job_id = queue.enqueue()
    claim = queue.claim_one()
    with ThreadPoolExecutor(1) as pool:
        with holding(queue, claim):
            cancelling = pool.submit(queue.cancel, job_id)
            wait_until_blocked(queue)
        assert cancelling.result(10) == "running"
    assert not queue.hold(claim)


def test_complete_or_release_wins_never_both(queue: Queue) -> None:
    released = completed = 0
    for _ in range(60):
        job_id = queue.enqueue()
        worker_id = queue.register()
        claim = queue.claim_one(worker_id)
        queue.silence(worker_id)
        completion, release = at_once(partial(queue.complete, claim), queue.release)
        if isinstance(completion, LeaseLost):
            released += 1
            assert [job.id for job in release] == [job_id]
            assert queue.row(job_id)["lease"] == 2
            queue.complete(queue.claim_one())
        else:
            completed += 1
            assert release == []
        assert queue.state(job_id) == "succeeded"
    assert released + completed == 60


def test_cancel_or_claim_wins_never_both(queue: Queue) -> None:
    worker_id = queue.register()
    for _ in range(60):
        job_id = queue.enqueue()
        state, claims = at_once(partial(queue.cancel, job_id), partial(queue.claim, worker_id))
        if claims:
            (claim,) = claims
            assert state == "running"
            assert not queue.hold(claim)
            queue.end_cancelled(claim)
        else:
            assert state == "cancelled"
        assert queue.state(job_id) == "cancelled"


@pytest.mark.parametrize("ending", ["fail", "give_back", "complete"])
def test_cancel_is_not_lost_however_the_try_ends_meanwhile(queue: Queue, ending: str) -> None:
    worker_id = queue.register()
    for _ in range(25):
        job_id = queue.enqueue()
        claim = queue.claim_one(worker_id)
        end: Callable[[Claim], object] = getattr(queue, ending)
        state, _ = at_once(partial(queue.cancel, job_id), partial(end, claim))
        if ending == "complete":
            assert queue.state(job_id) == "succeeded"
            assert state in ("running", None)
        elif state == "running":
            again = queue.claim_one(worker_id)
            assert (again.id, again.is_cancelled) == (job_id, True)
            queue.end_cancelled(again)
        else:
            assert (state, queue.state(job_id)) == ("cancelled", "cancelled")


def test_concurrent_releases_take_each_job_once(queue: Queue) -> None:
    for _ in range(8):
        queue.enqueue(queue.make_tenant())
    worker_id = queue.register()
    assert len(queue.claim(worker_id, count=8)) == 8
    queue.silence(worker_id)
    results = at_once(*(queue.release for _ in range(6)))
    released = [job.id for result in results for job in result]
    assert len(released) == len(set(released)) == 8
    assert {row["lease"] for row in queue.sql("SELECT lease FROM jobs")} == {2}


def wait_until_blocked(queue: Queue) -> None:
    """Returns once a session of the database waits for a lock."""
    for _ in range(1000):
        if queue.sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            return
        queue.sql("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waits for a lock")

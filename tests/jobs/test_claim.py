"""Who gets which job."""

from datetime import timedelta
from uuid import uuid4

from tests.jobs.real_queue import KIND, Queue


def test_claim_takes_what_is_due_by_priority_and_age(queue: Queue) -> None:
    later = queue.enqueue(delay=timedelta(hours=1))
    plain, older, urgent = (
        queue.enqueue(),
        queue.enqueue(delay=-timedelta(minutes=1)),
        queue.enqueue(priority=1),
    )
    other_kind = queue.enqueue(kind="other")
    worker_id = queue.register()
    claims = [claim for _ in range(4) for claim in queue.claim(worker_id)]
    assert [claim.id for claim in claims] == [urgent, older, plain]
    assert {claim.lease for claim in claims} == {claim.attempt for claim in claims} == {1}
    assert queue.row(urgent)["worker_id"] == worker_id
    assert queue.state(later) == queue.state(other_kind) == "queued"


def test_claim_hands_over_everything_the_handler_needs(queue: Queue) -> None:
    job_id = queue.enqueue(args={"run_id": "7"}, max_attempts=3)
    claim = queue.claim_one()
    assert (claim.id, claim.tenant_id, claim.kind, claim.args) == (
        job_id,
        queue.tenant_id,
        KIND,
        {"run_id": "7"},
    )
    assert (claim.max_attempts, claim.last_error) == (3, None)
    assert not claim.is_cancelled
    assert not claim.is_exhausted


def test_claim_gives_small_tenants_their_turn_before_large_ones(queue: Queue) -> None:
    large = {queue.make_tenant() for _ in range(5)}
    for tenant_id in large:
        queue.enqueue_many(50, tenant_id)
    worker_id = queue.register()
    assert {claim.tenant_id for claim in queue.claim(worker_id, count=5)} == large
    small = {queue.make_tenant() for _ in range(5)}
    for tenant_id in small:
        queue.enqueue(tenant_id, priority=-5)
    assert {queue.claim(worker_id)[0].tenant_id for _ in range(5)} == small
    assert {queue.claim(worker_id)[0].tenant_id for _ in range(5)} == large


def test_claim_stops_at_the_cap_of_a_tenant_alone_too(queue: Queue) -> None:
    queue.enqueue_many(10)
    worker_id = queue.register()
    claims = [claim for _ in range(10) for claim in queue.claim(worker_id, cap=4)]
    assert len(claims) == 4
    assert queue.claim(worker_id, cap=4) == []
    queue.complete(claims[0])
    assert len(queue.claim(worker_id, cap=4)) == 1


def test_claim_spreads_a_batch_over_tenants_and_keeps_the_cap(queue: Queue) -> None:
    tenants = [queue.tenant_id, *(queue.make_tenant() for _ in range(4))]
    for tenant_id in tenants:
        queue.enqueue_many(50, tenant_id)
    worker_id = queue.register()
    batch = queue.claim(worker_id, count=10, cap=4)
    assert {
        tenant_id: [c.tenant_id for c in batch].count(tenant_id) for tenant_id in tenants
    } == dict.fromkeys(tenants, 2)
    assert len(queue.claim(worker_id, count=100, cap=4)) == 10


def test_claim_is_refused_for_a_worker_that_is_unknown_or_has_stopped(queue: Queue) -> None:
    queue.enqueue()
    worker_id = queue.register()
    queue.stop(worker_id)
    assert queue.claim(worker_id) == queue.claim(uuid4()) == []
    assert queue.claim_one().lease == 1


def test_jobs_of_a_deactivated_tenant_wait(queue: Queue) -> None:
    job_id = queue.enqueue()
    queue.sql("UPDATE tenants SET deactivated_at = now() WHERE id = %s", queue.tenant_id)
    try:
        assert queue.claim(queue.register()) == []
    finally:
        queue.sql("UPDATE tenants SET deactivated_at = NULL WHERE id = %s", queue.tenant_id)
    assert queue.claim_one().id == job_id

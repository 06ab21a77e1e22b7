"""The planner does what the statements were written for, with long queues and with many tenants.

As the operator role, under row level security, with the statement as the product sends it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from backend.jobs import statements
from backend.jobs.schedules import repository as schedules
from tests.conftest import TestDatabase
from tests.jobs.real_queue import KIND, LONG, Queue

LONG_QUEUE = 50_000
TENANTS = 1_000

Plan = Mapping[str, Any]


@pytest.fixture(scope="module")
def long_queue(queue_database: TestDatabase) -> Iterator[Queue]:
    """One tenant with a long queue, and many tenants with one job each."""
    with Queue(queue_database) as queue:
        queue.sql(
            "INSERT INTO tenants (slug, name) SELECT 'small-' || n, 'Small' FROM generate_series(1, %s) AS n",
            TENANTS,
        )
        queue.enqueue_many(LONG_QUEUE)
        queue.sql(
            "INSERT INTO jobs (tenant_id, kind) SELECT id, %s FROM tenants WHERE slug LIKE 'small-%%'", KIND
        )
        queue.sql("ANALYZE jobs")
        yield queue


def explain(queue: Queue, statement: str, values: Mapping[str, object], options: str = "") -> Plan:
    """The plan of `statement` for the operator role; nothing of it stays."""
    with queue.db.operator_transaction() as session:
        explained = text(f"EXPLAIN (FORMAT JSON{options}) {statement}")
        found = session.execute(explained, dict(values)).scalar_one()
        session.rollback()
    plan: Plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


def nodes(plan: Plan) -> Iterator[Plan]:
    """Every node of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def scans(plan: Plan) -> set[tuple[str, str]]:
    """(table, how it is read): the index's name, or the kind of the scan."""
    indexes = [n for n in nodes(plan) if "Index Name" in n]
    found = {(n["Relation Name"], n["Index Name"]) for n in indexes if "Relation Name" in n}
    for node in nodes(plan):
        if "Relation Name" in node and "Index Name" not in node and node["Node Type"] != "ModifyTable":
            below = [n["Index Name"] for n in nodes(node) if "Index Name" in n]
            found |= {(node["Relation Name"], how) for how in below or [node["Node Type"]]}
    return found


def claim_values(queue: Queue, count: int = 1) -> dict[str, object]:
    return {"worker_id": queue.register(LONG), "kinds": [KIND], "count": count, "tenant_cap": 4}


@pytest.mark.parametrize("count", [1, 20])
def test_claim_reads_queued_jobs_through_their_index_only(long_queue: Queue, count: int) -> None:
    plan = explain(long_queue, statements.CLAIM, claim_values(long_queue, count))
    assert {how for table, how in scans(plan) if table == "jobs"} == {
        "ix_jobs_queued",
        "ix_jobs_running",
        "pk_jobs",
    }
    # Above this (the default of jit_above_cost) a server with JIT would compile the plan at every claim.
    assert plan["Total Cost"] < 100_000


def test_claim_has_the_same_plan_when_values_are_not_known(long_queue: Queue) -> None:
    """After a few executions the server may plan a prepared statement once for all values."""
    numbered = statements.CLAIM
    for number, name in enumerate(("worker_id", "kinds", "count", "tenant_cap"), start=1):
        numbered = re.sub(rf"(?<!:):{name}\b", f"${number}", numbered)
    plan = explain(long_queue, numbered, {}, ", GENERIC_PLAN")
    assert {how for table, how in scans(plan) if table == "jobs"} == {
        "ix_jobs_queued",
        "ix_jobs_running",
        "pk_jobs",
    }


def test_claim_costs_little_for_each_tenant_that_waits(long_queue: Queue) -> None:
    assert pages_of_claim(long_queue) < TENANTS * 5


def test_claim_costs_nothing_for_the_length_of_a_queue(own_database: TestDatabase) -> None:
    with Queue(own_database) as queue:
        queue.enqueue_many(LONG_QUEUE)
        queue.sql("VACUUM ANALYZE jobs")
        assert pages_of_claim(queue) < 100
        # Nor when none of it is due yet.
        queue.sql("UPDATE jobs SET run_at = now() + interval '1 day', priority = (random() * 3)::int")
        queue.sql("VACUUM ANALYZE jobs")
        assert queue.claim(queue.register()) == []
        assert pages_of_claim(queue) < 100


def pages_of_claim(queue: Queue) -> int:
    plan = explain(queue, statements.CLAIM, claim_values(queue), ", ANALYZE, BUFFERS")
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_release_reads_running_jobs_only_and_looks_at_each_holder_by_itself(long_queue: Queue) -> None:
    values = {"worker_id": uuid4(), "job_ids": [uuid4()], "leases": [1]}
    plan = explain(long_queue, statements.RELEASE_STALLED, values)
    assert {how for table, how in scans(plan) if table == "jobs"} == {"ix_jobs_running", "pk_jobs"}
    # As a join, a job that changes hands at this very moment would be taken from its new holder.
    assert not [n["Node Type"] for n in nodes(plan) if "Join" in n["Node Type"] or "Loop" in n["Node Type"]]


def test_purge_finds_finished_jobs_through_their_index(long_queue: Queue) -> None:
    plan = explain(long_queue, statements.PURGE_FINISHED, {"older_than": LONG, "limit": 1000})
    assert {how for table, how in scans(plan) if table == "jobs"} <= {"ix_jobs_finished_at", "pk_jobs"}


@pytest.fixture(scope="module")
def many_schedules(long_queue: Queue) -> Queue:
    """50,000 schedules of a thousand tenants; a hundred are due."""
    long_queue.sql(
        "INSERT INTO schedules (tenant_id, name, kind, every, next_run_at, last_job_id)"
        " SELECT t.id, 'sync:' || n, %s, interval '1 hour', now() + interval '1 minute' * (n + 1), uuidv7()"
        " FROM tenants AS t, generate_series(1, 50) AS n WHERE t.slug LIKE 'small-%%'",
        KIND,
    )
    long_queue.sql(
        "UPDATE schedules SET next_run_at = now() WHERE name = 'sync:1' AND tenant_id IN"
        " (SELECT id FROM tenants WHERE slug LIKE 'small-%%' LIMIT 100)"
    )
    long_queue.sql("VACUUM ANALYZE schedules")
    return long_queue


def test_looking_for_turns_reads_those_that_are_due(many_schedules: Queue) -> None:
    plan = explain(many_schedules, schedules._LOCK_DUE, {"limit": 100}, ", ANALYZE, BUFFERS")
    assert scans(plan) == {("schedules", "ix_schedules_due")}
    assert plan["Actual Rows"] == 100


def test_looking_for_turns_costs_nothing_when_none_is_due(many_schedules: Queue) -> None:
    many_schedules.sql(
        "UPDATE schedules SET next_run_at = now() + interval '1 day' WHERE next_run_at <= now()"
    )
    many_schedules.sql("VACUUM ANALYZE schedules")
    plan = explain(many_schedules, schedules._LOCK_DUE, {"limit": 100}, ", ANALYZE, BUFFERS")
    assert plan["Actual Rows"] == 0
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 20


def test_turns_are_taken_by_key(many_schedules: Queue) -> None:
    rows = many_schedules.sql("SELECT tenant_id, id FROM schedules WHERE name = 'sync:1' LIMIT 100")
    keys = {"tenant_ids": [row["tenant_id"] for row in rows], "ids": [row["id"] for row in rows]}
    take = scans(explain(many_schedules, schedules._TAKE_TURNS, keys))
    assert {how for table, how in take if table == "schedules"} == {"pk_schedules"}
    assert {how for table, how in take if table == "jobs"} == {"pk_jobs"}
    enqueue = scans(explain(many_schedules, schedules._ENQUEUE, keys))
    # The second one is the policy's question, asked for each job.
    assert {how for table, how in enqueue if table == "schedules"} == {
        "pk_schedules",
        "ix_schedules_last_job",
    }

"""The queue as tests use it: every call is a transaction of its own that commits."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import DictRow, dict_row

from backend.db.transaction import Database
from backend.jobs.claim import Claim, Released
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from tests.conftest import TestDatabase

KIND = "work"
LONG = timedelta(hours=1)

T = TypeVar("T")


class Queue:
    """Jobs and workers of one database. Moves clocks by moving rows' times, past every rule."""

    def __init__(self, database: TestDatabase) -> None:
        self.db: Database = database.db
        self.database = database
        self._admin = self._connect()
        self.tenant_id = database.make_tenant().tenant_id

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admin.close()

    def clear(self) -> None:
        """Forgets every job, worker and schedule."""
        self.sql("TRUNCATE jobs, workers, schedules")

    def sql(self, statement: str, *values: object) -> list[DictRow]:
        """Runs SQL as the administrator."""
        try:
            cursor = self._admin.execute(statement.encode(), values or None)
        except psycopg.OperationalError:
            if not self._admin.closed:
                raise
            # The server was away meanwhile.
            self._admin = self._connect()
            cursor = self._admin.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def _connect(self) -> psycopg.Connection[DictRow]:
        return psycopg.connect(self.database.admin_url, autocommit=True, row_factory=dict_row)

    def make_tenant(self) -> UUID:
        return self.database.make_tenant().tenant_id

    def enqueue(
        self,
        tenant_id: UUID | None = None,
        *,
        kind: str = KIND,
        args: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> UUID:
        tenant_id = tenant_id or self.tenant_id
        with self.db.transaction(tenant_id) as session:
            return JobRepository(session).enqueue(tenant_id, kind, args or {}, **how)

    def enqueue_many(self, count: int, tenant_id: UUID | None = None) -> None:
        self.sql(
            "INSERT INTO jobs (tenant_id, kind) SELECT %s, %s FROM generate_series(1, %s)",
            tenant_id or self.tenant_id,
            KIND,
            count,
        )

    def register(self, lease_term: timedelta = LONG) -> UUID:
        with self.db.operator_transaction() as session:
            return WorkerRepository(session).register(name="test", version="0", lease_term=lease_term)

    def heartbeat(self, worker_id: UUID) -> None:
        with self.db.operator_transaction() as session:
            WorkerRepository(session).heartbeat(worker_id)

    def stop(self, worker_id: UUID) -> None:
        with self.db.operator_transaction() as session:
            WorkerRepository(session).stop(worker_id)

    def claim(
        self, worker_id: UUID, *, kinds: Sequence[str] = (KIND,), count: int = 1, cap: int = 4
    ) -> list[Claim]:
        with self.db.operator_transaction() as session:
            return JobRepository(session).claim(worker_id, kinds, count=count, tenant_cap=cap)

    def claim_one(self, worker_id: UUID | None = None) -> Claim:
        """The one job that is due; by a new worker unless one is named."""
        (claim,) = self.claim(worker_id or self.register())
        return claim

    def as_tenant(self, claim: Claim, do: Callable[[JobRepository], T]) -> T:
        """What the claim's handler would do, in a transaction of the claim's tenant."""
        with self.db.transaction(claim.tenant_id) as session:
            return do(JobRepository(session))

    def hold(self, claim: Claim, *, progressed: bool = False) -> bool:
        return self.as_tenant(claim, lambda jobs: jobs.hold(claim, progressed=progressed))

    def complete(self, claim: Claim) -> None:
        self.as_tenant(claim, lambda jobs: jobs.complete(claim))

    def complete_many(self, claims: Sequence[Claim]) -> None:
        self.as_tenant(claims[0], lambda jobs: jobs.complete_many(claims))

    def end_cancelled(self, claim: Claim) -> None:
        self.as_tenant(claim, lambda jobs: jobs.end_cancelled(claim))

    def fail(self, claim: Claim, error: str = "It broke.", *, retry: bool = True) -> datetime | None:
        return self.as_tenant(claim, lambda jobs: jobs.fail(claim, error, retry=retry))

    def give_back(self, claim: Claim) -> None:
        self.as_tenant(claim, lambda jobs: jobs.give_back(claim))

    def postpone(self, claim: Claim, until: datetime) -> None:
        self.as_tenant(claim, lambda jobs: jobs.postpone(claim, until))

    def cancel(self, job_id: UUID, tenant_id: UUID | None = None) -> str | None:
        tenant_id = tenant_id or self.tenant_id
        with self.db.transaction(tenant_id) as session:
            return JobRepository(session).cancel(tenant_id, job_id)

    def release(self, worker_id: UUID | None = None, in_hand: Collection[Claim] = ()) -> list[Released]:
        with self.db.operator_transaction() as session:
            return JobRepository(session).release_stalled(worker_id=worker_id, in_hand=in_hand)

    def give_back_all(self, worker_id: UUID) -> list[Released]:
        with self.db.operator_transaction() as session:
            return JobRepository(session).give_back_all(worker_id)

    def silence(self, worker_id: UUID) -> None:
        """As if the worker had last been heard of long ago."""
        self.sql("UPDATE workers SET heartbeat_at = heartbeat_at - interval '1 day' WHERE id = %s", worker_id)

    def make_due(self, job_id: UUID) -> None:
        """As if the time that the job waits for had come, if it waits."""
        self.sql("UPDATE jobs SET run_at = now() WHERE id = %s AND state = 'queued'", job_id)

    def row(self, job_id: UUID) -> DictRow:
        """The job as it is, with `now` and `waits_for` (run_at seen from now)."""
        (row,) = self.sql(
            "SELECT *, now() AS now, run_at - now() AS waits_for FROM jobs WHERE id = %s", job_id
        )
        return row

    def state(self, job_id: UUID) -> str:
        return str(self.row(job_id)["state"])

    def states(self) -> dict[str, int]:
        """How many jobs are in which state."""
        rows = self.sql("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")
        return {row["state"]: row["jobs"] for row in rows}

    def living_workers(self) -> set[UUID]:
        """Those that have not said goodbye."""
        return {row["id"] for row in self.sql("SELECT id FROM workers WHERE stopped_at IS NULL")}

    def is_at_rest(self) -> bool:
        """Whether nobody has asked the database anything for a moment: every worker waits."""
        return not self.sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND state_change > clock_timestamp() - interval '0.2 s'"
        )

    def pass_time(self, seconds: float) -> None:
        """Lets real time pass where that is what the test is about."""
        self.sql("SELECT pg_sleep(%s)", seconds)

"""Job queues side by side: ours, through the product's repository, and two libraries, through theirs.

A queue hands out one worker a thread; a worker's `take_and_finish` claims up to `count` jobs that do nothing and
writes down that they ended well, each in the transactions that the queue's own worker would use.
"""

import asyncio
import datetime
import itertools
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID, uuid4

import psycopg
from pgqueuer.queries import EntrypointExecutionParameter, Queries
from pgqueuer.types import QueueEntrypoint, QueueManagerId
from procrastinate import PsycopgConnector
from procrastinate.jobs import Status
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager

from backend.jobs.repository import JobStatements
from backend.jobs.workers.repository import WorkerRepository
from tests.conftest import TestDatabase

_KIND: Final = "bench"
T = TypeVar("T")

#: Claims and finishes up to so many jobs; how many it were.
Take = Callable[[int], int]


class Queue(Protocol):
    """A queue with `tables` of its own in `database`."""

    @property
    def tables(self) -> str:
        """Its tables, comma separated, that of waiting jobs first."""
        ...

    def fill(self, connection: psycopg.Connection[Any], count: int) -> None:
        """Adds waiting jobs."""
        ...

    def worker(self) -> AbstractContextManager[Take]:
        """One thread's worker."""
        ...


class OurQueue:
    """The product's: claims as the operator, completes as the tenant, fenced by the lease."""

    tables = "jobs, workers"

    def __init__(self, database: TestDatabase, *, tenants: int) -> None:
        self._db = database.db
        self._tenants: Sequence[UUID] = [database.make_tenant().tenant_id for _ in range(tenants)]

    def fill(self, connection: psycopg.Connection[Any], count: int) -> None:
        connection.execute(
            "INSERT INTO jobs (tenant_id, kind, max_attempts)"
            " SELECT (%s::uuid[])[1 + n %% %s], %s, 10 FROM generate_series(1, %s) AS n",
            (self._tenants, len(self._tenants), _KIND, count),
        )

    @contextmanager
    def worker(self) -> Iterator[Take]:
        with self._db.operator_transaction() as session:
            worker_id = WorkerRepository(session).register(
                name="bench", version="0", lease_term=datetime.timedelta(hours=1)
            )

        def take_and_finish(count: int) -> int:
            with self._db.operator_statement() as unit:
                claims = JobStatements(unit).claim(worker_id, (_KIND,), count=count, tenant_cap=1000)
            for tenant_id, group in itertools.groupby(
                sorted(claims, key=attrgetter("tenant_id")), attrgetter("tenant_id")
            ):
                with self._db.statement(tenant_id) as unit:
                    JobStatements(unit).complete_many(list(group))
            return len(claims)

        yield take_and_finish


class Procrastinate:
    """procrastinate's job manager on its psycopg connector; it takes and finishes one job at a time."""

    tables = "procrastinate_jobs, procrastinate_workers, procrastinate_events"

    def __init__(self, url: str) -> None:
        self._url = url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SchemaManager.get_schema().encode())

    def fill(self, connection: psycopg.Connection[Any], count: int) -> None:
        # Its triggers write an event for each job, as they do for everybody.
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args)"
            " SELECT 'default', %s, '{}' FROM generate_series(1, %s)",
            (_KIND, count),
        )

    @contextmanager
    def worker(self) -> Iterator[Take]:
        with _event_loop() as wait_for:
            connector = PsycopgConnector(conninfo=self._url, min_size=1, max_size=1)
            wait_for(connector.open_async())
            jobs = JobManager(connector)
            worker_id = wait_for(jobs.register_worker())

            async def take_and_finish() -> int:
                job = await jobs.fetch_job(None, worker_id)
                if job is None:
                    return 0
                await jobs.finish_job(job, Status.SUCCEEDED, delete_job=False)
                return 1

            try:
                yield lambda _count: wait_for(take_and_finish())
            finally:
                wait_for(connector.close_async())


class PgQueuer:
    """pgqueuer's queries on psycopg; it takes and finishes as many as asked, and keeps a log of ended ones."""

    tables = "pgqueuer, pgqueuer_log"

    def __init__(self, url: str) -> None:
        self._url = url
        with _event_loop() as wait_for:
            connection = wait_for(psycopg.AsyncConnection.connect(url, autocommit=True))
            wait_for(Queries.from_psycopg_connection(connection).install())
            wait_for(connection.close())

    def fill(self, connection: psycopg.Connection[Any], count: int) -> None:
        connection.execute(
            "INSERT INTO pgqueuer (priority, status, entrypoint) SELECT 0, 'queued', %s"
            " FROM generate_series(1, %s)",
            (_KIND, count),
        )

    @contextmanager
    def worker(self) -> Iterator[Take]:
        with _event_loop() as wait_for:
            connection = wait_for(psycopg.AsyncConnection.connect(self._url, autocommit=True))
            queries = Queries.from_psycopg_connection(connection)
            manager = QueueManagerId(uuid4())
            entrypoints = {QueueEntrypoint(_KIND): EntrypointExecutionParameter(concurrency_limit=0)}

            async def take_and_finish(count: int) -> int:
                jobs = await queries.dequeue(
                    count, entrypoints, manager, None, heartbeat_timeout=datetime.timedelta(seconds=30)
                )
                await queries.log_jobs([(job, "successful", None) for job in jobs])
                return len(jobs)

            try:
                yield lambda count: wait_for(take_and_finish(count))
            finally:
                wait_for(connection.close())


@contextmanager
def _event_loop() -> Iterator[Callable[[Coroutine[Any, Any, T]], T]]:
    """Runs one coroutine after another in a loop of this thread's own."""
    with asyncio.Runner() as runner:
        yield runner.run

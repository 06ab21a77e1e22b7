"""A worker's inside for uploads, run by hand: claims, reads, and may be left in the middle."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from backend.configs.follower import ConfigFollower
from backend.db.listen import Listener
from backend.db.transaction import Database
from backend.embeddings.providers.contract import Embedder
from backend.flows.upload_documents.flow import JOB_KIND, OLD_JOB_KIND
from backend.flows.upload_documents.handler import UploadHandler
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from tests.conftest import TestDatabase
from tests.readers import shared_reader


class Bench:
    """One worker of a database that no other test uses."""

    def __init__(self, database: TestDatabase, embedder: Embedder) -> None:
        self.db: Database = database.db
        self.handler = UploadHandler(
            self.db,
            lambda _tenant: embedder,
            ConfigFollower(self.db, Listener(database.url)),
            shared_reader(),
        )
        self.worker_id = self.register()

    def register(self, *, lease: timedelta = timedelta(seconds=30)) -> UUID:
        """One more worker."""
        with self.db.operator_transaction() as session:
            return WorkerRepository(session).register(name="test", version="0", lease_term=lease)

    def claim(self, worker_id: UUID | None = None) -> Claim | None:
        """The next job, if there is one."""
        with self.db.operator_transaction() as session:
            claims = JobRepository(session).claim(worker_id or self.worker_id, (JOB_KIND, OLD_JOB_KIND))
        return claims[0] if claims else None

    def work(self, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Does all there is; how many jobs that were."""
        done = 0
        while (claim := self.claim()) is not None:
            self.handler.run(claim, should_stop)
            done += 1
        return done

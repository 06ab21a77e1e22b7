"""A worker's inside for uploads, run by hand: claims, reads, and may be left in the middle."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.configs.follower import ConfigFollower
from backend.db.listen import Listener
from backend.db.transaction import Database
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.upload_documents.flow import JOB_KIND, OLD_JOB_KIND, new_upload, take_in
from backend.flows.upload_documents.handler import UploadHandler
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from tests.conftest import Account, TestDatabase
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

"""The product's own code: repositories in the units of work their callers use, and its caches."""

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from backend.components.cache import ComponentCache, encode
from backend.components.repository import ComponentRepository
from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.repository import ConnectorRepository
from backend.db.listen import Listener
from backend.embeddings.cached import CachedEmbedder, EmbeddingCache
from backend.embeddings.repository import EmbeddingCacheRepository
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository, JobStatements
from backend.jobs.workers.repository import WorkerRepository
from backend.lru import ByteLRU
from backend.oauth.repository import OAuthNonceRepository
from backend.sync.progress.repository import SyncProgressRepository
from backend.sync.repository import SyncRunRepository
from tests.bench.state.material import BATCH, DIMENSIONS, Material, Vectors, progress_of
from tests.conftest import TestDatabase

_DAY = timedelta(days=1)
_LIFETIME = timedelta(minutes=10)
_KIND = "bench"
_NAME = "bench"


class Paid:
    """An embedder that must not be asked: everything is cached."""

    model = "bench"
    dimensions = DIMENSIONS

    def embed(self, texts: Any) -> Vectors:
        raise AssertionError("a vector was not in the cache")


class Ours:
    """One process of the product on `database`."""

    def __init__(self, database: TestDatabase, material: Material) -> None:
        self.material = material
        self.db = database.db
        self.account = database.make_tenant("Bench")
        self.tenant_id = self.account.tenant_id
        #: One tenant may have four jobs running.
        self.queues = [database.make_tenant("Bench").tenant_id for _ in range(8)]
        self.listener = Listener(database.url).start()
        self.listener.wait_until_connected(20)
        self.configs = ConfigFollower(self.db, self.listener).start()
        self.cold = ComponentCache(self.db, self.listener, capacity=0)
        self.warm = ComponentCache(self.db, self.listener, capacity=32 * 1024 * 1024)
        self.embedder = self._embedder(memory=0)
        self.warm_embedder = self._embedder(memory=16 * 1024 * 1024)
        with self.db.operator_transaction() as session:
            self.worker_id = WorkerRepository(session).register(name="bench", version="0")
        self.run_id, self.claim = self._start_run()
        with self.db.transaction(self.tenant_id) as session:
            ComponentRepository(session).save(
                self.tenant_id, _NAME, encode(material.component), lifetime=_DAY
            )
        self._put({text: material.vectors[at] for at, text in enumerate(material.texts)})
        self.warm_embedder.embed(material.texts)
        # What autovacuum does within a minute on a server that runs for longer than a bench.
        with database.admin() as connection:
            connection.execute("ANALYZE")

    def close(self) -> None:
        self.configs.close()
        self.cold.close()
        self.warm.close()
        self.listener.close()

    def oauth_begin_consume(self, n: int) -> str:
        nonce, browser = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        about: dict[str, Any] = {"user_id": self.account.user_id, "connector_type": "github"}
        with self.db.statement(self.tenant_id, durable=False) as unit:
            OAuthNonceRepository(unit).issue(self.tenant_id, nonce, lifetime=_LIFETIME, **about)
        with self.db.statement(self.tenant_id, durable=False) as unit:
            OAuthNonceRepository(unit).begin(self.tenant_id, nonce, browser=browser, **about)
        with self.db.statement(self.tenant_id) as unit:
            OAuthNonceRepository(unit).consume(self.tenant_id, nonce, browser=browser, **about)
        return "github"

    def progress_write(self, n: int) -> bool:
        said = progress_of(n)
        with self.db.statement(self.tenant_id, durable=False) as unit:
            noted = SyncProgressRepository(unit).note(
                self.tenant_id, self.run_id, self.claim, stage=said["stage"], note=said["current_item"]
            )
        assert noted is not None
        return noted

    def progress_read(self, n: int) -> dict[str, Any]:
        with self.db.statement(self.tenant_id) as unit:
            run = SyncProgressRepository(unit).get(self.tenant_id, self.run_id)
        return {"status": "syncing", "stage": run.stage, "current_item": run.note}

    def config_read(self, n: int) -> int:
        return self.configs.current(self.tenant_id, ParserConfig).chunk_characters

    def embedding_get_1(self, n: int) -> Vectors:
        return self.embedder.embed([self.material.texts[n % len(self.material.texts)]])

    def embedding_get_1_warm(self, n: int) -> Vectors:
        return self.warm_embedder.embed([self.material.texts[n % len(self.material.texts)]])

    def embedding_get_100(self, n: int) -> Vectors:
        return self.embedder.embed([self.material.texts[at] for at in self.material.batch(n)])

    def embedding_put_100(self, n: int) -> int:
        self._put({f"new {n} {at}": self.material.vectors[at] for at in range(BATCH)})
        return BATCH

    def component_cold(self, n: int) -> dict[str, Any]:
        return dict(self.cold.get_or_build(self.tenant_id, _NAME, _not_again, lifetime=_DAY))

    def component_warm(self, n: int) -> dict[str, Any]:
        return self.warm.get_or_build(self.tenant_id, _NAME, _not_again, lifetime=_DAY)  # type: ignore[return-value]

    def queue_push_pop(self, n: int) -> set[str]:
        tenant_id = self.queues[n % len(self.queues)]
        with self.db.statement(tenant_id) as unit:
            JobStatements(unit).enqueue(tenant_id, _KIND, {"connector_type": "github", "n": n})
        claim = self._claim()
        with self.db.statement(claim.tenant_id) as unit:
            JobStatements(unit).complete(claim)
        return {key for key in claim.args if key == "connector_type"}

    def _claim(self) -> Claim:
        while True:
            with self.db.operator_statement() as unit:
                if claims := JobStatements(unit).claim(self.worker_id, [_KIND]):
                    return claims[0]

    def _put(self, vectors: dict[str, Any]) -> None:
        keyed = {sha256(text.encode()).digest(): vector for text, vector in vectors.items()}
        with self.db.statement(self.tenant_id, durable=False) as unit:
            EmbeddingCacheRepository(unit).put_many(
                self.tenant_id, f"{Paid.model}/{DIMENSIONS}", keyed, lifetime=_DAY
            )

    def _embedder(self, *, memory: int) -> CachedEmbedder:
        return EmbeddingCache(
            self.db, Paid(), ByteLRU(memory, 600), lifetime=_DAY, tenant_bytes=2**30
        ).for_tenant(self.tenant_id)

    def _start_run(self) -> tuple[UUID, Claim]:
        """A sync whose job is in a worker's hands."""
        with self.db.transaction(self.tenant_id) as session:
            connector = ConnectorRepository(session).connect(
                self.tenant_id,
                "github",
                connected_by=self.account.user_id,
                account_id="1",
                account_label="bench",
            )
            runs = SyncRunRepository(session)
            run, _ = runs.start(self.tenant_id, connector.id, connector_type="github", requested_by=None)
            job_id = JobRepository(session).enqueue(self.tenant_id, "sync", {"run_id": str(run.id)})
            runs.attach_job(self.tenant_id, run.id, job_id)
        with self.db.operator_statement() as unit:
            (claim,) = JobStatements(unit).claim(self.worker_id, ["sync"])
        return run.id, claim


def _not_again(_previous: object) -> Any:
    raise AssertionError("a component was not there")

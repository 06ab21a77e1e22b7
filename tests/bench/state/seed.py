"""The calls of the design this product replaces, as its plan has them: one value a key, read, then deleted.

Kept as they are: `setex`, JSON, pickle, MD5, a `get` for each text, TCP to localhost.
"""

import hashlib
import json
import pickle
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import redis

from tests.bench.state.material import BATCH, CHUNK_CHARACTERS, Material, Vectors, progress_of


class SeedCalls:
    """A client for words and one for bytes; safe between threads, as redis-py's pool is."""

    def __init__(self, port: int, material: Material) -> None:
        self.redis_client = redis.Redis(host="localhost", port=port, db=0, decode_responses=True)
        self.redis_bytes = redis.Redis(host="localhost", port=port, db=0)
        self.material = material
        self.redis_client.set("config:parser", str(CHUNK_CHARACTERS))
        for text, vector in zip(material.texts, material.vectors, strict=True):
            self.set_embedding(text, vector)
        # pickle.dumps stands in for the plan's `component_data BYTEA -- Pickled Python object`.
        self.redis_bytes.set("component:tenant:lexicon", pickle.dumps(material.component))

    def close(self) -> None:
        self.redis_client.close()
        self.redis_bytes.close()

    def oauth_begin_consume(self, n: int) -> str:
        state = secrets.token_urlsafe(32)
        redis_key = f"oauth:state:{state}"
        _setex(
            self.redis_client,
            redis_key,
            timedelta(minutes=10),
            json.dumps({"tenant_id": "tenant", "user_id": "user", "connector_type": "github"}),
        )
        data: Any = self.redis_client.get(redis_key)
        self.redis_client.delete(redis_key)
        return str(json.loads(data)["connector_type"])

    def progress_write(self, n: int) -> bool:
        key = "sync:progress:tenant:github"
        _setex(self.redis_client, key, timedelta(hours=24), json.dumps(progress_of(n)))
        return True

    def progress_read(self, n: int) -> dict[str, Any]:
        data: Any = self.redis_client.get("sync:progress:tenant:github")
        shown: dict[str, Any] = json.loads(data)
        return shown

    def config_read(self, n: int) -> int:
        value: Any = self.redis_client.get("config:parser")
        return int(value)

    def get_embedding(self, text: str) -> Any:
        cache_key = hashlib.md5(text.encode()).hexdigest()  # noqa: S324
        cached: Any = self.redis_bytes.get(f"embedding:{cache_key}")
        return np.frombuffer(cached, dtype=np.float32)

    def set_embedding(self, text: str, embedding: Any) -> None:
        cache_key = hashlib.md5(text.encode()).hexdigest()  # noqa: S324
        _setex(self.redis_bytes, f"embedding:{cache_key}", timedelta(hours=24), embedding.tobytes())

    def embedding_get_1(self, n: int) -> Vectors:
        return np.stack([self.get_embedding(self.material.texts[n % len(self.material.texts)])])

    # It looks into Redis first and into its own memory only when Redis does not answer.
    embedding_get_1_warm = embedding_get_1

    def embedding_get_100(self, n: int) -> Vectors:
        return np.stack([self.get_embedding(self.material.texts[at]) for at in self.material.batch(n)])

    def embedding_put_100(self, n: int) -> int:
        for at in range(BATCH):
            self.set_embedding(f"new {n} {at}", self.material.vectors[at])
        return BATCH

    def component_cold(self, n: int) -> dict[str, Any]:
        data: Any = self.redis_bytes.get("component:tenant:lexicon")
        component: dict[str, Any] = pickle.loads(data)  # noqa: S301
        return component

    # Its dictionary in memory never hears of a new version, so what it would answer is not the component.
    component_warm = component_cold

    def queue_push_pop(self, n: int) -> set[str]:
        self.redis_client.rpush(
            "sync:queue",
            json.dumps(
                {
                    "tenant_id": "tenant",
                    "connector_type": "github",
                    "queued_at": datetime.now(UTC).isoformat(),
                }
            ),
        )
        data: Any = self.redis_client.lpop("sync:queue")
        return {key for key in json.loads(data) if key == "connector_type"}


def _setex(client: redis.Redis, name: str, time: timedelta, value: str | bytes) -> None:
    """`client.setex` of the redis-py it was written for; today's warns at every call, which would be measured."""
    client.execute_command("SETEX", name, int(time.total_seconds()), value)  # type: ignore[no-untyped-call]

"""Redis as well as it can be used: one round trip an operation where it can be one, over a unix socket."""

import hashlib
import json
import secrets
from typing import Any

import msgspec
import numpy as np
import redis

from tests.bench.state.material import BATCH, CHUNK_CHARACTERS, DIMENSIONS, Material, Vectors, progress_of

_DAY = 86_400


class RedisUsedWell:
    """One client, safe between threads."""

    def __init__(self, socket: str, material: Material) -> None:
        self.redis = redis.Redis(unix_socket_path=socket, db=1)
        self.material = material
        self.redis.set("config:parser", json.dumps({"chunk_characters": CHUNK_CHARACTERS}))
        self._put(
            {
                text: vector.astype(np.float16).tobytes()
                for text, vector in zip(material.texts, material.vectors, strict=True)
            }
        )
        self.redis.set("component:tenant:lexicon", msgspec.json.encode(material.component))

    def close(self) -> None:
        self.redis.close()

    def oauth_begin_consume(self, n: int) -> str:
        key = f"oauth:state:{secrets.token_urlsafe(32)}"
        self.redis.set(
            key, json.dumps({"tenant_id": "t", "user_id": "u", "connector_type": "github"}), ex=600
        )
        data: Any = self.redis.getdel(key)
        return str(json.loads(data)["connector_type"])

    def progress_write(self, n: int) -> bool:
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.set("sync:progress:tenant:github", json.dumps(progress_of(n)), ex=_DAY)
            pipe.publish("sync:progress", "tenant:github")
            pipe.execute()
        return True

    def progress_read(self, n: int) -> dict[str, Any]:
        data: Any = self.redis.get("sync:progress:tenant:github")
        shown: dict[str, Any] = json.loads(data)
        return shown

    def config_read(self, n: int) -> int:
        data: Any = self.redis.get("config:parser")
        return int(json.loads(data)["chunk_characters"])

    def embedding_get_1(self, n: int) -> Vectors:
        return self._get([self.material.texts[n % len(self.material.texts)]])

    embedding_get_1_warm = embedding_get_1

    def embedding_get_100(self, n: int) -> Vectors:
        return self._get([self.material.texts[at] for at in self.material.batch(n)])

    def embedding_put_100(self, n: int) -> int:
        self._put(
            {f"new {n} {at}": self.material.vectors[at].astype(np.float16).tobytes() for at in range(BATCH)}
        )
        return BATCH

    def component_cold(self, n: int) -> dict[str, Any]:
        data: Any = self.redis.get("component:tenant:lexicon")
        component: dict[str, Any] = msgspec.json.decode(data)
        return component

    component_warm = component_cold

    def queue_push_pop(self, n: int) -> set[str]:
        # A list of what is being worked on, so that a worker that dies loses nothing.
        self.redis.rpush("queue", json.dumps({"connector_type": "github", "n": n}))
        data: Any = self.redis.lmove("queue", "working", "LEFT", "RIGHT")
        self.redis.lrem("working", 1, data)
        return {key for key in json.loads(data) if key == "connector_type"}

    def _get(self, texts: list[str]) -> Vectors:
        values: Any = self.redis.mget([_key(text) for text in texts])
        return np.frombuffer(b"".join(values), dtype=np.float16).reshape(-1, DIMENSIONS).astype(np.float32)

    def _put(self, values: dict[str, bytes]) -> None:
        with self.redis.pipeline(transaction=False) as pipe:
            for text, value in values.items():
                pipe.set(_key(text), value, ex=_DAY)
            pipe.execute()


def _key(text: str) -> bytes:
    return b"embedding:" + hashlib.sha256(text.encode()).digest()

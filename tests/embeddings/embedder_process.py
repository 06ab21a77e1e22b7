"""A process that is killed while a provider embeds: `python -m tests.embeddings.embedder_process URL TENANT SECONDS`.

Embeds "question", prints `asked` once the provider was, which never answers; its claim lasts for so many seconds.
"""

import sys
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.db.engine import create_engine
from backend.db.notify import Notifier
from backend.db.transaction import Database
from backend.embeddings.cached import EmbeddingCache
from backend.lru import ByteLRU
from tests.embeddings.providers import CountingProvider


class Silent(CountingProvider):
    """Never answers."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        sys.stdout.write("asked\n")
        sys.stdout.flush()
        sys.stdin.read()
        return super().embed(texts)


def main(url: str, tenant_id: str, seconds: str) -> None:
    db = Database(create_engine(url, pool_size=2, application_name="embedder"), Notifier(url))
    cache = EmbeddingCache(
        db,
        Silent(),
        ByteLRU(10**6, 60),
        lifetime=timedelta(days=1),
        tenant_bytes=10**9,
        lease=timedelta(seconds=float(seconds)),
    )
    cache.for_tenant(UUID(tenant_id)).embed(["question"])


if __name__ == "__main__":
    main(*sys.argv[1:])

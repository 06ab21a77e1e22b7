"""An embedder that remembers: in this process for minutes, in Postgres for all processes for a day.

For providers that cost something. The local model is used as it is: it computes a question in 0.04 ms, less than a
tenth of a look at a row. A long passage takes it 0.5 ms, which a batch read would save, but only for passages embedded
a second time; unchanged documents are not embedded again anyway, and all others would pay for the write.

Processes that miss the same text at the same moment agree by a claim, a row without a vector: one asks the provider,
the others wait for the row. Not by an advisory lock, because that would keep a transaction open while the provider
is asked, and one connection busy for everybody who waits.
"""

import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter

from backend.db.transaction import Database
from backend.embeddings.providers.contract import Embedder, EmbeddingFailed, require_texts
from backend.embeddings.repository import EmbeddingCacheRepository
from backend.errors import Unavailable
from backend.lru import ByteLRU

_log = structlog.get_logger(__name__)

LOOKUPS = Counter(
    "secondbrain_embedding_cache_lookups_total",
    "Texts looked up: found in memory, found in the database, computed by another process, computed here",
    ["outcome"],
)

#: Texts claimed, sent and stored together; what was paid for before a failure is kept.
BATCH: Final = 128
#: Within this a provider answers a batch. One that is slower is asked twice, which costs less than waiting longer
#: for a process that died.
LEASE: Final = timedelta(seconds=10)
#: After this a text is embedded whatever others do.
_PATIENCE_SECONDS: Final = 20.0
_FIRST_WAIT_SECONDS: Final = 0.01
_LONGEST_WAIT_SECONDS: Final = 0.25
#: Bytes of memory an entry takes besides its numbers: key, array object, place in the dictionary; as measured.
_ENTRY_BYTES: Final = 550
#: One key in 32 (by its first byte) pays for the look at whether its tenant holds too much.
_LOOKS_AT_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class EmbeddingCache:
    """What all cached embedders of a process share: `db`, the `provider`, and the vectors in `memory`.

    A vector lives for `lifetime`, and a tenant holds about `tenant_bytes` of them at most. For `lease` the others wait
    for what this process has claimed.
    """

    db: Database
    provider: Embedder
    memory: ByteLRU[tuple[UUID, str, bytes], NDArray[np.float32]]
    lifetime: timedelta
    tenant_bytes: int
    lease: timedelta = LEASE

    def for_tenant(self, tenant_id: UUID) -> "CachedEmbedder":
        """The provider, with one tenant's vectors remembered."""
        return CachedEmbedder(self, tenant_id)


class CachedEmbedder:
    """An `Embedder` for one tenant; safe to use from several threads at once."""

    def __init__(self, cache: EmbeddingCache, tenant_id: UUID) -> None:
        self._cache = cache
        self._tenant_id = tenant_id
        # Servers offer one model in several lengths; their vectors are not compared either.
        self._space = f"{cache.provider.model}/{cache.provider.dimensions}"

    @property
    def model(self) -> str:
        """The provider's."""
        return self._cache.provider.model

    @property
    def dimensions(self) -> int:
        """The provider's."""
        return self._cache.provider.dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of `texts`, shape (len(texts), dimensions); equal texts are looked up and embedded once.

        What is embedded is the normalised text (`normalise`), so that equal keys mean equal vectors. Raises what
        the provider raises, and DatabaseUnavailable before it was asked; a vector that could not be stored is
        returned all the same.
        """
        require_texts(texts)
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        normal = [normalise(text) for text in texts]
        keys = [sha256(text.encode()).digest() for text in normal]
        by_key = dict(zip(keys, normal, strict=True))
        found = self._remembered(by_key)
        LOOKUPS.labels("memory").inc(len(found))
        missing = {key: text for key, text in by_key.items() if key not in found}
        if missing:
            stored = self._load(list(missing))
            LOOKUPS.labels("database").inc(len(stored))
            found |= stored
            unknown = [key for key in missing if key not in stored]
            for first in range(0, len(unknown), BATCH):
                found |= self._obtain({key: by_key[key] for key in unknown[first : first + BATCH]})
        return np.stack([found[key] for key in keys])

    def _obtain(self, wanted: Mapping[bytes, str]) -> dict[bytes, NDArray[np.float32]]:
        """Vectors that were not there a moment ago: computes what nobody else does, waits for the rest."""
        found: dict[bytes, NDArray[np.float32]] = {}
        claimant = uuid4()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        wait = _FIRST_WAIT_SECONDS
        while rest := [key for key in wanted if key not in found]:
            # Lost in a crash, a claim or a vector costs another question to the provider.
            with self._cache.db.statement(self._tenant_id, durable=False) as session:
                mine = EmbeddingCacheRepository(session).claim(
                    self._tenant_id, self._space, rest, claimant=claimant, lease=self._cache.lease
                )
            if not mine and time.monotonic() >= deadline:
                mine = frozenset(rest)
            if mine:
                found |= self._compute({key: wanted[key] for key in rest if key in mine}, claimant)
                continue
            others = self._load(rest)
            LOOKUPS.labels("joined").inc(len(others))
            found |= others
            if len(others) < len(rest):
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        return found

    def _compute(self, texts: Mapping[bytes, str], claimant: UUID) -> dict[bytes, NDArray[np.float32]]:
        """Asks the provider, outside any transaction, and stores what it says."""
        keys = list(texts)
        try:
            rows = self._cache.provider.embed(list(texts.values()))
            if rows.shape != (len(keys), self.dimensions):
                raise EmbeddingFailed("The provider gave another number of vectors than it was given texts.")
        except BaseException:
            self._release(keys, claimant)
            raise
        LOOKUPS.labels("computed").inc(len(keys))
        # As they are kept: a text has the same vector here and wherever else it is read.
        vectors = dict(zip(keys, rows.astype(np.float16).astype(np.float32), strict=True))
        self._remember(vectors)
        try:
            with self._cache.db.statement(self._tenant_id, durable=False) as session:
                EmbeddingCacheRepository(session).put_many(
                    self._tenant_id, self._space, vectors, lifetime=self._cache.lifetime
                )
            if any(key[0] < _LOOKS_AT_SIZE for key in keys):
                with self._cache.db.statement(self._tenant_id, durable=False) as session:
                    EmbeddingCacheRepository(session).evict(
                        self._tenant_id, capacity=self._cache.tenant_bytes
                    )
        except Unavailable as error:
            # They are paid for: better to use them once than not at all.
            _log.warning("embeddings not stored", error=error.error_code, count=len(keys))
        return vectors

    def _release(self, keys: Sequence[bytes], claimant: UUID) -> None:
        try:
            with self._cache.db.statement(self._tenant_id, durable=False) as session:
                EmbeddingCacheRepository(session).release(
                    self._tenant_id, self._space, keys, claimant=claimant
                )
        except Unavailable as error:
            # The claims end by themselves.
            _log.warning("claims not released", error=error.error_code, count=len(keys))

    def _load(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        with self._cache.db.statement(self._tenant_id) as session:
            vectors = EmbeddingCacheRepository(session).get_many(
                self._tenant_id, self._space, keys, dimensions=self.dimensions
            )
        self._remember(vectors)
        return vectors

    def _remembered(self, keys: Mapping[bytes, str]) -> dict[bytes, NDArray[np.float32]]:
        looked = ((key, self._cache.memory.get((self._tenant_id, self._space, key))) for key in keys)
        return {key: vector for key, vector in looked if vector is not None}

    def _remember(self, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        for key, vector in vectors.items():
            # A copy of its own: a row of a batch would keep the whole batch in memory.
            own = vector.copy()
            own.flags.writeable = False
            self._cache.memory.put((self._tenant_id, self._space, key), own, own.nbytes + _ENTRY_BYTES)


def normalise(text: str) -> str:
    """`text` in Unicode's composed form, with single spaces: what is embedded, and what the key is made of."""
    return " ".join(unicodedata.normalize("NFC", text).split())

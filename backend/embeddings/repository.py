"""get_many, claim, put_many, release, evict, purge."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from backend.db.engine import BINARY_RESULT
from backend.db.halves import Halves, read_halves
from backend.db.transaction import Unit

#: Bytes a row takes besides its vector: header, key, index entries; about.
ROW_BYTES: Final = 250

# The vectors arrive as the bytes numpy reads: the database neither prints nor the driver parses a single number.
_GET = text(
    """
    SELECT text_sha256, embedding FROM embedding_cache
    WHERE tenant_id = :tenant_id AND model = :model AND text_sha256 = ANY (:keys)
      AND expires_at > now() AND embedding IS NOT NULL
    """
)
# In the order of the keys, so that two batches with keys in common wait for each other and never in a circle.
_CLAIM = text(
    """
    INSERT INTO embedding_cache (tenant_id, model, text_sha256, claimed_by, expires_at)
    SELECT :tenant_id, :model, key, :claimant, now() + :lease FROM unnest(CAST(:keys AS bytea[])) AS key ORDER BY key
    ON CONFLICT (tenant_id, model, text_sha256) DO UPDATE
    SET claimed_by = excluded.claimed_by, expires_at = excluded.expires_at, embedding = NULL, byte_size = 0
    WHERE embedding_cache.expires_at <= now()
    RETURNING text_sha256
    """
)
_PUT = text(
    """
    INSERT INTO embedding_cache (tenant_id, model, text_sha256, embedding, byte_size, expires_at)
    SELECT :tenant_id, :model, key, vector, :byte_size, now() + :lifetime
    FROM unnest(CAST(:keys AS bytea[]), :vectors) AS given (key, vector) ORDER BY key
    ON CONFLICT (tenant_id, model, text_sha256) DO UPDATE
    SET embedding = excluded.embedding, claimed_by = NULL, byte_size = excluded.byte_size,
        created_at = now(), expires_at = excluded.expires_at
    """
)
_RELEASE = text(
    """
    DELETE FROM embedding_cache
    WHERE tenant_id = :tenant_id AND model = :model AND text_sha256 = ANY (:keys) AND claimed_by = :claimant
    """
)
# Claims take no bytes and stay: they would be the first to go, and what somebody computes would be computed twice.
# What another transaction has locked is passed over, so that two that store and evict do not wait for each other.
_EVICT = text(
    """
    WITH held AS MATERIALIZED (
        SELECT expires_at, sum(byte_size) OVER (ORDER BY expires_at DESC) AS bytes
        FROM embedding_cache WHERE tenant_id = :tenant_id AND byte_size > 0
    ), beyond AS (
        SELECT expires_at FROM held WHERE bytes > :capacity ORDER BY expires_at LIMIT :batch
    ), doomed AS (
        SELECT model, text_sha256 FROM embedding_cache
        WHERE tenant_id = :tenant_id AND byte_size > 0 AND expires_at <= (SELECT max(expires_at) FROM beyond)
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM embedding_cache AS c USING doomed AS d
        WHERE c.tenant_id = :tenant_id AND c.model = d.model AND c.text_sha256 = d.text_sha256 RETURNING 1
    )
    SELECT count(*) FROM gone
    """
)
_PURGE = text(
    """
    WITH doomed AS (
        SELECT expires_at FROM embedding_cache WHERE expires_at < now() - :older_than
        ORDER BY expires_at LIMIT :batch
    ), gone AS (
        DELETE FROM embedding_cache WHERE expires_at <= (SELECT max(expires_at) FROM doomed) RETURNING 1
    )
    SELECT count(*) FROM gone
    """
)


class EmbeddingCacheRepository:
    """Vectors by (tenant, model, SHA-256 of a text), within the caller's unit of work; a miss is absence.

    Each method is one statement, so it can be a transaction by itself.
    """

    def __init__(self, session: Unit) -> None:
        self._session = session

    def get_many(
        self, tenant_id: UUID, model: str, keys: Collection[bytes], *, dimensions: int
    ) -> dict[bytes, NDArray[np.float32]]:
        """Those of `keys` that are there and have not expired, each a vector of `dimensions`; one statement."""
        found = self._session.execute(
            _GET,
            {"tenant_id": tenant_id, "model": model, "keys": list(keys)},
            execution_options={BINARY_RESULT: True},
        ).all()
        rows = read_halves([vector for _, vector in found], dimensions)
        return {bytes(key): row for (key, _), row in zip(found, rows, strict=True)}

    def claim(
        self, tenant_id: UUID, model: str, keys: Sequence[bytes], *, claimant: UUID, lease: timedelta
    ) -> frozenset[bytes]:
        """Those of `keys` that `claimant` is to compute, because they are missing and nobody else does.

        A claim ends with `put_many`, `release`, or after `lease`: whoever died is not waited for much longer.
        """
        claimed = self._session.execute(
            _CLAIM,
            {
                "tenant_id": tenant_id,
                "model": model,
                "keys": list(keys),
                "claimant": claimant,
                "lease": lease,
            },
        )
        return frozenset(bytes(key) for (key,) in claimed.all())

    def put_many(
        self,
        tenant_id: UUID,
        model: str,
        vectors: Mapping[bytes, NDArray[np.float32]],
        *,
        lifetime: timedelta,
    ) -> None:
        """Keeps `vectors` (key -> unit vector, all of one length) for `lifetime`, in one statement."""
        if not vectors:
            return
        rows = np.stack(list(vectors.values()))
        self._session.execute(
            _PUT,
            {
                "tenant_id": tenant_id,
                "model": model,
                "keys": list(vectors),
                "vectors": Halves(rows),
                "byte_size": ROW_BYTES + 2 * rows.shape[1],
                "lifetime": lifetime,
            },
        )

    def release(self, tenant_id: UUID, model: str, keys: Collection[bytes], *, claimant: UUID) -> None:
        """Gives up what `claimant` has claimed and could not compute, so that somebody else may try."""
        self._session.execute(
            _RELEASE, {"tenant_id": tenant_id, "model": model, "keys": list(keys), "claimant": claimant}
        )

    def evict(self, tenant_id: UUID, *, capacity: int, batch: int = 1000) -> int:
        """Deletes the oldest rows beyond `capacity` bytes, about `batch` at most; returns how many."""
        return int(
            self._session.execute(
                _EVICT, {"tenant_id": tenant_id, "capacity": capacity, "batch": batch}
            ).scalar_one()
        )

    def purge_expired(self, *, older_than: timedelta = timedelta(), batch: int = 1000) -> int:
        """Deletes rows that expired more than `older_than` ago, about `batch` at most; returns how many.

        For the operator transaction. Expiry itself is judged when a row is read; this only reclaims space.
        """
        return int(self._session.execute(_PURGE, {"older_than": older_than, "batch": batch}).scalar_one())

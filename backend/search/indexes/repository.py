"""Builds the indexes that are missing and drops those that nobody needs, without holding up anybody."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from backend.db.engine import OWNER_ROLE, SEARCH_ROLE, owner_connection

_log = structlog.get_logger(__name__)

#: Vectors of one model from which on a tenant gets an index. Comparing so many takes about as long as three searches
#: through an index, or 30 ms of 256 dimensions each.
BUILD_FROM: Final = 20_000
#: An index stays until there are fewer than this share of them, so that it is not built again and again.
_KEEP_SHARE: Final = 0.5
#: Every statement about vectors looks at all indexes: with a hundred of them planning takes a millisecond.
_MOST: Final = 32
#: The most that an index of half floats takes.
_MOST_DIMENSIONS: Final = 4_000
#: Chosen on 50,000 and 500,000 vectors of the local model; what it gives is in docs/benchmarks.md.
_SHAPE: Final = "m = 16, ef_construction = 128"
#: Bytes of links between neighbours for each vector, about.
_LINK_BYTES: Final = 700
_LEAST_MEMORY, _MOST_MEMORY = 64, 2_048

_LOCK: Final = 5_003_000_003

_LARGE = text(
    """
    SELECT v.tenant_id, v.embedding_model, v.count, vector_index_name(v.tenant_id, v.embedding_model) AS name, (
        SELECT vector_dims(embedding) FROM chunk_vectors AS one
        WHERE one.tenant_id = v.tenant_id AND one.embedding_model = v.embedding_model LIMIT 1
    ) AS dimensions
    FROM (
        SELECT tenant_id, embedding_model, count(*) FROM chunk_vectors GROUP BY tenant_id, embedding_model
        HAVING count(*) >= :least
    ) AS v ORDER BY v.count DESC, v.tenant_id, v.embedding_model LIMIT :most
    """
)
_EXISTING = text(
    """
    SELECT c.relname, i.indisvalid FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'chunk_vectors'::regclass AND c.relname LIKE 'near\\_%'
    """
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Names of indexes that were built and dropped, and how many there are now."""

    built: tuple[str, ...]
    dropped: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    tenant_id: UUID
    model: str
    vectors: int
    name: str
    dimensions: int


def maintain_indexes(url: str, *, build_from: int = BUILD_FROM) -> Outcome | None:
    """One round, as the owner at `url`: None when another process is at it. Reads and writes go on meanwhile.

    Each index is made CONCURRENTLY, outside any transaction. What was left behind half built is dropped first.
    Raises what SQLAlchemy raises when the database does not answer or the login is not the owner's.
    """
    with owner_connection(url) as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
            return None
        existing = {name: is_valid for name, is_valid in connection.execute(_EXISTING)}
        large = _list_large(connection, int(build_from * _KEEP_SHARE))
        wanted = {one.name: one for one in large if one.vectors >= build_from or existing.get(one.name)}
        dropped = [name for name, is_valid in existing.items() if not is_valid or name not in wanted]
        for name in dropped:
            _drop(connection, name)
        built = [name for name in wanted if not existing.get(name)]
        for name in built:
            _build(connection, wanted[name])
    return Outcome(tuple(built), tuple(dropped), len(wanted))


def _list_large(connection: Connection, least: int) -> list[_Wanted]:
    # The owner is bound by row level security; the search role may read what this asks for.
    with _role(connection, SEARCH_ROLE):
        rows = connection.execute(_LARGE, {"least": max(1, least), "most": _MOST}).all()
    return [
        _Wanted(tenant_id, model, count, name, dimensions)
        for tenant_id, model, count, name, dimensions in rows
        if dimensions is not None and dimensions <= _MOST_DIMENSIONS
    ]


def _build(connection: Connection, one: _Wanted) -> None:
    memory = one.vectors * (2 * one.dimensions + _LINK_BYTES) * 5 // 4 // 2**20
    memory = min(max(memory, _LEAST_MEMORY), _MOST_MEMORY)
    _log.info("index is being built", index=one.name, tenant=str(one.tenant_id), vectors=one.vectors)
    connection.execute(
        text("SELECT set_config('maintenance_work_mem', :memory, false)"), {"memory": f"{memory}MB"}
    )
    # A utility statement takes no parameters; the name and the tenant are letters, digits and dashes. The driver takes
    # a single percent sign for one all the same.
    model = connection.scalar(text("SELECT quote_literal(:model)"), {"model": one.model})
    connection.exec_driver_sql(
        f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {one.name} ON chunk_vectors USING hnsw"
        f" ((embedding::halfvec({one.dimensions})) halfvec_cosine_ops) WITH ({_SHAPE})"
        f" WHERE tenant_id = '{one.tenant_id}' AND embedding_model = {model}".replace("%", "%%")
    )
    connection.exec_driver_sql(f"COMMENT ON INDEX {one.name} IS 'Vectors of tenant {one.tenant_id}'")


def _drop(connection: Connection, name: str) -> None:
    _log.info("index is being dropped", index=name)
    connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


@contextmanager
def _role(connection: Connection, role: str) -> Iterator[None]:
    connection.execute(text(f"SET ROLE {role}"))
    yield
    connection.execute(text(f"SET ROLE {OWNER_ROLE}"))

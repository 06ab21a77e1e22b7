"""Save, load, list_names, delete, claim, release, purge; and what the lexicon counts in a tenant's passages."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.components.models import ComponentContent, TenantComponent
from backend.db.engine import BINARY_RESULT
from backend.db.notify import Channel
from backend.db.transaction import Unit, hint

_MINE: Final = """
    SELECT c.id, c.text FROM chunks AS c
    JOIN documents AS d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
    WHERE c.tenant_id = :tenant_id AND d.deleted_at IS NULL AND d.classification IN ('work', 'unknown')
    ORDER BY c.id DESC LIMIT :limit
"""
# A share of all, not the newest ones: what was synced last is about one thing, and its words are frequent there only.
# ts_stat would run its query with the rights of the caller too, but takes it as a text, where no tenant can be bound.
_FREQUENCIES = text(
    """
    SELECT lexeme, :every * count(*) AS frequency
    FROM chunks AS c
    JOIN documents AS d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
    CROSS JOIN unnest(tsvector_to_array(c.search)) AS lexeme
    WHERE c.tenant_id = :tenant_id AND d.deleted_at IS NULL AND d.classification IN ('work', 'unknown')
      AND abs(uuid_hash(c.id)::bigint) % :every = 0
    GROUP BY lexeme ORDER BY frequency DESC, lexeme LIMIT :count
    """
)
# Cut at brackets first: matching one expression against whole passages took fifty times as long.
_BRACKETS = text(
    rf"""
    WITH pieces AS (
        SELECT lag(piece) OVER (PARTITION BY mine.id ORDER BY place) AS before, piece
        FROM ({_MINE}) AS mine CROSS JOIN string_to_table(mine.text, '(') WITH ORDINALITY AS cut (piece, place)
        WHERE strpos(mine.text, '(') > 0
    ), brackets AS (
        SELECT right(before, 90) AS before, left(split_part(piece, ')', 1), 91) AS inside
        FROM pieces WHERE before IS NOT NULL AND strpos(piece, ')') > 0
    )
    SELECT before, inside, count(*) FROM brackets
    WHERE inside ~ '^[[:upper:]][[:alnum:]&]{{1,9}}$'
       OR length(inside) BETWEEN 4 AND 90 AND before ~ '\m[[:upper:]][[:alnum:]&]{{1,9}} $'
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT :count
    """  # noqa: S608 - put together from constants of this module
)
_TEXTS = text(
    """
    SELECT c.id::text, c.text FROM chunks AS c
    JOIN documents AS d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
    WHERE c.tenant_id = :tenant_id AND c.id > CAST(:after AS uuid)
      AND d.deleted_at IS NULL AND d.classification IN ('work', 'unknown') AND d.status <> 'rejected'
    ORDER BY c.id LIMIT :limit
    """
)
_HEAD: Final = text(
    """
    SELECT version, sha256, refresh_at <= now() FROM tenant_components
    WHERE tenant_id = :tenant_id AND name = :name AND version > 0
    """
)
_LOAD: Final = text(
    """
    SELECT t.version, t.sha256, t.refresh_at <= now(), c.content
    FROM tenant_components AS t JOIN component_contents AS c ON c.tenant_id = t.tenant_id AND c.sha256 = t.sha256
    WHERE t.tenant_id = :tenant_id AND t.name = :name
    """
)
_PURGE_CONTENTS = text(
    """
    WITH doomed AS (
        SELECT tenant_id, sha256 FROM component_contents AS c
        WHERE c.used_at < now() - :older_than AND NOT EXISTS (
            SELECT FROM tenant_components AS t WHERE t.tenant_id = c.tenant_id AND t.sha256 = c.sha256)
        LIMIT :batch
    ), gone AS (
        -- The time is looked at again under the row's lock: whoever saves it now has just raised it.
        DELETE FROM component_contents AS c USING doomed AS d
        WHERE (c.tenant_id, c.sha256) = (d.tenant_id, d.sha256) AND c.used_at < now() - :older_than RETURNING 1
    )
    SELECT count(*) FROM gone
    """
)


@dataclass(frozen=True, slots=True)
class Head:
    """Which version of a component is current, its content's SHA-256, and whether it should be built anew."""

    version: int
    sha256: bytes
    is_stale: bool


class ComponentLoads:
    """How components are read, within the caller's unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def find_head(self, tenant_id: UUID, name: str) -> Head | None:
        """The current version; None when it was never built."""
        row = self._unit.execute(_HEAD, {"tenant_id": tenant_id, "name": name}).one_or_none()
        return None if row is None else Head(*row)

    def load(self, tenant_id: UUID, name: str) -> tuple[Head, bytes] | None:
        """The current version and its content; None when it was never built."""
        row = self._unit.execute(
            _LOAD, {"tenant_id": tenant_id, "name": name}, execution_options={BINARY_RESULT: True}
        ).one_or_none()
        return None if row is None else (Head(row[0], bytes(row[1]), row[2]), bytes(row[3]))


class ComponentRepository(ComponentLoads):
    """Components of one tenant, within the caller's transaction; contents are bytes to it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session

    def save(
        self,
        tenant_id: UUID,
        name: str,
        content: bytes,
        *,
        lifetime: timedelta,
        claimant: UUID | None = None,
    ) -> Head | None:
        """Makes `content` the current one, fresh for `lifetime`, and ends any claim; what it is now.

        The same content again is the same version. With a `claimant`, only while its claim is the last one made:
        None when it took so long that somebody else has begun since, or has saved, or the component was deleted.
        """
        if claimant is not None and not self._holds(tenant_id, name, claimant):
            return None
        sha256 = hashlib.sha256(content).digest()
        self._session.execute(
            insert(ComponentContent)
            .values(tenant_id=tenant_id, sha256=sha256, content=content, byte_size=len(content))
            # Raised, so that a purge at this moment leaves it.
            .on_conflict_do_update(index_elements=["tenant_id", "sha256"], set_={"used_at": func.now()})
        )
        values = {"sha256": sha256, "built_at": func.now(), "refresh_at": func.now() + lifetime}
        free = {"building_by": None, "building_until": None}
        changes = (TenantComponent.sha256.is_distinct_from(sha256)).cast(TenantComponent.version.type)
        version: int = self._session.execute(
            insert(TenantComponent)
            .values(tenant_id=tenant_id, name=name, version=1, **values)
            .on_conflict_do_update(
                index_elements=["tenant_id", "name"],
                set_={**values, **free, "version": TenantComponent.version + changes},
            )
            .returning(TenantComponent.version)
        ).scalar_one()
        hint(self._session, Channel.TENANT_COMPONENTS, tenant_id, name)
        return Head(version, sha256, is_stale=lifetime <= timedelta())

    def claim(self, tenant_id: UUID, name: str, *, claimant: UUID, lease: timedelta) -> bool:
        """Whether `claimant` is to build it: it is missing or stale, and nobody else builds it.

        A claim ends with `save`, `release`, or after `lease`.
        """
        building = {"building_by": claimant, "building_until": func.now() + lease}
        claimed = self._session.execute(
            insert(TenantComponent)
            .values(tenant_id=tenant_id, name=name, **building)
            .on_conflict_do_update(
                index_elements=["tenant_id", "name"],
                set_=building,
                where=(func.coalesce(TenantComponent.building_until, func.now()) <= func.now())
                & ((TenantComponent.version == 0) | (TenantComponent.refresh_at <= func.now())),
            )
            .returning(TenantComponent.name)
        ).one_or_none()
        return claimed is not None

    def _holds(self, tenant_id: UUID, name: str, claimant: UUID) -> bool:
        """Whether the claim is still `claimant`'s, though its time may be over; nobody takes it meanwhile."""
        return (
            self._session.scalar(
                select(TenantComponent.name)
                .where(
                    TenantComponent.tenant_id == tenant_id,
                    TenantComponent.name == name,
                    TenantComponent.building_by == claimant,
                )
                .with_for_update()
            )
            is not None
        )

    def release(self, tenant_id: UUID, name: str, *, claimant: UUID) -> None:
        """Gives up a claim whose build failed."""
        self._session.execute(
            update(TenantComponent)
            .where(
                TenantComponent.tenant_id == tenant_id,
                TenantComponent.name == name,
                TenantComponent.building_by == claimant,
            )
            .values(building_by=None, building_until=None)
        )

    def list_names(self, tenant_id: UUID) -> Sequence[str]:
        """Names of the components that were built."""
        return self._session.scalars(
            select(TenantComponent.name)
            .where(TenantComponent.tenant_id == tenant_id, TenantComponent.version > 0)
            .order_by(TenantComponent.name)
        ).all()

    def delete(self, tenant_id: UUID, name: str) -> bool:
        """Forgets the component; its content goes with the next purge. Whether it was there."""
        deleted = self._session.execute(
            delete(TenantComponent)
            .where(TenantComponent.tenant_id == tenant_id, TenantComponent.name == name)
            .returning(TenantComponent.name)
        ).one_or_none()
        hint(self._session, Channel.TENANT_COMPONENTS, tenant_id, name)
        return deleted is not None

    def purge(self, *, unused: timedelta, older_than: timedelta, batch: int = 500) -> int:
        """Deletes components stale for longer than `unused`, and contents no component has had for `older_than`.

        For the operator transaction; returns how many rows went.
        """
        gone = self._session.execute(
            delete(TenantComponent)
            .where(TenantComponent.refresh_at < func.now() - unused)
            .returning(TenantComponent.name)
        ).all()
        contents = self._session.execute(
            _PURGE_CONTENTS, {"older_than": older_than, "batch": batch}
        ).scalar_one()
        return len(gone) + int(contents)


class PassageStatistics:
    """What a tenant's searchable passages hold, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def measure(self, tenant_id: UUID) -> tuple[int, str]:
        """(number of passages, id of the newest): changes when they do."""
        count, newest = self._session.execute(
            text(
                "SELECT count(*), coalesce((SELECT id::text FROM chunks WHERE tenant_id = :tenant_id"
                " ORDER BY id DESC LIMIT 1), '') FROM chunks WHERE tenant_id = :tenant_id"
            ),
            {"tenant_id": tenant_id},
        ).one()
        return int(count), str(newest)

    def count_frequencies(self, tenant_id: UUID, *, every: int, count: int) -> Mapping[str, int]:
        """In how many passages each of the `count` most frequent lexemes stands; of one in `every` passages, times
        `every`."""
        rows = self._session.execute(_FREQUENCIES, {"tenant_id": tenant_id, "every": every, "count": count})
        return {lexeme: int(frequency) for lexeme, frequency in rows}

    def list_brackets(self, tenant_id: UUID, *, limit: int, count: int) -> list[tuple[str, str, int]]:
        """(up to 90 characters before it, what is in it, how often) of brackets that may explain an acronym.

        The `count` most frequent ones of the newest `limit` passages.
        """
        rows = self._session.execute(_BRACKETS, {"tenant_id": tenant_id, "limit": limit, "count": count})
        return [(before, inside, int(times)) for before, inside, times in rows]

    def list_texts(self, tenant_id: UUID, *, after: str, limit: int) -> list[tuple[str, str]]:
        """(id, text) of the next `limit` passages whose id is above `after`; "" is below all."""
        rows = self._session.execute(
            _TEXTS, {"tenant_id": tenant_id, "after": after or str(UUID(int=0)), "limit": limit}
        )
        return [(chunk_id, passage) for chunk_id, passage in rows]

"""The graph: record, replace, forget, neighbours, list. Names: get_many, put_many, purge."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from backend.errors import Invalid, NotFound
from backend.knowledge import statements
from backend.knowledge.facts import Entity, Facts
from backend.knowledge.models import GraphEntity
from backend.knowledge.names import name_key

DEEPEST: Final = 3
#: Steps a walk takes at most; far more than is shown, so that the nearest are all seen.
VISITS: Final = 20_000
LARGEST_NEIGHBOURHOOD: Final = 500
_RELATIONS: Final = 2_000


class EntityNotFound(NotFound):
    """There is no such entity."""


class TooDeep(Invalid):
    """Neighbours are followed over one to three relations."""


@dataclass(frozen=True, slots=True)
class FoundEntity:
    """An entity with its id, and how many relations away it is from where a walk began."""

    id: UUID
    entity: Entity
    distance: int = 0


@dataclass(frozen=True, slots=True)
class FoundRelation:
    """A relation between two entities; `document_ids` are at most three of the `documents` that say so."""

    subject_id: UUID
    kind: str
    object_id: UUID
    documents: int
    document_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Entities, the nearest first (the one in the middle has distance 0), and the relations among them."""

    entities: Sequence[FoundEntity]
    relations: Sequence[FoundRelation]
    is_truncated: bool


class GraphRepository:
    """The graph of one tenant, within the caller's transaction.

    Writing locks the entities concerned, in one order, until the transaction ends. So write for all documents of
    a transaction at once, after the documents themselves, whose rows the caller holds by having stored them.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, tenant_id: UUID, facts: Mapping[UUID, Facts]) -> None:
        """Adds what documents (by id) say to what they said before."""
        self._write(tenant_id, facts, ())

    def replace(self, tenant_id: UUID, facts: Mapping[UUID, Facts], *, new: Collection[UUID] = ()) -> None:
        """Makes `facts` (document id -> what it says) everything these documents say.

        What they said before goes, and with it entities and relations that no document supports any more; those
        that are still supported keep their ids. Documents that the caller has just made (`new`) have said nothing.
        """
        self._write(tenant_id, facts, facts.keys() - set(new))

    def forget(self, tenant_id: UUID, document_ids: Collection[UUID]) -> None:
        """Takes back all that these documents said; exactly what other documents support stays."""
        self._write(tenant_id, {}, document_ids)

    def get(self, tenant_id: UUID, entity_id: UUID) -> FoundEntity:
        """The entity. Raises EntityNotFound."""
        row = self._session.scalar(
            select(GraphEntity).where(GraphEntity.tenant_id == tenant_id, GraphEntity.id == entity_id)
        )
        if row is None:
            raise EntityNotFound
        return _found(row)

    def list_entities(
        self, tenant_id: UUID, *, prefix: str = "", kind: str | None = None, limit: int = 50
    ) -> Sequence[FoundEntity]:
        """Entities whose name begins with `prefix` (spelling folded), by name; at most `limit`."""
        query = select(GraphEntity).where(GraphEntity.tenant_id == tenant_id)
        if key := name_key(prefix):
            # The range that LIKE 'key%' stands for, without its wildcards.
            query = query.where(GraphEntity.name_key >= key, GraphEntity.name_key < key + "\U0010ffff")
        if kind is not None:
            query = query.where(GraphEntity.kind == kind)
        rows = self._session.scalars(query.order_by(GraphEntity.name_key, GraphEntity.id).limit(limit))
        return [_found(row) for row in rows]

    def neighbours(
        self, tenant_id: UUID, entity_id: UUID, *, depth: int = 1, limit: int = 100
    ) -> Neighbourhood:
        """Entities at most `depth` relations away in either direction, at most `limit` of them.

        Raises:
            EntityNotFound: the tenant has no such entity.
            TooDeep: `depth` is not 1, 2 or 3.
        """
        if not 1 <= depth <= DEEPEST:
            raise TooDeep
        limit = min(limit, LARGEST_NEIGHBOURHOOD)
        walk = {"tenant_id": tenant_id, "entity_id": entity_id, "depth": depth, "visits": VISITS}
        rows = self._run(statements.NEIGHBOURS, walk | {"entities": limit + 2})
        if not rows:
            raise EntityNotFound
        # The entity in the middle is none of its neighbours.
        entities = [FoundEntity(r.id, _entity(r), r.distance) for r in rows[: limit + 1]]
        among = {"tenant_id": tenant_id, "ids": [e.id for e in entities], "relations": _RELATIONS + 1}
        relations = self._run(statements.RELATIONS_AMONG, among)
        return Neighbourhood(
            entities=entities,
            relations=[
                FoundRelation(r.subject_id, r.kind, r.object_id, r.documents, tuple(r.document_ids))
                for r in relations[:_RELATIONS]
            ],
            is_truncated=rows[0].is_cut_off or len(rows) > limit + 1 or len(relations) > _RELATIONS,
        )

    def _write(self, tenant_id: UUID, facts: Mapping[UUID, Facts], replaced: Iterable[UUID]) -> None:
        of_tenant = {"tenant_id": tenant_id}
        replacing: dict[str, Any] = of_tenant | {"replaced": list(replaced)}
        mentions = {document_id: said.mentions() for document_id, said in facts.items()}
        # Once each, whatever they are called: of two spellings the one that sorts last, in every run.
        named = {e: e for e in sorted((e for m in mentions.values() for e in m), key=lambda e: (e, e.name))}
        rows = self._run(
            statements.HOLD_ENTITIES,
            replacing
            | {"entities": _json({**_columns(e), "name_key": name_key(e.name)} for e in named.values())},
        )
        ids = {(r.kind, r.provider, r.external_key): r.id for r in rows}
        evidence = self._run(statements.TAKE_BACK_EVIDENCE, replacing) if replacing["replaced"] else ()
        entities = self._run(statements.TAKE_BACK_MENTIONS, replacing) if replacing["replaced"] else ()
        if named:
            said = [
                {
                    "entity_id": ids[_identity(entity)],
                    "document_id": document_id,
                    "chunk_id": chunk_id,
                }
                for document_id, found in mentions.items()
                for entity, chunk_id in found.items()
            ]
            self._session.execute(text(statements.MENTION), of_tenant | {"mentions": _json(said)})
            related = {
                (document_id, relation): {
                    "subject_id": ids[_identity(relation.subject)],
                    "kind": relation.kind,
                    "object_id": ids[_identity(relation.object)],
                    "document_id": document_id,
                    "chunk_id": relation.chunk_id,
                }
                for document_id, document in facts.items()
                for relation in document.relations
            }
            if related:
                self._session.execute(
                    text(statements.LINK), of_tenant | {"relations": _json(related.values())}
                )
        if entities or evidence:
            lost = [
                {"subject_id": s, "kind": k, "object_id": o}
                for s, k, o in {(r.subject_id, r.kind, r.object_id) for r in evidence}
            ]
            self._session.execute(
                text(statements.DROP_UNSUPPORTED),
                of_tenant | {"relations": _json(lost), "entities": list({r.entity_id for r in entities})},
            )

    def _run(self, statement: str, values: Mapping[str, Any]) -> Sequence[Any]:
        return self._session.execute(text(statement), dict(values)).all()


class AliasRepository:
    """Names resolved lately: a cache, so a miss is absence and never an error."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_many(self, tenant_id: UUID, kind: str, names: Collection[str]) -> Mapping[str, frozenset[UUID]]:
        """What each of `names` may stand for, those not known (any more) left out; one round trip.

        An empty set: looked up, and nobody is called so. Several: ambiguous, and not to be guessed.
        """
        keys = {name: name_key(name) for name in names}
        if not keys:
            return {}
        rows = self._session.execute(
            text(statements.RESOLVED),
            {"tenant_id": tenant_id, "kind": kind, "aliases": sorted(set(keys.values()))},
        )
        found = {alias: frozenset(ids) for alias, ids in rows}
        return {name: found[key] for name, key in keys.items() if key in found}

    def put_many(
        self,
        tenant_id: UUID,
        kind: str,
        resolved: Mapping[str, Collection[UUID]],
        *,
        lifetime: timedelta,
    ) -> None:
        """Remembers what names stand for, for `lifetime`; one round trip.

        Spellings that fold to the same name share a row that holds what either stands for.
        """
        together: dict[str, set[UUID]] = {}
        for name, ids in resolved.items():
            together.setdefault(name_key(name), set()).update(ids)
        if together:
            rows = [{"alias": alias, "ids": sorted(ids)} for alias, ids in together.items()]
            self._session.execute(
                text(statements.REMEMBER),
                {"tenant_id": tenant_id, "kind": kind, "lifetime": lifetime, "aliases": _json(rows)},
            )

    def purge_expired(self, *, older_than: timedelta, limit: int = 1000) -> int:
        """Deletes names that expired more than `older_than` ago; returns how many.

        At most `limit`, and those that expired together with the last of them. For the operator transaction.
        """
        values = {"older_than": older_than, "limit": limit}
        return len(self._session.execute(text(statements.PURGE), values).all())


def _identity(entity: Entity) -> tuple[str, str, str]:
    return entity.kind, entity.provider, entity.external_key


def _columns(entity: Entity) -> dict[str, str]:
    return {
        "kind": entity.kind,
        "provider": entity.provider,
        "external_key": entity.external_key,
        "name": entity.name,
    }


def _entity(row: Any) -> Entity:
    return Entity(row.kind, row.provider, row.external_key, row.name)


def _found(row: GraphEntity) -> FoundEntity:
    return FoundEntity(row.id, _entity(row))


def _json(rows: Iterable[Mapping[str, object]]) -> str:
    return json.dumps(list(rows), default=str)

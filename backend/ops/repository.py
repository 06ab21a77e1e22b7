"""Register, heartbeat, stop, list, purge; all of it in operator transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.ops.models import Instance

#: Several heartbeats; a process that has not been heard of for so long is called silent.
SILENT_AFTER = timedelta(seconds=20)

#: Cache -> how a look-up ended (memory, database, joined, computed, built) -> how often.
CacheLookups = Mapping[str, Mapping[str, int]]
EMPTY: Final[CacheLookups] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as the others see it; `state` is alive or silent, `silent_seconds` by the database's clock."""

    name: str
    kind: str
    version: str
    state: str
    started_at: datetime
    silent_seconds: float
    config_revision: int | None


class InstanceRepository:
    """Rows of processes, within an operator transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def register(
        self,
        *,
        name: str,
        kind: str,
        version: str,
        host: str,
        pid: int,
        config_revision: int | None,
        cache_lookups: CacheLookups = EMPTY,
    ) -> UUID:
        """A new process, alive now. `kind` is web or worker."""
        instance = Instance(
            name=name,
            kind=kind,
            version=version,
            host=host,
            pid=pid,
            config_revision=config_revision,
            cache_lookups=_json(cache_lookups),
        )
        self._session.add(instance)
        self._session.flush()
        return instance.id

    def heartbeat(
        self, instance_id: UUID, *, config_revision: int | None, cache_lookups: CacheLookups = EMPTY
    ) -> bool:
        """Says that the process lives. False when its row is gone; then it has to register anew."""
        found = self._session.scalar(
            update(Instance)
            .where(Instance.id == instance_id)
            .values(
                heartbeat_at=func.now(),
                config_revision=config_revision,
                cache_lookups=_json(cache_lookups),
            )
            .returning(Instance.id)
        )
        return found is not None

    def stop(self, instance_id: UUID) -> None:
        """Says goodbye."""
        self._session.execute(
            update(Instance).where(Instance.id == instance_id).values(stopped_at=func.now())
        )

    def list_running(self, *, heard_within: timedelta = timedelta(hours=1)) -> Sequence[Seen]:
        """Processes that have not said goodbye and were heard of within the time, by name."""
        silent_for = func.now() - Instance.heartbeat_at
        rows = self._session.execute(
            select(
                Instance.name,
                Instance.kind,
                Instance.version,
                case((silent_for > SILENT_AFTER, "silent"), else_="alive"),
                Instance.started_at,
                func.greatest(func.extract("epoch", silent_for), 0),
                Instance.config_revision,
            )
            .where(Instance.stopped_at.is_(None), silent_for < heard_within)
            .order_by(Instance.name, Instance.started_at)
        )
        return [Seen(n, k, v, s, at, float(seconds), r) for n, k, v, s, at, seconds, r in rows]

    def purge_gone(self, *, older_than: timedelta) -> int:
        """Deletes processes that stopped or fell silent so long ago; returns how many."""
        gone = self._session.scalars(
            delete(Instance)
            .where(
                or_(
                    Instance.heartbeat_at < func.now() - older_than,
                    Instance.stopped_at < func.now() - older_than,
                )
            )
            .returning(Instance.id)
        )
        return len(gone.all())


def _json(lookups: CacheLookups) -> dict[str, Any]:
    return {cache: dict(outcomes) for cache, outcomes in lookups.items()}

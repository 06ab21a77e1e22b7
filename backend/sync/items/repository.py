"""What is known, record, touch, what is due, what was missed, forget."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.orm import Session

from backend.sync.models import SyncItem

#: Passes over everything, in a row, that must miss an item before it counts as deleted at the source: a listing
#: that skips one for a moment (eventual consistency, a page shifted by an insert) deletes nothing.
MISSES: Final = 2

#: Minutes until a failed item is tried again after 1, 2, 3 … failures; then only when it changes, or when everything
#: is read anew.
BACKOFF_MINUTES: Final = (1, 15, 60, 360, 1440, 2880, 10080)

# One statement a page. A row counts as new to the run when the run has not dealt with it before, so a page that is
# done again after a crash, or an item that comes twice, is counted once.
_RECORD = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (
            external_id text, revision text, state text, title text, url text, locator jsonb, stage text, reason text)
    ), before AS (
        SELECT i.external_id, i.run_id, i.state FROM sync_items AS i JOIN given USING (external_id)
        WHERE i.tenant_id = :tenant_id AND i.connector_id = :connector_id
    ), written AS (
        INSERT INTO sync_items AS i (tenant_id, connector_id, external_id, revision, state, run_id, pass_number, title,
                                     url, locator, stage, reason, attempt, retry_at)
        SELECT :tenant_id, :connector_id, external_id, revision, state, :run_id, :pass_number, title, url, locator,
               stage, reason, CASE state WHEN 'failed' THEN 1 ELSE 0 END,
               CASE state WHEN 'failed' THEN now() + make_interval(mins => (CAST(:backoff AS int[]))[1]) END
        FROM given
        ON CONFLICT (tenant_id, connector_id, external_id) DO UPDATE SET
            revision = excluded.revision, state = excluded.state, run_id = excluded.run_id,
            pass_number = greatest(i.pass_number, excluded.pass_number), missed_count = 0, title = excluded.title,
            url = excluded.url, locator = excluded.locator, stage = excluded.stage, reason = excluded.reason,
            attempt = CASE excluded.state WHEN 'failed' THEN i.attempt + 1 ELSE 0 END,
            retry_at = CASE WHEN excluded.state = 'failed' THEN
                now() + make_interval(mins => (CAST(:backoff AS int[]))[i.attempt + 1]) * (1 + random() / 4) END,
            updated_at = now()
        RETURNING i.external_id
    )
    SELECT given.external_id, before.run_id IS DISTINCT FROM :run_id, before.run_id = :run_id AND before.state = 'failed'
    FROM given LEFT JOIN before USING (external_id)
    """
)

_TOUCH = text(
    """
    WITH before AS (
        SELECT external_id, run_id FROM sync_items
        WHERE tenant_id = :tenant_id AND connector_id = :connector_id AND external_id = ANY (:external_ids)
    ), touched AS (
        UPDATE sync_items SET run_id = :run_id, pass_number = greatest(pass_number, :pass_number), missed_count = 0
        WHERE tenant_id = :tenant_id AND connector_id = :connector_id AND external_id = ANY (:external_ids)
    )
    SELECT count(*) FROM before WHERE run_id <> :run_id
    """
)


@dataclass(frozen=True, slots=True)
class Known:
    """What was last dealt with of an item."""

    revision: str | None
    is_failed: bool
    attempt: int
    run_id: UUID
    is_waiting: bool
    """It has failed, and its time to be tried again has not come."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """An item that is stored, unchanged or failed now; the fields from `title` on matter for failed ones only."""

    external_id: str
    revision: str | None
    is_failed: bool = False
    title: str | None = None
    url: str | None = None
    locator: Mapping[str, Any] = field(default_factory=dict)
    stage: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Which of the recorded items count for the run: not dealt with by it before, or failed in it before."""

    new: frozenset[str]
    failed_before: frozenset[str]


class SyncItemRepository:
    """What is known of a connector's items, of one tenant, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find_known(
        self, tenant_id: UUID, connector_id: UUID, external_ids: Collection[str]
    ) -> dict[str, Known]:
        """What was last dealt with of those of `external_ids` that were seen before."""
        if not external_ids:
            return {}
        rows = self._session.execute(
            select(
                SyncItem.external_id,
                SyncItem.revision,
                SyncItem.state,
                SyncItem.attempt,
                SyncItem.run_id,
                or_(SyncItem.retry_at.is_(None), SyncItem.retry_at > func.now()),
            ).where(
                SyncItem.tenant_id == tenant_id,
                SyncItem.connector_id == connector_id,
                SyncItem.external_id == func.any(list(external_ids)),
            )
        )
        return {
            external_id: Known(revision, state == "failed", attempt, run_id, is_waiting)
            for external_id, revision, state, attempt, run_id, is_waiting in rows
        }

    def record(
        self, tenant_id: UUID, connector_id: UUID, run_id: UUID, pass_number: int, items: Sequence[Dealt]
    ) -> Recorded:
        """Writes down how each item, named once, was dealt with by the run. Which of them count for it."""
        rows = self._session.execute(
            _RECORD,
            {
                "tenant_id": tenant_id,
                "connector_id": connector_id,
                "run_id": run_id,
                "pass_number": pass_number,
                "backoff": list(BACKOFF_MINUTES),
                "rows": json.dumps([_row(item) for item in items]),
            },
        ).all()
        return Recorded(
            new=frozenset(external_id for external_id, is_new, _ in rows if is_new),
            failed_before=frozenset(external_id for external_id, _, had_failed in rows if had_failed),
        )

    def touch(
        self,
        tenant_id: UUID,
        connector_id: UUID,
        run_id: UUID,
        pass_number: int,
        external_ids: Collection[str],
    ) -> int:
        """Writes down that the source still shows these items as they were last dealt with. How many count for the
        run: not dealt with by it before."""
        if not external_ids:
            return 0
        row = self._session.execute(
            _TOUCH,
            {
                "tenant_id": tenant_id,
                "connector_id": connector_id,
                "run_id": run_id,
                "pass_number": pass_number,
                "external_ids": list(external_ids),
            },
        ).one()
        return int(row[0])

    def list_due(self, tenant_id: UUID, connector_id: UUID, *, limit: int = 100) -> Sequence[SyncItem]:
        """Failed items whose time to be tried again has come, the longest due first."""
        return self._session.scalars(
            select(SyncItem)
            .where(
                SyncItem.tenant_id == tenant_id,
                SyncItem.connector_id == connector_id,
                SyncItem.state == "failed",
                SyncItem.retry_at <= func.now(),
            )
            .order_by(SyncItem.retry_at)
            .limit(limit)
        ).all()

    def list_missed(self, tenant_id: UUID, connector_id: UUID, *, limit: int = 200) -> Sequence[str]:
        """External ids of items that passes over everything have missed too often: they are deleted at the source."""
        return self._session.scalars(
            select(SyncItem.external_id)
            .where(
                SyncItem.tenant_id == tenant_id,
                SyncItem.connector_id == connector_id,
                SyncItem.missed_count >= MISSES,
            )
            .limit(limit)
        ).all()

    def has_missed(self, tenant_id: UUID, connector_id: UUID) -> bool:
        """Whether the last pass over everything missed something that was there before."""
        return bool(
            self._session.scalar(
                select(
                    select(SyncItem.external_id)
                    .where(
                        SyncItem.tenant_id == tenant_id,
                        SyncItem.connector_id == connector_id,
                        SyncItem.missed_count > 0,
                    )
                    .exists()
                )
            )
        )

    def forget(self, tenant_id: UUID, connector_id: UUID, external_ids: Collection[str]) -> None:
        """Forgets items; one that shows up again is new."""
        self._session.execute(
            delete(SyncItem).where(
                SyncItem.tenant_id == tenant_id,
                SyncItem.connector_id == connector_id,
                SyncItem.external_id == func.any(list(external_ids)),
            )
        )

    def forget_some(self, tenant_id: UUID, connector_id: UUID, *, limit: int) -> int:
        """Forgets up to `limit` items of the connector; how many it were."""
        some = (
            select(SyncItem.external_id)
            .where(SyncItem.tenant_id == tenant_id, SyncItem.connector_id == connector_id)
            .limit(limit)
        )
        return len(
            self._session.scalars(
                delete(SyncItem)
                .where(
                    SyncItem.tenant_id == tenant_id,
                    SyncItem.connector_id == connector_id,
                    SyncItem.external_id.in_(some),
                )
                .returning(SyncItem.external_id)
                .execution_options(synchronize_session=False)
            ).all()
        )

    def forget_revisions(
        self, tenant_id: UUID, connector_id: UUID, external_ids: Collection[str] | None = None
    ) -> None:
        """Lets the next pass over everything read every item again, or those of `external_ids`, as after a change of how
        they are parsed."""
        these = [] if external_ids is None else [SyncItem.external_id == func.any(list(external_ids))]
        self._session.execute(
            update(SyncItem)
            .where(SyncItem.tenant_id == tenant_id, SyncItem.connector_id == connector_id, *these)
            .values(revision=None)
        )


def _row(item: Dealt) -> dict[str, Any]:
    if not item.is_failed:
        return {"external_id": item.external_id, "revision": item.revision, "state": "stored"}
    return {
        "external_id": item.external_id,
        "revision": item.revision,
        "state": "failed",
        "title": item.title,
        "url": item.url,
        "locator": dict(item.locator),
        "stage": item.stage,
        "reason": item.reason or "It could not be taken.",
    }

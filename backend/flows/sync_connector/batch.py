"""What a turn has dealt with and not written yet, and how all of it is written in one transaction."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from prometheus_client import Counter

from backend.connectors.providers.contract import Entry, ItemFailure
from backend.db.transaction import Session
from backend.documents.rows import NewDocument
from backend.flows.ingest_document.store import remove_all, store_all
from backend.sync.failures.repository import Failure, SyncErrorRepository
from backend.sync.items.repository import Dealt, SyncItemRepository
from backend.sync.positions.repository import SyncPositionRepository
from backend.sync.repository import PageResult

ITEMS = Counter("secondbrain_sync_items_total", "Items dealt with by this process", ["connector", "outcome"])

#: A batch is written when it has so many documents or characters, or is so old.
_BATCH_DOCUMENTS: Final = 20
_BATCH_CHARACTERS: Final = 4 * 1024 * 1024
_BATCH_SECONDS: Final = 2.0


@dataclass(slots=True)
class Batch:
    """Collects; `store` is called once, and then it is used up."""

    documents: dict[str, NewDocument] = field(default_factory=dict)
    dealt: dict[str, Dealt] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    #: Of `dealt`: those in which there is nothing to read.
    empty: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    characters: int = 0
    #: How much of it the run had not dealt with before; without any, a job that fails again has not progressed.
    fresh: int = 0
    cursor: Mapping[str, Any] | None = None
    unlisted: set[str] = field(default_factory=set)
    began_at: float = field(default_factory=time.monotonic)

    @property
    def is_large(self) -> bool:
        return (
            len(self.documents) >= _BATCH_DOCUMENTS
            or self.characters >= _BATCH_CHARACTERS
            or time.monotonic() - self.began_at >= _BATCH_SECONDS
        )

    @property
    def is_empty(self) -> bool:
        return not (self.dealt or self.seen or self.gone or self.failures or self.cursor is not None)

    @property
    def has_progressed(self) -> bool:
        return self.cursor is not None or self.fresh > 0

    def settle(self, entry: Entry) -> None:
        """The item is stored, or needs nothing."""
        self.gone.discard(entry.external_id)
        self.dealt[entry.external_id] = Dealt(entry.external_id, entry.revision)

    def see(self, entry: Entry) -> None:
        """The item is as it was dealt with before."""
        self.gone.discard(entry.external_id)
        self.seen.add(entry.external_id)

    def pass_by(self, entry: Entry) -> None:
        """The item is no document in this version; what it was before goes, and that it was looked at stays known."""
        self.settle(entry)
        self.empty.add(entry.external_id)

    def lose(self, external_ids: Collection[str]) -> None:
        """The source no longer has these items, whatever pages before have shown of them."""
        self.gone.update(external_ids)
        self.seen.difference_update(external_ids)
        self.empty.difference_update(external_ids)
        for external_id in external_ids:
            self.documents.pop(external_id, None)
            self.dealt.pop(external_id, None)

    def fail(self, entry: Entry, stage: str, reason: str) -> None:
        """The item could not be taken."""
        self.gone.discard(entry.external_id)
        self.failures.append(Failure(entry.external_id, entry.url, stage, reason))
        self.dealt[entry.external_id] = Dealt(
            entry.external_id,
            entry.revision,
            is_failed=True,
            title=entry.title[:500].replace("\x00", ""),
            url=entry.url,
            locator=entry.locator,
            stage=stage,
            reason=reason,
        )

    def miss(self, failures: Iterable[ItemFailure]) -> None:
        """Something could not even be listed."""
        for failure in failures:
            self.failures.append(Failure(failure.external_id, failure.url, failure.stage, failure.reason))
            self.unlisted |= set(failure.hides)

    def store(
        self, session: Session, tenant_id: UUID, connector_id: UUID, run_id: UUID, *, pass_number: int
    ) -> PageResult:
        """Writes everything in the caller's transaction, which holds the job; what of it counts for the run, each
        item once."""
        items = SyncItemRepository(session)
        stored = store_all(session, tenant_id, connector_id, self.documents.values())
        removed = remove_all(session, tenant_id, connector_id, self.gone | self.empty)
        if self.gone:
            items.forget(tenant_id, connector_id, self.gone)
        recorded = items.record(tenant_id, connector_id, run_id, pass_number, list(self.dealt.values()))
        still = items.touch(tenant_id, connector_id, run_id, pass_number, self.seen)
        if self.cursor is not None:
            SyncPositionRepository(session).move(tenant_id, connector_id, self.cursor, unlisted=self.unlisted)
        counted = recorded.new | recorded.failed_before
        well = {dealt.external_id for dealt in self.dealt.values() if not dealt.is_failed}
        mended = recorded.failed_before & well
        if mended:
            SyncErrorRepository(session).forget(tenant_id, run_id, mended)
        return PageResult(
            stored=len(stored & counted),
            unchanged=len((well - stored) & counted) + still,
            deleted=removed,
            chunks=sum(len(document.chunks) for document in self.documents.values()),
            failures=self.failures,
            mended=len(mended),
        )

"""One worker's turn at a run: what it deals with, and writes down in short transactions that hold the job's lease.

A page is dealt with in batches. Each batch is one transaction with everything it means: documents with their chunks
and vectors, what they say, what was seen, counts, failures; the last batch of a page moves the position as well.
So a turn that ends anywhere, by whatever, leaves nothing half done and nothing to do twice: what was stored is
known, and is not read again.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.models import Connector
from backend.connectors.providers.contract import (
    Entry,
    ItemGone,
    ItemUnreadable,
    Page,
    ProviderUnavailable,
    Source,
)
from backend.db.transaction import Database, Session
from backend.documents.repository import DocumentRepository, NewDocument
from backend.embeddings.providers.contract import Embedder
from backend.errors import StateError, Unavailable
from backend.flows.ingest_document.flow import fingerprint, prepare
from backend.flows.ingest_document.store import remove_all, store_all
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.sync.ledger.repository import Dealt, Known, SyncItemRepository, SyncPositionRepository
from backend.sync.repository import Failure, PageResult, SyncRunRepository

_log = structlog.get_logger(__name__)

ITEMS = Counter("secondbrain_sync_items_total", "Items dealt with by this process", ["connector", "outcome"])

#: A run is written to at most so often; what changes in between is written together, the last always.
_SECONDS_BETWEEN_WRITES: Final = 0.1
_SECONDS_BETWEEN_NOTES: Final = 0.25
#: A batch is written when it has so many documents or bytes of text, or is so old.
_BATCH_DOCUMENTS: Final = 20
_BATCH_BYTES: Final = 4 * 1024 * 1024
_BATCH_SECONDS: Final = 2.0
#: Items in a row that the provider does not hand over: then it is not the items, it is the provider.
_UNAVAILABLE_IN_A_ROW: Final = 3
#: After so long, a turn makes room for other tenants that wait.
_TURN_SECONDS: Final = 5.0
_SWEEP: Final = 200


class TurnOver(Exception):
    """The job has been let go of: cancelled, given back, or left to others for a while."""


@dataclass(slots=True)
class _Batch:
    documents: dict[str, NewDocument] = field(default_factory=dict)
    dealt: dict[str, Dealt] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    unchanged: int = 0
    byte_size: int = 0
    #: How much of it the run had not dealt with before; without any, a job that fails again has not progressed.
    fresh: int = 0
    cursor: Mapping[str, Any] | None = None
    is_whole: bool = True
    began_at: float = field(default_factory=time.monotonic)

    @property
    def is_large(self) -> bool:
        return (
            len(self.documents) >= _BATCH_DOCUMENTS
            or self.byte_size >= _BATCH_BYTES
            or time.monotonic() - self.began_at >= _BATCH_SECONDS
        )

    @property
    def is_empty(self) -> bool:
        return not (self.dealt or self.seen or self.gone or self.failures or self.cursor is not None)


class Turn:
    """The steps of one claim; one thread's. Every method may raise LeaseLost, TurnOver and DatabaseUnavailable."""

    def __init__(
        self,
        db: Database,
        claim: Claim,
        connector: Connector,
        run_id: UUID,
        *,
        source_type: str,
        embedder: Embedder,
        configs: ConfigFollower,
        should_stop: Callable[[], bool],
    ) -> None:
        self._db = db
        self._claim = claim
        self._connector = connector
        self._tenant_id = claim.tenant_id
        self._run_id = run_id
        self._actor = f"worker {claim.worker_id}"
        self._source_type = source_type
        self._embedder = embedder
        self._configs = configs
        self._should_stop = should_stop
        self._pass_number = 0
        self._is_full = False
        self._batch = _Batch()
        self._unavailable: list[Entry] = []
        self._ahead = 0
        self._total: int | None = None
        self._note: str | None = None
        self._wrote_at = self._noted_at = 0.0
        self._began_at = time.monotonic()

    def follow(self, pass_number: int, *, is_full: bool) -> None:
        """Says which pass the pages to come belong to."""
        self._pass_number, self._is_full = pass_number, is_full

    def deal_with(self, source: Source, page: Page) -> None:
        """Deals with every item of the page, then moves the position after it.

        Raises what `Source.read` raises for all items at once, and EmbeddingFailed; what was dealt with until then
        is written, and the position stays before the page.
        """
        self._total = page.total if page.total is not None else self._total
        self._note = page.note
        entries = list({entry.external_id: entry for entry in page.entries}.values())
        known, deleted_here = self._look_up(entries)
        self._batch.gone |= set(page.gone) - {entry.external_id for entry in entries}
        self._batch.failures += [Failure(f.external_id, f.url, f.stage, f.reason) for f in page.failures]
        try:
            for place, entry in enumerate(entries):
                self._ahead = len(entries) - place
                before = known.get(entry.external_id)
                if not self._is_known(entry, before, entry.external_id in deleted_here):
                    self._read(source, entry)
                is_dealt_with = (
                    entry.external_id in self._batch.dealt or entry.external_id in self._batch.seen
                )
                if is_dealt_with and (before is None or before.run_id != self._run_id):
                    self._batch.fresh += 1
                if self._batch.is_large:
                    self._ahead -= 1
                    self.write()
            self._record_unavailable()
        except Exception:
            # Not in `finally`: what ended by a lost lease or a lost database cannot be written either.
            self._unavailable.clear()
            raise
        self._ahead = 0
        self._batch.cursor = page.cursor
        self._batch.is_whole = self._batch.is_whole and not page.failures
        if self._batch.documents or time.monotonic() - self._wrote_at >= _SECONDS_BETWEEN_WRITES:
            self.write()

    def try_failed_again(self, source: Source) -> None:
        """Reads what failed before and whose time has come; each once a run."""
        while True:
            with self._db.transaction(self._tenant_id) as session:
                due = [
                    Entry(i.external_id, i.title or i.external_id, i.url, i.revision, i.locator or {})
                    for i in SyncItemRepository(session).list_due(self._tenant_id, self._connector.id)
                ]
            if not due:
                return
            for entry in due:
                self._batch.fresh += 1
                try:
                    self._read(source, entry, give_up=False)
                except ItemGone:
                    self._batch.gone.add(entry.external_id)
            self._record_unavailable()
            self.write()

    def sweep(self) -> None:
        """Removes documents whose items passes over everything have missed too often."""
        while True:
            self.write()
            with self._db.transaction(self._tenant_id) as session:
                missed = SyncItemRepository(session).list_missed(
                    self._tenant_id, self._connector.id, limit=_SWEEP
                )
            if not missed:
                return
            self._batch.gone |= set(missed)
            self._batch.fresh += len(missed)

    def write(self) -> None:
        """Writes the batch, if there is anything in it, and starts the next one.

        Ends the turn when somebody cancelled the run, this process is to stop, or other tenants have waited enough.
        """
        if not self._batch.is_empty:
            self._write(self._batch)
            self._batch = _Batch()
            self._wrote_at = time.monotonic()
        self._make_room()

    def _write(self, batch: _Batch) -> None:
        tenant_id, connector_id = self._tenant_id, self._connector.id
        with self._db.transaction(tenant_id) as session:
            jobs, runs = JobRepository(session), SyncRunRepository(session, actor=self._actor)
            items = SyncItemRepository(session)
            progressed = batch.cursor is not None or batch.fresh > 0
            goes_on = jobs.hold(self._claim, progressed=progressed)
            stored = store_all(session, tenant_id, connector_id, batch.documents.values())
            removed = remove_all(session, tenant_id, connector_id, batch.gone)
            if batch.gone:
                items.forget(tenant_id, connector_id, batch.gone)
            result = self._count(session, batch, stored, removed)
            if batch.cursor is not None:
                SyncPositionRepository(session).move(
                    tenant_id, connector_id, batch.cursor, is_whole=batch.is_whole
                )
            runs.advance(tenant_id, self._run_id, result)
            if not goes_on:
                runs.cancel(tenant_id, self._run_id)
                jobs.end_cancelled(self._claim)
        for outcome, count in (
            ("stored", result.stored),
            ("unchanged", result.unchanged),
            ("failed", len(result.failures)),
            ("deleted", removed),
        ):
            ITEMS.labels(self._connector.type, outcome).inc(count)
        if not goes_on:
            raise TurnOver

    def _count(self, session: Session, batch: _Batch, stored: frozenset[str], removed: int) -> PageResult:
        """Writes down what was dealt with; what of it counts for the run, each item once."""
        items = SyncItemRepository(session)
        ids = (self._tenant_id, self._connector.id, self._run_id, self._pass_number)
        recorded = items.record(*ids, list(batch.dealt.values()))
        still = items.touch(*ids, batch.seen)
        counted = recorded.new | recorded.failed_before
        well = {d.external_id for d in batch.dealt.values() if not d.is_failed}
        mended = recorded.failed_before & well
        if mended:
            SyncRunRepository(session).forget_failures(self._tenant_id, self._run_id, mended)
        return PageResult(
            stored=len(stored & counted),
            unchanged=len((well - stored) & counted) + still,
            deleted=removed,
            chunks=sum(len(d.chunks) for d in batch.documents.values()),
            total=self._total,
            note=self._note,
            failures=batch.failures,
            mended=len(mended),
            ahead=self._ahead,
        )

    def _look_up(self, entries: Iterable[Entry]) -> tuple[dict[str, Known], frozenset[str]]:
        ids = [entry.external_id for entry in entries]
        with self._db.transaction(self._tenant_id) as session:
            return (
                SyncItemRepository(session).find_known(self._tenant_id, self._connector.id, ids),
                DocumentRepository(session).list_deleted_here(self._tenant_id, self._connector.id, ids),
            )

    def _is_known(self, entry: Entry, before: Known | None, is_deleted_here: bool) -> bool:
        """Whether there is nothing to do about the entry, and if so, writes that down."""
        if is_deleted_here:
            self._deal(Dealt(entry.external_id, entry.revision))
            return True
        if before is None or entry.revision is None or before.revision != entry.revision:
            return False
        if before.is_failed and not (
            before.is_waiting and (not self._is_full or before.run_id == self._run_id)
        ):
            return False
        self._batch.seen.add(entry.external_id)
        return True

    def _read(self, source: Source, entry: Entry, *, give_up: bool = True) -> None:
        try:
            item = source.read(entry)
        except ItemGone:
            # Between listing and reading, or hidden: a listing will say which. Nothing is deleted for this alone.
            if not give_up:
                raise
            return
        except ItemUnreadable as error:
            self._fail(entry, "fetch", error.message)
            return
        except ProviderUnavailable:
            self._unavailable.append(entry)
            if len(self._unavailable) >= _UNAVAILABLE_IN_A_ROW:
                raise
            return
        self._record_unavailable()
        self._say(item.title or entry.title)
        sha256 = fingerprint(item)
        with self._db.transaction(self._tenant_id) as session:
            is_unchanged = bool(
                DocumentRepository(session).list_unchanged(
                    self._tenant_id, self._connector.id, {entry.external_id: sha256}
                )
            )
        if is_unchanged:
            self._deal(Dealt(entry.external_id, entry.revision))
            return
        try:
            document = prepare(
                item,
                source_type=self._source_type,
                embedder=self._embedder,
                config=self._configs.current(self._tenant_id, ParserConfig),
            )
        except Unavailable:
            raise
        except StateError as error:
            self._fail(entry, "parse", error.message)
        except Exception as error:  # noqa: BLE001 - one item that breaks a parser must not stop all others
            _log.exception("item failed", item=entry.external_id)
            self._fail(entry, "parse", f"Internal error ({type(error).__name__}).")
        else:
            self._batch.documents[entry.external_id] = document
            self._batch.byte_size += len(document.content)
            self._deal(Dealt(entry.external_id, entry.revision))

    def _deal(self, dealt: Dealt) -> None:
        self._batch.dealt[dealt.external_id] = dealt

    def _fail(self, entry: Entry, stage: str, reason: str) -> None:
        self._batch.failures.append(Failure(entry.external_id, entry.url, stage, reason))
        self._deal(
            Dealt(
                entry.external_id,
                entry.revision,
                is_failed=True,
                title=entry.title[:500].replace("\x00", ""),
                url=entry.url,
                locator=entry.locator,
                stage=stage,
                reason=reason,
            )
        )

    def _record_unavailable(self) -> None:
        for entry in self._unavailable:
            self._fail(entry, "fetch", "The provider did not hand it over; it is tried again.")
        self._unavailable.clear()

    def _say(self, title: str) -> None:
        """Tells whoever watches what is being dealt with, and hears whether somebody cancelled the run."""
        if time.monotonic() - max(self._noted_at, self._wrote_at) < _SECONDS_BETWEEN_NOTES:
            return
        self._noted_at = time.monotonic()
        with self._db.transaction(self._tenant_id) as session:
            goes_on = JobRepository(session).hold(self._claim)
            SyncRunRepository(session).describe(
                self._tenant_id, self._run_id, stage="indexing", note=title[:200].replace("\x00", "")
            )
        if not goes_on:
            self._end_cancelled()

    def _end_cancelled(self) -> None:
        self._unavailable.clear()
        if not self._batch.is_empty:
            self.write()
        with self._db.transaction(self._tenant_id) as session:
            JobRepository(session).hold(self._claim)
            SyncRunRepository(session, actor=self._actor).cancel(self._tenant_id, self._run_id)
            JobRepository(session).end_cancelled(self._claim)
        raise TurnOver

    def _make_room(self) -> None:
        if self._should_stop():
            self._give_back()
        if time.monotonic() - self._began_at < _TURN_SECONDS:
            return
        with self._db.operator_transaction() as session:
            others_wait = JobRepository(session).is_anybody_waiting(
                but=self._tenant_id, kind=self._claim.kind
            )
        if others_wait:
            self._give_back()
        self._began_at = time.monotonic()

    def _give_back(self) -> None:
        with self._db.transaction(self._tenant_id) as session:
            JobRepository(session).give_back(self._claim)
        raise TurnOver

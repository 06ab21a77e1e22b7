"""One worker's turn at a run: what it deals with, and writes down in short transactions that hold the job's lease.

A page is dealt with in batches, and the last batch of a page moves the position. So a turn that ends anywhere, by
whatever, leaves nothing half done and nothing to do twice: what was stored is known, and is not read again.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final
from uuid import UUID

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.models import Connector
from backend.connectors.providers.contract import (
    Entry,
    ItemGone,
    ItemUnreadable,
    NothingToRead,
    Page,
    ProviderUnavailable,
    Source,
)
from backend.db.transaction import Database
from backend.documents.parsing.reader import DocumentReader
from backend.documents.repository import DocumentRepository, Hashes
from backend.embeddings.providers.contract import Embedder
from backend.flows.ingest_document.flow import fingerprint, try_to_prepare
from backend.flows.sync_connector.batch import ITEMS, Batch
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.sync.items.repository import Known, SyncItemRepository
from backend.sync.progress.repository import SyncProgressRepository
from backend.sync.repository import SyncRunRepository

#: A run is written to at most so often; what changes in between is written together, the last always.
_SECONDS_BETWEEN_WRITES: Final = 0.1
_SECONDS_BETWEEN_NOTES: Final = 0.25
#: Items in a row that the provider does not hand over: then it is not the items, it is the provider.
_UNAVAILABLE_IN_A_ROW: Final = 3
#: After so long, a turn makes room for other tenants that wait.
_TURN_SECONDS: Final = 5.0
_SWEEP: Final = 200


class TurnOver(Exception):
    """The job has been let go of: cancelled, given back, or left to others for a while."""


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
        reader: DocumentReader,
        should_stop: Callable[[], bool],
    ) -> None:
        self._db = db
        self._claim = claim
        self._connector = connector
        self._tenant_id, self._run_id = claim.tenant_id, run_id
        self._actor = f"worker {claim.worker_id}"
        self._source_type, self._embedder = source_type, embedder
        self._configs, self._reader = configs, reader
        self._should_stop = should_stop
        self._pass_number, self._is_full = 0, False
        self._batch = Batch()
        self._unavailable: list[Entry] = []
        self._ahead, self.read_count = 0, 0  # items handed over so far: only grows
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
        self._total, self._note = (self._total if page.total is None else page.total), page.note
        entries = list({entry.external_id: entry for entry in page.entries}.values())
        known, hashes = self._look_up(entries)
        self._batch.lose(set(page.gone) - {entry.external_id for entry in entries})
        self._batch.miss(page.failures)
        try:
            for place, entry in enumerate(entries):
                self._ahead = len(entries) - place
                before = known.get(entry.external_id)
                if not self._is_known(entry, before, hashes):
                    self._read(source, entry, hashes)
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
            _, hashes = self._look_up(due)
            for entry in due:
                self._batch.fresh += 1
                try:
                    self._read(source, entry, hashes, give_up=False)
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
            self._write()
        self._make_room()

    def _write(self) -> None:
        batch, self._batch = self._batch, Batch()
        with self._db.transaction(self._tenant_id) as session:
            jobs, runs = JobRepository(session), SyncRunRepository(session, actor=self._actor)
            goes_on = jobs.hold(self._claim, progressed=batch.has_progressed)
            result = batch.store(
                session, self._tenant_id, self._connector.id, self._run_id, pass_number=self._pass_number
            )
            runs.advance(
                self._tenant_id,
                self._run_id,
                replace(result, total=self._total, note=self._note, ahead=self._ahead),
            )
            if not goes_on:
                runs.cancel(self._tenant_id, self._run_id)
                jobs.end_cancelled(self._claim)
        self._wrote_at = time.monotonic()
        for outcome in ("stored", "unchanged", "deleted"):
            ITEMS.labels(self._connector.type, outcome).inc(getattr(result, outcome))
        ITEMS.labels(self._connector.type, "failed").inc(len(result.failures))
        if not goes_on:
            raise TurnOver

    def _look_up(self, entries: Iterable[Entry]) -> tuple[dict[str, Known], Hashes]:
        ids = [entry.external_id for entry in entries]
        with self._db.transaction(self._tenant_id) as session:
            return (
                SyncItemRepository(session).find_known(self._tenant_id, self._connector.id, ids),
                DocumentRepository(session).find_hashes(self._tenant_id, self._connector.id, ids),
            )

    def _is_known(self, entry: Entry, before: Known | None, hashes: Hashes) -> bool:
        """Whether there is nothing to do about the entry, and if so, writes that down."""
        if hashes.get(entry.external_id, b"") is None:  # deleted here
            self._batch.settle(entry)
            return True
        if before is None or entry.revision is None or before.revision != entry.revision:
            return False
        if before.is_failed and not (
            before.is_waiting and (not self._is_full or before.run_id == self._run_id)
        ):
            return False
        self._batch.see(entry)
        return True

    def _read(self, source: Source, entry: Entry, hashes: Hashes, *, give_up: bool = True) -> None:
        """`hashes`: of documents as they were when the page was looked up; only this run changes them."""
        try:
            item = source.read(entry)
            self.read_count += 1
        except ItemGone:
            # Between listing and reading, or hidden: a listing will say which. Nothing is deleted for this alone.
            if not give_up:
                raise
            return
        except NothingToRead:
            self._batch.pass_by(entry)
            return
        except ItemUnreadable as error:
            self._batch.fail(entry, "fetch", error.message)
            return
        except ProviderUnavailable:
            self._unavailable.append(entry)
            if len(self._unavailable) >= _UNAVAILABLE_IN_A_ROW:
                raise
            return
        self._record_unavailable()
        self._say(item.title or entry.title)
        if entry.external_id in hashes and hashes[entry.external_id] in (None, fingerprint(item)):
            self._batch.settle(entry)
            return
        document = try_to_prepare(
            item,
            source_type=self._source_type,
            embedder=self._embedder,
            config=self._configs.current(self._tenant_id, ParserConfig),
            reader=self._reader,
        )
        if isinstance(document, str):
            self._batch.fail(entry, "parse", document)
            return
        self._batch.documents[entry.external_id] = document
        self._batch.characters += len(document.content)
        self._batch.settle(entry)

    def _record_unavailable(self) -> None:
        for entry in self._unavailable:
            self._batch.fail(entry, "fetch", "The provider did not hand it over; it is tried again.")
        self._unavailable.clear()

    def _say(self, title: str) -> None:
        """Tells whoever watches what is being dealt with, and hears whether somebody cancelled the run."""
        if time.monotonic() - max(self._noted_at, self._wrote_at) < _SECONDS_BETWEEN_NOTES:
            return
        self._noted_at = time.monotonic()
        note = title[:200].replace("\x00", "")
        # The next one comes in a moment: none of them is worth waiting for the disk.
        with self._db.statement(self._tenant_id, durable=False) as unit:
            goes_on = SyncProgressRepository(unit).note(
                self._tenant_id, self._run_id, self._claim, stage="indexing", note=note
            )
        if not goes_on:  # or the job is not ours any more, as the next line finds out
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

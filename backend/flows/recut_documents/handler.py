"""What the worker does to cut a tenant's documents anew."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import structlog

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.db.transaction import Database, Session
from backend.documents.cuts.repository import CutRepository, StoredText
from backend.documents.parsing.reader import DocumentReader
from backend.documents.rows import NewDocument
from backend.documents.uploads.repository import take_again
from backend.embeddings.providers.contract import Embedder
from backend.errors import StateError, Unavailable
from backend.flows.ingest_document.store import store_all
from backend.flows.recut_documents.cutting import cut_again
from backend.flows.recut_documents.flow import wanted_cuts
from backend.flows.upload_documents.reading import read_upload
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.sync.items.repository import SyncItemRepository

_log = structlog.get_logger(__name__)

#: Documents whose text is read at a time.
BATCH: Final = 8


@dataclass(frozen=True, slots=True)
class RecutHandler:
    """Carries out `recut_documents` jobs. Each document is replaced whole, in one transaction, and says how it was cut: so
    whoever takes the job over goes on behind what is done."""

    db: Database
    embedder_for: Callable[[UUID], Embedder]
    configs: ConfigFollower
    reader: DocumentReader

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        """Goes on until none is left that was cut otherwise, or until told to stop.

        Raises LeaseLost, EmbeddingFailed, ReaderUnavailable, DatabaseUnavailable.
        """
        after: UUID | None = None
        while not should_stop():
            config = self.configs.current(claim.tenant_id, ParserConfig)
            with self.db.transaction(claim.tenant_id) as session:
                jobs = JobRepository(session)
                if not jobs.hold(claim):
                    jobs.end_cancelled(claim)
                    return
                outdated = CutRepository(session).list_outdated(
                    claim.tenant_id, wanted_cuts(config), after=after, limit=BATCH
                )
                if not outdated:
                    jobs.complete(claim)
                    return
            for stored in outdated:
                if should_stop():
                    break
                self._cut(claim, stored, config)
                after = stored.id
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).give_back(claim)

    def on_given_up(
        self, _session: Session, _tenant_id: UUID, _args: Mapping[str, object], _reason: str
    ) -> None:
        """Documents that are not cut anew stay as they are."""

    def on_cancelled(self, _session: Session, _tenant_id: UUID, _args: Mapping[str, object]) -> None:
        """The same."""

    def _cut(self, claim: Claim, stored: StoredText, config: ParserConfig) -> None:
        try:
            original = None if stored.connector_id else self._read_original(claim, stored, config)
            made = original
            if not isinstance(made, NewDocument):
                made = cut_again(
                    stored,
                    # There may be more in a file that cannot be read now: it is tried again the next time.
                    shortened_to=config.max_characters if original is None else stored.shortened_to,
                    embedder=self.embedder_for(claim.tenant_id),
                    config=config,
                    reader=self.reader,
                )
        except Unavailable:
            raise
        except StateError as error:
            _log.warning("document stays cut as it was", document=str(stored.id), reason=error.message)
            return
        is_too_short = stored.is_shortened and stored.shortened_to != config.max_characters
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).hold(claim, progressed=True)
            cuts = CutRepository(session)
            # What its source has replaced meanwhile is cut as it should be.
            if cuts.hold(claim.tenant_id, stored):
                store_all(session, claim.tenant_id, stored.connector_id, [made])
                if original is None and is_too_short:
                    # There is more of it where it came from, be that a source or an imported folder.
                    cuts.forget_content(claim.tenant_id, stored.id)
                    if stored.connector_id is not None:
                        SyncItemRepository(session).forget_revisions(
                            claim.tenant_id, stored.connector_id, [stored.external_id]
                        )

    def _read_original(
        self, claim: Claim, stored: StoredText, config: ParserConfig
    ) -> NewDocument | str | None:
        """The document as the file says it that was handed in, or why it cannot be read now; None if there is no file."""
        with self.db.statement(claim.tenant_id) as unit:
            upload = take_again(unit, claim.tenant_id, stored.id)
        if upload is None:
            return None
        embedder = self.embedder_for(claim.tenant_id)
        made = read_upload(upload, embedder=embedder, config=config, reader=self.reader)
        if isinstance(made, str):
            _log.warning("original not read, its text is cut", document=str(stored.id), reason=made)
            return made
        return replace(made, id=stored.id)

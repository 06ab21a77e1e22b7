"""What the worker does to delete the documents of a disconnected source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from backend.connectors.removals.repository import RemovalRepository
from backend.db.transaction import Database, Session
from backend.documents.repository import DocumentRepository
from backend.documents.sources.repository import SourceDocumentRepository
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.knowledge.repository import GraphRepository
from backend.sync.history.repository import SyncHistoryRepository
from backend.sync.items.repository import SyncItemRepository
from backend.sync.positions.repository import SyncPositionRepository

_log = structlog.get_logger(__name__)

#: Documents of one transaction: some hundred thousand rows of passages and of the graph at most, a second or so.
BATCH: Final = 100
_ITEMS: Final = 5000
#: How often it is looked whether the sync is over that was running when the source was disconnected.
_LOOK_AGAIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ForgetSourceHandler:
    """Carries out `forget_source` jobs."""

    db: Database

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        """Deletes batch by batch until nothing is left, or until told to stop."""
        connector_id = UUID(str(claim.args["connector_id"]))
        if not self._begin(claim, connector_id):
            return
        while not should_stop():
            with self.db.transaction(claim.tenant_id) as session:
                JobRepository(session).hold(claim, progressed=True)
                if self._remove_some(session, claim.tenant_id, connector_id):
                    continue
                RemovalRepository(session).finish(claim.tenant_id, connector_id)
                JobRepository(session).complete(claim)
            _log.info("documents of a source deleted", connector=str(connector_id))
            return
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).give_back(claim)

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """What is gone is gone; an administrator may ask for the rest again."""
        RemovalRepository(session).give_up(tenant_id, UUID(str(args["connector_id"])), reason)

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """The same."""
        self.on_given_up(session, tenant_id, args, "It was cancelled.")

    def _begin(self, claim: Claim, connector_id: UUID) -> bool:
        """Forgets where reading was; False when a sync still runs that began before, or there is nothing to do."""
        with self.db.transaction(claim.tenant_id) as session:
            jobs = JobRepository(session)
            jobs.hold(claim)
            removal = RemovalRepository(session).find(claim.tenant_id, connector_id)
            if removal is None or removal.finished_at is not None:
                jobs.complete(claim)
                return False
            if SyncHistoryRepository(session).list_unfinished_since(
                claim.tenant_id, connector_id, removal.requested_at
            ):
                jobs.postpone(claim, _LOOK_AGAIN)
                return False
            SyncPositionRepository(session).begin_anew(claim.tenant_id, connector_id)
        return True

    def _remove_some(self, session: Session, tenant_id: UUID, connector_id: UUID) -> bool:
        """Whether there was anything to remove."""
        if SyncItemRepository(session).forget_some(tenant_id, connector_id, limit=_ITEMS):
            return True
        document_ids = SourceDocumentRepository(session).list_some(tenant_id, connector_id, limit=BATCH)
        if not document_ids:
            return False
        GraphRepository(session).forget(tenant_id, document_ids)
        removed = DocumentRepository(session).remove(tenant_id, document_ids)
        RemovalRepository(session).advance(tenant_id, connector_id, removed=removed)
        return True

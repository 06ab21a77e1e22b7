"""What the worker does to change a tenant's embedding model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from backend.db.transaction import Database, Session
from backend.documents.vectors.repository import Passage, VectorRepository
from backend.embeddings.models import ServingModel
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.serving.repository import ServingModelRepository
from backend.errors import Unavailable
from backend.flows.ingest_document.context import in_context
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository

_log = structlog.get_logger(__name__)

#: Passages embedded together; what was paid for before a failure is kept.
BATCH: Final = 128
_PURGED: Final = 5_000
#: Every process has noticed by then which model serves, and its questions are answered.
GRACE: Final = timedelta(seconds=60)


class ModelNotConfigured(Unavailable):
    """No worker is configured for this embedding model."""


@dataclass(frozen=True, slots=True)
class ReembedHandler:
    """Carries out `reembed` jobs."""

    db: Database
    find_embedder: Callable[[str], Embedder | None]

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        """Goes on until the wanted model serves and nothing of the previous one is left, or until told to stop.

        Raises LeaseLost, EmbeddingFailed, ModelNotConfigured, DatabaseUnavailable.
        """
        after: UUID | None = None
        is_purged = False
        while not should_stop():
            with self.db.transaction(claim.tenant_id) as session:
                jobs = JobRepository(session)
                jobs.hold(claim)
                row = ServingModelRepository(session).find(claim.tenant_id)
                if row is None:
                    jobs.complete(claim)
                    return
                target = row.next_model or row.model
                missing = VectorRepository(session).list_missing(
                    claim.tenant_id, target, after=after, limit=BATCH
                )
                if not missing and after is None:
                    if row.state == "purging" and not is_purged:
                        if not ServingModelRepository(session).is_settled(claim.tenant_id, GRACE):
                            jobs.postpone(claim, GRACE)
                            return
                    elif self._get_on(session, claim, row):
                        continue
                    else:
                        return
            if not missing and after is None:
                is_purged = self._purge(claim, target, should_stop)
                continue
            # From the start once more before it counts as complete: some may have come out of order.
            after = self._make(claim, row, target, missing) if missing else None
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).give_back(claim)

    def on_given_up(
        self, session: Session, tenant_id: UUID, _args: Mapping[str, object], reason: str
    ) -> None:
        """The model that serves goes on serving."""
        row = ServingModelRepository(session).lock(tenant_id)
        if row is not None and row.state != "serving":
            ServingModelRepository(session).give_up(tenant_id, reason)

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """The same."""
        self.on_given_up(session, tenant_id, args, "It was cancelled.")

    def _make(self, claim: Claim, row: ServingModel, target: str, missing: list[Passage]) -> UUID:
        """Embeds and stores; the last passage's id. No transaction is open while the model works."""
        embedder = self.find_embedder(target)
        if embedder is None:
            raise ModelNotConfigured(f"No worker is configured for the embedding model {target}.")
        made = embedder.embed([in_context(p.title, p.heading_path, p.text) for p in missing])
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).hold(claim, progressed=True)
            added = VectorRepository(session).add(
                claim.tenant_id,
                target,
                {passage.id: vector for passage, vector in zip(missing, made, strict=True)},
            )
            if row.state == "embedding":
                ServingModelRepository(session).advance(claim.tenant_id, done=added)
        return missing[-1].id

    def _purge(self, claim: Claim, keep: str, should_stop: Callable[[], bool]) -> bool:
        """Deletes the previous model's vectors batch by batch; whether none is left."""
        while not should_stop():
            with self.db.transaction(claim.tenant_id) as session:
                JobRepository(session).hold(claim, progressed=True)
                if not VectorRepository(session).purge(claim.tenant_id, keep=keep, limit=_PURGED):
                    return True
        return False

    def _get_on(self, session: Session, claim: Claim, row: ServingModel) -> bool:
        """Nothing is missing: the next step, in the transaction that holds the job. Whether there is more to do now."""
        serving, vectors, jobs = (
            ServingModelRepository(session),
            VectorRepository(session),
            JobRepository(session),
        )
        # Copies: the row is read again below.
        tenant_id, state, target = claim.tenant_id, row.state, row.next_model or row.model
        # Whoever stores passages at this moment is waited for, and nobody stores any until this transaction ends.
        locked = serving.lock(tenant_id)
        if locked is None or (locked.state, locked.next_model or locked.model) != (state, target):
            return True
        if vectors.list_missing(tenant_id, target, after=None, limit=1):
            return True
        if state == "embedding":
            serving.switch(tenant_id)
            jobs.postpone(claim, GRACE)
            _log.info("embedding model changed", tenant=str(tenant_id), model=target)
            return False
        if state == "purging":
            serving.finish(tenant_id)
        jobs.complete(claim)
        return False

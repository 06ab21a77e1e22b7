"""What the worker does to have a language model classify what the rules leave open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from backend.db.transaction import Database, Session
from backend.documents.classification import Classified
from backend.documents.models import Document
from backend.documents.review.repository import ReviewRepository
from backend.flows.classify_documents.flow import ask_model
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.search.llm import ChatModel, LanguageModelUnavailable

_log = structlog.get_logger(__name__)

JUDGED = Counter(
    "secondbrain_judged_documents_total", "Documents this process had a language model classify", ["outcome"]
)

#: Documents after which the job goes back into the queue: a model takes seconds for each, and others wait for the thread.
BATCH: Final = 20
#: How long a model that does not answer is left alone.
PAUSE: Final = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class ClassifyHandler:
    """Carries out `classify_documents` jobs. Each answer is stored by itself, so whoever takes the job over goes on behind
    what is done."""

    db: Database
    chat_model: ChatModel | None

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        """Asks about a few documents, one by one, and gives the job back if there are more.

        Raises LeaseLost, DatabaseUnavailable.
        """
        for _ in range(BATCH):
            with self.db.transaction(claim.tenant_id) as session:
                jobs = JobRepository(session)
                if not jobs.hold(claim):
                    jobs.end_cancelled(claim)
                    return
                # One at a time: a document's text may have millions of characters.
                document = ReviewRepository(session).find_unjudged(claim.tenant_id)
                if document is None or self.chat_model is None:
                    jobs.complete(claim)
                    return
            try:
                found = ask_model(self.chat_model, document)
            except LanguageModelUnavailable as error:
                _log.warning("language model not available, asked again later", error=error.error_code)
                with self.db.transaction(claim.tenant_id) as session:
                    JobRepository(session).postpone(claim, PAUSE)
                return
            self._store(claim, document, found)
            if should_stop():
                break
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).give_back(claim)

    def on_given_up(
        self, _session: Session, _tenant_id: UUID, _args: Mapping[str, object], _reason: str
    ) -> None:
        """Documents stay what the rules take them for."""

    def on_cancelled(self, _session: Session, _tenant_id: UUID, _args: Mapping[str, object]) -> None:
        """The same."""

    def _store(self, claim: Claim, document: Document, found: Classified | None) -> None:
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).hold(claim, progressed=True)
            # Who has decided meanwhile, or changed it, is right.
            is_stored = ReviewRepository(session).judge(
                claim.tenant_id, document.id, document.content_sha256, found
            )
        if is_stored:
            JUDGED.labels("unclear" if found is None else found.classification).inc()

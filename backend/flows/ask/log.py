"""Writes down what was asked and found, unless the workspace has turned that off."""

from uuid import UUID

import structlog
from prometheus_client import Counter

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import SearchLogConfig
from backend.db.transaction import Database
from backend.flows.ask.flow import Reply
from backend.searches.repository import SearchLogRepository

_log = structlog.get_logger(__name__)

SEARCHES = Counter("secondbrain_searches_total", "Searches this process has answered", ["outcome"])


def log_search(
    db: Database,
    configs: ConfigFollower,
    tenant_id: UUID,
    user_id: UUID,
    *,
    query: str,
    reply: Reply,
    seconds: float,
    search_id: UUID | None = None,
) -> UUID | None:
    """The search's id in the log; None if it is not there. An answer never fails for its log."""
    SEARCHES.labels(reply.kind).inc()
    try:
        if not configs.current(tenant_id, SearchLogConfig).is_on:
            return None
        with db.transaction(tenant_id) as session:
            return SearchLogRepository(session).add(
                tenant_id,
                user_id,
                query=query,
                searched=reply.retrieved.searched,
                outcome=reply.kind,
                confidence=reply.confidence,
                results=[
                    {
                        "document_id": str(hit.document_id),
                        "chunk_id": str(hit.chunk_id),
                        "score": round(hit.score, 4),
                    }
                    for hit in reply.hits
                ],
                seconds=seconds,
                search_id=search_id,
            )
    except Exception:  # noqa: BLE001 - logged; whatever is wrong with the log, the answer stands
        _log.exception("search not logged")
        return None

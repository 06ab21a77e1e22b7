"""Log a search, note what was opened and what people think of it, list, purge."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.dialects.postgresql import array, insert
from sqlalchemy.orm import Session

from backend.errors import NotFound
from backend.searches.models import Feedback, Search

#: How many results of a search are written down.
KEPT_RESULTS: Final = 10
#: Feedback that does not say which search it is about belongs to the person's newest with the same words in this time.
_STILL_MEANT: Final = timedelta(days=1)


class SearchNotFound(NotFound):
    """There is no such search."""


class SearchLogRepository:
    """Searches and feedback of one tenant, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        tenant_id: UUID,
        user_id: UUID,
        *,
        query: str,
        searched: str,
        outcome: str,
        confidence: float,
        results: Sequence[Mapping[str, Any]],
        seconds: float,
        search_id: UUID | None = None,
    ) -> UUID:
        """Writes a search down; its id, which may be one of `new_id`."""
        return self._session.execute(
            insert(Search)
            .values(
                tenant_id=tenant_id,
                user_id=user_id,
                query=query,
                searched=searched,
                outcome=outcome,
                confidence=confidence,
                result_count=len(results),
                results=[dict(result) for result in results[:KEPT_RESULTS]],
                milliseconds=round(1000 * seconds),
                **({"id": search_id} if search_id else {}),
            )
            .returning(Search.id)
        ).scalar_one()

    def new_id(self) -> UUID:
        """The id of a search that is written down later, for links that are shown before."""
        made: UUID = self._session.execute(select(func.uuidv7())).scalar_one()
        return made

    def click(self, tenant_id: UUID, user_id: UUID, search_id: UUID, document_id: UUID) -> None:
        """Notes that a document was opened from the answer, once. Raises SearchNotFound, also for somebody else's."""
        clicked = Search.clicked_document_ids
        found = self._session.scalar(
            update(Search)
            .where(Search.tenant_id == tenant_id, Search.id == search_id, Search.user_id == user_id)
            .values(
                clicked_document_ids=case(
                    # What was not shown cannot have been opened from it.
                    (
                        Search.results.contains([{"document_id": str(document_id)}])
                        & ~clicked.contains([document_id]),
                        clicked + array([document_id]),
                    ),
                    else_=clicked,
                )
            )
            .returning(Search.id)
        )
        if found is None:
            raise SearchNotFound

    def rate(
        self,
        tenant_id: UUID,
        user_id: UUID,
        *,
        rating: str,
        query: str,
        answer: str,
        source_ids: Sequence[str],
        search_id: UUID | None = None,
    ) -> UUID:
        """Writes down what a person thinks of an answer; its id.

        A search that is not the person's, or not there any more, is left out.
        """
        meant = select(Search.id).where(Search.tenant_id == tenant_id, Search.user_id == user_id)
        if search_id is not None:
            meant = meant.where(Search.id == search_id)
        else:
            meant = (
                meant.where(Search.query == query, Search.created_at > func.now() - _STILL_MEANT)
                .order_by(Search.created_at.desc(), Search.id.desc())
                .limit(1)
            )
        return self._session.execute(
            insert(Feedback)
            .values(
                tenant_id=tenant_id,
                user_id=user_id,
                search_id=meant.scalar_subquery(),
                rating=rating,
                query=query,
                answer=answer,
                source_ids=list(source_ids),
            )
            .returning(Feedback.id)
        ).scalar_one()

    def list_newest(
        self, tenant_id: UUID, *, outcome: str | None = None, limit: int = 50, before: UUID | None = None
    ) -> Sequence[tuple[Search, int, int]]:
        """Searches, the newest first, with how many liked and disliked the answer; `before` is the last id you have."""

        def count(rating: str) -> Any:
            return (
                select(func.count())
                .select_from(Feedback)
                .where(
                    Feedback.tenant_id == tenant_id,
                    Feedback.search_id == Search.id,
                    Feedback.rating == rating,
                )
                .scalar_subquery()
            )

        query = select(Search, count("up"), count("down")).where(Search.tenant_id == tenant_id)
        if outcome is not None:
            query = query.where(Search.outcome == outcome)
        if before is not None:
            query = query.where(Search.id < before)
        return [
            (search, up, down)
            for search, up, down in self._session.execute(query.order_by(Search.id.desc()).limit(limit))
        ]

    def purge(self, tenant_id: UUID) -> tuple[int, int]:
        """Deletes all that was asked, and all that was said of answers: (searches, feedback)."""
        feedback = self._session.scalars(
            delete(Feedback).where(Feedback.tenant_id == tenant_id).returning(Feedback.id)
        ).all()
        searches = self._session.scalars(
            delete(Search).where(Search.tenant_id == tenant_id).returning(Search.id)
        ).all()
        return len(searches), len(feedback)


def purge_old(session: Session, *, older_than: timedelta, limit: int = 1000) -> int:
    """Deletes searches of more than `older_than` ago (operator transaction), at most `limit`; how many."""
    old = (
        select(Search.tenant_id, Search.id)
        .where(Search.created_at < func.now() - older_than)
        .order_by(Search.created_at)
        .limit(limit)
        .subquery()
    )
    rows = session.scalars(
        delete(Search).where(Search.tenant_id == old.c.tenant_id, Search.id == old.c.id).returning(Search.id)
    )
    return len(rows.all())

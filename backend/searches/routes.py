"""/api/feedback, /api/search/{id}/click, /api/admin/searches."""

from typing import Any, Literal
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.searches.models import Search
from backend.searches.repository import SearchLogRepository
from backend.web import Answer, administrator, answer, principal, services

api = APIBlueprint("searches", __name__, abp_tags=[Tag(name="search", description="Questions and answers")])


class SearchPath(BaseModel):
    search_id: UUID


class Clicking(BaseModel):
    doc_id: UUID


class Rating(BaseModel):
    rating: Literal["up", "down"]
    query: str = Field("", max_length=4000)
    answer: str = Field("", max_length=50_000)
    source_ids: list[str | None] = Field(default_factory=list, max_length=100)
    search_id: UUID | None = Field(
        None, description="As the search's answer said; else the newest with that query"
    )


class Rated(Answer):
    feedback_id: str


class Listing(BaseModel):
    outcome: Literal["extractive", "generated", "no_results", "onboarding", "abandoned"] | None = Field(
        None,
        description="no_results: what the documents do not answer; abandoned: nobody waited for the answer's end",
    )
    limit: int = Field(50, ge=1, le=200)
    before: UUID | None = Field(None, description="Only older ones: the last id you have")


class SearchView(BaseModel):
    id: str
    user_id: str | None
    query: str
    searched: str
    outcome: str
    confidence: float
    result_count: int
    results: list[Any]
    clicked_document_ids: list[str]
    liked: int
    disliked: int
    milliseconds: int
    created_at: str


class SearchList(Answer):
    searches: list[SearchView]


class Purged(Answer):
    searches: int
    feedback: int


@api.post("/api/feedback", responses={200: Rated})
def rate(body: Rating) -> Response:
    """Say what you think of an answer."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        feedback_id = SearchLogRepository(session).rate(
            who.tenant_id,
            who.user_id,
            rating=body.rating,
            query=body.query.strip(),
            answer=body.answer,
            source_ids=[one[:200] for one in body.source_ids if one],
            search_id=body.search_id,
        )
    return answer(Rated(feedback_id=str(feedback_id)))


@api.post("/api/search/<search_id>/click", responses={200: Answer})
def click(path: SearchPath, body: Clicking) -> Response:
    """Say that you opened a document from an answer of yours."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        SearchLogRepository(session).click(who.tenant_id, who.user_id, path.search_id, body.doc_id)
    return answer(Answer())


@api.get("/api/admin/searches", responses={200: SearchList})
def list_searches(query: Listing) -> Response:
    """What was asked in the workspace, and how it went; administrators only."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        rows = SearchLogRepository(session).list_newest(
            who.tenant_id, outcome=query.outcome, limit=query.limit, before=query.before
        )
    return answer(SearchList(searches=[_view(*row) for row in rows]))


@api.delete("/api/admin/searches", responses={200: Purged})
def purge() -> Response:
    """Delete all that was asked and all that was said of answers; `PUT /api/admin/config/search_log` turns it off."""
    who = administrator()
    with services().db.transaction(who.tenant_id) as session:
        searches, feedback = SearchLogRepository(session).purge(who.tenant_id)
    return answer(Purged(searches=searches, feedback=feedback))


def _view(search: Search, liked: int, disliked: int) -> SearchView:
    return SearchView(
        id=str(search.id),
        user_id=str(search.user_id) if search.user_id else None,
        query=search.query,
        searched=search.searched,
        outcome=search.outcome,
        confidence=search.confidence,
        result_count=search.result_count,
        results=search.results,
        clicked_document_ids=[str(one) for one in search.clicked_document_ids],
        liked=liked,
        disliked=disliked,
        milliseconds=search.milliseconds,
        created_at=search.created_at.isoformat(),
    )

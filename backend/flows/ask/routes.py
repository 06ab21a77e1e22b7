"""POST /api/search, and the same as a stream: POST /api/search/stream."""

import time
from collections.abc import Callable
from typing import Annotated, Literal
from uuid import UUID

from flask import Response, g
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, StringConstraints

from backend.flows.ask.exchange import check_conversation, keep_exchange
from backend.flows.ask.flow import Found, Reply, find, left_unread, write
from backend.flows.ask.log import log_search
from backend.flows.ask.stream import Events, stream
from backend.flows.ask.views import SearchAnswer, answer_view
from backend.marks import only_reads
from backend.search.repository import Filters
from backend.web import answer, principal, services

api = APIBlueprint("search", __name__, abp_tags=[Tag(name="search", description="Questions and answers")])


class Turn(BaseModel):
    role: Literal["user", "assistant"]
    content: str = Field(max_length=50_000)


_Names = Annotated[list[Annotated[str, StringConstraints(max_length=200)]], Field(max_length=50)]


class DocumentFilters(BaseModel):
    """Which documents may answer; what is left out lets all of them."""

    source_types: _Names = Field(default_factory=list)
    kinds: _Names = Field(default_factory=list)
    authors: _Names = Field(
        default_factory=list, description="Names as the source has them, whatever their case"
    )
    labels: _Names = Field(default_factory=list, description="Any of them")
    since: AwareDatetime | None = Field(None, description="Changed at the source at or after")
    until: AwareDatetime | None = Field(None, description="Changed at the source before")


class Question(BaseModel):
    # No text in Postgres holds a NUL, and no question needs one.
    query: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=4000),
        BeforeValidator(lambda value: value.replace("\0", " ") if isinstance(value, str) else value),
    ]
    conversation_history: list[Turn] = Field(default_factory=list, max_length=50)
    top_k: int = Field(15, ge=1, le=50)
    include_sources: bool = True
    filters: DocumentFilters | None = None
    conversation_id: UUID | None = Field(
        None, description="One of your conversations: the question and its answer are kept there"
    )


@api.post("/api/search", responses={200: SearchAnswer})
@only_reads
def search(body: Question) -> Response:
    """Ask the workspace's documents. No hit, an empty workspace or a silent language model are answers too."""
    finish = _finish(body)
    return answer(finish(write(_find(body), services().chat_model)))


@api.post("/api/search/stream", responses={200: None})
@only_reads
def search_stream(body: Question) -> Response:
    """The same as server-sent events: each sentence once it is certain.

    `sources` first; then `sentence` events, whose texts joined are the answer, each followed by its `citation`s; at the
    end `done` with what `/api/search` answers, or `error`. Comments come in between while a language model writes.
    """
    s = services()
    finish = _finish(body)
    found = _find(body)
    events = Events(
        body.query,
        found,
        public_url=s.settings.public_url,
        with_sources=body.include_sources,
        request_id=g.request_id,
    )
    frames = stream(found, s.chat_model, events, finish=finish, break_off=_break_off(body))
    return Response(
        frames,
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


def _find(body: Question) -> Found:
    who = principal()
    s = services()
    if body.conversation_id is not None:
        check_conversation(s.db, who, body.conversation_id)
    return find(
        s.db,
        s.asking_embedder(who.tenant_id),
        who.tenant_id,
        body.query,
        history=[turn.model_dump() for turn in body.conversation_history[-10:]],
        limit=body.top_k,
        expand=s.lexicon.expand,
        count_words=s.lexicon.count_words,
        filters=Filters(**body.filters.model_dump()) if body.filters else None,
        vocabulary=s.vocabulary,
        reranker=s.reranker,
    )


def _break_off(body: Question) -> Callable[[Found], None]:
    """What is done when nobody waits for the end: what was asked is written down all the same."""
    who = principal()
    s = services()
    started = time.perf_counter()

    def break_off(found: Found) -> None:
        log_search(
            s.db,
            s.configs,
            who.tenant_id,
            who.user_id,
            query=body.query,
            reply=left_unread(found),
            seconds=time.perf_counter() - started,
        )

    return break_off


def _finish(body: Question) -> Callable[[Reply], SearchAnswer]:
    """What is done with a reply: it is written down, kept in its conversation, and shown.

    Usable after the request is over: a stream is.
    """
    who = principal()
    s = services()
    started = time.perf_counter()

    def finish(reply: Reply) -> SearchAnswer:
        seconds = time.perf_counter() - started
        search_id = log_search(
            s.db, s.configs, who.tenant_id, who.user_id, query=body.query, reply=reply, seconds=seconds
        )
        conversation_id = keep_exchange(
            s.db,
            who,
            body.query,
            reply,
            conversation_id=body.conversation_id,
            is_first=all(turn.role == "user" for turn in body.conversation_history),
            seconds=seconds,
        )
        return answer_view(
            body.query,
            reply,
            public_url=s.settings.public_url,
            seconds=seconds,
            search_id=search_id,
            conversation_id=conversation_id,
            with_sources=body.include_sources,
        )

    return finish

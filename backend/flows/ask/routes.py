"""POST /api/search."""

import re
import time
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from backend.flows.ask.flow import Reply, ask
from backend.flows.ask.log import log_search
from backend.search.repository import Filters, Hit
from backend.web import Answer, answer, only_reads, principal, services

api = APIBlueprint("search", __name__, abp_tags=[Tag(name="search", description="Questions and answers")])

#: Characters that break a citation link in existing clients.
_BREAKS_LINKS = re.compile(r"[:\[\]/\\()]+")


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
    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
    conversation_history: list[Turn] = Field(default_factory=list, max_length=50)
    top_k: int = Field(15, ge=1, le=50)
    include_sources: bool = True
    filters: DocumentFilters | None = None


class SourceView(BaseModel):
    """A ranked passage; `[Source N]` in the answer is the N-th of them, counted from 1."""

    doc_id: str
    chunk_id: str
    title: str
    content: str = Field(description="The whole passage")
    content_preview: str
    score: float
    rerank_score: float
    similarity: float | None
    url: str | None
    heading_path: list[str]
    start_offset: int = Field(description="Where the passage begins in the document's text")
    end_offset: int
    view_url: str = Field(description="Opens the document at the passage")
    metadata: dict[str, Any]


class CitationView(BaseModel):
    """A sentence of the answer and the passage that has it."""

    source: int = Field(description="Index into sources, counted from 1")
    doc_id: str
    chunk_id: str
    sentence: str


class SearchAnswer(Answer):
    search_id: str | None = Field(
        description="For clicks and feedback; null if searches are not written down"
    )
    answer: str
    sources: list[SourceView]
    citations: list[CitationView]
    source_count: int
    query: str
    expanded_query: str
    confidence: float = Field(ge=0, le=1)
    query_type: Literal["enhanced_rag", "basic_rag", "no_results", "onboarding"]
    search_time: float = Field(description="Seconds")
    features_used: dict[str, bool]
    context_chars: int
    is_empty_knowledge_base: bool


@api.post("/api/search", responses={200: SearchAnswer})
@only_reads
def search(body: Question) -> Response:
    """Ask the workspace's documents. No hit, an empty workspace or a silent language model are answers too."""
    who = principal()
    s = services()
    started = time.perf_counter()
    reply = ask(
        s.db,
        s.asking_embedder(who.tenant_id),
        s.chat_model,
        who.tenant_id,
        body.query,
        history=[turn.model_dump() for turn in body.conversation_history[-10:]],
        limit=body.top_k,
        expand=s.lexicon.expand,
        count_words=s.lexicon.count_words,
        filters=Filters(**body.filters.model_dump()) if body.filters else None,
    )
    seconds = time.perf_counter() - started
    search_id = log_search(
        s.db, s.configs, who.tenant_id, who.user_id, query=body.query, reply=reply, seconds=seconds
    )
    return answer(_view(body, reply, seconds, search_id))


def _view(body: Question, reply: Reply, seconds: float, search_id: UUID | None) -> SearchAnswer:
    kinds = {"generated": "enhanced_rag", "extractive": "basic_rag"}
    return SearchAnswer.model_validate(
        {
            "search_id": str(search_id) if search_id else None,
            "answer": reply.text,
            "sources": [_source(hit) for hit in reply.hits] if body.include_sources else [],
            "citations": [
                {
                    "source": index + 1,
                    "doc_id": str(reply.hits[index].document_id),
                    "chunk_id": str(reply.hits[index].chunk_id),
                    "sentence": sentence,
                }
                for index, sentence in reply.citations
            ],
            "source_count": len(reply.hits),
            "query": body.query,
            "expanded_query": reply.expanded_question,
            "confidence": reply.confidence,
            "query_type": kinds.get(reply.kind, reply.kind),
            "search_time": round(seconds, 4),
            "features_used": {
                "full_text": any(hit.lexical_score for hit in reply.hits),
                "vectors": any(hit.similarity for hit in reply.hits),
                "language_model": reply.kind == "generated",
            },
            "context_chars": sum(len(hit.text) for hit in reply.hits),
            "is_empty_knowledge_base": reply.kind == "onboarding",
        }
    )


def _source(hit: Hit) -> SourceView:
    return SourceView(
        doc_id=str(hit.document_id),
        chunk_id=str(hit.chunk_id),
        title=hit.title,
        content=hit.text,
        content_preview=hit.text[:200],
        score=hit.score,
        rerank_score=hit.score,
        similarity=hit.similarity,
        url=hit.url,
        heading_path=list(hit.heading_path),
        start_offset=hit.start_offset,
        end_offset=hit.end_offset,
        view_url=f"{services().settings.public_url}/api/document/{hit.document_id}/view"
        f"?start={hit.start_offset}&end={hit.end_offset}#passage",
        metadata={
            **hit.metadata,
            "file_name": _BREAKS_LINKS.sub(" ", hit.title).strip() or "document",
            "project": hit.metadata.get("repository") or hit.source_type,
            "source_type": hit.source_type,
            "kind": hit.kind,
            "author": hit.author,
            "updated_at": hit.source_updated_at.isoformat() if hit.source_updated_at else None,
        },
    )

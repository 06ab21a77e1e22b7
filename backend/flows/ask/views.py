"""Answers as the API shows them."""

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.flows.ask.flow import Cited, Found, Reply
from backend.search.plain import visible
from backend.search.question import read
from backend.search.repository import Hit

#: Characters that break a citation link in existing clients.
_BREAKS_LINKS = re.compile(r"[:\[\]/\\()]+")
_TYPES: Final = MappingProxyType({"generated": "enhanced_rag", "extractive": "basic_rag"})


class SourceView(BaseModel):
    """A ranked passage; `[Source N]` in the answer is the N-th of them, counted from 1."""

    doc_id: str
    chunk_id: str
    title: str
    content: str = Field(description="The whole passage")
    content_preview: str
    score: float
    rerank_score: float = Field(
        description="The reranker's score, on its own scale; without one the same as score"
    )
    similarity: float | None
    url: str | None
    heading_path: list[str]
    start_offset: int = Field(description="Where the passage begins in the document's text")
    end_offset: int
    page: int | None = Field(
        description="The page or slide it begins on, counted from 1; null if its format has none"
    )
    view_url: str = Field(description="Opens the document at the passage")
    metadata: dict[str, Any]


class CitationView(BaseModel):
    """A marker of the answer, and the sentence of its source that bears it out."""

    source: int = Field(description="Index into sources, counted from 1")
    doc_id: str
    chunk_id: str
    sentence: str = Field(description="As the document has it, on one line")
    start_offset: int = Field(description="Where the sentence begins in the document's text")
    end_offset: int
    page: int | None = Field(
        description="The page or slide it begins on, counted from 1; null if its format has none"
    )
    view_url: str = Field(description="Opens the document at the sentence")


class SearchAnswer(BaseModel):
    success: bool = True
    search_id: str | None = Field(
        description="For clicks and feedback; null if searches are not written down"
    )
    conversation_id: str | None = Field(None, description="The conversation the exchange was kept in, if any")
    answer: str
    sources: list[SourceView]
    citations: list[CitationView] = Field(description="One for each marker of the answer, in order")
    source_count: int
    query: str
    expanded_query: str = Field(description="What was searched for")
    corrections: list[dict[Literal["from", "to"], str]] = Field(
        description="Words of the query that no passage has, each with the workspace's own word searched for instead"
    )
    confidence: float = Field(ge=0, le=1)
    query_type: Literal["enhanced_rag", "basic_rag", "no_results", "onboarding"]
    removed_sentences: int = Field(
        description="Sentences of the language model that no cited passage bore out; they are not in the answer"
    )
    is_complete: bool = Field(description="False when the language model broke off amid a streamed answer")
    search_time: float = Field(description="Seconds")
    features_used: dict[str, bool] = Field(
        description="phrase: quoted words had to stand together; phrase_relaxed: they do nowhere, and were searched for"
        " one by one; excluded: -words were left out; corrected; completed: the last word was taken for the beginning"
        " of others"
    )
    context_chars: int
    is_empty_knowledge_base: bool


class SourcesEvent(BaseModel):
    """The first event of a streamed answer."""

    query: str
    expanded_query: str
    sources: list[SourceView]
    source_count: int


class SentenceEvent(BaseModel):
    """A sentence that its sources bear out. The texts of all of them, joined, are the answer."""

    index: int = Field(description="Counted from 0")
    text: str


class CitationEvent(CitationView):
    index: int = Field(description="Of the sentence it belongs to")


def answer_view(
    query: str,
    reply: Reply,
    *,
    public_url: str,
    seconds: float,
    search_id: UUID | None,
    conversation_id: UUID | None,
    with_sources: bool,
) -> SearchAnswer:
    """The whole answer; `public_url` is where links begin."""
    how, said = reply.retrieved, read(query)
    return SearchAnswer.model_validate(
        {
            "search_id": str(search_id) if search_id else None,
            "conversation_id": str(conversation_id) if conversation_id else None,
            "answer": reply.text,
            "sources": [source_view(hit, public_url) for hit in reply.hits] if with_sources else [],
            "citations": [citation_view(one, reply.hits, public_url) for one in reply.citations],
            "source_count": len(reply.hits),
            "query": query,
            "expanded_query": how.searched,
            "corrections": [{"from": typed, "to": meant} for typed, meant in how.corrections],
            "confidence": reply.confidence,
            "query_type": _TYPES.get(reply.kind, reply.kind),
            "removed_sentences": reply.removed_count,
            "is_complete": reply.is_complete,
            "search_time": round(seconds, 4),
            "features_used": {
                "full_text": any(hit.lexical_score for hit in reply.hits),
                "vectors": any(hit.similarity for hit in reply.hits),
                "reranker": any(hit.rerank_score is not None for hit in reply.hits),
                "language_model": reply.kind == "generated",
                "phrase": bool(said.phrases) and not how.phrase_relaxed,
                "phrase_relaxed": how.phrase_relaxed,
                "excluded": bool(said.excluded),
                "corrected": bool(how.corrections),
                "completed": bool(how.completions),
            },
            "context_chars": sum(len(hit.text) for hit in reply.hits),
            "is_empty_knowledge_base": reply.kind == "onboarding",
        }
    )


def sources_event(query: str, found: Found, *, public_url: str, with_sources: bool) -> SourcesEvent:
    """What was found, before anything is written."""
    return SourcesEvent(
        query=query,
        expanded_query=found.retrieved.searched,
        sources=[source_view(hit, public_url) for hit in found.hits] if with_sources else [],
        source_count=len(found.hits),
    )


def citation_view(cited: Cited, hits: Sequence[Hit], public_url: str) -> CitationView:
    """The sentence a marker stands for, and the link that opens its document there."""
    hit = hits[cited.source_index]
    return CitationView(
        source=cited.source_index + 1,
        doc_id=str(hit.document_id),
        chunk_id=str(hit.chunk_id),
        sentence=cited.sentence,
        start_offset=cited.start,
        end_offset=cited.end,
        page=hit.page_at(cited.start),
        view_url=_view_url(public_url, hit, cited.start, cited.end),
    )


def source_view(hit: Hit, public_url: str) -> SourceView:
    """A passage with its document."""
    return SourceView(
        doc_id=str(hit.document_id),
        chunk_id=str(hit.chunk_id),
        title=hit.title,
        content=hit.text,
        content_preview=hit.text[:200],
        score=hit.score,
        rerank_score=hit.score if hit.rerank_score is None else hit.rerank_score,
        similarity=hit.similarity,
        url=hit.url,
        heading_path=list(hit.heading_path),
        start_offset=hit.start_offset,
        end_offset=hit.end_offset,
        page=hit.page_at(hit.start_offset),
        view_url=_view_url(public_url, hit, hit.start_offset, hit.end_offset),
        metadata={
            **hit.metadata,
            "file_name": file_name(hit),
            "project": project(hit),
            "source_type": hit.source_type,
            "kind": hit.kind,
            "author": hit.author,
            "updated_at": hit.source_updated_at.isoformat() if hit.source_updated_at else None,
        },
    )


def file_name(hit: Hit) -> str:
    """What existing clients call a source in their links."""
    return " ".join(_BREAKS_LINKS.sub(" ", visible(hit.title)).split()) or "document"


def project(hit: Hit) -> str:
    """What existing clients show a source under."""
    repository = hit.metadata.get("repository")
    return repository if isinstance(repository, str) and repository else hit.source_type


def _view_url(public_url: str, hit: Hit, start: int, end: int) -> str:
    return f"{public_url}/api/document/{hit.document_id}/view?start={start}&end={end}#passage"

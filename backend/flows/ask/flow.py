"""Embed the question, rank, answer; the language model, if there is one, is asked outside any transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from backend.db.transaction import Database
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LocalEmbedder
from backend.errors import Unavailable
from backend.flows.ask.retrieve import retrieve
from backend.search.answer import Source, compose
from backend.search.followup import complete
from backend.search.llm import ChatModel, generate_answer
from backend.search.repository import Filters, Hit, SearchRepository

_log = structlog.get_logger(__name__)

_NOTHING_YET = "There is nothing to search yet. Connect a source or import documents, and ask again once they are synced."


@dataclass(frozen=True, slots=True)
class Reply:
    """`kind`: onboarding (nothing to search), no_results, extractive or generated; `confidence` 0 to 1."""

    text: str
    kind: str
    confidence: float
    hits: Sequence[Hit]
    #: (index into hits, the passage's sentence) for each citation of an extractive answer
    citations: Sequence[tuple[int, str]]
    #: what was searched for: the question, and what its acronyms stand for
    expanded_question: str


def ask(
    db: Database,
    embedder: Embedder | None,
    chat_model: ChatModel | None,
    tenant_id: UUID,
    question: str,
    *,
    history: Sequence[Mapping[str, str]] = (),
    limit: int = 15,
    expand: Callable[[UUID, str], str] | None = None,
    count_words: Callable[[UUID], tuple[int, Mapping[str, int]] | None] | None = None,
    filters: Filters | None = None,
) -> Reply:
    """Answers `question`, which may lean on `history`, from the tenant's documents that `filters` lets through;
    `expand` adds what the tenant calls things, `count_words` says
    how frequent its words are. Without an `embedder` passages are found by their words alone.

    Raises EmbeddingFailed, DatabaseUnavailable.
    """
    searched = _expanded(expand, tenant_id, complete(question, history))
    words = _counted(count_words, tenant_id)
    hits = retrieve(db, embedder, tenant_id, searched, limit=limit, words=words, filters=filters)
    if not hits:
        with db.transaction(tenant_id) as session:
            if not SearchRepository(session).has_documents(tenant_id):
                return Reply(_NOTHING_YET, "onboarding", 0.0, (), (), searched)
    sources = [
        Source(
            text=hit.text,
            title=hit.title,
            doc_id=str(hit.document_id),
            chunk_id=str(hit.chunk_id),
            score=hit.score,
        )
        for hit in hits
    ]
    # Sentences are compared with the model that is at hand; a distant one would be sent every one of them.
    embed = embedder.embed if isinstance(embedder, LocalEmbedder) else None
    # A passage may say it in either way.
    extract = max(
        (compose(asked, sources, embed) for asked in dict.fromkeys((question, searched))),
        key=lambda found: found.confidence,
    )
    citations = [(citation.source_index, citation.sentence) for citation in extract.citations]
    if not citations:
        return Reply(extract.text, "no_results", extract.confidence, hits, (), searched)
    if chat_model is not None:
        try:
            written = generate_answer(chat_model, question, sources, history)
        except Unavailable as error:
            _log.warning("language model not available, answering with an extract", error=error.error_code)
        else:
            return Reply(written, "generated", extract.confidence, hits, citations, searched)
    return Reply(extract.text, "extractive", extract.confidence, hits, citations, searched)


def _expanded(expand: Callable[[UUID, str], str] | None, tenant_id: UUID, question: str) -> str:
    if expand is None:
        return question
    try:
        return expand(tenant_id, question)
    except Exception:  # noqa: BLE001 - logged; whatever is wrong with the lexicon, the question stands as it is
        _log.exception("question not expanded")
        return question


def _counted(
    count_words: Callable[[UUID], tuple[int, Mapping[str, int]] | None] | None, tenant_id: UUID
) -> tuple[int, Mapping[str, int]] | None:
    if count_words is None:
        return None
    try:
        return count_words(tenant_id)
    except Exception:  # noqa: BLE001 - logged; the search counts for itself
        _log.exception("words not counted")
        return None

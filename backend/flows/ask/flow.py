"""Embed the question, rank, answer; the language model, if there is one, is asked outside any transaction.

`find` comes first and settles what can be answered at all; `write` answers at once, `write_live` while it is written.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from backend.components.vocabulary import Vocabulary
from backend.db.transaction import Database
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LocalEmbedder
from backend.errors import Unavailable
from backend.flows.ask.retrieve import Question, Retrieved, retrieve
from backend.search.answer import NOT_FOUND, Answer, Source, compose
from backend.search.followup import complete
from backend.search.llm import ChatModel
from backend.search.prompt import build_messages
from backend.search.question import read
from backend.search.reading import Reading
from backend.search.repository import Filters, Hit, SearchRepository
from backend.search.rerank import Reranker
from backend.search.written import Accepted, Draft

_log = structlog.get_logger(__name__)

_NOTHING_YET = "There is nothing to search yet. Connect a source or import documents, and ask again once they are synced."

#: Whoever waits for a language model hears after this many seconds that it still writes.
HEARTBEAT_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Cited:
    """A sentence of a source that bears out one of the answer: `hits[source_index]` has it, and the document's text
    has it from character `start` up to `end`."""

    source_index: int
    sentence: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Reply:
    """`kind`: onboarding (nothing to search), no_results, extractive or generated; `confidence` 0 to 1."""

    text: str
    kind: str
    confidence: float
    hits: Sequence[Hit]
    #: In the order of the answer's sentences; one for each marker.
    citations: Sequence[Cited]
    #: how it was searched for
    retrieved: Retrieved
    #: Sentences of the language model that no cited passage bore out; they are not in `text`.
    removed_count: int = 0
    #: False when the language model broke off after some sentences had been handed on.
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """What is added to an answer that is being written: a sentence with its markers, and what it cites."""

    text: str
    citations: Sequence[Cited]


@dataclass(frozen=True, slots=True)
class Found:
    """What is known before anything is written: the passages, and the answer made of their own sentences."""

    question: str
    retrieved: Retrieved
    sources: Sequence[Source]
    extract: Answer
    history: Sequence[Mapping[str, str]]
    is_empty_workspace: bool = False

    @property
    def hits(self) -> Sequence[Hit]:
        """The passages, the best first."""
        return self.retrieved.hits

    @property
    def has_evidence(self) -> bool:
        """Whether the passages speak of the question; if not, no model is asked to make something of them."""
        return bool(self.extract.citations)


def find(
    db: Database,
    embedder: Embedder | None,
    tenant_id: UUID,
    question: str,
    *,
    history: Sequence[Mapping[str, str]] = (),
    limit: int = 15,
    expand: Callable[[UUID, str], str] | None = None,
    count_words: Callable[[UUID], tuple[int, Mapping[str, int]] | None] | None = None,
    filters: Filters | None = None,
    vocabulary: Vocabulary | None = None,
    reranker: Reranker | None = None,
) -> Found:
    """What answers `question`, which may lean on `history`, in the tenant's documents that `filters` lets through;
    `expand` adds what the tenant calls things, `count_words` says how frequent its words are, `vocabulary` which ones
    there are. "Quoted words" must stand together in a passage, and -words not in it. Without an `embedder` passages are
    found by their words alone.

    Raises EmbeddingFailed, DatabaseUnavailable.
    """
    said = read(question)
    plain = said.text
    asked = Question(
        _expanded(expand, tenant_id, complete(plain, history)),
        typed=len(plain),
        phrases=said.phrases,
        excluded=said.excluded,
    )
    words = _counted(count_words, tenant_id)
    retrieved = retrieve(
        db,
        embedder,
        tenant_id,
        asked,
        limit=limit,
        words=words,
        filters=filters,
        vocabulary=vocabulary,
        reranker=reranker,
    )
    hits = retrieved.hits
    is_empty = False
    if not hits:
        with db.statement(tenant_id) as session:
            is_empty = not SearchRepository(session).has_documents(tenant_id)
    sources = [
        Source(
            text=hit.text,
            title=hit.title,
            doc_id=str(hit.document_id),
            chunk_id=str(hit.chunk_id),
            score=hit.score,
            url=hit.url,
        )
        for hit in hits
    ]
    # Sentences are compared with the model that is at hand; a distant one would be sent every one of them.
    embed = embedder.embed if isinstance(embedder, LocalEmbedder) else None
    # A passage may say it in either way.
    extract = max(
        (compose(wording, sources, embed) for wording in dict.fromkeys((plain, retrieved.searched))),
        key=lambda extract: extract.confidence,
    )
    return Found(plain, retrieved, sources, extract, history, is_empty)


def write(found: Found, chat_model: ChatModel | None) -> Reply:
    """The answer, whole."""
    if chat_model is None or not found.has_evidence:
        return _without_model(found)
    draft = Draft(found.sources)
    try:
        written = chat_model.complete(build_messages(found.question, found.sources, found.history))
        accepted = [*draft.feed(written), *draft.finish()]
    except Unavailable as error:
        _log.warning("language model not available, answering with an extract", error=error.error_code)
        return _without_model(found)
    return _reply(found, [_part(found, one) for one in accepted], draft)


def write_live(
    found: Found, chat_model: ChatModel | None, *, heartbeat: float = HEARTBEAT_SECONDS
) -> Generator[Part | Reply | None, None, None]:
    """The answer's sentences as they become certain, then the whole reply; None whenever nothing has come for
    `heartbeat` seconds. Closed early, it hangs up on the language model."""
    parts: list[Part] = []
    draft = Draft(found.sources)
    is_complete = True
    if chat_model is not None and found.has_evidence:
        messages = build_messages(found.question, found.sources, found.history)
        try:
            with Reading(chat_model, messages) as reading:
                for piece in reading.pieces(heartbeat):
                    if piece is None:
                        yield None
                        continue
                    for accepted in draft.feed(piece):
                        parts.append(_part(found, accepted))
                        yield parts[-1]
            for accepted in draft.finish():
                parts.append(_part(found, accepted))
                yield parts[-1]
        except Unavailable as error:
            _log.warning("language model not available", error=error.error_code, said=len(parts))
            # What was handed on is true all the same.
            is_complete = not parts
            if not parts:
                draft = Draft(found.sources)
    reply = _reply(found, parts, draft, is_complete=is_complete)
    if not parts:
        yield from _parts_of(reply)
    yield reply


def _reply(found: Found, parts: Sequence[Part], draft: Draft, *, is_complete: bool = True) -> Reply:
    if not parts:
        reply = _without_model(found, removed_count=draft.removed_count)
        if draft.admits_nothing and not draft.removed_count:
            return _nothing(found)
        return reply
    return Reply(
        text="".join(part.text for part in parts),
        kind="generated",
        confidence=found.extract.confidence,
        hits=found.hits,
        citations=[cited for part in parts for cited in part.citations],
        retrieved=found.retrieved,
        removed_count=draft.removed_count,
        is_complete=is_complete,
    )


def _nothing(found: Found) -> Reply:
    return Reply(NOT_FOUND, "no_results", found.extract.confidence, found.hits, (), found.retrieved)


def _without_model(found: Found, *, removed_count: int = 0) -> Reply:
    """The answer made of the documents' own sentences, or that there is none."""
    if found.is_empty_workspace:
        return Reply(_NOTHING_YET, "onboarding", 0.0, (), (), found.retrieved)
    extract = found.extract
    citations = [
        _cited(found, citation.source_index, citation.sentence, citation.start, citation.end)
        for citation in extract.citations
    ]
    kind = "extractive" if citations else "no_results"
    return Reply(
        extract.text, kind, extract.confidence, found.hits, citations, found.retrieved, removed_count
    )


def _parts_of(reply: Reply) -> Iterator[Part]:
    """An answer that is there at once, in sentences: each ends with the marker of its citation."""
    if not reply.citations:
        yield Part(reply.text, ())
        return
    rest = reply.text
    for cited in reply.citations:
        marker = f"[Source {cited.source_index + 1}]"
        end = rest.index(marker) + len(marker)
        yield Part(rest[:end], (cited,))
        rest = rest[end:]


def _part(found: Found, accepted: Accepted) -> Part:
    return Part(
        accepted.text,
        tuple(_cited(found, s.source_index, s.sentence, s.start, s.end) for s in accepted.supports),
    )


def _cited(found: Found, source_index: int, sentence: str, start: int, end: int) -> Cited:
    offset = found.hits[source_index].start_offset
    return Cited(source_index, sentence, offset + start, offset + end)


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

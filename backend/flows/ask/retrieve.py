"""From a question to ranked passages: count its words, mend those that no passage has, embed it, rank, and
rank again where a reranker is set up."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

import structlog

from backend.components.vocabulary import Vocabulary
from backend.db.transaction import Database
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LocalEmbedder
from backend.errors import Unavailable
from backend.search.hits import Hit
from backend.search.repository import DENSE_WEIGHT, Filters, SearchRepository, Weighed
from backend.search.rerank import CANDIDATES, Reranker

_log = structlog.get_logger(__name__)

#: What the word somebody meant counts, and what other readings of it do; exact words of the question lead.
_MEANT: Final = 0.8
_ALSO_MEANT: Final = 0.4
#: Unknown words of one question that are looked at.
_MOST_MENDED: Final = 4
_LAST_WORD = re.compile(r"[^\W_]+(?:[-_.][^\W_]+)*\Z")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Question:
    """`text` is what to search for, of which the first `typed` characters are the person's own, as far as they have come:
    the last word may be unfinished. `phrases` must be in the passage, `excluded` must not."""

    text: str
    typed: int = 0
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retrieved:
    """`searched` is the question with its words mended; `corrections` and `completions` say which (as typed, as searched
    for); `phrase_relaxed`: no passage has the quoted words together, so these need not."""

    hits: Sequence[Hit]
    searched: str
    corrections: tuple[tuple[str, str], ...] = ()
    completions: tuple[tuple[str, str], ...] = ()
    phrase_relaxed: bool = False


@dataclass(slots=True)
class _Mended:
    text: str
    corrections: list[tuple[str, str]] = field(default_factory=list)
    completions: list[tuple[str, str]] = field(default_factory=list)
    softened: dict[str, float] = field(default_factory=dict)


def retrieve(
    db: Database,
    embedder: Embedder | None,
    tenant_id: UUID,
    question: str | Question,
    *,
    limit: int,
    words: tuple[int, Mapping[str, int]] | None = None,
    filters: Filters | None = None,
    vocabulary: Vocabulary | None = None,
    reranker: Reranker | None = None,
) -> Retrieved:
    """Up to `limit` passages, the best first; `words` is what is known of how frequent words are, `vocabulary` which words
    there are. Without an `embedder` by words alone: another model's vector would be compared with nothing. A
    `reranker` that does not answer is done without.

    Raises EmbeddingFailed, DatabaseUnavailable.
    """
    asked = question if isinstance(question, Question) else Question(question)
    weighed = _weigh(db, tenant_id, asked.text, words)
    # "flight" is no misspelt "light", though the workspace has only that.
    is_word = embedder.knows if isinstance(embedder, LocalEmbedder) else None
    mended = _mend(db, tenant_id, asked, weighed, vocabulary, is_word)
    if mended.text != asked.text or mended.softened:
        weighed = _weigh(db, tenant_id, mended.text, weighed.words, mended.softened)
    if embedder is None:
        # The model that serves is out of reach; another one's vector would be compared with nothing.
        vector, model = [1.0], ""
    elif isinstance(embedder, LocalEmbedder):
        # It knows no word order and no sentence; which of the words matter is for us to say.
        vector, model = embedder.embed_weighted(mended.text, weighed.spans).tolist(), embedder.model
    else:
        vector, model = embedder.embed([mended.text])[0].tolist(), embedder.model

    def search(phrases: Sequence[str]) -> list[Hit]:
        with db.statement(tenant_id) as session:
            return SearchRepository(session).search(
                tenant_id,
                mended.text,
                vector,
                model=model,
                limit=limit if reranker is None else max(limit, CANDIDATES),
                dense_weight=DENSE_WEIGHT if model else 0.0,
                filters=filters,
                phrases=phrases,
                excluded=asked.excluded,
                weighed=weighed,
            )

    hits = search(asked.phrases)
    relaxed = bool(asked.phrases) and not hits
    if relaxed:
        hits = search(())
    if reranker is not None:
        hits = _reranked(reranker, mended.text, hits)[:limit]
    return Retrieved(
        hits,
        mended.text,
        tuple(mended.corrections),
        tuple(mended.completions),
        relaxed,
    )


def _weigh(
    db: Database,
    tenant_id: UUID,
    text: str,
    words: tuple[int, Mapping[str, int]] | None,
    softened: Mapping[str, float] | None = None,
) -> Weighed:
    with db.statement(tenant_id) as session:
        return SearchRepository(session).weigh(tenant_id, text, words=words, softened=softened)


def _mend(
    db: Database,
    tenant_id: UUID,
    asked: Question,
    weighed: Weighed,
    vocabulary: Vocabulary | None,
    is_word: Callable[[str], bool] | None,
) -> _Mended:
    """The question with words in place of those that no passage has, where the workspace has words like them."""
    mended = _Mended(asked.text)
    if vocabulary is None or not weighed.unknown:
        return mended
    try:
        _replace(db, tenant_id, asked, weighed, vocabulary, is_word, mended)
    except Exception:  # noqa: BLE001 - logged; whatever is wrong with the vocabulary, the question stands as it is
        _log.exception("question not mended")
        return _Mended(asked.text)
    return mended


def _replace(
    db: Database,
    tenant_id: UUID,
    asked: Question,
    weighed: Weighed,
    vocabulary: Vocabulary,
    is_word: Callable[[str], bool] | None,
    mended: _Mended,
) -> None:
    last = _LAST_WORD.search(asked.text[: asked.typed])
    quoted = {word for phrase in asked.phrases for word in _WORD.findall(phrase.lower())}
    done = len(asked.text)
    # From behind, so that places before stay what they are.
    for start, end in reversed(weighed.unknown[-_MOST_MENDED:]):
        word = asked.text[start:end]
        if word.lower() in quoted or end > done:
            continue
        made = mended.corrections
        likely: list[str] = []
        if last is not None and end == last.end():
            likely = _known(db, tenant_id, vocabulary.complete(tenant_id, last[0]), weighed)
            if likely:
                made, start, word = mended.completions, last.start(), last[0]
        if not likely and (is_word is None or not is_word(word)):
            likely = _known(db, tenant_id, vocabulary.correct(tenant_id, word), weighed)
        if not likely:
            continue
        made.insert(0, (word, likely[0]))
        done = start
        if (
            made is mended.completions
            and asked.text[:start].strip()
            and is_word is not None
            and is_word(word)
        ):
            # "at the opera" may be finished: "operator" is looked for too, but the question stays what it is.
            mended.softened |= dict.fromkeys(likely, _ALSO_MEANT)
            continue
        mended.text = mended.text[:start] + likely[0] + mended.text[end:]
        mended.softened |= {likely[0]: _MEANT, **dict.fromkeys(likely[1:], _ALSO_MEANT)}


def _known(db: Database, tenant_id: UUID, likely: Sequence[str], weighed: Weighed) -> list[str]:
    """Those of `likely` that a passage has now: the vocabulary may remember what was deleted."""
    if not likely:
        return []
    text = "\n".join(likely)
    unknown = _weigh(db, tenant_id, text, weighed.words).unknown
    lost = {text.count("\n", 0, start) for start, _ in unknown}
    return [word for place, word in enumerate(likely) if place not in lost]


def _reranked(reranker: Reranker, question: str, hits: list[Hit]) -> list[Hit]:
    if not hits:
        return hits
    try:
        scores = reranker.rate(question, [f"{hit.title}\n{hit.text}" for hit in hits])
    except Unavailable as error:
        _log.warning("reranker not available, the search's order stands", error=error.error_code)
        return hits
    rated = [replace(hit, rerank_score=score) for hit, score in zip(hits, scores, strict=True)]
    # Stable: among equals the search's order stands.
    return sorted(rated, key=lambda hit: -(hit.rerank_score or 0.0))

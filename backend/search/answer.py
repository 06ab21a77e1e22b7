"""Answers made of the sources' own sentences, and how sentences cite sources."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.errors import Unavailable
from backend.search.plain import plain, without_links
from backend.search.relevance import asked_terms, coverage, rarity, terms
from backend.search.sentences import Sentence, split_sentences

NOT_FOUND: Final = "I found nothing about this in the documents."

Embed = Callable[[Sequence[str]], NDArray[np.float32]]

_MIN_TERMS: Final = 2
_MAX_CHARACTERS: Final = 700
# Weights and limits below were chosen on 412 questions about two companies' documents and a collection of
# abstracts: 98 % of them are answered, and 1 to 9 % when put to documents of another collection.
_OWN_WORDS: Final = 0.25
_WORDS_IN_CONTEXT: Final = 0.5
_MEANING: Final = 0.35
#: Search has ranked the sources; its first places are worth this much, further ones soon nothing.
_RANK: Final = 0.25
#: A sentence of fewer terms than this loses up to this share of its evidence.
_SUBSTANTIAL_TERMS: Final = 8
_EMPTINESS: Final = 0.3
_ENOUGH_EVIDENCE: Final = 0.33
_ENOUGH_MEANING: Final = 0.45
#: Further sentences must come this near to the best one, and may share this much of their words with others.
_NEAR_BEST: Final = 0.6
_MAX_SHARED: Final = 0.7

#: Bounded in every part: it is looked for again and again in text that is still growing.
MARKER: Final = re.compile(
    r"([ \t]{0,4})\[\s{0,4}sources?\s{1,4}"
    r"(\d{1,4}(?:\s{0,4}(?:,|;|&|and)\s{0,4}(?:sources?\s{1,4})?\d{1,4}){0,50})\s{0,4}\]",
    re.IGNORECASE,
)
_FORGEDMARKER: Final = re.compile(r"\[+\s*sources?\b[^\[\]]*\]+", re.IGNORECASE)
_MARKERS_AFTER_END = re.compile(rf"([.!?…。！？]+[\"'”’»)\]*_]*)((?:{MARKER.pattern})+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A passage search found: its `text` as stored, and the `score` search gave it (higher is better)."""

    text: str
    title: str
    doc_id: str
    chunk_id: str
    score: float
    #: Where a person opens the original; the only addresses an answer may lead to.
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """`sentence` is part of the text of `sources[source_index]`, once both have their white space folded;
    `[start, end)` is where."""

    source_index: int
    sentence: str
    chunk_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` with ` [Source N]` (N from 1) after every sentence; one citation per sentence, in order.

    `confidence`, 0 to 1, says how much of the question the best sentence speaks about; 0: nothing was found.
    """

    text: str
    citations: tuple[Citation, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    source_index: int
    sentence: Sentence
    words: frozenset[str]
    words_in_context: frozenset[str]
    evidence: float
    score: float


def compose(
    question: str, sources: Sequence[Source], embed: Embed | None = None, *, max_sentences: int = 4
) -> Answer:
    """The sentences of `sources` (best source first) that best answer `question`, quoted with their source.

    `embed` turns texts into unit rows (n × dimensions); what counts as near was measured with the local
    model, so give that one or None for words alone. Says that nothing was found when no sentence shares
    enough words or meaning with the question.
    """
    candidates = _rate(question, sources, embed)
    best = max(candidates, key=lambda candidate: candidate.score, default=None)
    if best is None or best.evidence < _ENOUGH_EVIDENCE:
        return Answer(NOT_FOUND, (), 0.0)
    numbers = frozenset(term for term in terms(question) if any(map(str.isdigit, term)))
    chosen: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate.score):
        if len(chosen) == max_sentences or candidate.score < _NEAR_BEST * best.score:
            break
        if not any(
            candidate.words == other.words
            or (
                not _names_another(candidate, other, numbers)
                and (_says_the_same(candidate, other) or _says_it_of_another(candidate, other, numbers))
            )
            for other in chosen
        ):
            chosen.append(candidate)
    # Read from top to bottom within a source; the source with the best sentence comes first.
    first_places = list(dict.fromkeys(candidate.source_index for candidate in chosen))
    place = {id(candidate): index for index, candidate in enumerate(candidates)}
    chosen.sort(key=lambda candidate: (first_places.index(candidate.source_index), place[id(candidate)]))
    own = frozenset(source.url for source in sources if source.url)
    return Answer(
        text=" ".join(f"{without_links(c.sentence.text, own)} [Source {c.source_index + 1}]" for c in chosen),
        citations=tuple(
            Citation(
                c.source_index,
                c.sentence.quote,
                sources[c.source_index].chunk_id,
                c.sentence.start,
                c.sentence.end,
            )
            for c in chosen
        ),
        confidence=round(min(1.0, best.evidence), 2),
    )


def _rate(question: str, sources: Sequence[Source], embed: Embed | None) -> list[_Candidate]:
    found = [
        (index, sentence, own)
        for index, source in enumerate(sources)
        for sentence in map(_plain, split_sentences(source.text))
        if len(sentence.text) <= _MAX_CHARACTERS
        # A question in the text (a FAQ) is no answer; it is context of the sentences below it.
        and not sentence.text.endswith(("?", "？", "؟"))
        and len(own := terms(sentence.text)) >= _MIN_TERMS
    ]
    if not found or not question.strip():
        return []
    contexts = [f"{sources[index].title} {sentence.context}" for index, sentence, _ in found]
    asked = asked_terms(question)
    own_words = [own for _, _, own in found]
    weights = rarity(asked, own_words)
    covered = np.array(coverage(asked, own_words, weights))
    in_context = [own + terms(context) for own, context in zip(own_words, contexts, strict=True)]
    covered_in_context = np.array(coverage(asked, in_context, weights))
    evidence = _OWN_WORDS * covered + _WORDS_IN_CONTEXT * covered_in_context
    texts = [f"{context} {s.text}" for context, (_, s, _) in zip(contexts, found, strict=True)]
    meaning = _similarities(question, texts, embed)
    if meaning is None:
        evidence /= _OWN_WORDS + _WORDS_IN_CONTEXT
    else:
        evidence = (evidence + _MEANING * meaning) / (_OWN_WORDS + _WORDS_IN_CONTEXT + _MEANING)
        # A long question is never covered word by word; near in meaning is enough.
        evidence = np.where(meaning >= _ENOUGH_MEANING, np.maximum(evidence, _ENOUGH_EVIDENCE), evidence)
    ranks = np.array([index for index, _, _ in found])
    # Closing words and link lists stand under the right headings too, and say little themselves.
    substance = np.minimum(1.0, np.array([len(own) for own in own_words]) / _SUBSTANTIAL_TERMS)
    scores = evidence * (1 - _EMPTINESS + _EMPTINESS * substance) + _RANK / (1 + 0.5 * ranks)
    return [
        _Candidate(
            index,
            sentence,
            frozenset(own),
            frozenset(in_context[place]),
            float(evidence[place]),
            float(scores[place]),
        )
        for place, (index, sentence, own) in enumerate(found)
    ]


def _similarities(question: str, texts: Sequence[str], embed: Embed | None) -> NDArray[np.float32] | None:
    if embed is None:
        return None
    try:
        vectors = embed([question, *texts])
    except Unavailable:
        # Words alone still find most answers.
        return None
    similarities: NDArray[np.float32] = vectors[1:] @ vectors[0]
    return similarities


def _names_another(one: _Candidate, other: _Candidate, numbers: frozenset[str]) -> bool:
    """Whether `one` names one of the `numbers` asked for that `other` does not: berth 9, where 7 and 9 were asked for."""
    return bool(numbers & one.words_in_context - other.words_in_context)


def _says_the_same(one: _Candidate, other: _Candidate) -> bool:
    shared = len(one.words & other.words)
    return shared > _MAX_SHARED * min(len(one.words), len(other.words))


def _says_it_of_another(one: _Candidate, other: _Candidate, numbers: frozenset[str]) -> bool:
    """Whether `other` names one of the `numbers` asked for, and `one` says much the same without it: of berth 9, where berth
    7 was asked for."""
    if not numbers & other.words_in_context - one.words_in_context:
        return False
    mine, its = (frozenset(w for w in c.words if not any(map(str.isdigit, w))) for c in (one, other))
    return len(mine & its) > _MAX_SHARED * min(len(mine), len(its))


def _plain(sentence: Sentence) -> Sentence:
    """A document that itself contains markers must not forge a citation in the answer, nor bring a link into it."""
    return replace(sentence, text=plain(sentence.text))


def join_markers(text: str) -> str:
    """`text` with markers that follow a full stop before it: so they stay with their sentence."""
    return _MARKERS_AFTER_END.sub(r"\2\1", text)

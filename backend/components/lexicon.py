"""A tenant's own words: how often they stand in its passages, and what its acronyms stand for."""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from math import ceil
from typing import Final
from uuid import UUID

from backend.components.cache import ComponentCache, Value
from backend.components.repository import PassageStatistics
from backend.db.transaction import Database

NAME: Final = "lexicon"
#: How often it is looked at whether the passages have changed; one count of an index.
LIFETIME: Final = timedelta(minutes=1)
#: Changed by more than this share, it is counted anew at once; by less, when it is this old.
_CHANGED_SHARE: Final = 0.05
_OLD_SECONDS: Final = 600.0
#: About so many are looked at: of words a share of all, for acronyms the newest. It takes about a third of a second,
#: which a question may have to wait for.
_PASSAGES: Final = 5_000
#: A share of fewer passages than this says too little about a word.
_RARE_SHARE: Final = 0.005
_TERMS: Final = 2_000
_BRACKETS: Final = 5_000
_ACRONYMS: Final = 1_000
_LONGEST_EXPANSION: Final = 3

_SMALL_WORDS: Final = frozenset(
    {"a", "an", "and", "at", "by", "for", "in", "of", "on", "or", "the", "to", "&"}
)
_ACRONYM = re.compile(r"[^\W\d_a-z][\w&]{1,9}")
_SENTENCE_END = re.compile(r"[.;:!?)\n]")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|&")


class Lexicon:
    """Every tenant's lexicon, through the process's component cache."""

    def __init__(self, db: Database, cache: ComponentCache) -> None:
        self._db = db
        self._cache = cache

    def get(self, tenant_id: UUID) -> Value:
        """`passages` (how many there are), `newest` (id), `counted_at` (Unix time), `terms` (lexeme -> in about how many
        passages, the most frequent), `acronyms` (acronym -> words). Raises Unavailable."""
        return self._cache.get_or_build(
            tenant_id, NAME, lambda previous: self._build(tenant_id, previous), lifetime=LIFETIME
        )

    def expand(self, tenant_id: UUID, question: str) -> str:
        """`question` with what its acronyms stand for, and with the acronyms of what it spells out."""
        return expand(question, self.get(tenant_id)["acronyms"])

    def count_words(self, tenant_id: UUID) -> tuple[int, Mapping[str, int]] | None:
        """(number of passages, lexeme -> in about how many, of frequent ones); None where counting costs nothing."""
        lexicon = self.get(tenant_id)
        passages: int = lexicon["passages"]
        if passages < _PASSAGES:
            return None
        terms: Mapping[str, int] = lexicon["terms"]
        return passages, {word: count for word, count in terms.items() if count >= _RARE_SHARE * passages}

    def _build(self, tenant_id: UUID, previous: Value | None) -> Value:
        with self._db.transaction(tenant_id) as session:
            statistics = PassageStatistics(session)
            passages, newest = statistics.measure(tenant_id)
            if previous is not None and not _has_changed(previous, passages, newest):
                return previous
            terms = statistics.count_frequencies(
                tenant_id, every=max(1, ceil(passages / _PASSAGES)), count=_TERMS
            )
            brackets = statistics.list_brackets(tenant_id, limit=_PASSAGES, count=_BRACKETS)
        return {
            "passages": passages,
            "newest": newest,
            "counted_at": int(time.time()),
            "terms": terms,
            "acronyms": find_acronyms(map(read_bracket, brackets)),
        }


def _has_changed(previous: Value, passages: int, newest: str) -> bool:
    if (previous["passages"], previous["newest"]) == (passages, newest):
        return False
    difference = abs(passages - previous["passages"])
    is_old = time.time() - previous["counted_at"] >= _OLD_SECONDS
    return is_old or bool(difference > _CHANGED_SHARE * max(1, previous["passages"]))


def read_bracket(bracket: tuple[str, str, int]) -> tuple[str, str, int]:
    """(words, what may be their acronym, how often) of (text before a bracket, what is in it, how often)."""
    before, inside, times = bracket
    if _ACRONYM.fullmatch(inside):
        return _SENTENCE_END.split(before)[-1], inside, times
    return inside, before.split()[-1], times


def find_acronyms(mentions: Iterable[tuple[str, str, int]]) -> dict[str, str]:
    """Acronym -> the words it is most often explained with, of `mentions` (words, acronym, how often).

    The acronym's letters must be the first letters of the last words; small words may be left out of it.
    """
    votes: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for words, mentioned, times in mentions:
        acronym = _singular(mentioned)
        if spelled_out := _spelled_out(words, acronym):
            votes[acronym][spelled_out] += times
    ranked = sorted(votes, key=lambda acronym: (-sum(votes[acronym].values()), acronym))[:_ACRONYMS]
    return {acronym: max(sorted(votes[acronym]), key=lambda w: votes[acronym][w]) for acronym in ranked}


def _spelled_out(words: str, acronym: str) -> str | None:
    if sum(letter.isupper() for letter in acronym) < 2:
        return None
    found = list(_WORD.finditer(words))
    place = len(found)
    for letter in reversed(acronym.lower()):
        place -= 1
        while place >= 0 and found[place][0].lower()[0] != letter:
            if found[place][0].lower() not in _SMALL_WORDS:
                return None
            place -= 1
        if place < 0:
            return None
    spelled_out = [word[0].lower() for word in found[place:]]
    # "the CAP (CAP)" explains nothing.
    return " ".join(spelled_out) if len(spelled_out) > 1 and acronym.lower() not in spelled_out else None


def _singular(acronym: str) -> str:
    """KPI of KPIs."""
    return acronym[:-1] if acronym.endswith("s") and acronym[:-1].isupper() else acronym


def expand(question: str, acronyms: Mapping[str, str]) -> str:
    """`question`, and in brackets what `acronyms` (acronym -> words) adds to it: at most three things.

    An acronym counts as written: "IT" is one, "it" is none.
    """
    said = f" {' '.join(word.lower() for word in _WORD.findall(question))} "
    more = [
        acronyms[word]
        for word in dict.fromkeys(map(_singular, _WORD.findall(question)))
        if word in acronyms and f" {acronyms[word]} " not in said
    ]
    more += [
        acronym
        for acronym, words in acronyms.items()
        if f" {words} " in said and f" {acronym.lower()} " not in said
    ]
    return f"{question} ({'; '.join(more[:_LONGEST_EXPANSION])})" if more else question

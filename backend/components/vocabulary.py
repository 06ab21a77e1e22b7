"""The words a tenant's passages are written in: what an unknown word of a question may have been meant to be.

The lexicon knows lexemes, and few of them; here are words as people write them, as many as there are up to a limit, in
strings that one search of the processor goes through: two hundred thousand words take 2 MB and 10 to 45 ms.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from backend.components.cache import ComponentCache, Value
from backend.components.repository import PassageStatistics
from backend.db.transaction import Database

NAME: Final = "vocabulary"
LIFETIME: Final = timedelta(minutes=1)
#: So many passages are read at a time; a question may wait for it, about half a second.
_PASSAGES: Final = 4_000
_WORDS: Final = 200_000
#: Words of what was deleted are gone when it is begun anew: after a day, or when one passage in twenty is gone.
_OLD_SECONDS: Final = 86_400.0
_GONE_SHARE: Final = 0.05

_LONGEST: Final = 40
SHORTEST_PREFIX: Final = 3
_MOST_COMPLETIONS: Final = 8
_MOST_CORRECTIONS: Final = 3
#: Letters from which on one mistake is forgiven, and two.
_ONE_MISTAKE: Final = 4
_TWO_MISTAKES: Final = 8

_WORD = re.compile(r"[^\W_]+(?:[-_.][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


class Vocabulary:
    """Every tenant's words, through the process's component cache."""

    def __init__(self, db: Database, cache: ComponentCache) -> None:
        self._db = db
        self._cache = cache

    def get(self, tenant_id: UUID) -> Value:
        """`words` (length -> level -> words, each after a blank; a word of level n was read 2ⁿ⁻¹ to 2ⁿ-1 times),
        `read_to` (id of the last passage read), `passages` (the most there have been), `begun_at` (Unix time).
        Raises Unavailable."""
        return self._cache.get_or_build(
            tenant_id, NAME, lambda previous: self._build(tenant_id, previous), lifetime=LIFETIME
        )

    def correct(self, tenant_id: UUID, word: str) -> list[str]:
        """Words `word` may have been meant to be, the likeliest first: a letter too many, too few, another, or two in
        the wrong order, once (twice from eight letters on). None for what is short, or no word."""
        return correct(self.get(tenant_id), word)

    def complete(self, tenant_id: UUID, beginning: str) -> list[str]:
        """Words that begin with `beginning`, the most frequent first; it is none of them."""
        return complete(self.get(tenant_id), beginning)

    def _build(self, tenant_id: UUID, previous: Value | None) -> Value:
        with self._db.transaction(tenant_id) as session:
            statistics = PassageStatistics(session)
            passages, newest = statistics.measure(tenant_id)
            if previous is None or _is_outdated(previous, passages):
                previous = {"words": {}, "read_to": "", "passages": passages, "begun_at": int(time.time())}
            if previous["read_to"] == newest:
                return previous
            texts = statistics.list_texts(tenant_id, after=previous["read_to"], limit=_PASSAGES)
        written: Counter[str] = Counter()
        for _, passage in texts:
            written.update(_WORD.findall(passage))
        # The last ones may be of documents that nobody may find.
        read_to = texts[-1][0] if len(texts) == _PASSAGES else newest
        return {
            **previous,
            "words": merge(previous["words"], count_words(written)),
            "read_to": read_to,
            "passages": max(passages, previous["passages"]),
        }


def _is_outdated(previous: Value, passages: int) -> bool:
    is_old = time.time() - previous["begun_at"] >= _OLD_SECONDS
    return is_old or bool(passages < (1 - _GONE_SHARE) * previous["passages"])


def count_words(written: Mapping[str, int]) -> Counter[str]:
    """How often each word stands in what was `written` (as written -> how often): in small letters, identifiers whole
    ("err-4012", "maxuploadsize", "2.4.1") and in parts."""
    counts: Counter[str] = Counter()
    for original, times in written.items():
        word = original.lower()
        parts = _PART.findall(_CAMEL.sub(" ", original).lower())
        for part in parts:
            counts[part] += times
        if len(parts) > 1 and _is_identifier(word):
            counts[word] += times
    return counts


def _is_identifier(word: str) -> bool:
    """Not two words with a hyphen between them."""
    is_mixed = any(map(str.isdigit, word)) and any(map(str.isalpha, word))
    return (
        word.isalnum() or is_mixed or "_" in word or ("." in word and not word.replace(".", "", 1).isdigit())
    )


def merge(words: Mapping[str, Mapping[str, str]], found: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """`words` with what was `found` (word -> how often); the rarest are left out where there would be too many."""
    counts = Counter(
        {
            word: 1 << (int(level) - 1)
            for levels in words.values()
            for level, listed in levels.items()
            for word in listed.split()
        }
    )
    for word, times in found.items():
        if SHORTEST_PREFIX <= len(word) <= _LONGEST and not word.isdigit():
            counts[word] += times
    kept = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_WORDS]
    groups: defaultdict[int, defaultdict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for word, times in kept:
        groups[len(word)][times.bit_length()].append(word)
    return {
        str(length): {str(level): " " + " ".join(sorted(listed)) for level, listed in levels.items()}
        for length, levels in groups.items()
    }


def correct(vocabulary: Value, word: str) -> list[str]:
    """As `Vocabulary.correct`."""
    # Three megabytes that many processes never need.
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    asked = word.lower()
    if not asked.isalpha() or not _ONE_MISTAKE <= len(asked) <= _LONGEST:
        return []
    most = 2 if len(asked) >= _TWO_MISTAKES else 1
    found = [
        (distance, -int(level), candidate)
        for length in range(len(asked) - most, len(asked) + most + 1)
        for level, listed in vocabulary["words"].get(str(length), {}).items()
        for candidate, distance, _ in process.extract_iter(
            asked, listed.split(), scorer=OSA.distance, score_cutoff=most
        )
        if distance > 0
    ]
    found.sort()
    # Two mistakes are none that somebody makes where one explains the word.
    return [candidate for distance, _, candidate in found if distance == found[0][0]][:_MOST_CORRECTIONS]


def complete(vocabulary: Value, beginning: str) -> list[str]:
    """As `Vocabulary.complete`."""
    asked = beginning.lower()
    if len(asked) < SHORTEST_PREFIX or not _WORD.fullmatch(asked):
        return []
    found: list[tuple[int, int, str]] = []
    for length, levels in vocabulary["words"].items():
        if int(length) <= len(asked):
            continue
        for level, listed in levels.items():
            start = listed.find(" " + asked)
            times = 0
            while start >= 0 and times < _MOST_COMPLETIONS:
                found.append((-int(level), int(length), listed[start + 1 : start + 1 + int(length)]))
                start = listed.find(" " + asked, start + 1)
                times += 1
    return [word for _, _, word in sorted(found)[:_MOST_COMPLETIONS]]

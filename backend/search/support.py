"""Whether a passage says what a sentence claims: its words, and every name, number and amount in it.

Words are compared, not meanings: what is true but said in other words, or in another language, counts as unsupported;
right words of one passage put together wrongly may not be noticed, and then the citation shows what they were taken from.
"""

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final, Protocol

from backend.search.anchors import (
    ENGLISH_MONTHS,
    Amount,
    amounts_of,
    count_negations,
    find_names,
    is_inflected,
    numbers_of,
    symbols_of,
    words_of,
)
from backend.search.relevance import terms
from backend.search.sentences import split_sentences

_MIN_TERMS: Final = 2
#: Share of a claim's terms that its passages must have in one place: a sentence, what it stands under, its neighbours.
_ENOUGH_COVERED: Final = 0.65
#: A further source is one only if it has this share itself.
_CONTRIBUTES: Final = 0.4
#: Sentences this near to the best one may have meant the claim as well.
_NEAR_BEST: Final = 0.75


class Passage(Protocol):
    """What is cited."""

    @property
    def text(self) -> str:
        """As it is stored."""

    @property
    def title(self) -> str:
        """Of its document."""


@dataclass(frozen=True, slots=True)
class Support:
    """The sentence of `sources[source_index]` that says it, `[start, end)` in its text; `sentence` is that with its
    white space folded."""

    source_index: int
    sentence: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Place:
    """A sentence of a passage, and all that may be taken together with it."""

    sentence: str
    start: int
    end: int
    own: frozenset[str]
    terms: frozenset[str]
    words: frozenset[str]
    #: Of the sentence itself, and of what it stands under.
    own_words: frozenset[str]
    numbers: frozenset[str]
    symbols: frozenset[str]
    negations: int


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a text has in it."""

    terms: frozenset[str]
    words: frozenset[str]
    numbers: frozenset[str]
    symbols: frozenset[str]


class Passages:
    """The sources of one answer; each is taken apart when it is first asked about."""

    def __init__(self, sources: Sequence[Passage]) -> None:
        self._sources = sources
        self._places: dict[int, list[_Place]] = {}

    def support(self, claim: str, cited: Collection[int]) -> tuple[Support, ...]:
        """For each of the `cited` places in sources that bears `claim` out the sentence that does it best; empty when
        they do not, taken together."""
        # Numbers are looked up on their own, however they are written.
        wanted = frozenset(term for term in terms(claim) if not term.isdigit())
        amounts = list(amounts_of(claim))
        if not wanted or len(wanted) + len(amounts) < _MIN_TERMS:
            return ()
        names = find_names(claim)
        # Names are looked up too, whole; the best place is the one that has most of the other words.
        named = wanted & terms(" ".join(part for name in names for part in name)).keys()
        rated = [(index, place, wanted & place.terms) for index in cited for place in self._of(index)]
        best: dict[int, tuple[tuple[int, int, int], _Place]] = {}
        for index, place, shared in rated:
            rank = (len(shared - named), len(shared), len(wanted & place.own))
            if index not in best or rank > best[index][0]:
                best[index] = rank, place
        kept = [index for index in best if best[index][0][1] >= _CONTRIBUTES * len(wanted)]
        covered = named.union(*(wanted & best[index][1].terms for index in kept))
        if not kept or len(covered) < _ENOUGH_COVERED * len(wanted):
            return ()
        places = [place for index, place, _ in rated if index in kept]
        if not (
            all(any(_has_amount(amount, place) for place in places) for amount in amounts)
            and all(any(_has_name(name, place) for place in places) for name in names)
            and _agrees(claim, wanted, places)
        ):
            return ()
        # The sentence itself, not its neighbours: what is cited is to say it.
        shown = {index: _most_own(wanted, self._of(index), best[index][1]) for index in kept}
        return tuple(
            Support(index, shown[index].sentence, shown[index].start, shown[index].end) for index in kept
        )

    def _of(self, index: int) -> list[_Place]:
        if index not in self._places:
            self._places[index] = list(_places(self._sources[index]))
        return self._places[index]


def _places(source: Passage) -> Iterator[_Place]:
    found = list(_parts(source.text))
    own = [_read(f"{sentence} {shown}") for sentence, shown, *_ in found]
    under = {context: _read(f"{source.title} {context}") for context in {part[2] for part in found}}
    apart = [_stands_apart(source.text, part[3]) for part in found]
    for number, (sentence, shown, context, start, end) in enumerate(found):
        # A row or an item of a list says nothing about its neighbours.
        near = [
            own[other]
            for other in (number - 1, number + 1)
            if not apart[number] and 0 <= other < len(found) and not apart[other]
        ]
        above = under[context]
        together = (above, own[number], *near)
        yield _Place(
            sentence=sentence,
            start=start,
            end=end,
            own=own[number].terms,
            terms=frozenset().union(*(part.terms for part in together)),
            words=frozenset().union(*(part.words for part in together)),
            own_words=above.words | own[number].words,
            numbers=above.numbers | own[number].numbers,
            symbols=frozenset().union(*(part.symbols for part in together)),
            negations=count_negations(shown),
        )


def _read(text: str) -> _Contents:
    # Of "23kg" the unit alone as well, as a claim may have it apart.
    counted = (amount.counted for amount in amounts_of(text) if amount.counted)
    return _Contents(
        frozenset(terms(text)).union(counted), words_of(text), numbers_of(text), symbols_of(text)
    )


def _parts(text: str) -> Iterator[tuple[str, str, str, int, int]]:
    """(sentence, as a reader sees it, what it stands under, start, end), in order; lines that hold no sentence, such as
    headings and code, are parts as well."""
    sentences = split_sentences(text)
    taken = [(sentence.start, sentence.end) for sentence in sentences]
    parts = [(s.quote, s.text, s.context, s.start, s.end) for s in sentences]
    position = 0
    for line in text.split("\n"):
        start, position = position, position + len(line) + 1
        end = start + len(line)
        if line.strip(" \t#|-=*_`~") and not any(s < end and start < e for s, e in taken):
            first = start + len(line) - len(line.lstrip())
            folded = " ".join(line.split())
            parts.append((folded, folded, "", first, first + len(line.strip())))
    return iter(sorted(parts, key=lambda part: part[3]))


def _stands_apart(text: str, start: int) -> bool:
    before = text[text.rfind("\n", 0, start) + 1 : start].strip(" \t>")
    return bool(before) and (before[0] in "|-*+•‣◦–" or before.rstrip(".)").isdigit())


def _has_amount(amount: Amount, place: _Place) -> bool:
    return (
        amount.number in place.numbers
        and (not amount.counted or amount.counted in place.terms)
        and (not amount.symbol or amount.symbol in place.symbols)
    )


def _has_name(name: tuple[str, ...], place: _Place) -> bool:
    # A name of several words is one only together: that John Smith and Joan Miller are there makes no Joan Smith.
    words = place.words if len(name) == 1 else place.own_words
    return all(_is_named(part, words) for part in name)


def _is_named(name: str, words: Collection[str]) -> bool:
    if name in words:
        return True
    month = ENGLISH_MONTHS.get(name)
    return any(
        (month is not None and ENGLISH_MONTHS.get(word) == month) or is_inflected(name, word)
        for word in words
    )


def _most_own(wanted: Set[str], places: Sequence[_Place], best: _Place) -> _Place:
    """The sentence that has most of the terms itself; in a draw the one found best with its neighbours."""
    return max(places, key=lambda place: (len(wanted & place.own), place is best))


def _agrees(claim: str, wanted: Set[str], places: Sequence[_Place]) -> bool:
    """Whether one of the sentences that speak of the same thing denies as much of it as the claim does."""
    shares = [len(wanted & place.own) for place in places]
    near = _NEAR_BEST * max(shares)
    negations = count_negations(claim)
    return any(
        place.negations == negations for share, place in zip(shares, places, strict=True) if share >= near
    )

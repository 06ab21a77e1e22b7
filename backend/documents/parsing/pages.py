"""Where the pages of a document begin in its text.

The library renders a document as a whole, with tables and headings put together across pages, and gives each page's own
words besides. Both are laid side by side, as one looks a quotation up: by runs of words, near where the page should begin.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, islice, pairwise
from typing import Final, TypeAlias

#: Pages of longer documents are not told apart.
MAX_PAGES: Final = 20_000

#: Words in a row that are looked up, and how far into a page such runs are taken: a running head may be left out of the
#: rendered text, and a table at its top put together otherwise.
_RUN: Final = 4
_REACH: Final = 60
#: A run this many words from where the page should begin is another's.
_NEAR: Final = 50

_WORD = re.compile(r"[^\W_]+")

_Words: TypeAlias = tuple[str, ...]


def place_pages(text: str, pages: Sequence[str], after: str = "") -> tuple[int, ...]:
    """Offsets in `text` at which each of `pages` (their own words, in order) begins, and at which the last one ends, where
    `after` begins, if anything stands there: the first 0, none smaller than the one before it, one more than there are
    pages. A page without words ends where it begins. About right where a page's words cannot be found. Empty without pages,
    or with more than `MAX_PAGES`.
    """
    if not 0 < len(pages) <= MAX_PAGES:
        return ()
    places = [match.start() for match in _WORD.finditer(text)]
    text_words = _words(text)
    parts = [_words(part) for part in (*pages, after)]
    found = _find_runs(text_words, {run for words in parts[1:] for _, run in _runs(words)})
    bounds, begins = [0], 0
    for before, words in pairwise(parts):
        begins = _begin(words, begins, begins + len(before), text_words, found)
        bounds.append(_line_start(text, places[begins]) if begins < len(places) else len(text))
    if not parts[-1]:
        bounds[-1] = len(text)
    return tuple(accumulate(bounds, max))


def _begin(
    words: _Words, earliest: int, expected: int, text: _Words, found: Mapping[_Words, Sequence[int]]
) -> int:
    """Which word of `text` the page of `words` begins with: where one of its runs stands nearest to `expected`."""
    near = max(_NEAR, len(words))
    best = (near + 1, expected, 0)
    for offset, run in _runs(words):
        known = found.get(run, ())
        behind = bisect_left(known, expected + offset)
        for place in known[max(0, behind - 1) : behind + 1]:
            if place - offset >= earliest:
                best = min(best, (abs(place - offset - expected), place, offset))
    _, begins, offset = best
    # What the page has before that run, in whatever order; a running head that is left out of the text is not there.
    head = words[:offset]
    while offset and text[begins - 1] in head:
        begins, offset = begins - 1, offset - 1
    return begins


def _runs(words: _Words) -> Iterator[tuple[int, _Words]]:
    """(its first word's number, the run) of those that are looked up."""
    for offset in range(min(_REACH, len(words) - _RUN + 1)):
        yield offset, words[offset : offset + _RUN]


def _find_runs(words: _Words, wanted: set[_Words]) -> dict[_Words, list[int]]:
    found = defaultdict(list)
    for place, run in enumerate(zip(*(islice(words, start, None) for start in range(_RUN)), strict=False)):
        if run in wanted:
            found[run].append(place)
    return found


def _words(text: str) -> _Words:
    return tuple(match[0].casefold() for match in _WORD.finditer(text))


def _line_start(text: str, place: int) -> int:
    """`place`, or the beginning of its line if only marks stand between."""
    start = text.rfind("\n", 0, place) + 1
    return place if _WORD.search(text, start, place) else start

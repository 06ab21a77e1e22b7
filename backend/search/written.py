"""An answer a language model writes, let through sentence by sentence: each cites a source that bears it out.

What goes nowhere: sentences without a marker, markers that name no source, sentences whose cited passages do not say
them (see `support`), those with a web address that is no source's, and whatever the model says besides the answer.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from backend.search.answer import MARKER, NOT_FOUND, Source, join_markers
from backend.search.plain import TARGET, addresses, plain, visible, without_markup
from backend.search.sentences import find_boundaries
from backend.search.support import Passages, Support

#: A text this long in which no sentence ends is none; and so many of them are no answer.
_MAX_HELD: Final = 6_000
_MAX_SENTENCES: Final = 40
#: A marker is shorter than this.
_MAX_MARKER: Final = 80

_TERMINAL: Final = ".!?…。！？"
_CLOSING: Final = "\"'”’»)*_"
_GOES_ON: Final = ",;:–—-(&/"
_LINE_MARKS = re.compile(r"^\s*(?:>\s?)*(?:#{1,6}\s+)?(?P<item>[-*+•]\s+|\d{1,3}[.)]\s+)?")
_MARKER_AT_END = re.compile(rf"{MARKER.pattern}\s*\Z", re.IGNORECASE)
_MARKER_WITHIN = re.compile(rf"\[{{1,4}}({MARKER.pattern})\]{{1,4}}", re.IGNORECASE)
_MARKER_BEFORE = re.compile(rf"({MARKER.pattern})(?=\[)", re.IGNORECASE)
_MARKER_WITH_TARGET = re.compile(rf"({MARKER.pattern})(?!\[\s*source){TARGET}", re.IGNORECASE)
_BEFORE_POINT = re.compile(r"\s+(?=[.,;:!?…](?:\s|$))")
_THINKING = re.compile(r"\s*<think(?:ing)?>")
_THOUGHT = re.compile(r"</think(?:ing)?>")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A sentence of the answer: `text` is what is added to what came before it, its markers included."""

    text: str
    supports: tuple[Support, ...]


class Draft:
    """What a model is writing; give it the text in whatever pieces it comes."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._passages = Passages(sources)
        self._own_addresses = frozenset(source.url for source in sources if source.url)
        self._held = ""
        self._last_character = ""
        self._begins_line = True
        self._is_thinking: bool | None = None
        self._said: set[str] = set()
        self.removed_count = 0
        """Sentences that were not let through."""
        self.admits_nothing = False
        """Whether the model said that the passages do not answer the question."""

    def feed(self, text: str) -> list[Accepted]:
        """The sentences that are complete with `text` and may be shown."""
        seen = visible(text, self._last_character)
        self._last_character = seen[-1:] or self._last_character
        self._held += seen
        return list(self._accepted(is_over=False))

    def finish(self) -> list[Accepted]:
        """Those of what is left; the model writes no more."""
        return list(self._accepted(is_over=True))

    def _accepted(self, *, is_over: bool) -> Iterator[Accepted]:
        if not self._has_thought(is_over=is_over):
            return
        while (cut := self._cut(is_over=is_over)) is not None:
            piece, self._held = self._held[:cut], self._held[cut:]
            begins_line, self._begins_line = self._begins_line, piece.endswith("\n")
            yield from self._judged(piece, begins_line=begins_line)

    def _has_thought(self, *, is_over: bool) -> bool:
        """Takes away what the model thinks aloud before it answers; False while that goes on."""
        if self._is_thinking is None:
            if len(self._held.lstrip()) < len("<thinking>") and not is_over:
                return False
            self._is_thinking = _THINKING.match(self._held) is not None
        if self._is_thinking:
            if end := _THOUGHT.search(self._held):
                self._held = self._held[end.end() :].lstrip()
                self._is_thinking = False
            else:
                # Only as much as the closing tag may need.
                self._held = "" if is_over else self._held[: len("<thinking>")] + self._held[-20:]
        return not self._is_thinking

    def _cut(self, *, is_over: bool) -> int | None:
        """Up to where what is held is sure to be whole sentences; None if that is not known yet."""
        line_end = self._held.find("\n")
        line = self._held if line_end < 0 else self._held[:line_end]
        is_whole = line_end >= 0 or is_over
        cut = _end_of_cited(line, is_whole=is_whole) if "]" in line else None
        if cut is not None and cut < len(line):
            return cut
        if line_end >= 0:
            return line_end + 1
        if is_over:
            return len(line) or None
        return cut if cut is not None else (len(line) if len(line) > _MAX_HELD else None)

    def _judged(self, piece: str, *, begins_line: bool) -> Iterator[Accepted]:
        marks = _LINE_MARKS.match(piece) if begins_line else None
        item = " ".join((marks["item"] or "").split()) if marks else ""
        joined = join_markers(_without_markup(piece[marks.end() if marks else 0 :]))
        lead = f"\n{item} " if item else "\n" if begins_line else " "
        for start, end in find_boundaries(joined):
            accepted = self._sentence(joined[start:end], lead)
            if accepted is not None:
                yield accepted
                lead = " "

    def _sentence(self, written: str, lead: str) -> Accepted | None:
        numbers = [int(n) for marker in MARKER.finditer(written) for n in re.findall(r"\d+", marker[2])]
        cited = [n - 1 for n in dict.fromkeys(numbers) if 1 <= n <= len(self._sources)]
        text = _BEFORE_POINT.sub("", plain(MARKER.sub("", written))).lstrip(f"{_TERMINAL}{_GOES_ON} ")
        if not any(character.isalnum() for character in text):
            return None
        if NOT_FOUND.rstrip(".") in text:
            self.admits_nothing = True
            return None
        supports = self._supports(text, cited)
        if not supports:
            self.removed_count += 1
            return None
        markers = "".join(f" [Source {support.source_index + 1}]" for support in supports)
        if not self._said:
            lead = lead.removeprefix("\n").removeprefix(" ")
        self._said.add(text)
        return Accepted(f"{lead}{text}{markers}", supports)

    def _supports(self, text: str, cited: Sequence[int]) -> tuple[Support, ...]:
        if text in self._said or len(self._said) >= _MAX_SENTENCES:
            return ()
        if any(address not in self._own_addresses for address in addresses(text)):
            return ()
        return self._passages.support(text, cited)


def _end_of_cited(line: str, *, is_whole: bool) -> int | None:
    """Where the first sentence that ends with markers ends; None if there is none, or more must come to tell."""
    for marker in MARKER.finditer(line):
        end = marker.end()
        while line[end : end + 1] == "]":
            end += 1
        following = line[end:].lstrip(" \t")
        if not following:
            return len(line) if is_whole else None
        if following[0] == "[":
            if MARKER.match(following):
                continue
            if "]" not in following[:_MAX_MARKER] and len(following) < _MAX_MARKER and not is_whole:
                return None
        if following[0] in _TERMINAL:
            ended = following.lstrip(_TERMINAL).lstrip(_CLOSING)
            return len(line) - len(ended) if ended or is_whole else None
        before = line[: marker.start()].rstrip().rstrip(_CLOSING)
        while earlier := _MARKER_AT_END.search(before):
            before = before[: earlier.start()].rstrip().rstrip(_CLOSING)
        if before.endswith(tuple(_TERMINAL)):
            return end
        if not (following[0].islower() or following[0] in _GOES_ON):
            return end
    return None


def _without_markup(piece: str) -> str:
    """A marker within more brackets, with a target, or right before another is a marker all the same."""
    piece = _MARKER_WITHIN.sub(r"\1", piece)
    piece = _MARKER_WITH_TARGET.sub(r"\1 ", piece)
    return without_markup(_MARKER_BEFORE.sub(r"\1 ", piece))

"""What a reply repeats of the messages before it.

Mail programs put the whole conversation under every reply; kept, each sentence would be found ten times, under the
wrong author. Only what an earlier message of the thread has word for word is left out: a quotation that was changed,
or of a message that is not in the thread, stays. So do a few words that are quoted to be answered right below.
"""

import re
from typing import Final

_QUOTED = re.compile(r"\s{0,3}>")
_MARKS = re.compile(r"^(?:\s{0,3}>)+\s?")
_RULE = re.compile(r"\s*(?:_{5,}|-{3,}|-{2,}\s*\S.{0,60}\S\s*-{2,})\s*\Z")
_HEADER = re.compile(r"\s*\*{0,2}[^\W\d_][\w .-]{0,24}\*{0,2}\s?:\*{0,2}\s+\S")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_HEADER_LINES: Final = 3
_LONGEST_ATTRIBUTION: Final = 400
#: Words; more than that, and it is the whole message.
_LONGEST_QUESTION: Final = 60
#: Between the messages, so that no passage is found across two of them.
_BETWEEN: Final = " \0 "


class Said:
    """Everything the messages so far have said."""

    def __init__(self) -> None:
        self._words = _BETWEEN

    def add(self, text: str) -> None:
        """Remember a message, with what it quotes."""
        self._words += _words(text.split("\n")) + _BETWEEN

    def contains(self, lines: list[str]) -> bool:
        """Whether an earlier message has these words in this order; line breaks do not count."""
        words = _words(lines)
        return not words or f" {words} " in self._words


def trim(text: str, said: Said) -> str:
    """`text` without the quotations that `said` contains."""
    lines = text.split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if _QUOTED.match(lines[at]):
            end = _end_of_quote(lines, at)
            quotation = lines[at:end]
            rest = quotation if _is_answered(quotation, lines[end:]) else _unsaid(quotation, said)
            if not rest and _words(quotation):
                _drop_attribution(kept)
            kept += rest
        elif start := _start_of_copy(lines, at):
            end = len(lines)
            rest = _unsaid(lines[start:end], said)
            # The head says whose words follow; it goes with the last of them.
            kept += [*lines[at:start], "", *rest] if rest else []
        else:
            kept.append(lines[at])
            end = at + 1
        at = end
    return "\n".join(kept).strip("\n")


def _is_answered(quotation: list[str], rest: list[str]) -> bool:
    """Whether it is there to say what the text below it is about."""
    follows = next((line for line in rest if line.strip()), None)
    return follows is not None and len(_words(quotation).split()) <= _LONGEST_QUESTION


def _end_of_quote(lines: list[str], start: int) -> int:
    end = start
    for number in range(start, len(lines)):
        if _QUOTED.match(lines[number]):
            end = number + 1
        elif lines[number].strip():
            break
    return end


def _start_of_copy(lines: list[str], at: int) -> int | None:
    """Where the text of a message begins that is copied below its head ("From: …, Sent: …"), which begins at `at`."""
    first = at
    if _RULE.match(lines[at]):
        first = next((n for n in range(at + 1, min(at + 4, len(lines))) if lines[n].strip()), at)
    end = first
    while end < len(lines) and _HEADER.match(lines[end]):
        end += 1
    return end if end - first >= _HEADER_LINES and any("@" in line for line in lines[first:end]) else None


def _unsaid(lines: list[str], said: Said) -> list[str]:
    """The paragraphs of a quotation that are nowhere else in the thread."""
    if said.contains(lines):
        return []
    kept: list[str] = []
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if _MARKS.sub("", line).strip():
            paragraph.append(line)
            continue
        if paragraph and not said.contains(paragraph):
            kept += [*paragraph, ""]
        paragraph = []
    return kept


def _drop_attribution(kept: list[str]) -> None:
    """Takes away the line that introduces a quotation ("On Monday, Ann <ann@…> wrote:"), which may be wrapped."""
    end = len(kept)
    while end and not kept[end - 1].strip():
        end -= 1
    start = end
    while start and kept[start - 1].strip() and end - start < _HEADER_LINES:
        start -= 1
        words = " ".join(kept[start:end]).strip()
        if not words.endswith(":") or len(words) > _LONGEST_ATTRIBUTION:
            return
        if "@" in words or _YEAR.search(words):
            # The date may stand on the line above the address.
            if start and not _YEAR.search(words) and _YEAR.search(kept[start - 1]):
                start -= 1
            del kept[start:]
            return


def _words(lines: list[str]) -> str:
    return " ".join(" ".join(_MARKS.sub("", line) for line in lines).split())

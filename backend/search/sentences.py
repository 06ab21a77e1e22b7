"""The sentences of a passage of Markdown or plain text, each with the exact place it was taken from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import sentencex

_FENCE = re.compile(r"^\s*(```+|~~~+)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)#*\s*$")
_RULE = re.compile(r"^\s{0,3}(?:[-*_=]\s*){3,}$")
_TABLE_ROW = re.compile(r"^\s*\|.*\|\s*$")
_TABLE_RULE = re.compile(r"^[\s|:+]*-[\s|:+-]*$")
_ITEM = re.compile(r"^\s*(?:>\s?)*\s*(?:[-*+•‣◦–]|\d{1,3}[.)])\s+(?=\S)")
_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+")
#: What a reader of the finished answer must not see: emphasis, code marks, link targets, tags, escapes.
_MARKS = re.compile(
    r"(?P<emphasis>\*{1,3}|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)|~~|`+)"
    r"|!?\[(?=[^\]\n]*\]\()|(?<=[^\s])\]\([^()\s]*(?:\([^()\s]*\))?[^()\s]*\)"
    r"|</?[a-zA-Z][^<>\n]{0,100}>|\\(?=[^\w\s])"
)
_TERMINATED = re.compile(r"[.!?…。！？｡؟۔।॥։።፧][\"'”’»)\]]*\s*\Z")
_ABBREVIATED = re.compile(r"\b(?:approx|incl|excl|max|min|fig|dept|tel|ext|ca|vs)\.\s*\Z", re.IGNORECASE)
#: Lines of code carry these far more often than prose does.
_CODE_MARK = re.compile(r"\w\(|[{}\[\]=<>\\^~`]|;$")
_MAX_CODE_SHARE: Final = 0.08


@dataclass(frozen=True, slots=True)
class Sentence:
    """`quote` stands in the passage word for word but for its white space; `text` is it without Markdown
    marks, as a reader wants it. `context` holds what it stands under: headings, the line before a list.
    `[start, end)` is where it stands."""

    quote: str
    text: str
    context: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, list item or, if it has `columns`, a table row: `[start, end)` in the passage. Its columns are
    empty where their names are not known."""

    start: int
    end: int
    context: str
    columns: tuple[str, ...] | None = None


def split_sentences(passage: str) -> list[Sentence]:
    """The sentences, list items and table rows of `passage` in order; headings and code are none.

    Abbreviations and decimal points end no sentence; scripts with other full stops are known.
    """
    sentences = []
    for block in _blocks(passage):
        if block.columns is not None:
            sentences.append(_row(passage, block))
        else:
            sentences += (sentence for sentence in _prose(passage, block) if not _is_code(sentence.text))
    return [sentence for sentence in sentences if sentence.text]


def _blocks(passage: str) -> Iterator[_Block]:
    headings: list[tuple[int, str]] = []
    announcement = ""
    columns: tuple[str, ...] = ()
    fenced = _begins_inside_fence(passage)
    start: int | None = None
    in_item = False
    position = 0
    for line, following in pairwise([*passage.split("\n"), "", ""]):
        line_start, position = position, position + len(line) + 1
        ends = fenced or not line.strip() or any(p.match(line) for p in (_FENCE, _HEADING, _RULE, _ITEM))
        row = _TABLE_ROW.match(line)
        if start is not None and (ends or row):
            paragraph = passage[start:line_start].rstrip(" \n*_")
            yield _Block(start, line_start, " ".join((*_titles(headings), announcement)))
            # What follows means little without the line that announces it ("You will need:", "Who pays?").
            if not in_item:
                announcement = paragraph if paragraph.endswith((":", "：", "?", "？", "؟")) else ""
            start = None
        if not row:
            columns = ()
        if _FENCE.match(line):
            fenced = not fenced
        elif fenced or not line.strip():
            continue
        elif heading := _HEADING.match(line):
            level = line.count("#", 0, heading.start(1))
            headings = [outer for outer in headings if outer[0] < level] + [(level, heading[1])]
            announcement = ""
        elif row:
            # Without a rule below it the first row is none of names: the passage begins amid the table.
            if _TABLE_RULE.match(following):
                columns = _cells(line)
            elif not _TABLE_RULE.match(line):
                yield _Block(line_start, line_start + len(line), " ".join(_titles(headings)), columns)
        elif not _RULE.match(line) and start is None:
            item = _ITEM.match(line)
            in_item, marker = item is not None, item or _QUOTE.match(line)
            start = line_start + (marker.end() if marker else 0)


def _begins_inside_fence(passage: str) -> bool:
    """Whether a passage cut out of a longer text starts within fenced code: then a bare fence closes it."""
    fences = [line for line in passage.split("\n") if _FENCE.match(line)]
    return len(fences) % 2 == 1 and not re.fullmatch(r"\s*(?:`+|~+)\s*\w+.*", fences[0])


def _prose(passage: str, block: _Block) -> Iterator[Sentence]:
    shown, places = _without_marks(passage, block.start, block.end)
    for start, end in find_boundaries(shown):
        while start < end and shown[start].isspace():
            start += 1
        while start < end and shown[end - 1].isspace():
            end -= 1
        if start < end:
            first, last = places[start], places[end - 1] + 1
            quote = " ".join(passage[first:last].split())
            yield Sentence(quote, " ".join(shown[start:end].split()), block.context, first, last)


def find_boundaries(text: str) -> list[tuple[int, int]]:
    """Start and end of every sentence of running `text`."""
    spans: list[tuple[int, int]] = []
    for found in sentencex.get_sentence_boundaries("en", text.replace("\n", " ")):
        start, end = found["start_index"], found["end_index"]
        if spans and not _begins_sentence(text, start, end):
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def _begins_sentence(text: str, start: int, end: int) -> bool:
    """The splitter takes "5 kg. without" for an end and "2023)" in running text for the next item of a list."""
    before = text[max(0, start - 20) : start]
    return (
        _TERMINATED.search(before) is not None
        and _ABBREVIATED.search(before) is None
        and not text[start:end].lstrip()[:1].islower()
    )


def _without_marks(passage: str, start: int, end: int) -> tuple[str, list[int]]:
    """The block's text without marks, and for each of its characters the place in `passage`."""
    block = passage[start:end]
    hidden = {
        place for mark in _MARKS.finditer(block) for place in range(*mark.span()) if _hides(block, mark)
    }
    line_start = 0
    for line in block.split("\n")[:-1]:
        line_start += len(line) + 1
        if quote := _QUOTE.match(block[line_start:]):
            hidden.update(range(line_start, line_start + quote.end()))
    kept = [place for place in range(len(block)) if place not in hidden]
    return "".join(block[place] for place in kept), [start + place for place in kept]


def _hides(block: str, mark: re.Match[str]) -> bool:
    """A `*` between spaces or digits is a character, not emphasis."""
    if not mark["emphasis"] or not mark[0].startswith("*"):
        return True
    before, after = block[mark.start() - 1 : mark.start()], block[mark.end() : mark.end() + 1]
    return not (before.isspace() and after.isspace()) and not (before.isdigit() and after.isdigit())


def _row(passage: str, block: _Block) -> Sentence:
    line = passage[block.start : block.end]
    cells = _cells(line)
    # A row makes sense only with the names of its columns; the first cell usually names the row itself.
    named = [
        f"{column}: {cell}" if column and column != cell else cell
        for column, cell in zip(block.columns or ("",) * len(cells), cells, strict=False)
        if cell
    ]
    inner = line.strip("| \t\r\f\v")
    start = block.start + line.find(inner)
    return Sentence(" ".join(inner.split()), "; ".join(named), block.context, start, start + len(inner))


def _cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    parts = re.split(r"(?<!\\)\|", inner)
    return tuple(" ".join(_without_marks(part, 0, len(part))[0].split()) for part in parts)


def _titles(headings: list[tuple[int, str]]) -> list[str]:
    return [title for _, title in headings]


def _is_code(text: str) -> bool:
    return len(_CODE_MARK.findall(text)) > _MAX_CODE_SHARE * len(text)

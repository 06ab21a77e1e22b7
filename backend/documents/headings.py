"""Headings of a Markdown text: what a passage stands under, and what a document calls itself."""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from markdown_it import MarkdownIt

#: A longer one is a paragraph that looks like a heading; every passage below it carries it.
_MAX_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading: `level` 1 to 6, where it is (`[start, end)` in characters of the text), and `path`, its
    own words preceded by those of the headings above it, all without marks."""

    level: int
    path: tuple[str, ...]
    start: int
    end: int


def find_headings(markdown: str) -> tuple[Heading, ...]:
    """Every heading of `markdown` in order; a `#` inside fenced code, HTML or a table is none."""
    parser = MarkdownIt("commonmark")
    # Only blocks are needed here; inline parsing is most of the work and is done for the headings alone.
    parser.core.ruler.disable("inline")
    inline_parser = MarkdownIt("commonmark")
    tokens = parser.parse(markdown)
    line_starts = list(accumulate((len(line) + 1 for line in markdown.split("\n")), initial=0))
    headings = []
    above: list[tuple[int, str]] = []
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or opening.map is None:
            continue
        title = _words(inline_parser, inline.content)
        if title:
            level = int(opening.tag[1])
            above = [outer for outer in above if outer[0] < level] + [(level, title)]
            first, after = opening.map
            end = min(line_starts[after], len(markdown))
            headings.append(Heading(level, tuple(words for _, words in above), line_starts[first], end))
    return tuple(headings)


def _words(parser: MarkdownIt, inline_markdown: str) -> str:
    (inline,) = parser.parseInline(inline_markdown)
    texts = (token.content for token in inline.children or () if token.type in ("text", "code_inline"))
    return " ".join("".join(texts).split())[:_MAX_CHARACTERS]

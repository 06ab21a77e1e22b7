"""What no stored text may contain, and what extraction leaves behind."""

import re
import unicodedata
from types import MappingProxyType
from typing import Final

_REPLACED: Final = MappingProxyType(
    {
        # Postgres refuses NUL; the other control characters mean nothing outside terminals and printers.
        **{code: None for code in range(32) if code not in (9, 10)},
        **{code: None for code in range(0x7F, 0xA0) if code != 0x85},
        0x0C: "\n\n",
        0x85: "\n",
        0xA0: " ",
        0x2028: "\n",
        0x2029: "\n\n",
        # Invisible characters inside words would hide them from search.
        0xAD: None,
        0x200B: None,
        0xFEFF: None,
        # PDF fonts draw these pairs as one glyph; nobody types them into a search box.
        0xFB00: "ff",
        0xFB01: "fi",
        0xFB02: "fl",
        0xFB03: "ffi",
        0xFB04: "ffl",
        0xFB05: "st",
        0xFB06: "st",
    }
)
#: A symbol that a PDF's font draws without saying what it is arrives as a ligature; before a number it is a currency.
_LOST_SYMBOL = re.compile("[\ufb00-\ufb06](?=\\d)")
_FRONT_MATTER = re.compile(r"\A---\n(?:[^\n]*\n)*?---\n")
_EMBEDDED_IMAGE = re.compile(r"!\[([^\]\n]*)\]\(data:[^)\s]*\)")
_CLOSED_LATE = re.compile(r"(?m)^(\*{1,2})(?![\s*])([^\n]*[^\s*])\n+\1$")
_BOLD_LINE = re.compile(r"(?m)^\*\*([^*\n]{1,100})\*\*$")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})")
_HEADING = re.compile(r"#{1,6} ")
_BLANK_LINES = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+")


def clean_text(text: str) -> str:
    """`text` as it may be stored: composed Unicode, `\\n` line ends, no control or invisible characters."""
    text = _LOST_SYMBOL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).translate(_REPLACED)
    return unicodedata.normalize("NFC", text).strip("\n")


def clean_extracted(text: str) -> str:
    """`text` as an extraction library renders a document in Markdown, made fit to be split and quoted."""
    text = _EMBEDDED_IMAGE.sub(r"\1", text)
    # Slides: emphasis that the library closes only after the paragraph's line end ("**Title\n\n**").
    text = _CLOSED_LATE.sub(r"\1\2\1", text)
    lines = [""]
    fenced = False
    for line in text.split("\n"):
        opens_block = _HEADING.match(line) or (line.startswith("|") and not lines[-1].startswith("|"))
        if opens_block and not fenced and lines[-1].strip():
            # Directly under a line of text it would be read as part of that paragraph or list item.
            lines.append("")
        fenced ^= bool(_FENCE.match(line))
        lines.append(line.rstrip())
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n")


def promote_bold_lines(slides: str) -> str:
    """`slides` with lines that are bold as a whole made headings of level 3: slides know no other kind, and
    a slide's title is level 2."""
    return clean_extracted(_BOLD_LINE.sub(r"### \1", slides))


def drop_front_matter(text: str) -> str:
    """`text` without the metadata block that conversion from HTML puts in front."""
    return _FRONT_MATTER.sub("", text, count=1).lstrip("\n")

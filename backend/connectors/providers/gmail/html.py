"""The text a person sees in a mail written in HTML.

The standard library's parser and not one of the converters to Markdown: these make tables of what only puts a
newsletter's boxes next to each other, and they keep what a sender hides from the reader's eye.
"""

import re
from html.parser import HTMLParser
from typing import Final

_BLOCKS: Final = frozenset(
    {
        "address", "article", "aside", "blockquote", "center", "dd", "div", "dl", "dt", "fieldset", "figure",
        "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
        "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
    }
)  # fmt: skip
_PARAGRAPHS: Final = frozenset(
    {"blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"}
)
_UNSEEN: Final = frozenset({"head", "script", "style", "template", "title", "noscript", "select", "textarea"})
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|mso-hide\s*:\s*all"
)
#: Comments, and the conditions Outlook writes, at which the parser gives up.
_COMMENTS = re.compile(r"<!--.*?(?:-->|\Z)|<!\[[^>]*>", re.DOTALL)
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_LINK = re.compile(r"(?:https?://|mailto:)[^\s()<>]{1,200}\Z", re.IGNORECASE)


def text_of(html: str) -> str:
    """The text of `html`: a line for each block, an empty one between paragraphs, `- ` for items of lists, `> ` for
    quotations, links as in Markdown. Never raises."""
    html = _COMMENTS.sub("", html)
    reader = _Reader()
    try:
        reader.feed(html)
        reader.close()
    except AssertionError:
        # What it says to declarations it does not know.
        return _SPACES.sub(" ", re.sub(r"<[^>]*>", " ", html)).strip()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line = ""
        self._depth = 0
        self._open: list[tuple[str, bool]] = []
        self._unseen = 0
        self._pre = 0
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in _VOID:
            hides = (
                tag in _UNSEEN or "hidden" in given or bool(_HIDDEN.search(given.get("style", "").lower()))
            )
            self._open.append((tag, hides))
            self._unseen += hides
        if self._unseen:
            return
        if tag in _BLOCKS:
            self._end_line(is_paragraph=tag in _PARAGRAPHS)
        match tag:
            case "br":
                self._lines.append(self._prefix() + self._line)
                self._line = ""
            case "hr":
                self._lines += [self._prefix() + "---", ""]
            case "blockquote":
                self._depth += 1
            case "pre":
                self._pre += 1
            case "li":
                self._line = "- "
            case "td" | "th" if self._line.strip():
                self._line += " | "
            case "a":
                self._links.append((given.get("href", "").strip(), len(self._line)))

    def handle_endtag(self, tag: str) -> None:
        if not any(name == tag for name, _ in self._open):
            return
        # What was left open inside ends with it.
        while True:
            name, hides = self._open.pop()
            was_seen = not self._unseen
            self._unseen -= hides
            if was_seen:
                self._close(name)
            if name == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if self._pre:
            *whole, last = data.split("\n")
            for line in whole:
                self._lines.append(self._prefix() + self._line + line)
                self._line = ""
            self._line += last
            return
        words = _SPACES.sub(" ", data)
        self._line += words.lstrip() if not self._line or self._line.endswith(" ") else words

    def text(self) -> str:
        self._end_line(is_paragraph=False)
        kept: list[str] = []
        for line in (line.rstrip() for line in self._lines):
            if line.strip("> ") or (kept and kept[-1].strip("> ")):
                kept.append(line)
            elif kept and len(line) < len(kept[-1]):
                # Of two empty lines the one outside of the quotation stays.
                kept[-1] = line
        return "\n".join(kept).strip("\n")

    def _close(self, tag: str) -> None:
        if tag == "a" and self._links:
            href, start = self._links.pop()
            shown = self._line[start:].strip()
            # A link over several blocks, or one that is shown as it is, stays text.
            if shown and _LINK.match(href) and shown not in href and start <= len(self._line):
                space = " " if self._line[start:].startswith(" ") else ""
                self._line = f"{self._line[:start]}{space}[{shown}]({href})"
        if tag == "blockquote":
            self._end_line(is_paragraph=False)
            self._depth -= 1
        elif tag == "pre":
            self._pre -= 1
        if tag in _BLOCKS:
            self._end_line(is_paragraph=tag in _PARAGRAPHS)

    def _end_line(self, *, is_paragraph: bool) -> None:
        if self._line.strip(" |"):
            self._lines.append(self._prefix() + self._line.rstrip(" |"))
        if is_paragraph:
            self._lines.append(self._prefix().rstrip())
        self._line = ""

    def _prefix(self) -> str:
        return "> " * self._depth

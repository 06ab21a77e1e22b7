"""The words of HTML that is nested too deeply for the extraction library, which returns nothing then."""

from html.parser import HTMLParser
from typing import Final

_UNREAD: Final = frozenset(("script", "style", "template", "noscript"))
_INLINE: Final = frozenset(
    ("a", "abbr", "b", "code", "em", "i", "small", "span", "strong", "sub", "sup", "u")
)


def words_of_markup(html: str) -> str:
    """The text between the tags of `html`, blocks in paragraphs of their own."""
    words = _Words()
    words.feed(html)
    words.close()
    lines = (" ".join(line.split()) for line in "".join(words.found).split("\n"))
    return "\n\n".join(line for line in lines if line)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._unread = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self._unread += tag in _UNREAD
        if tag not in _INLINE:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unread = max(0, self._unread - (tag in _UNREAD))
        if tag not in _INLINE:
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            # Line ends inside a paragraph are white space.
            self.found.append(data.replace("\n", " "))

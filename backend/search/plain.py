"""What an answer may show: characters that can be seen, words, and no picture, link or tag a document brought along.

A client may render answers as Markdown or HTML. What a document or a language model says must not make its reader's
browser fetch anything, nor lead anywhere but to the sources.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from types import MappingProxyType
from typing import Final

_FORGED_MARKER = re.compile(r"\[{1,4}\s{0,4}sources?\b[^\[\]]*\]{1,4}", re.IGNORECASE)
#: What makes a link of the brackets before it.
TARGET: Final = r"(?:\((?:[^()\n]|\([^()\n]*\))*\)|\[[^\[\]\n]*\])"
_IMAGE = re.compile(rf"!\[[^\[\]\n]*\]{TARGET}")
_LINK = re.compile(rf"\[([^\[\]\n]*)\]{TARGET}")
_AUTOLINK = re.compile(r"<([a-z][a-z0-9+.-]*:[^<>\s]*)>", re.IGNORECASE)
_TAG = re.compile(r"<[a-z/!?][^<>]*>", re.IGNORECASE)
_TAG_BEGINNING = re.compile(r"<(?=[a-z/!?])", re.IGNORECASE)
_SCHEME: Final = r"(?:\b[a-z][a-z0-9+.-]{1,20}://|\b(?:javascript|data|vbscript|mailto):(?=\S)|\bwww\.(?=\S))"
_ADDRESS = re.compile(rf"{_SCHEME}[^\s<>\"'`|\\^{{}}]*", re.IGNORECASE)
_SCHEMES = re.compile(_SCHEME, re.IGNORECASE)
_AFTER_ADDRESS: Final = ".,;:!?)]}*_"
#: They join letters of some scripts and parts of emoji; anywhere else they only hide.
_JOINERS: Final = "\u200c\u200d"
#: Shown as nothing, though Unicode does not count them as formatting.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U000e0100-\U000e01ef]")
_LINE_CHARACTERS: Final = MappingProxyType(str.maketrans("\n\t\xa0", "   "))


def visible(text: str, before: str = "") -> str:
    """`text` without control, direction and other characters that cannot be seen; `before` is the character it
    follows. Of a text in pieces it gives the same as of the whole."""
    if text.translate(_LINE_CHARACTERS).isprintable() and not _BLANK.search(text):
        # Nearly every text.
        return text
    kept: list[str] = []
    last = before[-1:]
    for character in text:
        if character in "\u2028\u2029\x0b\x0c\x85":
            character = "\n"
        if _is_seen(character, last):
            kept.append(character)
            last = character
    return "".join(kept)


def plain(text: str) -> str:
    """`text` on one line, as words: of a link its words stay, of a picture, a tag or a forged marker nothing."""
    text = _FORGED_MARKER.sub(" ", visible(text))
    return " ".join(_FORGED_MARKER.sub(" ", without_markup(text)).split())


def without_markup(text: str) -> str:
    """`text` without pictures, link targets and tags; the words of links stay."""
    for _ in range(5):
        before = text
        text = _AUTOLINK.sub(r"\1", _LINK.sub(r"\1", _IMAGE.sub(" ", text)))
        text = _TAG.sub(" ", text)
        if text == before:
            break
    # Whatever is nested deeper than that, or not closed, is none either.
    return _TAG_BEGINNING.sub("‹", text.replace("](", "] (").replace("![", "["))


def addresses(text: str) -> Iterator[str]:
    """Web addresses in `text`, written out or without their scheme (`www.`)."""
    for found in _ADDRESS.finditer(text):
        yield found[0].rstrip(_AFTER_ADDRESS)


def without_links(text: str, own: Collection[str] = ()) -> str:
    """`text` in which no address but the `own` ones is one a client would make a link of: its scheme is left out."""

    def unlinked(found: re.Match[str]) -> str:
        address = found[0].rstrip(_AFTER_ADDRESS)
        if address in own:
            return found[0]
        shown = found[0]
        while (shorter := _SCHEMES.sub("", shown)) != shown:
            shown = shorter
        return shown

    while (shorter := _ADDRESS.sub(unlinked, text)) != text:
        text = shorter
    return text


def _is_seen(character: str, before: str) -> bool:
    if character in _JOINERS:
        return bool(before) and not before.isascii() and before not in _JOINERS
    if character in "\n\t" or character.isascii():
        return character in "\n\t" or character.isprintable()
    if _BLANK.match(character):
        return False
    return unicodedata.category(character) not in ("Cf", "Cc", "Co", "Cs")

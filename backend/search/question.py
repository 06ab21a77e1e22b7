"""What a question says beside its words: "exact words" that must stand together, and -words that must not be there.

Nobody is asked to learn a query language: whatever is not plainly one of these two is a word like any other.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: More of them are read as plain words, and further words of a longer one are not looked at.
MOST_PHRASES: Final = 8
MOST_PHRASE_CHARACTERS: Final = 300

_QUOTES: Final = '"\u201c\u201d\u201e\u201f\u00ab\u00bb'
_OPERATOR = re.compile(
    # A quote opens after a blank and closes before one: 5" and 6" are inches.
    rf"(?<![^\s(\[{{,;:=])(?P<minus>-?)[{_QUOTES}](?P<phrase>[^{_QUOTES}\n]*)[{_QUOTES}](?![^\W_])"
    # Not a lone dash, one that begins a line (a list), an option (-x, --force), a number (-5), nor one inside a word.
    r"|(?<=[^\S\n])-(?P<word>[^\W\d_][\w.'\u2019-]*(?<=[^\W_]))(?=$|[\s,;!?)])"
)
_SHORTEST_EXCLUDED: Final = 3
_WORD = re.compile(r"[^\W_]+")
#: What Postgres does not take in a text, and what nobody sees.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b\u2060\ufeff]|[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Asked:
    """`text` is the question without its operators (the words of phrases stay in it), `phrases` must be there word for
    word, `excluded` (words or phrases) must not."""

    text: str
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


def read(question: str) -> Asked:
    """The words, phrases and exclusions of `question`; a question of exclusions alone is one of plain words."""
    plain = _CONTROL.sub(" ", question)
    if not plain.strip():
        # Nobody can see it, and it has no words.
        plain = "?"
    phrases: dict[str, None] = {}
    excluded: dict[str, None] = {}

    def take(found: re.Match[str]) -> str:
        said = found["word"] or found["phrase"]
        words = said.strip()[:MOST_PHRASE_CHARACTERS]
        is_excluded = bool(found["word"] or found["minus"])
        kept = excluded if is_excluded else phrases
        too_short = found["word"] is not None and len(words) < _SHORTEST_EXCLUDED
        if too_short or _WORD.search(words) is None or len(kept) == MOST_PHRASES:
            return found[0] if found["word"] else f" {said} "
        kept[words] = None
        return " " if is_excluded else f" {said} "

    text = _OPERATOR.sub(take, plain)
    if _WORD.search(text) is None:
        return Asked(plain)
    # A question without operators stays as it was typed.
    return Asked(" ".join(text.split()) if phrases or excluded else plain, tuple(phrases), tuple(excluded))


def says(phrases: Sequence[str], *texts: str) -> bool:
    """Whether each of `phrases` stands in one of `texts` word for word, whatever the case and the marks between."""
    folded = [_fold(text) for text in texts]
    return all(any(_fold(phrase) in text for text in folded) for phrase in phrases)


def _fold(text: str) -> str:
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return f" {' '.join(words)} "

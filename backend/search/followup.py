"""A follow-up question, completed with the words of the ones before it, so that it can be searched for alone.

Rules, no model: "And when does it run?" after "How do backups work?" is searched for with "backups" and "work". A question
that stands on its own is left as it is; one in a language whose small words are not listed here counts as such.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

#: Words that are taken over from the questions before.
MOST_WORDS: Final = 12
_MOST_OWN_WORDS: Final = 3

_MARKER: Final = re.compile(r"\[\[SOURCE:[^\[\]]*\]\]|\[Source \d+(?:,\s*Source \d+)*\]")
_WORD: Final = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")

#: They stand for something said before, wherever they are in a short question.
_PRONOUNS: Final = frozenset(
    {"it", "its", "they", "them", "their", "theirs", "he", "him", "his", "she", "her", "hers", "one",
     "ones", "er", "sie", "ihn", "ihm", "ihr", "es", "deren", "dessen", "il", "elle", "lui", "leur",
     "ils", "elles", "ello", "ellos", "ellas"}
)  # fmt: skip
#: They do when they begin a question; further on they mostly do not.
_OPENERS: Final = frozenset(
    {"this", "that", "these", "those", "there", "then", "and", "or", "but", "so", "also", "same", "else",
     "und", "oder", "aber", "dann", "das", "dies", "diese", "dieser", "dieses", "et", "ou", "mais",
     "alors", "cela", "ça", "y", "o", "pero", "entonces", "eso", "esto"}
)  # fmt: skip
_SMALL: Final = frozenset(
    {"a", "an", "the", "of", "in", "on", "at", "to", "for", "from", "by", "with", "about", "into",
     "over", "after", "before", "as", "is", "are", "was", "were", "be", "been", "am", "do", "does",
     "did", "done", "has", "have", "had", "can", "could", "will", "would", "shall", "should", "may",
     "might", "must", "not", "no", "yes", "please", "tell", "me", "us", "you", "i", "we", "my", "our",
     "your", "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "many", "much",
     "more", "most", "long", "often", "any", "some", "all", "other", "another", "again", "now",
     "exactly", "mean", "means", "if", "than", "too", "very", "just", "only", "explain", "details",
     "detail", "example", "examples", "wer", "wie", "wo", "wann", "warum", "wieso", "welche", "welcher",
     "welches", "der", "die", "den", "dem", "ein", "eine", "einen", "ist", "sind", "war", "und", "mit",
     "von", "zu", "für", "auf", "aus", "bei", "nach", "mehr", "noch", "bitte", "genau", "denn", "quoi",
     "que", "qui", "quand", "où", "pourquoi", "comment", "combien", "le", "la", "les", "un", "une",
     "des", "du", "de", "est", "sont", "avec", "pour", "plus", "qué", "quién", "cuándo", "dónde", "cómo",
     "cuál", "cuánto", "el", "los", "las", "una", "unos", "por", "con", "para", "es", "son", "más",
     "che", "chi", "quando", "dove", "perché", "come", "quale", "il", "gli", "uno", "sono", "per", "più"}
)  # fmt: skip


def complete(question: str, history: Sequence[Mapping[str, str]]) -> str:
    """`question`, with what it leaves out taken from the person's questions in `history` (oldest first)."""
    asked = [_MARKER.sub(" ", turn.get("content", "")) for turn in history if turn.get("role") == "user"]
    if asked and asked[-1].strip() == question.strip():
        # Some clients send the question as the last turn too.
        asked.pop()
    before: list[str] = []
    for earlier in asked:
        before = _words_of(earlier, before)
    added = _words_of(question, before)[len(_content(question)) :]
    return f"{question} {' '.join(added)}" if added else question


def _words_of(question: str, before: Sequence[str]) -> list[str]:
    """The words that say what a question is about: its own, then those it leaves out."""
    own = _content(question)
    if not _leans(question, own):
        return own
    known = {word.casefold() for word in own}
    return [*own, *(word for word in before if word.casefold() not in known)][: len(own) + MOST_WORDS]


def _leans(question: str, own: Sequence[str]) -> bool:
    """Whether it cannot be understood without what was said before."""
    words = [word.casefold() for word in _WORD.findall(question)]
    if not words:
        return False
    if (
        not own
        or words[0] in _OPENERS
        or words[0] in _PRONOUNS
        or words[:2] in (["what", "about"], ["how", "about"])
    ):
        return True
    return len(own) <= _MOST_OWN_WORDS and not _PRONOUNS.isdisjoint(words)


def _content(question: str) -> list[str]:
    """Words that say something, each once, as they are first written."""
    found: dict[str, str] = {}
    for word in _WORD.findall(question):
        key = word.casefold()
        if key not in _SMALL and key not in _PRONOUNS and key not in _OPENERS:
            found.setdefault(key, word)
    return list(found.values())

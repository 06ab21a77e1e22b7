"""How well a sentence answers a question: shared words, weighed by how rare they are, and shared meaning."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
#: Scripts written without spaces: pairs of neighbouring characters stand in for words.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
#: What such a question asks for is a measure.
_MEASURE = re.compile(r"\bhow (?:long|often|soon|far)\b", re.IGNORECASE)
#: Hiragana alone: particles and endings.
_INFLECTION = re.compile(r"[\u3040-\u309f]+")
#: Endings differ ("refund", "refunds", "refunded"); the beginning of a word decides.
_STEM_CHARACTERS: Final = 5
#: Words of a question that say nothing about its subject.
_FUNCTION_WORD_LIST: Final = """
a about all also am an and any are as at be been but by can could did do does doing for from get give had has
have how i if in is it its kind like many may me might more most much must my of on or other our please shall
should show so some tell than that the their them then there these they this those to us use used was we were
what when where whether which while who whom whose why will with would you your
der das und ist wie wer wann ein eine von les des du est que qui comment quand el los las es quien como cuando
"""
_FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORD_LIST.split())


def terms(text: str) -> Counter[str]:
    """The words of `text` that carry meaning, folded so that case, accents and endings do not matter."""
    counted: Counter[str] = Counter()
    folded = unicodedata.normalize("NFKD", text.casefold())
    folded = "".join(character for character in folded if not unicodedata.combining(character))
    for run in _UNSPACED.findall(unicodedata.normalize("NFC", folded)):
        pairs = (run[place : place + 2] for place in range(max(1, len(run) - 1)))
        counted.update(pair for pair in pairs if not _INFLECTION.fullmatch(pair))
    for word in _WORD.findall(_UNSPACED.sub(" ", folded)):
        if word not in _FUNCTION_WORDS:
            counted[word.partition("'")[0].partition("’")[0][:_STEM_CHARACTERS]] += 1
    return counted


def asked_terms(question: str) -> Counter[str]:
    """The words of a question that its answer should have: "how long" is answered with a time, not with "long"."""
    return terms(_MEASURE.sub("how", question))


def coverage(question: Counter[str], texts: Sequence[Counter[str]], weights: dict[str, float]) -> list[float]:
    """For each of `texts`, the share of the question's weight its terms make up: 0 none, 1 all of them."""
    whole = sum(weights[term] for term in question) or 1.0
    return [sum(weights[term] for term in question if term in text) / whole for text in texts]


def rarity(question: Counter[str], texts: Sequence[Counter[str]]) -> dict[str, float]:
    """Weight of each of the question's terms: the fewer of `texts` have it, the more it says.

    A term no text has weighs as much as the rarest: it is what the question is about and is missing.
    """
    found = Counter(term for text in texts for term in question if term in text)
    return {term: math.log(1 + (len(texts) + 1) / (found[term] + 1)) for term in question}

"""What in a sentence can be looked up in a text as it stands: numbers with what they count, names, negation."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from backend.search.relevance import terms

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:[.,:'’\u00a0\u202f]\d+)*")
_THOUSANDS = re.compile(r"(\d{1,3})((?:[,'’\u00a0\u202f]\d{3})+)(\.\d+)?")
_COUNTED = re.compile(r"[\s\u00a0-]*([^\W\d_]+)")
_ISO_DATE = re.compile(r"\b\d{4}-(\d{2})-\d{2}\b")
_TOKEN = re.compile(r"[^\W_]+(?:[.\-_/@+][^\W_]+)*")
#: A capital letter after these begins a sentence or a list item, not a name.
_SENTENCE_BEGINS = re.compile(r"(?:^|[.!?:;…]|\n)[\s\"'“”‘’«»„(\[*_`-]*$")

_UNITS: Final = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS: Final = MappingProxyType(
    {
        "zero": 0,
        "one": 1,
        **{word: value for value, word in enumerate(_UNITS.split(), 2)},
        **{word: 10 * value for value, word in enumerate(_TENS.split(), 2)},
    }
)
_MONTH_LIST: Final = "january february march april may june july august september october november december"
_MONTHS: Final = tuple(_MONTH_LIST.split())
ENGLISH_MONTHS: Final = MappingProxyType(
    {name: number for number, month in enumerate(_MONTHS, 1) for name in (month, month[:3], month[:4])}
)
#: Symbols, and how else a text may write them.
_SYMBOLS: Final = MappingProxyType(
    {
        "%": ("%", "percent", "per cent", "prozent", "por ciento", "pour cent"),
        "€": ("€", "eur"),
        "$": ("$", "usd", "dollar"),
        "£": ("£", "gbp", "pound"),
        "¥": ("¥", "jpy", "yen", "cny", "yuan"),
    }
)
_NEGATION_LIST: Final = """
not no none never nothing nobody neither nor without cannot nicht kein keine keinen keinem keiner keines nie
niemals ohne weder pas jamais aucun aucune sans rien nunca jamás jamas ningún ningun ninguna sin nada
"""
_NEGATIONS: Final = frozenset(_NEGATION_LIST.split())
_CONTRACTED_NOT = re.compile(r"\w+n['’]t\b", re.IGNORECASE)
#: Begin sentences without being a name.
_OPENER_LIST: Final = """
additionally also although because besides both conversely currently during each either even every except
finally first firstly further furthermore generally here hence however indeed instead later meanwhile moreover
next nevertheless now once only otherwise overall please second secondly similarly since some specifically
still then therefore thus today typically under unless until upon usually via whenever within yes no not
according against among another before after between despite following given including per regarding
there these those this that people everybody everyone anybody anyone employee employees staff member members
user users customer customers
"""
_OPENERS: Final = frozenset(_OPENER_LIST.split())


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as `numbers_of` writes it, with the term and the symbol of what it counts, if there are any."""

    number: str
    counted: str
    symbol: str


def fold(text: str) -> str:
    """`text` without case and accents."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in folded if not unicodedata.combining(character))


def words_of(text: str) -> frozenset[str]:
    """Its words, folded; a date written in digits has the name of its month too."""
    months = (_MONTHS[int(month) - 1] for month in _ISO_DATE.findall(text) if 1 <= int(month) <= 12)
    return frozenset(_WORD.findall(fold(text))).union(months)


def numbers_of(text: str) -> frozenset[str]:
    """Its numbers, in one spelling each: digits, or English words up to ninety-nine."""
    return frozenset(amount.number for amount in amounts_of(text, with_one=True))


def amounts_of(text: str, *, with_one: bool = False) -> Iterator[Amount]:
    """Numbers with what they count ("25 days", "5 %", "$ 10"); "one" is one only `with_one`: it mostly is none."""
    for found in _NUMBER.finditer(text):
        before, after = text[: found.start()].rstrip(), text[found.end() :]
        if found.start() and text[found.start() - 1].isalpha():
            # Part of a name such as "GPT4".
            if with_one:
                yield Amount(_one_spelling(found[0]), "", "")
            continue
        symbol = next((s for s in _SYMBOLS if before.endswith(s) or after.lstrip().startswith(s)), "")
        counted = _COUNTED.match(after)
        word = fold(counted[1]) if counted else ""
        symbol = symbol or next((s for s, forms in _SYMBOLS.items() if word.startswith(forms)), "")
        yield Amount(_one_spelling(found[0]), "" if symbol else _term(word), symbol)
    yield from _in_words(text, with_one=with_one)


def _in_words(text: str, *, with_one: bool) -> Iterator[Amount]:
    words = [(word[0].lower(), word.end()) for word in _WORD.finditer(text)]
    place = 0
    while place < len(words):
        value = _NUMBER_WORDS.get(words[place][0])
        if value is not None and value >= 20 and place + 1 < len(words):
            unit = _NUMBER_WORDS.get(words[place + 1][0], 10)
            if 0 < unit < 10:
                value += unit
                place += 1
        if value is not None and (value != 1 or with_one):
            counted = _COUNTED.match(text[words[place][1] :])
            yield Amount(str(value), _term(counted[1]) if counted else "", "")
        place += 1


def symbols_of(text: str) -> frozenset[str]:
    """The symbols of amounts it has, however it writes them."""
    folded = text.casefold()
    return frozenset(
        symbol for symbol, written in _SYMBOLS.items() if any(form in folded for form in written)
    )


def find_names(sentence: str) -> list[tuple[str, ...]]:
    """Names in `sentence`, folded, a tuple for each run of them ("John Smith"): words with a capital letter or a
    digit in them. The first word is one as well, unless sentences often begin with it."""
    runs: list[tuple[str, ...]] = []
    last_end = -1
    for found in _TOKEN.finditer(sentence):
        token = found[0]
        is_first = _SENTENCE_BEGINS.search(sentence[: found.start()]) is not None
        if not _is_name(token, is_first=is_first):
            continue
        parts = tuple(
            part for part in _WORD.findall(fold(token)) if not part.isdigit() and part not in _NUMBER_WORDS
        )
        between = sentence[last_end : found.start()] if last_end >= 0 else "x"
        if runs and between.isspace():
            runs[-1] += parts
        elif parts:
            runs.append(parts)
        last_end = found.end()
    return runs


def _is_name(token: str, *, is_first: bool) -> bool:
    if token[0].isdigit():
        # "5kg", "3pm": a number with its unit. Further letters and digits mixed, such as "2FA9", are left to it.
        return False
    if any(character.isdigit() for character in token) or "@" in token:
        return True
    if not any(character.isupper() for character in token):
        return False
    lowered = token.casefold()
    if not terms(token) or lowered in _NEGATIONS:
        return False
    if is_first and token[1:].islower():
        return lowered not in _OPENERS
    return True


def count_negations(text: str) -> int:
    """How often it says that something is not so."""
    words = sum(word in _NEGATIONS for word in _WORD.findall(text.casefold()))
    return words + len(_CONTRACTED_NOT.findall(text))


def is_inflected(word: str, other: str) -> bool:
    """Whether both may be the same name with another ending ("Berlin", "Berlins")."""
    short, long = sorted((word, other), key=len)
    return short == long or (len(short) >= 4 and len(long) - len(short) <= 2 and long.startswith(short))


def _one_spelling(number: str) -> str:
    if found := _THOUSANDS.fullmatch(number):
        number = found[1] + re.sub(r"\D", "", found[2]) + (found[3] or "")
    number = re.sub(r"[.,]0+$", "", number)
    return number.lstrip("0") or "0"


def _term(word: str) -> str:
    return next(iter(terms(word)), "")

"""Takes a plain English sentence apart: who, does what, with what; whether it is denied, and how sure it is.

Rules over a short list of verbs that work is described with, not a grammar. What does not fit them (questions,
conditions, other verbs, nested clauses) gives no frame rather than a wrong one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Literal

Modality = Literal["stated", "possible", "required", "planned"]

#: Longer ones are no sentences, and would make the cache's size unpredictable.
LONGEST_SENTENCE: Final = 600
#: Sentences remembered; one that comes up in many documents is taken apart once.
REMEMBERED: Final = 2048

_VERBS: Final = frozenset(
    """accept add allow approve ask assign build buy call change choose close configure create decide delete deploy
    deprecate design develop document drop enable fix handle hire include install introduce keep know lead leave like
    log maintain make manage merge migrate monitor move need order own pay plan prefer propose provide publish
    reject release remove rename replace report request require restart restore review rewrite run schedule sell
    send set ship sign start stop store support switch test train update upgrade use want work write""".split()  # noqa: SIM905 - a list of eighty words is not easier to read
)
_IRREGULAR: Final = MappingProxyType(
    {
        "bought": "buy", "built": "build", "chose": "choose", "chosen": "choose", "kept": "keep", "knew": "know",
        "known": "know", "led": "lead", "left": "leave", "made": "make", "paid": "pay", "ran": "run",
        "rewritten": "rewrite", "rewrote": "rewrite", "sent": "send", "sold": "sell", "written": "write",
        "wrote": "write",
    }
)  # fmt: skip
_BE: Final = frozenset(("am", "is", "are", "was", "were", "be", "been", "being"))
_AUXILIARIES: Final = frozenset(("do", "does", "did", "has", "have", "had", *_BE))
_MODALS: Final[Mapping[str, Modality]] = MappingProxyType(
    {
        "may": "possible", "might": "possible", "could": "possible", "can": "possible",
        "must": "required", "should": "required", "shall": "required",
        "will": "planned", "would": "planned",
    }
)  # fmt: skip
#: Verbs before `to` that say how sure the next one is.
_BEFORE_TO: Final[Mapping[str, Modality]] = MappingProxyType(
    {"have": "required", "need": "required", "plan": "planned", "want": "planned", "going": "planned"}
)
_NEGATIONS: Final = frozenset(("not", "never"))
_NOBODY: Final = MappingProxyType({"nobody": "anybody", "nothing": "anything", "none": "any", "no": "any"})
_ADVERBS: Final = frozenset(("also", "already", "always", "now", "often", "still", "longer", "only", "just"))
_PRONOUNS: Final = frozenset(("i", "we", "you", "they", "teams", "people"))
#: A word after one of these is a noun, whatever else it could be.
_BEFORE_NOUNS: Final = frozenset(
    (
        "a", "an", "the", "this", "that", "these", "those", "our", "your", "their", "its", "his", "her", "my",
        "of", "in", "on", "at", "for", "with", "from", "by", "to", "and", "or", "every", "each", "all", "some",
    )
)  # fmt: skip
_CONDITIONS: Final = frozenset(
    ("if", "when", "unless", "although", "though", "while", "because", "since", "once")
)
_ENDS: Final = frozenset((",", ";", ":", "(", ")", "but", "so", "which", "who", "where", *_CONDITIONS))

_CONTRACTIONS: Final = (
    (re.compile(r"\bwo[n]['’]t\b", re.IGNORECASE), "will not"),
    (re.compile(r"\bcan(?:['’]t|not)\b", re.IGNORECASE), "can not"),
    (re.compile(r"n['’]t\b", re.IGNORECASE), " not"),
)
_TOKENS: Final = re.compile(r"[^\s,;:()]+|[,;:()]")


@dataclass(frozen=True, slots=True)
class Frame:
    """One plain statement; the words of subject and object as they were written."""

    subject: str
    verb_phrase: str
    """As written, with its auxiliaries."""
    verb: str
    """The main verb's base form."""
    object: str
    is_negated: bool
    modality: Modality


def extract_frames(sentence: str) -> tuple[Frame, ...]:
    """What `sentence` states: nothing, one frame, or two for `X, not Y` and `X instead of Y`."""
    folded = " ".join(sentence.split())
    return _frames(folded) if len(folded) <= LONGEST_SENTENCE else ()


# Shared by all analyses of the process, and safe to be: the answer follows from the text alone, and what was asked
# before can be neither listed nor changed.
@lru_cache(maxsize=REMEMBERED)
def _frames(sentence: str) -> tuple[Frame, ...]:
    if sentence.endswith("?"):
        return ()
    for pattern, plain in _CONTRACTIONS:
        sentence = pattern.sub(plain, sentence)
    tokens = _TOKENS.findall(sentence.rstrip(".! "))
    words = [token.lower() for token in tokens]
    if not words or words[0] in _CONDITIONS:
        return ()
    at = _find_verb(words)
    if at is None:
        return ()
    start = at
    while start > 1 and words[start - 1] in _NEGATIONS | _ADVERBS | {"no"}:
        start -= 1
    end, verb, modality, is_passive = _read_verb(words, at)
    phrase = words[start:end]
    is_negated = any(w in _NEGATIONS for w in phrase) or ("no", "longer") in pairwise(phrase)
    subject = _subject(tokens[:start])
    if words[0] in _NOBODY:
        is_negated, subject = True, " ".join((_NOBODY[words[0]], *tokens[1:start]))
    stop = _next_end(words, end)
    target, other = _split_alternative(tokens[end:stop], tokens[stop:])
    # `may rotate`, `have to rotate`: the verb that matters is not known.
    if not (subject and verb and target) or (verb in _BEFORE_TO and words[end : end + 1] == ["to"]):
        return ()
    written = " ".join(tokens[start:end])

    def frame(named: str, negated: bool) -> Frame:
        if is_passive:
            return Frame(named, written, verb, subject, negated, modality)
        return Frame(subject, written, verb, named, negated, modality)

    frames = [frame(target, is_negated)]
    if other and not is_negated:
        frames.append(frame(other, True))
    return tuple(frames)


def _find_verb(words: list[str]) -> int | None:
    """Where the first word stands that can only be a verb there."""
    for at, word in enumerate(words):
        if at == 0 or words[at - 1] in _BEFORE_NOUNS:
            continue
        if word in _AUXILIARIES or word in _MODALS:
            return at
        if _base(word) is None:
            continue
        before = next((w for w in reversed(words[:at]) if w not in _ADVERBS | _NEGATIONS), "")
        is_plural = before in _PRONOUNS or before.endswith("s") or "and" in words[:at]
        # `plan` after `the release` is a noun; `plans` and `planned` there are verbs.
        if word not in _VERBS or is_plural:
            return at
    return None


def _read_verb(words: list[str], at: int) -> tuple[int, str, Modality, bool]:
    """(one past the verb phrase, base form, modality, whether it is passive with its doer named)."""
    modality: Modality = "stated"
    verb, after_verb, has_be = "", at, False
    while at < len(words):
        word = words[at]
        base = _base(word)
        if word == "to" and verb in _BEFORE_TO:
            modality = _BEFORE_TO[verb]
        elif word in _MODALS:
            modality = _MODALS[word]
        elif word in _AUXILIARIES:
            verb, after_verb, has_be = ("be" if word in _BE else _plain(word)), at + 1, has_be or word in _BE
        elif word == "going" and has_be and words[at + 1 : at + 2] == ["to"]:
            verb, after_verb = "going", at + 1
        elif base is not None and words[at - 1] not in _BEFORE_NOUNS - {"to"}:
            if has_be and verb == "be" and not word.endswith("ing"):
                # `is owned by Ada`: Ada owns it. `is replaced`: that is what it is.
                if words[at + 1 : at + 2] == ["by"]:
                    return at + 2, base, modality, True
                return after_verb, "be", modality, False
            verb, after_verb = base, at + 1
            if words[at + 1 : at + 2] != ["to"] or base not in _BEFORE_TO:
                break
        elif word not in _NEGATIONS | _ADVERBS | {"no"}:
            break
        elif word in _NEGATIONS | {"longer"}:
            after_verb = at + 1
        at += 1
    return after_verb, verb, modality, False


def _plain(auxiliary: str) -> str:
    return "have" if auxiliary in ("has", "have", "had") else "do"


def _subject(tokens: list[str]) -> str:
    """`Yesterday, we` is we; `Ada, our lead,` is Ada."""
    parts = " ".join(tokens).split(",")
    chosen = parts[0] if len(parts) > 2 else parts[-1]
    return "" if re.search(r"[;:()]", chosen) else chosen.strip()


def _next_end(words: list[str], start: int) -> int:
    return next((at for at in range(start, len(words)) if words[at] in _ENDS), len(words))


def _split_alternative(tokens: list[str], rest: list[str]) -> tuple[str, str]:
    """(what is meant, what it is set against): `Postgres`, `MySQL` of `Postgres, not MySQL`."""
    words = [token.lower() for token in tokens]
    for first, second in (("instead", "of"), ("rather", "than")):
        for at in range(1, len(words) - 1):
            if (words[at], words[at + 1]) == (first, second):
                return " ".join(tokens[:at]), " ".join(tokens[at + 2 :])
    if [r.lower() for r in rest[:2]] == [",", "not"]:
        return " ".join(tokens), " ".join(rest[2 : _next_end([r.lower() for r in rest], 2)])
    return " ".join(tokens), ""


def _base(word: str) -> str | None:
    """Base form of a known verb in any of its forms, else None."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    stems = [word]
    for ending, replacements in (("ies", ("y",)), ("ied", ("y",)), ("es", ("", "e")), ("s", ("",)),
                                 ("ed", ("", "e")), ("ing", ("", "e"))):  # fmt: skip
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            stems += [stem + replacement for replacement in replacements]
            if len(stem) > 2 and stem[-1] == stem[-2]:
                stems.append(stem[:-1])
    return next((stem for stem in stems if stem in _VERBS), None)

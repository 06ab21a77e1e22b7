"""Whether a passage bears a sentence out: its words, and every number, amount and name in it."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from backend.search.answer import Source
from backend.search.plain import plain
from backend.search.relevance import terms
from backend.search.sentences import split_sentences
from backend.search.support import Passages

ROOT: Final = Path(__file__).parents[2]

POLICY = """# Baggage policy

Dr. Meyer wrote this policy on Jan. 5, 2024. Economy passengers may check in **one bag** of up to 23.5 kg
(approx. 52 lb). Safe travels!

| Class | Bags | Weight |
|-------|------|--------|
| First | 3 | 32 kg |
| Economy | 1 | 23.5 kg |

Refunds are not available for flights.
A crate of 12kg counts as hand luggage.

```
timeout_seconds = 45
```
"""
LEAVE = (
    "Everybody gets 25 days of annual leave a year. Leave that is not taken by March 31 is lost. John Smith leads sales."
    " Joan Miller approves it. The travel budget is €1,000 and the discount 5 %. The launch was on 2024-03-09."
    " Das Urlaubsgeld zahlt die Buchhaltung in Köln. 会議室は三階にあります。"
)
PASSAGES = Passages(
    [Source(POLICY, "Baggage", "d0", "c0", 1.0), Source(LEAVE, "Leave handbook", "d1", "c1", 0.9)]
)


@pytest.mark.parametrize(
    ("claim", "source", "sentence"),
    [
        ("Everybody gets 25 days of annual leave a year.", 1, "Everybody gets 25 days"),
        ("Employees get 25 days of annual leave per year.", 1, "Everybody gets 25 days"),
        ("Everybody gets twenty-five days of annual leave.", 1, "Everybody gets 25 days"),
        ("John Smith leads sales.", 1, "John Smith leads sales."),
        ("The travel budget is €1000.", 1, "The travel budget"),
        ("The discount is 5 percent of the travel budget.", 1, "The travel budget"),
        ("The launch was on March 9, 2024.", 1, "The launch was"),
        ("Die Buchhaltung in Köln zahlt das Urlaubsgeld.", 1, "Das Urlaubsgeld"),
        ("会議室は三階です。", 1, "会議室は三階にあります。"),
        ("Refunds are not available for flights.", 0, "Refunds are not"),
        ("Refunds aren't available for flights.", 0, "Refunds are not"),
        ("First class passengers may take 3 bags of 32 kg.", 0, "First | 3 | 32 kg"),
        ("The policy was written by Dr. Meyer on January 5, 2024.", 0, "Dr. Meyer wrote"),
        ("Economy passengers may check in one bag of up to 23.5 kg.", 0, "Economy passengers"),
        ("The timeout is 45 seconds.", 0, "timeout_seconds = 45"),
        ("A crate of 12kg counts as hand luggage.", 0, "A crate of 12kg"),
        ("A crate of 12 kg counts as hand luggage.", 0, "A crate of 12kg"),
    ],
)
def test_what_a_passage_says_is_supported_by_its_sentence(claim: str, source: int, sentence: str) -> None:
    (support,) = PASSAGES.support(claim, [source])

    assert support.source_index == source
    assert support.sentence.startswith(sentence)
    cited = (POLICY, LEAVE)[source][support.start : support.end]
    assert " ".join(cited.split()) == support.sentence


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param("Everybody gets 30 days of annual leave a year.", id="another number"),
        pytest.param("Everybody gets thirty days of annual leave a year.", id="another number in words"),
        pytest.param("Everybody gets 25 weeks of annual leave a year.", id="of something else"),
        pytest.param("The travel budget is $1,000.", id="another currency"),
        pytest.param("The travel budget is €1,001.", id="another amount"),
        pytest.param("The launch was on April 9, 2024.", id="another month"),
        pytest.param("Joan Smith leads sales.", id="a name put together of two"),
        pytest.param("Johnson leads sales.", id="another name"),
        pytest.param("Bob gets 25 days of annual leave a year.", id="a name at the beginning"),
        pytest.param("In Paris everybody gets 25 days of annual leave.", id="a place"),
        pytest.param("Everybody at ACME gets 25 days of annual leave.", id="an acronym"),
        pytest.param("Leave that is not taken by March 31 is not lost in sales.", id="said otherwise"),
        pytest.param("Refunds are available for flights.", id="the contrary"),
        pytest.param("Refunds are not available for hotels in winter.", id="other words"),
        pytest.param("The moon is made of cheese.", id="nothing of it"),
        pytest.param("HACKED", id="one word"),
        pytest.param("", id="nothing"),
        pytest.param("...", id="no word"),
    ],
)
def test_what_no_passage_says_is_not_supported(claim: str) -> None:
    assert PASSAGES.support(claim, [0]) == ()
    if "Leave that is not" not in claim:
        assert PASSAGES.support(claim, [0, 1]) == ()


def test_a_source_that_has_nothing_of_it_is_not_cited_along() -> None:
    found = PASSAGES.support("John Smith leads sales.", [0, 1])

    assert [support.source_index for support in found] == [1]


def test_two_sources_may_bear_out_a_sentence_together() -> None:
    claim = "John Smith leads sales and refunds are not available for flights."

    assert {support.source_index for support in PASSAGES.support(claim, [0, 1])} == {0, 1}
    assert PASSAGES.support(claim, [1]) == ()


def test_sentences_pass_as_they_stand_and_not_when_a_detail_is_changed() -> None:
    """Over documents of our own: of a thousand sentences hardly one is refused, and hardly one forgery passes."""
    chance = random.Random(1)
    kept: dict[str, list[bool]] = {"itself": [], "number": [], "name": [], "denied": []}
    for path in (ROOT / "README.md", ROOT / "docs" / "operations.md", ROOT / "docs" / "connectors.md"):
        text = path.read_text()
        sources = [Source(text[at : at + 1200], "t", "d", "c", 1.0) for at in range(0, len(text), 1200)]
        passages = Passages(sources)
        for index, source in enumerate(sources):
            for sentence in (plain(one.text) for one in split_sentences(source.text)):
                if len(terms(sentence)) < 4:
                    continue
                for how, forged in _forgeries(sentence, chance):
                    kept[how].append(bool(passages.support(forged, [index])))
    share = {how: sum(passed) / len(passed) for how, passed in kept.items()}
    assert min(len(passed) for passed in kept.values()) > 50
    assert share["itself"] >= 0.98, share
    assert share["number"] <= 0.04, share
    assert share["name"] <= 0.01, share
    assert share["denied"] <= 0.03, share


def _forgeries(sentence: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """The sentence, and what it becomes with another number, another name, and denied."""
    yield "itself", sentence
    if number := re.search(r"(?<![\w.,])\d+(?![\w.,])", sentence):
        other = str(int(number[0]) + chance.randint(3, 97))
        yield "number", sentence[: number.start()] + other + sentence[number.end() :]
    words = sentence.split(" ")
    if len(words) > 5:
        words[chance.randrange(1, len(words))] = "Mallory"
        yield "name", " ".join(words)
    if " not " not in sentence and re.search(r"\b(?:is|are|can|does|has)\b", sentence):
        yield "denied", re.sub(r"\b(is|are|can|does|has)\b", r"\1 not", sentence, count=1)

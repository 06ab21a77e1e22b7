"""What of a question is an operator, and what only looks like one."""

import pytest

from backend.search.question import MOST_PHRASES, Asked, read, says


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ('"exact words" here', Asked("exact words here", ("exact words",))),
        ("what does \u201cstandby\u201d do", Asked("what does standby do", ("standby",))),
        (
            "\u201eganz genau\u201c und \u00abmot juste\u00bb",
            Asked("ganz genau und mot juste", ("ganz genau", "mot juste")),
        ),
        ('backup -tape -"blue whale"', Asked("backup", (), ("tape", "blue whale"))),
        ('say "a -word inside"', Asked("say a -word inside", ("a -word inside",))),
        ("backup -err_4012", Asked("backup", (), ("err_4012",))),
        ('("in brackets")', Asked("( in brackets )", ("in brackets",))),
    ],
)
def test_operators_are_read(question: str, asked: Asked) -> None:
    assert read(question) == asked


@pytest.mark.parametrize(
    "question",
    [
        "state-of-the-art backup",
        "backup - restore",
        "backup \u2013 restore",
        "rm -rf and git commit -m",
        "serve --force",
        "what happens at -40 degrees",
        "-first of a list\n-second of a list",
        'a 5" pipe and a 6" hose',
        'an "unfinished thought',
        "don't and won't",
        "-tape",
        '-"blue whale"',
        '"" and "!?"',
        '"' * 5000,
    ],
)
def test_what_only_looks_like_an_operator_is_left_alone(question: str) -> None:
    assert read(question) == Asked(question)


def test_question_has_no_characters_that_a_database_refuses() -> None:
    assert read("a\x00b \ud800 c\u200b").text == "a b   c "
    assert read('"a\x00b"').phrases == ("a b",)
    assert read("\x00").text.strip()


def test_operators_are_few_and_short() -> None:
    asked = read(" ".join(f'"phrase {n}" -other{n}' for n in range(400)))
    assert len(asked.phrases) == len(asked.excluded) == MOST_PHRASES
    assert "phrase 399" in asked.text
    assert len(read(f'"{"long " * 1000}"').phrases[0]) <= 300


@pytest.mark.parametrize(
    ("phrase", "text", "is_said"),
    [
        ("to be or not", "To be, or\nNOT to be", True),
        ("restore it", "restored it", False),
        ("art", "a heart", False),
        ("max_upload_size", "max_upload_size = 3", True),
        ("stra\u00dfe 1", "STRASSE 1", True),
        ("\ufb01ne", "fine", True),
    ],
)
def test_phrase_is_said_word_for_word(phrase: str, text: str, is_said: bool) -> None:
    assert says([phrase], "other", text) is is_said

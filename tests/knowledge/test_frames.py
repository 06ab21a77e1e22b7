"""Sentences taken apart; that remembering them changes nothing and has an end."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.knowledge import frames
from backend.knowledge.frames import LONGEST_SENTENCE, REMEMBERED, extract_frames

Short = tuple[str, str, str, bool, str]


def short(sentence: str) -> list[Short]:
    """(subject, verb, object, negated, modality) of every frame."""
    return [(f.subject, f.verb, f.object, f.is_negated, f.modality) for f in extract_frames(sentence)]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Alice owns the billing service.", ("Alice", "own", "the billing service", False, "stated")),
        ("José Núñez never approved the plan.", ("José Núñez", "approve", "the plan", True, "stated")),
        ("The team no longer uses Redis.", ("The team", "use", "Redis", True, "stated")),
        ("Ada doesn't own it.", ("Ada", "own", "it", True, "stated")),
        ("Grace has written the parser.", ("Grace", "write", "the parser", False, "stated")),
        ("The service is owned by Ada.", ("Ada", "own", "The service", False, "stated")),
        ("Redis was replaced.", ("Redis", "be", "replaced", False, "stated")),
        ("Nobody owns the runbook.", ("anybody", "own", "the runbook", True, "stated")),
        ("No team owns the runbook.", ("any team", "own", "the runbook", True, "stated")),
        ("They might migrate to Kafka.", ("They", "migrate", "to Kafka", False, "possible")),
        ("We have to replace the queue.", ("We", "replace", "the queue", False, "required")),
        ("We must not drop the table.", ("We", "drop", "the table", True, "required")),
        ("We are going to drop MySQL.", ("We", "drop", "MySQL", False, "planned")),
        ("We won't ship it.", ("We", "ship", "it", True, "planned")),
        ("The release plan moves to Friday.", ("The release plan", "move", "to Friday", False, "stated")),
        ("Ada, our lead, wrote the runbook.", ("Ada", "write", "the runbook", False, "stated")),
        ("Yesterday, we moved it because it was slow.", ("we", "move", "it", False, "stated")),
        ("  Workers   store\nprogress. ", ("Workers", "store", "progress", False, "stated")),
    ],
)
def test_extract_takes_a_plain_sentence_apart(sentence: str, expected: Short) -> None:
    assert short(sentence) == [expected]


@pytest.mark.parametrize("sentence", ["We chose Postgres, not MySQL.", "We chose Postgres instead of MySQL."])
def test_extract_keeps_the_choice_and_denies_the_alternative(sentence: str) -> None:
    """A sentence is not thrown away as negated because it says what was not chosen."""
    assert short(sentence) == [
        ("We", "choose", "Postgres", False, "stated"),
        ("We", "choose", "MySQL", True, "stated"),
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "   ",
        "Redis.",
        "Do we use Redis?",
        "If it fails, we restart it.",
        "The weather in spring",
        "We have to frobnicate keys.",
        "We may frobnicate keys.",
        "The use of caches",
        "Ada owns " + "x" * LONGEST_SENTENCE,
    ],
)
def test_extract_gives_nothing_rather_than_something_wrong(sentence: str) -> None:
    assert extract_frames(sentence) == ()


_PARTS = st.sampled_from(
    """we Ada José the plan chose uses not never is was owned by to have may no longer , ; ( ) if n't instead
    of ?""".split()  # noqa: SIM905 - words
)


@given(st.one_of(st.text(max_size=80), st.lists(_PARTS, max_size=15).map(" ".join)))
def test_extract_is_pure(sentence: str) -> None:
    """What is remembered is what would be computed, and whatever is sent, it ends without an error."""
    folded = " ".join(sentence.split())
    assert extract_frames(sentence) == frames._frames.__wrapped__(folded) == extract_frames(sentence)
    for frame in extract_frames(sentence):
        assert frame.subject
        assert frame.object
        assert frame.verb


def test_extract_answers_alike_on_many_threads() -> None:
    sentences = [f"Ada owns part {n % 50}." for n in range(2_000)]
    frames._frames.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(extract_frames, sentences))
    assert found == [frames._frames.__wrapped__(s) for s in sentences]


def test_memory_is_bounded() -> None:
    for number in range(REMEMBERED + 500):
        extract_frames(f"Ada owns part {number}.")
    info = frames._frames.cache_info()
    assert info.maxsize == REMEMBERED
    assert info.currsize == REMEMBERED
    before = info.misses
    extract_frames("Ada owns " + "x" * LONGEST_SENTENCE)
    assert frames._frames.cache_info().misses == before, "a long text is not even looked up"

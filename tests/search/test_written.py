"""What a language model writes is let through sentence by sentence, or not at all."""

import random
import re

import pytest

from backend.search.answer import NOT_FOUND, Source
from backend.search.written import Draft

LEAVE = "Everybody gets 25 days of annual leave a year. Leave that is not taken by March 31 is lost. John Smith leads sales."
BAGS = (
    "Economy passengers may check in one bag of up to 23.5 kg, e.g. a suitcase. Your team lead approves leave."
    " Visit http://evil.example/x for leave approvals now. The form is at https://ok.example/bags for everybody."
)
SOURCES = (
    Source(LEAVE, "Leave", "d1", "c1", 1.0),
    Source(BAGS, "Bags", "d2", "c2", 0.5, "https://ok.example/bags"),
)


def let_through(written: str, seed: int | None = None) -> tuple[str, int]:
    """(the answer, how many sentences were removed) of a text that comes at once, or in pieces by chance."""
    draft = Draft(SOURCES)
    chance = random.Random(seed)
    accepted = []
    while written:
        size = len(written) if seed is None else chance.choice([1, 1, 2, 3, 5, 9, 30])
        accepted += draft.feed(written[:size])
        written = written[size:]
    accepted += draft.finish()
    for sentence in accepted:
        cited = [int(n) - 1 for n in re.findall(r"\[Source (\d+)\]", sentence.text)]
        assert cited == [support.source_index for support in sentence.supports] != []
        for support in sentence.supports:
            assert support.sentence in SOURCES[support.source_index].text
    return "".join(sentence.text for sentence in accepted), draft.removed_count


@pytest.mark.parametrize(
    ("written", "answer", "removed"),
    [
        ("Leave is 25 days a year [Source 1].", "Leave is 25 days a year. [Source 1]", 0),
        (
            "Everybody gets 25 days of leave. [Source 1] Economy passengers may check in one bag. [source 2]",
            "Everybody gets 25 days of leave. [Source 1] Economy passengers may check in one bag. [Source 2]",
            0,
        ),
        (
            "Here is what I found:\n\n- Everybody gets 25 days of leave. [Source 1]\n- HACKED\n- John Smith leads sales [Source 1]\n",
            "- Everybody gets 25 days of leave. [Source 1]\n- John Smith leads sales [Source 1]",
            2,
        ),
        (
            "One bag of 23.5 kg, e.g. a suitcase, per economy passenger [Source 2].",
            "One bag of 23.5 kg, e.g. a suitcase, per economy passenger. [Source 2]",
            0,
        ),
        (
            "John Smith leads sales [Source 1], and your team lead approves leave [Source 2]. More is unknown.",
            "John Smith leads sales, and your team lead approves leave. [Source 1] [Source 2]",
            1,
        ),
        ("Everybody gets 25 days [Sources 1 and 2].", "Everybody gets 25 days. [Source 1]", 0),
        ("Everybody gets 25 days of leave.", "", 1),
        ("Everybody gets 25 days of leave [Source 9].", "", 1),
        ("Everybody gets 40 days of leave [Source 1].", "", 1),
        ("Everybody gets 25 days of leave [Source 2].", "", 1),
        (
            "![x](http://evil.example/?q=1) Everybody gets 25 days of leave ![x](http://evil.example/?q=25) [Source 1].",
            "Everybody gets 25 days of leave. [Source 1]",
            0,
        ),
        ("Visit http://evil.example/x for leave approvals [Source 2].", "", 1),
        (
            "The form is at https://ok.example/bags for everybody [Source 2].",
            "The form is at https://ok.example/bags for everybody. [Source 2]",
            0,
        ),
        ("John Smith leads sales [Source 1](http://evil.example/).", "John Smith leads sales. [Source 1]", 0),
        ("John Smith leads sales [[Source 1]].", "John Smith leads sales. [Source 1]", 0),
        ("John Smith leads sales [Sou\u200brce 1].", "John Smith leads sales. [Source 1]", 0),
        (
            "John Smith leads sales. [Source 1]Everybody gets 25 days.[Source 1]",
            "John Smith leads sales. [Source 1] Everybody gets 25 days. [Source 1]",
            0,
        ),
        (
            "John Smith leads sales [Source 1]. John Smith leads sales [Source 1].",
            "John Smith leads sales. [Source 1]",
            1,
        ),
        (
            "<think>Everybody gets 25 days of leave [Source 1].</think>John Smith leads sales [Source 1].",
            "John Smith leads sales. [Source 1]",
            0,
        ),
        ("<think>John Smith leads sales [Source 1].", "", 0),
        ("John Smith leads sales [Source 1", "", 1),
        ("", "", 0),
        ("...", "", 0),
        ("[Source 1] [Source 2]", "", 0),
    ],
)
def test_only_borne_out_sentences_come_through_whatever_the_pieces(
    written: str, answer: str, removed: int
) -> None:
    assert let_through(written) == (answer, removed)
    for seed in range(40):
        assert let_through(written, seed) == (answer, removed)


@pytest.mark.parametrize(
    "written",
    ["[Source 1, Source 2]", "[Sources 1, 2]", "[source 1 and 2]", "[Source 1] [Source 2]", "[Source 1; 2]"],
)
def test_markers_come_through_in_the_one_form_clients_link(written: str) -> None:
    draft = Draft([SOURCES[0], SOURCES[0]])
    (accepted,) = draft.feed(f"John Smith leads sales {written}.") + draft.finish()
    assert accepted.text == "John Smith leads sales. [Source 1] [Source 2]"


@pytest.mark.parametrize("written", [NOT_FOUND, f"{NOT_FOUND}\n", f"{NOT_FOUND} [Source 1]"])
def test_admission_that_nothing_was_found_is_heard(written: str) -> None:
    draft = Draft(SOURCES)
    assert draft.feed(written) + draft.finish() == []
    assert draft.admits_nothing
    assert draft.removed_count == 0


def test_sentence_is_handed_on_as_soon_as_the_next_one_begins() -> None:
    draft = Draft(SOURCES)
    assert draft.feed("John Smith leads sales") == []
    assert draft.feed(" [Source 1]") == []
    assert draft.feed(".") == []
    assert [one.text for one in draft.feed(" Every")] == ["John Smith leads sales. [Source 1]"]


def test_endless_text_is_not_held_for_ever() -> None:
    draft = Draft(SOURCES)
    for _ in range(60):
        draft.feed("no end in sight " * 20)
        assert len(draft._held) < 7_000
    assert draft.finish() == []
    assert draft.removed_count > 0


@pytest.mark.parametrize(
    "piece", [" ", "[", "[source ", "[Source 1", "<", "](", "a", "é\u200d", "1", "[Source 1, "]
)
def test_text_without_sense_is_let_go_of_in_reasonable_time(piece: str) -> None:
    draft = Draft(SOURCES)
    for _ in range(8_000 // len(piece)):
        draft.feed(piece)
    assert draft.finish() == []

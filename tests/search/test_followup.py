"""Follow-up questions take over what they leave out, and nothing else does."""

import pytest

from backend.search.followup import MOST_WORDS, complete


def after(*questions: str) -> list[dict[str, str]]:
    turns = []
    for question in questions:
        turns += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": f"Something about walruses. [[SOURCE:{question}:id]]"},
        ]
    return turns


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When does it run?", "When does it run? nightly backups restored"),
        ("Why?", "Why? nightly backups restored"),
        ("And on Sundays?", "And on Sundays? nightly backups restored"),
        ("What about Sundays?", "What about Sundays? nightly backups restored"),
        ("They failed yesterday", "They failed yesterday nightly backups restored"),
        ("Who restored them?", "Who restored them? nightly backups"),
        ("Und warum?", "Und warum? nightly backups restored"),
    ],
)
def test_question_that_leans_on_the_one_before_is_completed(question: str, expected: str) -> None:
    assert complete(question, after("How are nightly backups restored?")) == expected


@pytest.mark.parametrize(
    "question",
    [
        "Who signs the lease of the Friedrichshafen office?",
        "Which servers does the nightly import restart when its queue of jobs is empty?",
        "Wer unterschreibt den Mietvertrag?",
        "Кто подписывает договор?",
        "谁签合同？",
        "...",
        "",
    ],
)
def test_question_that_stands_alone_stays_as_it_is(question: str) -> None:
    assert complete(question, after("How are nightly backups restored?")) == question


def test_chain_of_follow_ups_goes_back_to_what_it_began_with() -> None:
    history = after("How are nightly backups restored?", "And who does it?", "Why?")
    assert complete("When?", history) == "When? nightly backups restored"


def test_new_topic_ends_the_chain() -> None:
    history = after("How are nightly backups restored?", "Who signs the lease of our offices?")
    assert complete("And when?", history) == "And when? signs lease offices"


def test_question_sent_as_last_turn_too_is_not_its_own_context() -> None:
    history = [*after("How are nightly backups restored?"), {"role": "user", "content": "Why?"}]
    assert complete("Why?", history) == "Why? nightly backups restored"


def test_nothing_is_taken_from_answers_or_markers_and_never_more_than_a_few_words() -> None:
    long = " ".join(f"word{n}" for n in range(500))
    assert len(complete("Why?", after(long)).split()) == 1 + MOST_WORDS
    assert (
        complete("Why?", [{"role": "assistant", "content": "Walruses."}, {"role": "user", "content": "  "}])
        == "Why?"
    )
    marked = [{"role": "user", "content": "Leases [[SOURCE:secret name:1]] [Source 3]"}]
    assert complete("Why?", marked) == "Why? Leases"

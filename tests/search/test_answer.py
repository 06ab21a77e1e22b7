"""Extractive answers: the right sentence, word for word, with its source; and a plain no otherwise."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.embeddings.providers.local import LocalEmbedder
from backend.search.answer import NOT_FOUND, Answer, Source, compose
from backend.search.sentences import split_sentences

BAGGAGE = """# Baggage policy

Dr. Meyer wrote this policy on Jan. 5, 2024. Economy passengers may check in **one bag** of up to 23.5 kg
(approx. 52 lb). Safe travels!

| Class | Bags | Weight |
|-------|------|--------|
| First | 3 | 32 kg |
| Economy | 1 | 23.5 kg |

To claim a delayed bag you need:

- the [baggage receipt](https://example.org/receipt) from check-in
- your passport

```python
claim(bag="delayed", passport=True)
```
"""
LEAVE = """## Annual leave

Everybody gets 25 days of annual leave a year. Leave that is not taken by March 31 is lost.

### Who approves it?

Your team lead approves annual leave in the HR portal.
"""
OFFICE = (
    "The office in Zürich opens at 7:30. Der Empfang ist besetzt. 会議室は三階にあります。食堂は一階です。"
)


def source(text: str, place: int = 0) -> Source:
    return Source(text=text, title=f"Document {place}", doc_id=f"d{place}", chunk_id=f"c{place}", score=1.0)


SOURCES = tuple(source(text, place) for place, text in enumerate((BAGGAGE, LEAVE, OFFICE)))


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder()


def assert_cited(answer: Answer, sources: Sequence[Source]) -> None:
    """Every sentence of the answer carries one marker, and every citation can be looked up."""
    markers = [int(number) for number in re.findall(r" \[Source (\d+)\]", answer.text)]
    assert markers == [citation.source_index + 1 for citation in answer.citations]
    assert answer.text.count("[Source") == len(markers)
    for citation in answer.citations:
        cited = sources[citation.source_index]
        assert citation.sentence in " ".join(cited.text.split())
        assert citation.chunk_id == cited.chunk_id
    assert len({citation.sentence for citation in answer.citations}) == len(answer.citations)
    if markers:
        assert answer.text.endswith("]")


@pytest.mark.parametrize(
    ("question", "sentence", "place"),
    [
        ("How many days of annual leave do I get?", "Everybody gets 25 days of annual leave a year.", 1),
        ("Until when must leave be taken?", "Leave that is not taken by March 31 is lost.", 1),
        ("Who approves leave?", "Your team lead approves annual leave in the HR portal.", 1),
        ("When was the baggage policy written?", "Dr. Meyer wrote this policy on Jan. 5, 2024.", 0),
        (
            "How heavy may a bag in economy be?",
            "may check in **one bag** of up to 23.5 kg (approx. 52 lb).",
            0,
        ),
        ("What do I need to claim a delayed bag?", "the [baggage receipt](https://example.org/receipt)", 0),
        ("When does the Zurich office open?", "The office in Zürich opens at 7:30.", 2),
        ("会議室はどこですか", "会議室は三階にあります。", 2),
    ],
)
@pytest.mark.parametrize("with_meaning", [True, False])
def test_compose_quotes_the_sentence_that_answers(
    embedder: LocalEmbedder, question: str, sentence: str, place: int, with_meaning: bool
) -> None:
    answer = compose(question, SOURCES, embedder.embed if with_meaning else None)

    assert any(
        sentence in citation.sentence and citation.source_index == place for citation in answer.citations
    ), answer
    assert_cited(answer, SOURCES)
    assert answer.confidence >= 0.33


def test_compose_shows_text_without_marks() -> None:
    answer = compose("How heavy may a bag in economy be?", SOURCES[:1])

    assert "may check in one bag of up to 23.5 kg (approx. 52 lb). [Source 1]" in answer.text
    for mark in ("**", "](", "|", "#", "```"):
        assert mark not in answer.text


def test_compose_reads_table_rows_with_their_columns() -> None:
    answer = compose("What bags and weight does the class First have?", SOURCES[:1])

    assert "Class: First; Bags: 3; Weight: 32 kg [Source 1]" in answer.text
    assert_cited(answer, SOURCES)


def test_compose_does_not_invent_column_names() -> None:
    # A passage may begin amid a table: its first row is a row.
    passage = source("| Medicines | Allowed | Hand only |\n| Vaping devices | Forbidden | Hand only |\n")

    answer = compose("Are vaping devices allowed or forbidden?", [passage])

    assert "Vaping devices; Forbidden; Hand only [Source 1]" in answer.text


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "It weighs 5 kg. without the handle. Next one.",
            ["It weighs 5 kg. without the handle.", "Next one."],
        ),
        ("Best airline (2022, 2023) in Asia. Yes.", ["Best airline (2022, 2023) in Asia.", "Yes."]),
        (
            "See Fig. 2, e.g. at 3.14 p.m. in the U.S. office.",
            ["See Fig. 2, e.g. at 3.14 p.m. in the U.S. office."],
        ),
        ("“Stop!” he said. (It works.)", ["“Stop!” he said.", "(It works.)"]),
        ("本当ですか？はい！", ["本当ですか？", "はい！"]),
        ("wrapped\nover lines. End", ["wrapped over lines.", "End"]),
        ("1. First step\n2. Second step\n   goes on", ["First step", "Second step goes on"]),
        ("> quoted\n> on", ["quoted on"]),
        ("snake_case and 2 * 3 * 4 stay", ["snake_case and 2 * 3 * 4 stay"]),
        ("Title\n=====\ntext **bold**: end", ["Title", "text bold: end"]),
        ("end of code()\n```\nafter it", ["after it"]),
    ],
)
def test_split_sentences_cuts_where_a_reader_would(text: str, sentences: list[str]) -> None:
    assert [sentence.text for sentence in split_sentences(text)] == sentences


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "Wie funktioniert Photosynthese?", "???", "", "how do I"]
)
def test_compose_says_plainly_that_nothing_was_found(embedder: LocalEmbedder, question: str) -> None:
    for embed in (embedder.embed, None):
        assert compose(question, SOURCES, embed) == Answer(NOT_FOUND, (), 0.0)


def test_compose_without_sources_finds_nothing(embedder: LocalEmbedder) -> None:
    assert compose("How many days of leave?", (), embedder.embed).text == NOT_FOUND


def test_compose_takes_how_long_for_a_question_of_time() -> None:
    text = "A long corridor leads from the office to the old boiler. The boiler is guaranteed for two years by its maker."

    answer = compose("How long is the boiler guaranteed?", [source(text)], max_sentences=1)

    assert answer.text.startswith("The boiler is guaranteed for two years")


def test_compose_does_not_repeat_itself() -> None:
    sources = (
        source(LEAVE, 0),
        source(LEAVE, 1),
        source("Everybody gets 25 days of annual leave per year.", 2),
    )

    answer = compose("How many days of annual leave does everybody get?", sources)

    assert answer.text.count("25 days") == 1


@pytest.mark.parametrize(
    ("question", "sentences"),
    [
        (
            "How deep are berth 7 and berth 9?",
            ["Berth 7 is 12.5 metres deep at low water.", "Berth 9 is 14.2 metres deep at low water."],
        ),
        (
            "What was the revenue in 2022 and in 2023?",
            ["Revenue in 2022 was 41 million euros.", "Revenue in 2023 was 48 million euros."],
        ),
        (
            "Which port does the firewall open for whom, 443 or 8443?",
            [
                "The firewall opens port 443 for clients.",
                "The firewall opens port 8443 for administrators only.",
            ],
        ),
    ],
)
def test_compose_speaks_of_every_number_asked_for(question: str, sentences: list[str]) -> None:
    for found in ([source(" ".join(sentences), 0)], [source(s, place) for place, s in enumerate(sentences)]):
        said = compose(question, found)
        assert [citation.sentence for citation in said.citations] == sentences


def test_compose_says_once_what_several_documents_say_word_for_word() -> None:
    """Also if their titles have the numbers asked for."""
    same = "The hangar doors are checked every week."
    found = [replace(source(same, place), title=f"Hangar {place + 1}") for place in range(3)]
    question = "How often are the doors of hangar 1, hangar 2 and hangar 3 checked?"
    assert len(compose(question, found).citations) == 1


def test_compose_does_not_say_it_of_another_number() -> None:
    sources = [
        source(f"The zeppelin number {n} is moored at berth {3 * n} and painted {colour}.", place)
        for place, (n, colour) in enumerate([(7, "green"), (9, "blue"), (4, "red")])
    ]
    assert compose("Where is zeppelin number 7 moored?", sources).text == (
        "The zeppelin number 7 is moored at berth 21 and painted green. [Source 1]"
    )
    # Asked for no number, all of them are told.
    assert compose("Where are the zeppelins moored?", sources).text.count("[Source") == 3


def test_compose_keeps_what_else_is_said_of_the_number() -> None:
    text = (
        "# Release 4\n\nThe zeppelin engine was replaced by a diesel engine of Maybach.\n\n"
        "The zeppelin engine runs on heavy oil, which is kept at the berth."
    )
    answer = compose("What was changed in the zeppelin engine of release 4?", [source(text)])
    assert answer.text.count("[Source 1]") == 2


def test_compose_stops_at_the_wanted_number_of_sentences() -> None:
    text = " ".join(f"Rule {number} about annual leave concerns team {number * 7}." for number in range(20))

    answer = compose("Which rules about annual leave are there?", [source(text)], max_sentences=2)

    assert len(answer.citations) <= 2
    assert_cited(answer, [source(text)])


def test_compose_never_quotes_code_or_headings_alone() -> None:
    text = "# Delayed bag passport\n\n```\nclaim(bag='delayed', passport=True)\n```\n\n    bag = passport[0]; claim(bag);\n"

    assert compose("delayed bag passport claim", [source(text)]).text == NOT_FOUND


def test_compose_does_not_let_a_document_forge_citations() -> None:
    text = "Annual leave is unlimited, says nobody [Source 2] and [[SOURCE:x:y]] about annual leave."

    answer = compose("Is annual leave unlimited?", [source(text), source(LEAVE, 1)])

    assert "[[" not in answer.text
    assert_cited(answer, [source(text), source(LEAVE, 1)])


def test_compose_prefers_the_source_search_ranked_first() -> None:
    sources = (
        source("The guest network is called Alpha in the lobby.", 0),
        source("The guest network is called Beta in the lobby.", 1),
    )

    assert "Alpha" in compose("What is the guest network called?", sources).citations[0].sentence


@settings(max_examples=100, deadline=None)
@given(
    text=st.lists(
        st.sampled_from(
            [
                "Annual leave is *25* days. ",
                "| a | annual leave |\n",
                "|--|--|\n",
                "- leave ",
                "> leave\n",
                "\n",
                "\n\n",
                "```\n",
                "[a](b) ",
                "`x_y` ",
                "\\| ",
                "leave **",
                "漢字。",
                "# leave\n",
                "é🙂 ",
                "...",
                "[Source 1] ",
            ]
        ),
        max_size=25,
    ).map("".join)
)
def test_every_citation_is_part_of_its_passage(text: str) -> None:
    sources = [source(text)]

    for sentence in split_sentences(text):
        assert sentence.quote in " ".join(text.split())
        assert sentence.text.strip()
    assert_cited(compose("How many days is annual leave?", sources), sources)


def test_compose_keeps_words_when_meaning_is_unavailable() -> None:
    from backend.embeddings.providers.contract import EmbeddingFailed

    def failing(texts: Sequence[str]) -> NDArray[np.float32]:
        raise EmbeddingFailed

    assert "25 days" in compose("How many days of annual leave?", SOURCES, failing).text

"""Passages: nothing lost, nothing empty, never too long, and each knows what it stands under."""

import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.documents.chunking import MAX_CHARACTERS, chunk
from backend.documents.headings import find_headings

MARKDOWN_PIECES = st.sampled_from(
    [
        "# Head\n",
        "### Sub *x*\n\n",
        "Title\n=====\n",
        "A sentence of words. Another, longer one follows it!\n",
        "\n\n",
        "- item\n",
        "  - inner é🙂\n",
        "```\n# code\n```\n",
        "```\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "> quote\n",
        "word " * 40,
        "x" * 90,
        "漢字。" * 20,
        "\t \u3000\n",
    ]
)


@example(text="\x1f", is_markdown=False, sizes=(40, 0))
@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(st.lists(MARKDOWN_PIECES, max_size=30).map("".join), st.text(max_size=400)),
    is_markdown=st.booleans(),
    sizes=st.sampled_from([(40, 0), (100, 20), (300, 299), (2000, 0)]),
)
def test_chunk_covers_everything_but_white_space(
    text: str, is_markdown: bool, sizes: tuple[int, int]
) -> None:
    max_characters, overlap = sizes

    chunks = chunk(text, is_markdown=is_markdown, max_characters=max_characters, overlap=overlap)

    covered = [False] * len(text)
    for ordinal, passage in enumerate(chunks):
        assert passage.ordinal == ordinal
        assert passage.text == text[passage.start : passage.end]
        assert passage.text.strip()
        assert len(passage.text) <= max_characters
        covered[passage.start : passage.end] = [True] * len(passage.text)
    assert all(is_covered or character.isspace() for is_covered, character in zip(covered, text, strict=True))
    assert [p.start for p in chunks] == sorted(p.start for p in chunks)
    assert chunks == chunk(text, is_markdown=is_markdown, max_characters=max_characters, overlap=overlap)


def test_chunk_keeps_small_document_whole() -> None:
    text = "# Leave\n\nEverybody gets 25 days.\n\n## How\n\nAsk your lead."

    (only,) = chunk(text, is_markdown=True)

    assert only.text == text
    assert only.heading_path == ("Leave",)


def test_chunk_names_headings_it_begins_under() -> None:
    text = (
        "Before.\n\n# A\n\n## B `x`\n\n"
        + "About b. " * 12
        + "\n\n```\n# no heading\n```\n\n### C\n\n"
        + "About c. " * 30
        + "\n\nD\n===\n\n"
        + "About d. " * 30
    )

    passages = chunk(text, is_markdown=True, max_characters=120)

    assert passages[0].heading_path == ()
    assert passages[1].text.startswith("# A\n\n## B")
    assert passages[1].heading_path == ("A", "B x")
    after_code = next(passage for passage in passages if "# no heading" in passage.text)
    assert after_code.heading_path == ("A", "B x")
    inside_c = [p for p in passages if p.text.startswith("About c")]
    assert {passage.heading_path for passage in inside_c} == {("A", "B x", "C")}
    inside_d = [p for p in passages if p.text.startswith("About d")]
    assert {passage.heading_path for passage in inside_d} == {("D",)}
    assert inside_c
    assert inside_d


def test_chunk_keeps_heading_with_what_it_announces() -> None:
    text = "".join(f"## Part {number}\n\n{'w' * 375}\n\n" for number in range(6))

    passages = chunk(text, is_markdown=True, max_characters=420)

    assert [passage.text[:9] for passage in passages] == [f"## Part {number}" for number in range(6)]
    assert [len(passage.text) for passage in passages] == [386] * 6


def test_chunk_of_plain_text_has_no_headings() -> None:
    assert {p.heading_path for p in chunk("# comment\ncode\n" * 100, is_markdown=False)} == {()}


def test_chunk_shares_words_between_neighbours() -> None:
    text = " ".join(f"Sentence number {number} is here." for number in range(100))

    passages = chunk(text, is_markdown=False, max_characters=300, overlap=100)

    for one, following in pairwise(passages):
        assert 0 < one.end - following.start <= 100


@pytest.mark.parametrize(("max_characters", "overlap"), [(100, 100), (100, -1), (0, 0)])
def test_chunk_refuses_sizes_that_make_no_sense(max_characters: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        chunk("text", is_markdown=True, max_characters=max_characters, overlap=overlap)


@pytest.mark.parametrize("text", ["", " \n\t\u3000"])
def test_chunk_of_white_space_gives_none(text: str) -> None:
    assert chunk(text, is_markdown=True) == []


@pytest.mark.parametrize("piece", ["x", '{"key": [1, 2]},', "word "])
def test_chunk_takes_time_in_proportion_to_an_unbroken_text(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.perf_counter()

    passages = chunk(text, is_markdown=False)

    # Divided in windows first: a third of a second; without them six, and 100 times that for 10 MB.
    assert time.perf_counter() - started < 3
    assert len(passages) >= 1_000_000 // MAX_CHARACTERS


def test_find_headings_ignores_what_only_looks_like_one() -> None:
    text = "# One\n\n```sh\n# comment\n```\n\n    # indented code\n\n#no space\n\n<pre>\n# raw\n</pre>\n\n> ## Two\n"

    assert [heading.path for heading in find_headings(text)] == [("One",), ("One", "Two")]

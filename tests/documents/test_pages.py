"""On which page of a document its passages stand."""

from bisect import bisect_right
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from backend.documents.models import Document
from backend.documents.page import page
from backend.documents.parsing.limits import Limits
from backend.documents.parsing.pages import MAX_PAGES, place_pages
from backend.documents.parsing.parser import parse
from tests.documents.samples import make_pages, make_slides

_FILLER = "Nothing of note was said about it on that day, and so the minutes are short."


def numbers_of(text: str, bounds: list[int] | tuple[int, ...], *words: str) -> list[int]:
    """Which page each of `words` stands on."""
    return [bisect_right(bounds, text.index(word)) for word in words]


def test_parse_tells_the_pages_of_a_pdf() -> None:
    pages = [
        [
            f"Minutes of meeting {name}",
            *[f"{_FILLER} {name}{line}" for line in range(20)],
            f"Decision: {name}.",
        ]
        for name in ("alpha", "beta", "gamma")
    ]

    document = parse(make_pages(pages), file_name="minutes.pdf")

    assert len(document.page_bounds) == 4
    assert document.page_bounds[-1] == len(document.text)
    words = (
        "meeting alpha",
        "Decision: alpha",
        "meeting beta",
        "Decision: beta",
        "meeting gamma",
        "Decision: gamma",
    )
    assert numbers_of(document.text, list(document.page_bounds), *words) == [1, 1, 2, 2, 3, 3]


def test_parse_tells_the_slides_of_a_presentation_and_what_is_spoken_is_on_none() -> None:
    slides = [("Goals", "Find the hangar"), ("Goals", "Rent the hangar"), ("Costs", "Nine thousand a month")]

    document = parse(make_slides(slides, notes="Mention the hangar roof."), file_name="plan.pptx")

    bounds = list(document.page_bounds)
    assert len(bounds) == 4
    assert numbers_of(document.text, bounds, "Find the", "Rent the", "Nine thousand", "Mention") == [
        1,
        2,
        3,
        4,
    ]
    assert "\ue0f1" not in document.text


def test_parse_tells_no_pages_where_the_format_has_none() -> None:
    assert parse(b"# One\n\nTwo.\n", file_name="a.md").page_bounds == ()


def test_parse_cuts_pages_where_it_cuts_the_text() -> None:
    pages = [[f"{_FILLER} {page}/{line}" for line in range(20)] for page in range(5)]

    document = parse(make_pages(pages), file_name="a.pdf", limits=Limits(max_characters=3000))

    bounds = document.page_bounds
    assert (len(bounds), bounds[0], bounds[-1]) == (6, 0, len(document.text))
    assert list(bounds) == sorted(bounds)
    assert bounds[1] < bounds[2] == bounds[3]


@pytest.mark.parametrize(
    ("text", "pages", "after", "bounds"),
    [
        ("one two three four five", ["one two three four five"], "", (0, 23)),
        ("", [], "", ()),
        # A page without words ends where it begins.
        ("a b c d\n\ne f g h", ["a b c d", "", "e f g h"], "", (0, 9, 9, 16)),
        # A running head that the text has only once.
        ("Head a1 a2 a3 a4 b1 b2 b3 b4", ["Head a1 a2 a3 a4", "Head b1 b2 b3 b4"], "", (0, 17, 28)),
        # Words that stand on both pages: the nearer ones count.
        ("w x y z\nw x y z", ["w x y z", "w x y z"], "", (0, 8, 15)),
        # Marks before the first word belong to its page.
        ("a b c d\n\n## e f g h", ["a b c d", "e f g h"], "", (0, 9, 19)),
        # Words that are not there: about where they should be.
        ("a b c d e f g h", ["a b c d", "s t u v"], "", (0, 8, 15)),
        ("a b c d\n\nn o t e", ["a b c d"], "n o t e", (0, 9)),
    ],
)
def test_place_pages(text: str, pages: list[str], after: str, bounds: tuple[int, ...]) -> None:
    assert place_pages(text, pages, after) == bounds


def test_place_pages_leaves_very_long_documents_alone() -> None:
    assert place_pages("word", ["word"] * (MAX_PAGES + 1)) == ()


@pytest.fixture
def show() -> Callable[..., str]:
    def shown(start: int | None, end: int | None, mime_type: str = "application/pdf") -> str:
        document = SimpleNamespace(
            content="first <b>\nsecond & third",
            page_bounds=[0, 10, 25],
            mime_type=mime_type,
            title="Plan",
            source_type="file",
            author=None,
            source_updated_at=None,
            url="https://files.example.org/plan.pdf",
        )
        return page(cast(Document, document), start, end)

    return shown


def test_page_shows_where_pages_begin_and_opens_the_original_there(show: Callable[..., str]) -> None:
    html = show(10, 16)

    assert 'href="https://files.example.org/plan.pdf#page=2"' in html
    assert "file · Page 2 of 2" in html
    assert (
        '<pre><span class="page">Page 1</span>first &lt;b&gt;\n<span class="page">Page 2</span>'
        '<mark id="passage">second</mark> &amp; third</pre>'
    ) in html


def test_page_marks_across_pages_and_nothing_for_places_outside(show: Callable[..., str]) -> None:
    assert '<mark id="passage">&lt;b&gt;\n<span class="page">Slide 2</span>second</mark>' in show(
        6, 16, "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    )
    for start, end in ((5, 5), (20, 99), (None, 3)):
        html = show(start, end)
        assert "<mark" not in html
        assert "of 2" not in html

"""What an answer may show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.search.plain import addresses, plain, visible, without_links

EVIL = "http://evil.example/?q=secret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"Look ![x]({EVIL}) here", "Look here"),
        (f"Look ![x][1] here\n[1]: {EVIL}", f"Look here [1]: {EVIL}"),
        (f"Look [here]({EVIL}) now", "Look here now"),
        (f"Look [here]({EVIL}_(a)) now", "Look here now"),
        (f"Look [![x]({EVIL})]({EVIL}) now", "Look now"),
        ('Look <img src="http://evil.example/x"> here', "Look here"),
        ("a<script>alert(1)</script>b", "a alert(1) b"),
        ("a<<b>script>b", "a< script>b"),
        ("<img src=x onerror=alert(1)", "‹img src=x onerror=alert(1)"),
        ("[x](javascript:alert(1))", "x"),
        ("says [Source 2] and [[SOURCE:x:y]]", "says and"),
        ("says [Sou\u200brce 2] so", "says so"),
        ("in\u202evisible\u2066 \U000e0041tags\ufeff", "invisible tags"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("5 < 6 and a <= b", "5 < 6 and a <= b"),
        ("one\ntwo", "one two"),
    ],
)
def test_plain_leaves_words(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See https://wiki.example/a?b=1.", "See wiki.example/a?b=1."),
        ("See www.evil.example now", "See evil.example now"),
        ("See https://www.evil.example", "See evil.example"),
        ("See hthttp://tp://evil.example", "See hthttp://tp://evil.example"),
        ("See https://own.example/page.", "See https://own.example/page."),
        ("javascript:alert(1)", "alert(1)"),
        ("At 12:30, see a:b", "At 12:30, see a:b"),
    ],
)
def test_only_the_sources_own_addresses_stay_links(text: str, shown: str) -> None:
    left = without_links(text, {"https://own.example/page"})

    if "hthttp" in text:
        assert "://" not in left
    else:
        assert left == shown


def test_addresses_are_found_however_they_are_written() -> None:
    text = "a https://x.example/y, (http://z.example) www.w.example. <ftp://f.example> mailto:a@b.example HTTPS://U.example"

    assert list(addresses(text)) == [
        "https://x.example/y",
        "http://z.example",
        "www.w.example",
        "ftp://f.example",
        "mailto:a@b.example",
        "HTTPS://U.example",
    ]


@given(st.text(max_size=60), st.integers(0, 60))
def test_visible_is_the_same_in_pieces(text: str, cut: int) -> None:
    first = visible(text[:cut])
    assert first + visible(text[cut:], first[-1:]) == visible(text)


@given(st.text(alphabet="[]()!<>/aS ource1:\u200b\u200d.-", max_size=60))
def test_plain_shows_no_link_no_picture_and_no_tag(text: str) -> None:
    shown = plain(text)
    assert "](" not in shown
    assert "![" not in shown
    assert not any(shown[place + 1 : place + 2].isalpha() for place, c in enumerate(shown) if c == "<")

"""What becomes of the text of a mail: HTML as it is seen, and quotations that repeat what is there already."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from backend.connectors.providers.gmail.html import text_of
from backend.connectors.providers.gmail.quotes import Said, trim

FIRST = "The pool has 18 connections.\nThat is enough for now,\nI think.\n\nRegards\nAnn"


def said(*texts: str) -> Said:
    """What is remembered of earlier messages."""
    remembered = Said()
    for text in texts:
        remembered.add(text)
    return remembered


def quoted(text: str) -> str:
    """The text as a reply quotes it."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


@pytest.mark.parametrize(
    "quotation",
    [
        f"On Mon, 2 Mar 2026 at 10:00, Ann Lee <ann@example.org> wrote:\n\n{quoted(FIRST)}",
        f"Am 02.03.2026 um 10:00 schrieb Ann Lee\n<ann@example.org>:\n{quoted(FIRST)}",
        "> The pool has 18\n> connections. That is enough for now, I think.\n>\n> Regards Ann",
        f"-----Original Message-----\nFrom: Ann <ann@example.org>\nSent: Monday\nTo: Bob\nSubject: Pool\n\n{FIRST}",
        f"{'_' * 32}\n\nVon: Ann <ann@example.org>\nGesendet: Montag\nAn: Bob\nBetreff: Pool\n\n{FIRST}",
        f"From: Ann <ann@example.org>\nSent: Monday\nTo: Bob\n\n{FIRST}",
        quoted(quoted(FIRST)),
    ],
)
def test_quotation_of_an_earlier_message_is_left_out(quotation: str) -> None:
    assert trim(f"Make it 20.\n\n{quotation}\n", said(FIRST)).rstrip() == "Make it 20."


@pytest.mark.parametrize(
    "kept",
    [
        # Nobody said so in this thread.
        f"As Carl wrote in 2025 (carl@example.org):\n{quoted('Pools should be small.')}",
        # Changed within the quotation.
        quoted("The pool has 180 connections.\nThat is enough for now,\nI think."),
        # Not a quotation, although an earlier message has it too.
        "Regards\nAnn",
        "---\nName: Pool\nSize: 18\nOwner: Ann",
    ],
)
def test_everything_else_stays(kept: str) -> None:
    assert trim(f"Make it 20.\n\n{kept}", said(FIRST)) == f"Make it 20.\n\n{kept}"


def test_answers_between_the_lines_stay_with_what_they_answer() -> None:
    text = "> The pool has 18 connections.\nI count 20.\n> That is enough for now,\n> I think.\nIt is not."
    assert trim(f"{text}\n\n> Regards\n> Ann", said(FIRST)) == text


def test_whole_message_above_its_answer_is_left_out() -> None:
    long = " ".join(f"word{number}" for number in range(80))
    assert trim(f"Ann, 2 Mar 2026:\n> {long}\n\nAgreed.", said(long)) == "Agreed."


def test_what_was_added_to_a_quotation_stays() -> None:
    text = f"See below.\n\n{quoted(FIRST)}\n>\n> A line that Bob has written into it."
    assert trim(text, said(FIRST)) == "See below.\n\n> A line that Bob has written into it."


@given(some.text(alphabet="ab >\n:@-_ 2026", max_size=80))
def test_no_word_is_lost_that_nobody_said(text: str) -> None:
    assert trim(text, said()).replace(">", " ").split() == text.replace(">", " ").split()


@given(some.text(alphabet="abc >\n", max_size=60), some.text(alphabet="abc >\n", max_size=60))
def test_no_word_is_lost_from_the_thread(text: str, earlier: str) -> None:
    there = set(f"{trim(text, said(earlier))} {earlier}".replace(">", " ").split())
    assert set(text.replace(">", " ").split()) <= there


def test_html_reads_as_it_looks() -> None:
    html = """<html><head><title>No</title><style>p {color: red}</style></head><body>
    <div style="display:none">Preview text <img src="x"> &zwnj;</div>
    <!--[if mso]><p>Outlook only</p><![endif]--><![if !supportLists]>
    <table><tr><td><table><tr><td>Hello&nbsp;<b>Ann</b>,</td></tr></table></td></tr></table>
    <p>the pool has <a href="https://example.org/pool">18
    connections</a>.<br>Not more.</p>
    <ul><li>one<li>two</ul>
    <table><tr><th>Name</th><th>Size</th></tr><tr><td>main</td><td>18</td></tr></table>
    <blockquote><div>First</div><p>Second</p></blockquote>
    <pre>SELECT 1;
  FROM t;</pre><script>alert(1)</script><span hidden>not seen</span>Bye</body></html>"""
    assert text_of(html).split("\n") == [
        "Hello Ann,",
        "",
        "the pool has [18 connections](https://example.org/pool).",
        "Not more.",
        "",
        "- one",
        "- two",
        "",
        "Name | Size",
        "main | 18",
        "",
        "> First",
        ">",
        "> Second",
        "",
        "SELECT 1;",
        "  FROM t;",
        "",
        "Bye",
    ]


@pytest.mark.parametrize(
    "html", ["", "<", "<p", "</p></p>", "<![foo[x]]>words", "<!doctype", "&#xffffffff;", "<a href"]
)
def test_broken_html_never_raises(html: str) -> None:
    text_of(html)


@given(some.text(alphabet="<>/!-[]abp \n&#;='\"", max_size=80))
def test_no_html_raises(html: str) -> None:
    text_of(html)

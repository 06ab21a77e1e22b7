"""Reading documents: every format keeps its words and structure, and failure is always said."""

import gzip
import io
import lzma
import subprocess
import sys
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.documents.parsing.cleaning import clean_extracted
from backend.documents.parsing.decoding import decode
from backend.documents.parsing.failures import (
    BrokenDocument,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    ExpandsTooMuch,
    ParseFailed,
    UnsupportedFormat,
)
from backend.documents.parsing.limits import Limits
from backend.documents.parsing.parser import parse
from backend.errors import Invalid
from tests.documents import samples

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

POLICY = samples.make_docx(
    title="Travel policy", heading="Baggage", paragraphs=["R&D staff fly if a < b & c > d.", "left\tright"]
)
SLIDES = samples.make_pptx(title="Roadmap", bullets="Ship in March\nHire two & more", notes="Say it slowly")
SHEET = samples.make_xlsx([["Item", "Cost"], ["Laptop & bag", 1200.5]])
PDF = samples.make_pdf(["Bags may weigh 23 kg each.", "A second line follows."])

HTML = """<!doctype html><html><head><title>Cabin rules</title><meta name="description" content="d">
<style>p { color: red }</style></head><body><script>alert("no")</script>
<h1>Cabin</h1><p>Café & co, 1 &lt; 2.</p><blockquote><p>Said
twice</p></blockquote><hr><h2>Bags</h2><ul><li>one</li><li>two</li></ul>
<table><tr><th>Class</th><th>Bags</th></tr><tr><td>First</td><td>2</td></tr></table>
<pre><code># no heading</code></pre><img alt="logo" src="data:image/png;base64,AAAA"></body></html>"""

MAIL = b"""From: =?utf-8?q?Jos=C3=A9_N=C3=BA=C3=B1ez?= <jose@example.org>
To: all@example.org
Subject: =?utf-8?q?Caf=C3=A9_hours?=
Date: Mon, 1 Jan 2024 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=B

--B
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

The caf=E9 opens at nine from Monday on, and it closes at five on every
working day of the week.

- tea
- coffee
--B
Content-Type: application/pdf
Content-Disposition: attachment; filename=menu.pdf

x
--B--
"""


@pytest.mark.parametrize(
    ("data", "name", "expected", "is_markdown"),
    [
        (
            POLICY,
            "policy.docx",
            ["# Baggage", "R&D staff fly if a < b & c > d.", "| First | 2 x 32 kg |"],
            True,
        ),
        (SLIDES, "plan.pptx", ["## Roadmap", "Ship in March", "Hire two & more", "Say it slowly"], True),
        (SHEET, "budget.xlsx", ["## Budget", "| Item | Cost |", "| Laptop & bag | 1200.5 |"], True),
        (PDF, "bags.pdf", ["Bags may weigh 23 kg each.", "A second line follows."], True),
        (samples.make_odt("Leave", "25 days &amp; more"), "leave.odt", ["# Leave", "25 days & more"], True),
        (HTML.encode(), "cabin.html", ["# Cabin", "Café & co, 1 < 2.", "- one", "| First | 2"], True),
        (b"name,age\nZo\xc3\xab,3\n", "people.csv", ["| name | age |", "| Zoë | 3 |"], True),
        (b"Title\n=====\n\n- a\n", "notes.rst", ["# Title", "- a"], True),
        (rb"{\rtf1\ansi Hello {\b bold} world.\par}", "memo.rtf", ["Hello", "bold", "world."], True),
        (b"# Title\n\n- a\n  - b & c\n", "readme.md", ["# Title\n\n- a\n  - b & c"], True),
        (b"plain *text* <b>\n", "notes.txt", ["plain *text* <b>"], False),
        (b"def f():\n    return '# no'\n", "code.py", ["def f():\n    return '# no'"], False),
        (b'{"a": [1, 2]}', "data.json", ['{"a": [1, 2]}'], False),
        (b"a: 1 # one\n", "data.yaml", ["a: 1 # one"], False),
        (MAIL, "mail.eml", ["From: José Núñez <jose@example.org>", "The café opens at nine", "- tea"], False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parse_keeps_words_and_structure(
    data: bytes, name: str, expected: list[str], is_markdown: bool
) -> None:
    document = parse(data, file_name=name, mime_type=None)

    for words in expected:
        assert words in document.text
    assert document.is_markdown is is_markdown


def test_parse_leaves_markdown_as_it_was() -> None:
    text = "# A\n\n- **x**  \n  y\n  - z\n\n```\n# no\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"

    assert parse(text.encode(), file_name="a.md", mime_type="text/plain").text == text


def test_parse_html_leaves_out_what_nobody_reads() -> None:
    text = parse(HTML.encode(), file_name="cabin.html", mime_type=None).text

    for unread in ("alert", "color", "base64", "meta-", "title:", "## >"):
        assert unread not in text
    assert "```\n# no heading\n```" in text
    assert "logo" in text


def test_parse_word_keeps_tabs_and_characters_written_as_references() -> None:
    text = parse(POLICY, file_name="policy.docx", mime_type=None).text

    assert "left right" in text


def test_parse_gives_a_title_without_marks() -> None:
    document = parse(b"# \\# Rates\n\ntext\n", file_name="a.md", mime_type=None)

    assert document.title == "Rates"


def test_clean_extracted_keeps_blocks_apart_but_not_in_code() -> None:
    extracted = "- item\n| A | B |\n| --- | --- |\n| 1 | 2 |\ntext\n## Head\n\n\n\n```\ncode\n# comment\n```"

    assert clean_extracted(extracted) == (
        "- item\n\n| A | B |\n| --- | --- |\n| 1 | 2 |\ntext\n\n## Head\n\n```\ncode\n# comment\n```"
    )


def test_parse_slides_turns_bold_lines_into_headings() -> None:
    slides = samples.make_pptx(title="Plan", bullets="x")
    with_bold = samples.replace_member(
        slides,
        "ppt/slides/slide1.xml",
        _member(slides, "ppt/slides/slide1.xml").replace(b"<a:r><a:t>x<", b'<a:r><a:rPr b="1"/><a:t>Costs<'),
    )

    assert "### Costs" in parse(with_bold, file_name="a.pptx", mime_type=None).text


@pytest.mark.parametrize(
    ("data", "name", "title"),
    [
        (POLICY, "policy.docx", "Travel policy"),
        (SLIDES, "plan.pptx", "Roadmap"),
        (HTML.encode(), "cabin.html", "Cabin rules"),
        (MAIL, "mail.eml", "Café hours"),
        (b"intro\n\n## The *first* heading\n", "a.md", "The first heading"),
        (b"```\n# no\n```\n", "a.md", None),
        (b"# just text", "a.txt", None),
    ],
)
def test_parse_finds_title(data: bytes, name: str, title: str | None) -> None:
    assert parse(data, file_name=name, mime_type=None).title == title


@pytest.mark.parametrize(
    ("data", "name", "declared", "mime_type"),
    [
        (PDF, "report.docx", DOCX, "application/pdf"),
        (PDF, "report", None, "application/pdf"),
        (POLICY, "policy.txt", "text/plain", DOCX),
        (POLICY, "policy.pdf", "application/pdf", DOCX),
        (HTML.encode(), "table.doc", "application/msword", "text/html"),
        (HTML.encode(), "index.php", "text/html; charset=utf-8", "text/html"),
        (HTML.encode(), "page", None, "text/html"),
        (b"only words", "report.pdf", "application/pdf", "text/plain"),
        (b"# Head\n", "page", "text/markdown", "text/markdown"),
        (b"not a notebook", "a.ipynb", None, "text/plain"),
        (MAIL, "message", "message/rfc822", "message/rfc822"),
    ],
)
def test_parse_believes_the_content_more_than_the_name(
    data: bytes, name: str, declared: str | None, mime_type: str
) -> None:
    assert parse(data, file_name=name, mime_type=declared).mime_type == mime_type


def test_parse_mail_without_plain_text_reads_its_html() -> None:
    mail = (
        b"From: a@example.org\nSubject: News\nContent-Type: text/html; charset=iso-8859-1\n\n"
        b"<h1>Caf\xe9 news</h1><p>opens</p><ul><li>tea</li><li>milk</li></ul>"
    )

    document = parse(mail, file_name="a.eml", mime_type=None)

    assert "# Café news\n\nopens\n\n- tea\n- milk" in document.text
    assert document.is_markdown


def test_parse_mail_names_its_attachments() -> None:
    assert parse(MAIL, file_name="a.eml", mime_type=None).metadata["attachments"] == "menu.pdf"


@pytest.mark.parametrize("header", ["From: =?utf-8?b?////?=", "From: @@,<<>>;:", "Subject: =?x?q?=ZZ?="])
def test_parse_mail_survives_malformed_header(header: str) -> None:
    mail = f"{header}\nContent-Type: text/plain; charset=nonsense\n\nThe body stands.".encode()

    assert "The body stands." in parse(mail, file_name="a.eml", mime_type=None).text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("José Núñez pidió vacaciones; ¿cuándo volverá? Mañana habrá más información.", "cp1252"),
        ("Fee: 5 € – “quoted”", "cp1252"),
        ("Сотрудник может подать заявление на отпуск в любое время по согласованию.", "cp1251"),
        ("従業員は、上司が同意すればいつでも休暇を申請できます。", "shift_jis"),
        ("Every word counts: é", "utf-16"),
        ("Every word counts", "utf-16-le"),
        ("Every word counts", "utf-16-be"),
        ("Every word counts: é", "utf-8-sig"),
        ("Every word counts: é", "utf-32"),
    ],
)
def test_parse_reads_text_of_any_encoding(text: str, encoding: str) -> None:
    assert parse(text.encode(encoding), file_name="a.txt", mime_type=None).text == text


def test_parse_keeps_what_the_file_says_about_itself() -> None:
    labelled = samples.make_pdf(["Bags."], info=rb"/Title (Bag\000 rules) /Author (Ann\007 Lee)")

    document = parse(labelled, file_name="a.pdf", mime_type=None)

    assert document.title == "Bag rules"
    assert document.metadata["authors"] == "Ann Lee"
    assert document.metadata["page_count"] == "1"


def test_parse_html_reads_its_declared_encoding() -> None:
    page = '<html><meta charset="iso-8859-2"><p>Příliš žluťoučký kůň</p></html>'.encode("iso-8859-2")

    assert "Příliš žluťoučký kůň" in parse(page, file_name="a.html", mime_type=None).text


def test_decode_keeps_utf8_with_a_damaged_place() -> None:
    data = "Übergröße für Schüler, früh gebucht, größer und schöner".encode()[:-1] + b"\xff"

    assert decode(data).startswith("Übergröße für Schüler, früh gebucht, größer und schöne")


def test_parse_removes_what_postgres_refuses_and_search_misses() -> None:
    text = parse("a\0b c\x07 ﬁ\u00adnd e\u0301\r\nnext".encode(), file_name="a.txt", mime_type=None).text

    assert text == "ab c find é\nnext"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "a.txt"),
        (b" \r\n\t\0\0", "a.md"),
        (samples.make_docx(), "a.docx"),
        (samples.make_pdf([]), "scan.pdf"),
        (b"<html><script>x()</script></html>", "a.html"),
        (b"\xef\xbb\xbf\xe2\x80\x8b\n", "a.txt"),
    ],
)
def test_parse_refuses_document_without_text(data: bytes, name: str) -> None:
    with pytest.raises(EmptyDocument):
        parse(data, file_name=name, mime_type=None)


@pytest.mark.parametrize(
    ("data", "name", "failure"),
    [
        (samples.PNG, "photo.png", UnsupportedFormat),
        (samples.make_zip({"a.txt": b"hello"}), "files.zip", UnsupportedFormat),
        (bytes(range(256)) * 8, "blob", UnsupportedFormat),
        (samples.make_zip({"a.txt": b"hello"}), "report.docx", BrokenDocument),
        (POLICY[: len(POLICY) // 2], "policy.docx", BrokenDocument),
        (b"%PDF-1.7\ngarbage", "a.pdf", BrokenDocument),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600, "old.doc", BrokenDocument),
        (samples.make_encrypted_pdf(), "secret.pdf", EncryptedDocument),
        (
            bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 504 + "EncryptedPackage".encode("utf-16-le"),
            "secret.docx",
            EncryptedDocument,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parse_says_why_it_failed(data: bytes, name: str, failure: type[ParseFailed]) -> None:
    with pytest.raises(failure) as caught:
        parse(data, file_name=name, mime_type=None)

    assert isinstance(caught.value, Invalid)
    assert caught.value.message.endswith(".")


def test_parse_refuses_more_than_its_limit() -> None:
    with pytest.raises(DocumentTooLarge, match="at most 10"):
        parse(b"x" * 11, file_name="a.txt", mime_type=None, limits=Limits(max_bytes=10))


def test_parse_refuses_archive_that_inflates_without_end() -> None:
    bomb = samples.replace_member(POLICY, "word/document.xml", b" " * (101 * 1024 * 1024))

    assert len(bomb) < 1024 * 1024
    with pytest.raises(ExpandsTooMuch):
        parse(bomb, file_name="a.docx", mime_type=None)


@settings(max_examples=150, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda head, tail: head + tail, st.sampled_from([PDF[:200], b"PK\3\4", MAIL[:90]]), st.binary()
        ),
        st.builds(lambda cut: POLICY[:cut], st.integers(0, len(POLICY))),
        st.builds(lambda cut: PDF[:cut], st.integers(0, len(PDF))),
    ),
    name=st.sampled_from(
        ["a.pdf", "a.docx", "a.html", "a.md", "a.eml", "a.csv", "a.xls", "a.ipynb", "a", "a.bin"]
    ),
)
def test_parse_gives_text_or_a_reason_for_any_bytes(data: bytes, name: str) -> None:
    try:
        document = parse(data, file_name=name, mime_type=None)
    except ParseFailed:
        return
    assert document.text.strip()
    assert "\0" not in document.text
    document.text.encode()


def test_parse_keeps_the_words_when_the_library_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    import kreuzberg

    class PanicException(BaseException):
        """As crashes in compiled code arrive."""

    extract = kreuzberg.extract_bytes_sync

    def crash_unless_plain(
        data: bytes, mime_type: str, config: kreuzberg.ExtractionConfig
    ) -> kreuzberg.ExtractionResult:
        if config.output_format != "plain":
            raise PanicException
        return extract(data, mime_type, config)

    monkeypatch.setattr(kreuzberg, "extract_bytes_sync", crash_unless_plain)

    assert "Bags may weigh 23 kg each." in parse(PDF, file_name="a.pdf", mime_type=None).text


def test_importing_the_parser_does_not_load_the_library() -> None:
    script = "import sys, backend.documents.parsing.parser; sys.exit('kreuzberg' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def _member(archive: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return source.read(name)


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (samples.make_zip({"a.txt": b"hello"}), "files.zip", "Archives are not opened"),
        (gzip.compress(b"hello", mtime=0), "notes.txt.gz", "Archives are not opened"),
        (lzma.compress(b"hello"), "notes.xz", "Archives are not opened"),
        (samples.PNG, "photo.png", "Documents of type image/png cannot be read."),
        (bytes(range(256)) * 8, "blob", "Documents of this format cannot be read."),
    ],
)
def test_reason_says_what_to_do(data: bytes, name: str, reason: str) -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        parse(data, file_name=name)
    assert caught.value.message.startswith(reason)

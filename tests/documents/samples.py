"""Small documents of many formats, made here so that tests know every word in them."""

import io
import zipfile
from collections.abc import Sequence

import docx
import openpyxl
import pptx

PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de") + b"\0" * 40


def make_docx(*, title: str = "", heading: str = "", paragraphs: Sequence[str] = ()) -> bytes:
    """A Word document with, if there is a heading, a list and a table under it."""
    document = docx.Document()
    document.core_properties.title = title
    if heading:
        document.add_heading(heading, 1)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if heading:
        table = document.add_table(2, 2)
        for cell, words in zip(table._cells, ("Class", "Bags", "First", "2 x 32 kg"), strict=True):
            cell.text = words
    return _saved(document)


def make_pptx(*, title: str, bullets: str, notes: str = "") -> bytes:
    """A presentation of one slide."""
    return make_slides([(title, bullets)], notes=notes)


def make_slides(slides: Sequence[tuple[str, str]], *, notes: str = "") -> bytes:
    """A presentation of slides with titles and bullets; `notes` are spoken with the last."""
    presentation = pptx.Presentation()
    for title, bullets in slides:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = bullets
    if notes:
        slide.notes_slide.notes_text_frame.text = notes
    return _saved(presentation)


def make_xlsx(rows: Sequence[Sequence[object]], *, sheet: str = "Budget") -> bytes:
    """A workbook of one sheet."""
    workbook = openpyxl.Workbook()
    workbook.active.title = sheet
    for row in rows:
        workbook.active.append(list(row))
    return _saved(workbook)


def make_pdf(lines: Sequence[str], *, info: bytes = b"", trailer: bytes = b"") -> bytes:
    """A PDF of one page; `info` says what it is, `trailer` is added to its trailer dictionary."""
    return make_pages([lines], info=info, trailer=trailer)


def make_pages(pages: Sequence[Sequence[str]], *, info: bytes = b"", trailer: bytes = b"") -> bytes:
    """A PDF of pages of lines."""
    kids = b" ".join(b"%d 0 R" % (5 + 2 * place) for place in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< %s >>" % info,
    ]
    for place, lines in enumerate(pages):
        shown = b"".join(b"(" + line.encode("latin-1") + b") Tj T*\n" for line in lines)
        content = b"BT /F1 12 Tf 72 720 Td 16 TL\n" + shown + b"ET"
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (6 + 2 * place),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        ]
    body, offsets = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, item)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return (
        body
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n" % (size, table)
        + b"<< /Size %d /Root 1 0 R /Info 4 0 R %s >>\n" % (size, trailer)
        + b"startxref\n%d\n%%%%EOF\n" % len(body)
    )


def make_encrypted_pdf() -> bytes:
    """A PDF whose password nobody knows."""
    secret = b"<" + b"5a" * 32 + b">"
    encryption = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O %s /U %s >>" % (secret, secret)
    return make_pdf(["Secret words"], trailer=encryption + b" /ID [<00> <00>]")


def make_odt(heading: str, paragraph: str) -> bytes:
    """An OpenDocument text."""
    office = "urn:oasis:names:tc:opendocument:xmlns:"
    return make_zip(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "content.xml": f"""<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="{office}office:1.0" xmlns:text="{office}text:1.0"><office:body>
<office:text><text:h text:outline-level="1">{heading}</text:h><text:p>{paragraph}</text:p></office:text>
</office:body></office:document-content>""".encode(),
        }
    )


def make_zip(members: dict[str, bytes]) -> bytes:
    """An archive of `members`."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def replace_member(archive: bytes, name: str, content: bytes) -> bytes:
    """`archive` with another content of the member `name`."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return make_zip({member: source.read(member) for member in source.namelist()} | {name: content})


def _saved(document: object) -> bytes:
    target = io.BytesIO()
    document.save(target)  # type: ignore[attr-defined]
    return target.getvalue()

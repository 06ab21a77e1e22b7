"""The way in: a file's bytes, its name and what the sender called it, to text in Markdown or as it is."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

from backend.documents import TRUNCATED
from backend.documents.headings import find_headings
from backend.documents.parsing import engine
from backend.documents.parsing.archives import check_archive
from backend.documents.parsing.cleaning import (
    clean_extracted,
    clean_text,
    drop_front_matter,
    promote_bold_lines,
)
from backend.documents.parsing.decoding import decode, looks_binary
from backend.documents.parsing.document import ParsedDocument
from backend.documents.parsing.docx import hide_references, show_references
from backend.documents.parsing.failures import (
    BrokenDocument,
    DocumentTooLarge,
    EmptyDocument,
    EncryptedDocument,
    ParseFailed,
    UnsupportedFormat,
)
from backend.documents.parsing.limits import Limits
from backend.documents.parsing.mail import read_mail
from backend.documents.parsing.markup import words_of_markup
from backend.documents.parsing.pages import place_pages
from backend.documents.parsing.pptx import read_speaker_notes
from backend.documents.parsing.sheets import cut_sheets

MAX_TITLE_CHARACTERS: Final = 300
_MAX_FACT_CHARACTERS: Final = 2000

_PLAIN: Final = "text/plain"
_MARKDOWN: Final = "text/markdown"
_HTML: Final = "text/html"
_MAIL: Final = "message/rfc822"
_DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CSV: Final = "text/csv"
_TSV: Final = "text/tab-separated-values"
_TABLES: Final = (_CSV, _TSV)
#: Name of the fact that says that, and of what, a text is the beginning only.

#: Text formats that are more than their characters; any other text is taken as it is.
_TEXT_TYPES: Final = MappingProxyType(
    {
        ".txt": _PLAIN, ".log": _PLAIN,
        ".md": _MARKDOWN, ".markdown": _MARKDOWN, ".mdown": _MARKDOWN, ".mkd": _MARKDOWN,
        ".html": _HTML, ".htm": _HTML, ".xhtml": _HTML, ".xht": _HTML,
        ".eml": _MAIL,
        ".csv": _CSV, ".tsv": _TSV,
        ".rst": "text/x-rst", ".org": "text/x-org", ".tex": "application/x-latex",
        ".ipynb": "application/x-ipynb+json",
    }
)  # fmt: skip
_TEXT_TYPE_ALIASES: Final = MappingProxyType(
    {"text/x-markdown": _MARKDOWN, "application/xhtml+xml": _HTML, "application/csv": _CSV}
)
#: How ZIP, gzip, 7z, RAR, bzip2 and xz begin.
_ARCHIVES: Final = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf'\x1c", b"Rar!\x1a\x07", b"BZh", b"\xfd7zXZ\x00")
#: Binary formats that hold text, with what files of them are called.
_BINARY_TYPES: Final = MappingProxyType(
    {
        ".pdf": "application/pdf",
        ".docx": _DOCX,
        ".pptx": _PPTX,
        ".xlsx": _XLSX,
        ".odt": "application/vnd.oasis.opendocument.text",
        ".ods": "application/vnd.oasis.opendocument.spreadsheet",
        ".epub": "application/epub+zip",
        ".rtf": "application/rtf",
        ".doc": "application/msword",
        ".xls": "application/vnd.ms-excel",
        ".ppt": "application/vnd.ms-powerpoint",
        ".msg": "application/vnd.ms-outlook",
    }
)  # fmt: skip
_OLE_SIGNATURE: Final = bytes.fromhex("d0cf11e0a1b11ae1")
#: Beginnings of formats that can look like text further on.
_BINARY_SIGNATURES: Final = (b"%PDF-", b"{\\rtf", b"PK\3\4", _OLE_SIGNATURE)
_OLE_SUFFIXES: Final = (".doc", ".xls", ".ppt", ".msg")
_ENCRYPTED_OFFICE: Final = "EncryptedPackage".encode("utf-16-le")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_HTML_START = re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html)\b", re.IGNORECASE | re.DOTALL)


def parse(
    data: bytes, *, file_name: str, mime_type: str | None = None, limits: Limits | None = None
) -> ParsedDocument:
    """The text of the document in `data`, in this process, which only the limits of size and expansion protect: the
    worker asks a process of its own for it (`reader.py`).

    The content decides what it is; `file_name`'s extension and then `mime_type` (as the sender declared it)
    decide between text formats, which look alike. Raises a `ParseFailed`: `DocumentTooLarge`, `EmptyDocument`,
    `UnsupportedFormat`, `EncryptedDocument`, `BrokenDocument`, `ExpandsTooMuch`.
    """
    limits = limits or Limits()
    if len(data) > limits.max_bytes:
        raise DocumentTooLarge(f"The document has {len(data)} bytes; at most {limits.max_bytes} are read.")
    if not data.strip(b"\0 \t\r\n\f"):
        raise EmptyDocument()
    suffix = PurePath(file_name).suffix.lower()
    declared, _, parameters = (mime_type or "").partition(";")
    declared = declared.strip().lower()
    if data.startswith(_BINARY_SIGNATURES) or looks_binary(data):
        document, pages, notes = _parse_binary(data, suffix, declared, limits)
        document = _finished(document, limits)
        return replace(document, page_bounds=place_pages(document.text, pages, notes))
    _, _, charset = parameters.partition("charset=")
    return _finished(_parse_text(data, suffix, declared, charset.strip(" \"'"), limits), limits)


def _finished(document: ParsedDocument, limits: Limits) -> ParsedDocument:
    text = clean_text(document.text)
    metadata = {name: clean_text(value)[:_MAX_FACT_CHARACTERS] for name, value in document.metadata.items()}
    if len(text) > limits.max_characters:
        text = _beginning(text, limits.max_characters)
        metadata[TRUNCATED] = _notice(limits)
    if not text.strip():
        raise EmptyDocument()
    title = document.title
    if not title and document.is_markdown:
        # A title stands near the top; there is no need to read a whole book for it.
        title = next((heading.path[-1] for heading in find_headings(text[:20_000])), None)
    title = " ".join(clean_text(title or "").lstrip("# ").split())[:MAX_TITLE_CHARACTERS] or None
    return replace(document, text=text, title=title, metadata=metadata)


def _beginning(text: str, characters: int) -> str:
    """At most so many characters of `text`, to the end of a line if one ends near."""
    end = text.rfind("\n", characters - characters // 10, characters)
    return text[: end if end > 0 else characters].rstrip()


def _notice(limits: Limits) -> str:
    return f"Only about the first {limits.max_characters:,} characters of the document were read."


def _parse_binary(
    data: bytes, suffix: str, declared: str, limits: Limits
) -> tuple[ParsedDocument, Sequence[str], str]:
    """The document, the words of each of its pages if it has any, and what stands behind the last one."""
    found = engine.detect_type(data)
    named = _BINARY_TYPES.get(suffix, declared)
    if data.startswith(_OLE_SIGNATURE):
        if _ENCRYPTED_OFFICE in data:
            raise EncryptedDocument()
        # The older office formats share one container; only the name tells them apart.
        found = named if suffix in _OLE_SUFFIXES or suffix not in _BINARY_TYPES else None
    elif found is None and b"%PDF-" in data[:1024]:
        found = _BINARY_TYPES[".pdf"]
    elif found in (None, "application/zip") and data.startswith(b"PK"):
        # An archive whose members do not say what it is; the library finds out whether the name is right.
        found = named
    if found is None or found not in _BINARY_TYPES.values():
        if suffix in _BINARY_TYPES:
            raise BrokenDocument(f"The document is damaged, or is no {suffix[1:].upper()} file.")
        if data.startswith(_ARCHIVES):
            raise UnsupportedFormat("Archives are not opened; hand in the files that are in them.")
        if known := found or declared:
            raise UnsupportedFormat(f"Documents of type {known} cannot be read.")
        raise UnsupportedFormat()
    is_cut = False
    if data.startswith(b"PK"):
        check_archive(data, limits)
    if found == _XLSX:
        data, is_cut = cut_sheets(data, max_characters=limits.max_characters)
    shown = engine.extract(hide_references(data) if found == _DOCX else data, found)
    text = shown.text
    if found == _DOCX:
        text = show_references(text)
    text = clean_extracted(text)
    notes = ""
    if found == _PPTX:
        text = promote_bold_lines(text)
        if spoken := read_speaker_notes(data):
            notes = "\n\n".join(("## Speaker notes", *spoken))
            text = f"{text}\n\n{notes}"
    facts = {**shown.facts, TRUNCATED: _notice(limits)} if is_cut else shown.facts
    return ParsedDocument(text, found, shown.title, True, shown.language, facts), shown.pages, notes


def _parse_text(data: bytes, suffix: str, declared: str, charset: str, limits: Limits) -> ParsedDocument:
    kind = _TEXT_TYPES.get(suffix) or _TEXT_TYPE_ALIASES.get(declared, declared)
    if kind == _MAIL:
        return _parse_mail(data, limits)
    if not charset and (found := _META_CHARSET.search(data[:2048])):
        charset = found[1].decode("ascii")
    text = decode(data, declared=charset or None)
    if kind not in _TEXT_TYPES.values() and _HTML_START.match(text[:2048]):
        kind = _HTML
    if kind == _MARKDOWN:
        return ParsedDocument(text, _MARKDOWN, None, True)
    if kind not in _TEXT_TYPES.values() or kind == _PLAIN:
        return ParsedDocument(text, _PLAIN, None, False)
    try:
        return _extract_text(text, kind, limits)
    except (BrokenDocument, UnsupportedFormat):
        # It says it is a table or a notebook and is not; its characters can be read all the same.
        return ParsedDocument(text, _PLAIN, None, False)


def _extract_text(text: str, kind: str, limits: Limits) -> ParsedDocument:
    facts = {}
    if kind in _TABLES and len(text) > limits.max_characters:
        # Before it is read: every row would cost the library many times its length.
        text, facts = _beginning(text, limits.max_characters), {TRUNCATED: _notice(limits)}
    shown = engine.extract(clean_text(text).encode(), kind)
    rendered = drop_front_matter(shown.text) if kind == _HTML else shown.text
    if kind == _HTML and not rendered.strip():
        rendered = words_of_markup(text)
    return ParsedDocument(
        clean_extracted(rendered), kind, shown.title, True, shown.language, {**shown.facts, **facts}
    )


def _parse_mail(data: bytes, limits: Limits) -> ParsedDocument:
    mail = read_mail(data)
    body = mail.body
    if mail.is_html:
        try:
            body = _extract_text(body, _HTML, limits).text
        except ParseFailed:
            body = ""
    if not (body.strip() or mail.subject):
        raise EmptyDocument()
    metadata = {"attachments": ", ".join(mail.attachments)} if mail.attachments else {}
    # Two spaces keep the lines apart in Markdown.
    head = mail.head.replace("\n", "  \n") if mail.is_html else mail.head
    return ParsedDocument(f"{head}\n\n{body}", _MAIL, mail.subject or None, mail.is_html, None, metadata)

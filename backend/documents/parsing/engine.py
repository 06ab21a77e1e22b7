"""The extraction library (kreuzberg), behind what this product asks of it: Markdown, no OCR, no network."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from backend.documents.parsing.failures import (
    BrokenDocument,
    EncryptedDocument,
    ParseFailed,
    UnsupportedFormat,
)

if TYPE_CHECKING:
    import kreuzberg

#: Facts about a document that are kept, if the format has them.
_KEPT_FACTS: Final = (
    "authors",
    "subject",
    "keywords",
    "created_at",
    "modified_at",
    "page_count",
    "sheet_names",
)


#: Damaged on purpose; by the time that is found out, everything is loaded.
_SMALL_PDF: Final = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


class _Crashed(Exception):
    """The library failed in a way it did not foresee."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document as the library renders it: `text` in Markdown, what the file says about itself, and the words of each of
    its `pages`, as they come, if the format has pages."""

    text: str
    title: str | None
    language: str | None
    facts: Mapping[str, str]
    pages: Sequence[str] = ()


_PDF: Final = "application/pdf"
_PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
#: Between slides; of signs that no text has, for who writes them nothing is lost.
_SLIDE: Final = "\ue0f1{page_num}\ue0f2"
_SLIDE_MARK = re.compile(r"\n*\ue0f1[0-9]+\ue0f2\n*")


def detect_type(data: bytes) -> str | None:
    """The MIME type `data` itself shows, or None when its first bytes say nothing."""
    # Imported where it is used: the library takes 25 MB, and web processes never parse.
    import kreuzberg

    try:
        return kreuzberg.detect_mime_type(data)
    except (RuntimeError, kreuzberg.KreuzbergError):
        return None


def warm_up() -> None:
    """Loads all of the library, the part that reads PDF and unpacks itself into a file included."""
    with suppress(ParseFailed):
        extract(_SMALL_PDF, "application/pdf")


def extract(data: bytes, mime_type: str) -> Extracted:
    """The document in `data`, read as `mime_type`.

    Raises `UnsupportedFormat`, `EncryptedDocument`, `BrokenDocument`.
    """
    # Djot is Markdown to every reader here. The library's "markdown" passes through a second renderer that
    # escapes marks in running text and turns "text, then a rule" into a heading. Either can crash where a
    # document's own positions are wrong; its words can be had even then.
    for output_format in ("djot", "plain"):
        try:
            result = _extract_as(output_format, data, mime_type)
        except _Crashed:
            continue
        about: Mapping[str, Any] = result.metadata
        text, pages = result.content, [page["content"] for page in result.pages or ()]
        if mime_type == _PPTX:
            # Slides are marked where they begin, what the library gives of each of them is not all it has.
            _, *pages = _SLIDE_MARK.split(text)
            text = _SLIDE_MARK.sub("\n\n", text).strip()
        return Extracted(
            text=text,
            pages=pages,
            title=about.get("title") or None,
            language=about.get("language") or None,
            facts={name: _readable(about[name]) for name in _KEPT_FACTS if about.get(name)},
        )
    raise BrokenDocument()


def _extract_as(output_format: str, data: bytes, mime_type: str) -> "kreuzberg.ExtractionResult":
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        output_format=output_format,
        # The cache is a folder on this machine; nothing may be shared that way.
        use_cache=False,
        # These would remove text that looks like noise, download models, or compete with other threads.
        enable_quality_processing=False,
        ocr=None,
        tree_sitter=kreuzberg.TreeSitterConfig(enabled=False),
        pages=_pages(mime_type),
    )
    try:
        return kreuzberg.extract_bytes_sync(data, mime_type, config)
    except kreuzberg.ValidationError as error:
        raise UnsupportedFormat() from error
    except (kreuzberg.KreuzbergError, RuntimeError, OSError, ValueError) as error:
        if "password" in str(error).lower() or "encrypted" in str(error).lower():
            raise EncryptedDocument() from error
        raise BrokenDocument() from error
    except BaseException as error:
        # A crash inside the library arrives as an exception no `except Exception` sees, of a class nobody can
        # import; let through, it would end the worker.
        if type(error).__name__ != "PanicException":
            raise
        raise _Crashed from error


def _pages(mime_type: str) -> "kreuzberg.PageConfig | None":
    import kreuzberg

    if mime_type not in (_PDF, _PPTX):
        return None
    return kreuzberg.PageConfig(
        extract_pages=True,
        insert_page_markers=mime_type == _PPTX,
        marker_format=f"\n\n{_SLIDE}\n\n",
    )


def _readable(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

"""The extraction library (kreuzberg), behind what this product asks of it: Markdown, no OCR, no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.documents.parsing.failures import (
    BrokenDocument,
    EncryptedDocument,
    ParseFailed,
    UnsupportedFormat,
)

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


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document as the library renders it: `text` in Markdown, what the file says about itself."""

    text: str
    title: str | None
    language: str | None
    facts: Mapping[str, str]


def detect_type(data: bytes) -> str | None:
    """The MIME type `data` itself shows, or None when its first bytes say nothing."""
    # Imported where it is used: the library takes 25 MB, and web processes never parse.
    import kreuzberg

    try:
        return kreuzberg.detect_mime_type(data)
    except (RuntimeError, kreuzberg.KreuzbergError):
        return None


def extract(data: bytes, mime_type: str, *, timeout_seconds: int) -> Extracted:
    """The document in `data`, read as `mime_type`.

    Raises `UnsupportedFormat`, `EncryptedDocument`, `BrokenDocument`, or `ParseFailed` past the time limit.
    """
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        # Djot is Markdown to every reader here. The library's "markdown" passes through a second renderer
        # that escapes marks in running text and turns "text, then a rule" into a heading.
        output_format="djot",
        # The cache is a folder on this machine; nothing may be shared that way.
        use_cache=False,
        # These would remove text that looks like noise, download models, or compete with other threads.
        enable_quality_processing=False,
        ocr=None,
        tree_sitter=kreuzberg.TreeSitterConfig(enabled=False),
        extraction_timeout_secs=timeout_seconds,
    )
    try:
        result = kreuzberg.extract_bytes_sync(data, mime_type, config)
    except kreuzberg.ExtractionTimeoutError as error:
        raise ParseFailed("Reading the document took too long.") from error
    except kreuzberg.ValidationError as error:
        raise UnsupportedFormat() from error
    except (kreuzberg.KreuzbergError, RuntimeError) as error:
        if "password" in str(error).lower() or "encrypted" in str(error).lower():
            raise EncryptedDocument() from error
        raise BrokenDocument() from error
    about: Mapping[str, Any] = result.metadata
    return Extracted(
        text=result.content,
        title=about.get("title") or None,
        language=about.get("language") or None,
        facts={name: _readable(about[name]) for name in _KEPT_FACTS if about.get(name)},
    )


def _readable(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

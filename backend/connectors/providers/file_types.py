"""Which files of a file store are documents, by the extension of their name.

The formats the parser reads (a test compares the two). What people keep beside them in such stores, such as
pictures, videos, archives and programs, is not listed at all: it would only fill the list of failures.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

DOCUMENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".csv": "text/csv",
        ".doc": "application/msword",
        ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".eml": "message/rfc822",
        ".epub": "application/epub+zip",
        ".htm": "text/html",
        ".html": "text/html",
        ".ipynb": "application/x-ipynb+json",
        ".log": "text/plain",
        ".markdown": "text/markdown",
        ".md": "text/markdown",
        ".mdown": "text/markdown",
        ".mkd": "text/markdown",
        ".msg": "application/vnd.ms-outlook",
        ".ods": "application/vnd.oasis.opendocument.spreadsheet",
        ".odt": "application/vnd.oasis.opendocument.text",
        ".org": "text/x-org",
        ".pdf": "application/pdf",
        ".ppt": "application/vnd.ms-powerpoint",
        ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ".rst": "text/x-rst",
        ".rtf": "application/rtf",
        ".tex": "application/x-latex",
        ".tsv": "text/tab-separated-values",
        ".txt": "text/plain",
        ".xht": "text/html",
        ".xhtml": "text/html",
        ".xls": "application/vnd.ms-excel",
        ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)


def document_type(file_name: str) -> str | None:
    """Media type of a document of that name, or None for what is none."""
    return DOCUMENT_TYPES.get(PurePosixPath(file_name).suffix.lower())


def extension(file_name: str) -> str:
    """The extension in lower case without its dot; empty if there is none."""
    return PurePosixPath(file_name).suffix.lower().lstrip(".")

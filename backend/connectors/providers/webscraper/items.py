"""What a website gives, in the contract's values."""

import hashlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

import httpx2

from backend.connectors.providers.contract import Entry, ItemFailure, SourceItem
from backend.connectors.providers.file_types import DOCUMENT_TYPES, document_type, extension
from backend.connectors.providers.webscraper.names import host_of, key_of
from backend.connectors.providers.webscraper.page import HtmlPage, moment
from backend.connectors.providers.webscraper.position import Task
from backend.outside.fetch import Answer

HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
#: Text that is read as it is, as pages are.
TEXT: Final = frozenset({"text/plain", "text/markdown", "text/x-rst"})
#: What servers say of a file whose type they do not know.
_UNKNOWN: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/download"})
_EXTENSIONS: Final = MappingProxyType(
    {mime: suffix for suffix, mime in reversed(list(DOCUMENT_TYPES.items()))}
)


def type_of(url: str, content_type: str) -> str | None:
    """Media type of the document at `url`, by what the server says or else the name; None for what is none."""
    named = document_type(PurePosixPath(httpx2.URL(url).path).name)
    if content_type in HTML:
        return "text/html"
    if content_type in _UNKNOWN:
        return named
    if content_type == "text/plain":
        # Servers know few text formats: Markdown and tables are plain text to most.
        return named if named and named.startswith("text/") and named != "text/html" else content_type
    return content_type if content_type in _EXTENSIONS else None


def page_item(page: HtmlPage, url: httpx2.URL, changed: str | None) -> SourceItem:
    """An HTML page. `changed`: what a sitemap says of it."""
    name = _file_name(url) or url.host
    return SourceItem(
        external_id=key_of(url),
        title=page.title or name,
        body=page.body,
        mime_type="text/html; charset=utf-8",
        file_name=name if extension(name) in ("html", "htm", "xhtml") else f"{name}.html",
        kind="page",
        url=str(url),
        author=page.author,
        created_at=page.published_at,
        updated_at=page.modified_at or moment(changed),
        metadata={
            "site": host_of(url),
            "folder_path": _folder(url),
            "file_type": "html",
            "language": page.language,
            "description": page.description,
        },
    )


def file_item(answer: Answer, mime_type: str, changed: str | None) -> SourceItem:
    """A file a page links to, or a page of plain text."""
    url = httpx2.URL(answer.url)
    name = _file_name(url) or url.host
    if document_type(name) != mime_type:
        name += _EXTENSIONS.get(mime_type, "")
    return SourceItem(
        external_id=key_of(url),
        title=name,
        body=answer.body or b"",
        mime_type=mime_type if answer.charset is None else f"{mime_type}; charset={answer.charset}",
        file_name=name,
        kind="document",
        url=answer.url,
        author=None,
        created_at=None,
        updated_at=_http_date(answer.headers.get("last-modified")) or moment(changed),
        metadata={
            "site": host_of(url),
            "folder_path": _folder(url),
            "file_type": extension(name),
            "byte_size": len(answer.body or b""),
        },
    )


def entry_of(item: SourceItem, task: Task) -> Entry:
    """A page as a listing shows it: with all of it, as it had to be read for its links."""
    told = hashlib.sha256()
    for part in (item.body, item.title.encode(errors="surrogatepass"), item.mime_type.encode()):
        told.update(hashlib.sha256(part).digest())
    return Entry(
        external_id=item.external_id,
        title=item.title,
        url=item.url,
        revision=told.hexdigest()[:40],
        locator={"url": item.url, "changed": task.changed},
        listed=item,
    )


def refused_entry(url: httpx2.URL, task: Task, error: Exception) -> Entry:
    """A page that was seen and cannot be had, with the reason."""
    return Entry(
        external_id=key_of(url),
        title=_file_name(url) or url.host,
        url=str(url),
        revision=None,
        locator={"url": str(url), "changed": task.changed},
        listed=error,
    )


def failure_of(url: httpx2.URL, reason: str) -> ItemFailure:
    """A page that did not answer: what it links to is unknown."""
    return ItemFailure(key_of(url), str(url), "list", reason)


def validator_of(answer: Answer) -> str | None:
    """What to ask with the next time, so that an unchanged page need not be sent."""
    for name, header in (("etag", "etag"), ("date", "last-modified")):
        value = answer.headers.get(header, "")
        if value and len(value) <= 200 and value.isascii() and value.isprintable():
            return f"{name} {value}"
    return None


def _file_name(url: httpx2.URL) -> str:
    return unquote(PurePosixPath(url.path).name)[:200]


def _folder(url: httpx2.URL) -> str:
    return unquote(str(PurePosixPath(url.path).parent)).strip("/.")


def _http_date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None

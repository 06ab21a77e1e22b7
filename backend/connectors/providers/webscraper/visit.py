"""One request for one page, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

import httpx2

from backend.connectors.providers.contract import ProviderUnavailable, RateLimited, SourceItem
from backend.connectors.providers.conversation import MAX_FILE_BYTES, after
from backend.connectors.providers.webscraper.items import (
    HTML,
    TEXT,
    file_item,
    page_item,
    type_of,
    validator_of,
)
from backend.connectors.providers.webscraper.page import directives_of, read_page
from backend.connectors.providers.webscraper.position import Task
from backend.errors import Unprocessable
from backend.outside.fetch import Answer, Fetcher, HostUnavailable

MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
_FORBIDDEN: Final = frozenset({401, 403, 407, 451})


@dataclass(frozen=True, slots=True)
class Visit:
    """What is at an address."""

    outcome: Literal["document", "unchanged", "missing", "gone", "left out", "moved", "refused"]
    url: httpx2.URL
    """After redirects within the page."""
    item: SourceItem | None = None
    links: tuple[str, ...] = ()
    target: str | None = None
    """Where a redirect leads, or the address that the page wants to be known under."""
    validator: str | None = None
    reason: str = ""
    """Why it is refused, for a person."""


def visit(
    fetcher: Fetcher,
    task: Task,
    *,
    with_files: bool,
    may_follow: Callable[[str], bool],
) -> Visit:
    """Asks for the page. Raises `RateLimited`, and `ProviderUnavailable` when nothing is known about it now."""
    headers = {}
    if task.validator:
        name, _, value = task.validator.partition(" ")
        headers["If-None-Match" if name == "etag" else "If-Modified-Since"] = value

    def limit(url: str, content_type: str) -> int:
        kind = type_of(url, content_type)
        if kind in HTML or kind in TEXT:
            return MAX_PAGE_BYTES
        return MAX_FILE_BYTES if kind is not None and with_files else 0

    try:
        answer = fetcher.fetch(task.url, limit=limit, headers=headers, may_follow=may_follow)
    except HostUnavailable as error:
        raise ProviderUnavailable(error.message) from error
    except Unprocessable as error:
        return Visit("refused", httpx2.URL(task.url), reason=error.message)
    return _meaning(answer, task)


def _meaning(answer: Answer, task: Task) -> Visit:
    url, status = httpx2.URL(answer.url), answer.status
    if answer.location is not None:
        return Visit("moved", url, target=answer.location)
    if status == HTTPStatus.OK:
        return _document(answer, url, task)
    if status == HTTPStatus.NOT_MODIFIED and task.validator:
        return Visit("unchanged", url, validator=task.validator)
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        raise RateLimited(after(answer.headers.get("retry-after")))
    if status == HTTPStatus.GONE:
        return Visit("gone", url, reason=f"The site answers with status {status}.")
    if status == HTTPStatus.NOT_FOUND:
        return Visit("missing", url, reason=f"The site answers with status {status}.")
    if status in _FORBIDDEN:
        return Visit("refused", url, reason=f"The site does not let it be read (status {status}).")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        raise ProviderUnavailable(f"{url.host} answers with status {status}.")
    return Visit("refused", url, reason=f"The site answers with status {status}.")


def _document(answer: Answer, url: httpx2.URL, task: Task) -> Visit:
    kind = type_of(answer.url, answer.content_type)
    if kind is None or answer.body is None:
        return Visit("left out", url)
    robots_header = answer.headers.get("x-robots-tag", "")
    if kind not in HTML:
        if not directives_of(robots_header).isdisjoint({"noindex", "none"}):
            return Visit("left out", url)
        return Visit(
            "document", url, item=file_item(answer, kind, task.changed), validator=validator_of(answer)
        )
    page = read_page(answer.body, url, charset=answer.charset, robots_header=robots_header)
    if page is None:
        return Visit("refused", url, reason="The page is empty.")
    links = page.links if page.is_followed else ()
    if not page.is_indexed:
        return Visit("left out", url, links=links)
    return Visit(
        "document",
        url,
        item=page_item(page, url, task.changed),
        links=links,
        target=page.canonical,
        validator=validator_of(answer),
    )

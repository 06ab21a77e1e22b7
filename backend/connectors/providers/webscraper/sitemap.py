"""The pages a site lists itself (sitemaps.org, version 0.9)."""

from collections.abc import Callable, Iterator
from typing import Final

import structlog
from lxml import etree

from backend.connectors.providers.markup import parse_xml
from backend.errors import StateError
from backend.outside.decompression import BodyBroken, gunzip
from backend.outside.fetch import Fetcher

#: The protocol's own limit for one file, unpacked.
MAX_BYTES: Final = 50 * 1024 * 1024
#: Files of one site that are read; an index may name fifty thousand.
MAX_FILES: Final = 20

_log = structlog.get_logger(__name__)


def read_sitemaps(
    fetcher: Fetcher, addresses: list[str], *, may_read: Callable[[str], bool]
) -> Iterator[tuple[str, str | None]]:
    """(address, date of its last change if named) of the pages that the sitemaps and the indexes among them list.

    A sitemap that is not there, or is none, lists nothing: links are found all the same.
    """
    left, seen = list(addresses), set[str]()
    while left and len(seen) < MAX_FILES:
        address = left.pop(0)
        if address in seen or not may_read(address):
            continue
        seen.add(address)
        root = _read(fetcher, address, may_read)
        if root is None:
            continue
        is_index = _name(root) == "sitemapindex"
        for child in root:
            found = {_name(part): (part.text or "").strip() for part in child}
            if not found.get("loc"):
                continue
            if is_index:
                left.append(found["loc"])
            else:
                yield found["loc"], found.get("lastmod") or None


def _read(fetcher: Fetcher, address: str, may_read: Callable[[str], bool]) -> "etree._Element | None":
    try:
        answer = fetcher.fetch(address, limit=lambda *_: MAX_BYTES, may_follow=may_read)
        body = answer.body or b""
        if answer.status != 200 or not body:
            return None
        if body.startswith(b"\x1f\x8b"):
            body = gunzip(body, max_bytes=MAX_BYTES)
        return parse_xml(body)
    except (StateError, BodyBroken, ValueError) as error:
        _log.info("a sitemap cannot be read", address=address, reason=str(error)[:200])
        return None


def _name(element: "etree._Element") -> str:
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""

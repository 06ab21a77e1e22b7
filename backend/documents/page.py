"""A document as a page of HTML without a script: nothing in it runs, and nothing is fetched for it."""

from bisect import bisect_right
from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import urlsplit

from backend.documents.models import Document
from backend.documents.views import iso

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

_PDF: Final = "application/pdf"
_STYLE: Final = (
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}mark{scroll-margin:4rem}"
    ".page{display:block;border-top:1px solid;margin:1rem 0;font-size:.75rem;opacity:.6}"
)


def page(document: Document, start: int | None = None, end: int | None = None) -> str:
    """The document, with the characters from `start` to `end` of its text marked as `#passage`, and a line where each of its
    pages begins."""
    if start is None or end is None or not 0 <= start < end <= len(document.content):
        start = end = None
    bounds = document.page_bounds or ()
    leaf = "Slide" if document.mime_type.endswith(".presentation") else "Page"
    number = bisect_right(bounds, start) if start is not None else 0
    is_paged = 0 < number < len(bounds)
    facts = " · ".join(
        escape(fact)
        for fact in (
            document.source_type,
            document.author,
            iso(document.source_updated_at),
            f"{leaf} {number} of {len(bounds) - 1}" if is_paged else None,
        )
        if fact
    )
    link = ""
    if document.url and urlsplit(document.url).scheme in ("http", "https"):
        address = document.url
        if is_paged and document.mime_type == _PDF and not urlsplit(address).fragment:
            # Browsers open a PDF there (RFC 8118).
            address = f"{address}#page={number}"
        link = f'<p><a href="{escape(address)}" rel="noreferrer noopener">Open the original</a></p>'
    title = escape(document.title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1><p>{facts}</p>{link}"
        f"<pre>{_marked(document.content, start, end, bounds[:-1], leaf)}</pre></body></html>"
    )


def _marked(text: str, start: int | None, end: int | None, starts: Sequence[int], leaf: str) -> str:
    # At one place: what ends, then the line of a page, then what begins.
    signs = [(place, 1, f'<span class="page">{leaf} {n}</span>') for n, place in enumerate(starts, 1)]
    if start is not None and end is not None:
        signs += [(start, 2, '<mark id="passage">'), (end, 0, "</mark>")]
    pieces: list[str] = []
    done = 0
    for place, _, sign in sorted(signs):
        pieces += escape(text[done:place]), sign
        done = place
    return "".join((*pieces, escape(text[done:])))

"""A document as a page of HTML without a script: nothing in it runs, and nothing is fetched for it."""

from html import escape
from typing import Final
from urllib.parse import urlsplit

from backend.documents.models import Document
from backend.documents.views import iso

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

_STYLE: Final = (
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}mark{scroll-margin:4rem}"
)


def page(document: Document, start: int | None = None, end: int | None = None) -> str:
    """The document, with the characters from `start` to `end` of its text marked as `#passage`."""
    facts = " · ".join(
        escape(fact)
        for fact in (document.source_type, document.author, iso(document.source_updated_at))
        if fact
    )
    link = ""
    if document.url and urlsplit(document.url).scheme in ("http", "https"):
        link = f'<p><a href="{escape(document.url)}" rel="noreferrer noopener">Open the original</a></p>'
    title = escape(document.title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1><p>{facts}</p>{link}"
        f"<pre>{_marked(document.content, start, end)}</pre></body></html>"
    )


def _marked(text: str, start: int | None, end: int | None) -> str:
    if start is None or end is None or not 0 <= start < end <= len(text):
        return escape(text)
    before, passage, after = text[:start], text[start:end], text[end:]
    return f'{escape(before)}<mark id="passage">{escape(passage)}</mark>{escape(after)}'

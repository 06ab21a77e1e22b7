"""What an HTML page says about itself, where it links to, and which part of it is its text.

The text stays HTML, with what surrounds it taken out: the parser that reads every other HTML file makes Markdown of it,
with headings, lists, tables and code. Taking out is by what the page says of its own parts (`main`, `nav`, roles); a
guess by the density of words (trafilatura 2.3, on documentation of Rust and Node.js) lost 11 to 46 % of the words, and
more than a third of the lines of code.
"""

import codecs
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx2
from lxml import etree
from lxml import html as lxml_html

from backend.connectors.providers.webscraper.names import tidy
from backend.connectors.providers.webscraper.robots import PRODUCT

MAX_LINKS: Final = 5000

#: Parts that are about the page or the site, or not text at all.
_AROUND: Final = (
    "self::script or self::style or self::noscript or self::template or self::nav or self::footer or self::aside"
    " or self::form or self::button or self::iframe or self::object or self::embed or self::svg or self::canvas"
    " or self::dialog or self::img or self::picture or self::video or self::audio or self::link or self::meta"
    " or self::input or self::select or self::textarea"
)
_ROLES: Final = (
    "@role='navigation' or @role='search' or @role='banner' or @role='contentinfo' or @role='complementary'"
    " or @role='menu' or @role='menubar' or @role='toolbar' or @role='dialog' or @role='alert' or @role='tooltip'"
)
_HIDDEN: Final = "(@hidden and not(@hidden='until-found')) or @aria-hidden='true'"
#: A form that wraps the whole page (ASP.NET) is not a form on it.
_DROPPED: Final = f".//*[({_AROUND} or {_ROLES} or {_HIDDEN}) and not(descendant::main or descendant::h1)]"
_MAIN: Final = ("//main", "//*[@role='main']", "//article[not(ancestor::article)]")
_ANCHOR: Final = re.compile(r"[\s¶#§🔗]*")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CODE: Final = frozenset({"pre", "code"})
_KEPT_ATTRIBUTES: Final = frozenset({"colspan", "rowspan", "start", "lang"})


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """One page as its HTML says it is."""

    title: str
    body: bytes
    """The main part, as HTML in UTF-8."""
    links: tuple[str, ...]
    """Absolute; those that the page asks not to follow are left out."""
    canonical: str | None
    """Address under which the page wants to be known."""
    is_indexed: bool
    """Whether the page allows to be kept."""
    is_followed: bool
    """Whether the page allows its links to be followed."""
    language: str | None
    description: str | None
    author: str | None
    published_at: datetime | None
    modified_at: datetime | None


def read_page(data: bytes, url: httpx2.URL, *, charset: str | None, robots_header: str) -> HtmlPage | None:
    """The page in `data`, found at `url`; None if there is no HTML in it. `robots_header`: its X-Robots-Tag."""
    root = _parse(data, charset)
    if root is None:
        return None
    meta = _meta(root)
    directives = _directives(meta, robots_header)
    base = _base(root, url)
    main = _main(root)
    title = meta.get("og:title") or _text_of(root, "//head/title") or _text_of(main, ".//h1")
    return HtmlPage(
        title=title[:500],
        body=_render(main, title),
        links=tuple(_links(root, base)),
        canonical=_canonical(root, base),
        is_indexed=directives.isdisjoint({"noindex", "none"}),
        is_followed=directives.isdisjoint({"nofollow", "none"}),
        language=(root.get("lang") or "").strip()[:35] or None,
        description=(meta.get("description") or meta.get("og:description") or "")[:500] or None,
        author=(meta.get("author") or "")[:200] or None,
        published_at=moment(meta.get("article:published_time")),
        modified_at=moment(meta.get("article:modified_time") or meta.get("og:updated_time")),
    )


def directives_of(robots_header: str) -> frozenset[str]:
    """What an `X-Robots-Tag` says to us: `noindex, secondbrain: nofollow, otherbot: noarchive`."""
    said, is_for_us = set[str](), True
    for part in robots_header.lower().split(","):
        agent, colon, directive = part.partition(":")
        if colon and agent.strip() not in (
            "unavailable_after",
            "max-snippet",
            "max-image-preview",
            "max-video-preview",
        ):
            # Everything up to the next name is addressed to this one.
            is_for_us = agent.strip() == PRODUCT
            part = directive
        if is_for_us:
            said.add(part.strip())
    return frozenset(said)


def moment(text: str | None) -> datetime | None:
    """An ISO 8601 date or time, aware: one without a zone is taken as UTC."""
    try:
        found = datetime.fromisoformat(text.strip()) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC) if found else None


def _parse(data: bytes, charset: str | None) -> "lxml_html.HtmlElement | None":
    parser = lxml_html.HTMLParser(encoding=_encoding(data, charset), remove_comments=True, remove_pis=True)
    try:
        return lxml_html.document_fromstring(data, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return None


def _encoding(data: bytes, declared: str | None) -> str | None:
    """The encoding by the first bytes, then by the server; None for what the page says in its head."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    try:
        lxml_html.HTMLParser(encoding=declared)
    except LookupError:
        declared = None
    if declared is None and b"charset" not in data[:2048].lower():
        # Without a word about it browsers guess; nearly all such pages are UTF-8 today.
        return "utf-8"
    return declared


def _meta(root: "lxml_html.HtmlElement") -> dict[str, str]:
    found: dict[str, str] = {}
    for element in root.iter("meta"):
        name = (element.get("name") or element.get("property") or "").strip().lower()
        content = " ".join((element.get("content") or "").split())
        if name and content:
            found[name] = (
                f"{found[name]}, {content}"
                if name == "robots" and name in found
                else found.get(name, content)
            )
    return found


def _directives(meta: dict[str, str], robots_header: str) -> frozenset[str]:
    said = ",".join((meta.get("robots", ""), meta.get(PRODUCT, ""))).lower()
    return directives_of(robots_header) | {part.strip() for part in said.split(",")}


def _base(root: "lxml_html.HtmlElement", url: httpx2.URL) -> httpx2.URL:
    for element in root.iter("base"):
        if href := element.get("href"):
            return tidy(href, url) or url
    return url


def _links(root: "lxml_html.HtmlElement", base: httpx2.URL) -> Iterator[str]:
    found: dict[str, None] = {}
    written = set[str]()
    for element in root.iter("a", "area"):
        href = (element.get("href") or "").partition("#")[0].strip()
        if not href or href in written or "nofollow" in (element.get("rel") or "").lower().split():
            continue
        written.add(href)
        target = tidy(href, base)
        if target is not None:
            found[str(target)] = None
        if len(found) >= MAX_LINKS:
            break
    return iter(found)


def _canonical(root: "lxml_html.HtmlElement", base: httpx2.URL) -> str | None:
    for element in root.iter("link"):
        if "canonical" in (element.get("rel") or "").lower().split() and element.get("href"):
            target = tidy(element.get("href"), base)
            return str(target) if target is not None else None
    return None


def _main(root: "lxml_html.HtmlElement") -> "lxml_html.HtmlElement":
    for path in _MAIN:
        found = root.xpath(path)
        if path.startswith("//article") and len(found) != 1:
            # None, or a list of teasers.
            continue
        if found and (largest := max(found, key=_length)) is not None and _length(largest) > 0:
            return largest
    bodies = root.xpath("//body")
    return bodies[0] if bodies else root


def _length(element: "lxml_html.HtmlElement") -> int:
    return len(" ".join(element.text_content().split()))


def _text_of(element: "lxml_html.HtmlElement", path: str) -> str:
    found = element.xpath(path)
    return " ".join(found[0].text_content().split()) if found else ""


def _render(main: "lxml_html.HtmlElement", title: str) -> bytes:
    main = copy.deepcopy(main)
    main.tail = None
    for element in main.xpath(_DROPPED):
        if element.getparent() is not None:
            element.drop_tree()
    if main.tag == "body":
        for element in main.xpath("./header | ./*/header"):
            if not element.xpath(".//h1") and element.getparent() is not None:
                element.drop_tree()
    for element in list(main.iter("a")):
        # Addresses are no text, and signs that only link to where they stand are no words.
        if _ANCHOR.fullmatch(element.text_content()):
            element.drop_tree()
        else:
            element.drop_tag()
    for element in main.xpath(".//pre[count(code) > 1]"):
        # The same in several languages, say: the parser reads only the first.
        for code in element.xpath("./code"):
            code.tail = f"\n{code.tail or ''}"
            code.drop_tag()
    for element in main.iter():
        kept = {"class"} | _KEPT_ATTRIBUTES if element.tag in _CODE else _KEPT_ATTRIBUTES
        for name in list(element.attrib):
            if name not in kept:
                del element.attrib[name]
    text: str = lxml_html.tostring(main, encoding="unicode")
    head = "" if main.xpath(".//h1") or not title else f"<h1>{_escaped(title)}</h1>"
    return f"<html><body>{head}{text}</body></html>".encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

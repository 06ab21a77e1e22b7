"""When two addresses are the same page, and which ones are not worth asking for."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Final

import httpx2

from backend.connectors.providers.file_types import document_type
from backend.outside.addresses import AddressRefused, read_url

MAX_CHARACTERS: Final = 1000
#: Parameters that say where a reader came from, or who he is, and never what is shown.
_TRACKING: Final = re.compile(
    r"utm_\w+|gclid|dclid|gbraid|wbraid|fbclid|msclkid|yclid|twclid|igshid|mc_cid|mc_eid|_ga|_gl|_hsenc|_hsmi"
    r"|mkt_tok|phpsessid|jsessionid|sessionid|sid",
    re.IGNORECASE,
)
_SESSION: Final = re.compile(r";jsessionid=[^/?]*", re.IGNORECASE)
#: The same folder three times in a row, or in turns: what a wrong relative link makes of itself.
_ECHO: Final = re.compile(r"(/[^/]+(?:/[^/]+)?)\1\1")
#: Last parts of paths that are pages made by a program, whatever the extension says.
_PROGRAMS: Final = frozenset(
    {"", ".asp", ".aspx", ".cfm", ".cgi", ".do", ".htm", ".html", ".jsp", ".php", ".xhtml"}
)


def tidy(url: str, base: httpx2.URL | None = None) -> httpx2.URL | None:
    """`url`, relative to `base`, without what does not change the page; None if it is no web address."""
    try:
        found = read_url(str(base.join(url.strip())) if base is not None else url, any_port=True)
    except (AddressRefused, httpx2.InvalidURL, ValueError):
        return None
    path = _SESSION.sub("", found.path)
    query = [(name, value) for name, value in found.params.multi_items() if not _TRACKING.fullmatch(name)]
    if path != found.path:
        found = found.copy_with(path=path)
    if len(query) != len(found.params.multi_items()):
        found = found.copy_with(params=query) if query else found.copy_with(query=None)
    elif not found.query:
        found = found.copy_with(query=None)
    return found


def key_of(url: httpx2.URL) -> str:
    """Names the page: the same for http and https, with and without a slash at the end, in any order of the query."""
    path = url.raw_path.decode("ascii").partition("?")[0].rstrip("/")
    query = "&".join(sorted(filter(None, url.query.decode("ascii").split("&"))))
    return f"{host_of(url)}{path or '/'}{'?' + query if query else ''}"


def host_of(url: httpx2.URL) -> str:
    """Host, with the port if it is not the usual one; httpx2 has dropped the usual one already."""
    return url.netloc.decode("ascii").lower()


def is_trap(url: httpx2.URL) -> bool:
    """Whether the address looks like one of endlessly many."""
    return len(str(url)) > MAX_CHARACTERS or bool(_ECHO.search(url.path)) or url.path.count("/") > 20


def may_be_document(url: httpx2.URL) -> bool:
    """Whether there may be a page or document there, by the extension; an unknown one may be anything."""
    name = PurePosixPath(url.path).name
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _PROGRAMS or document_type(name) is not None:
        return True
    # "/v1.2" and "/node.js-guide" are pages; "/logo.svg" and "/app.js" are not.
    return not re.fullmatch(r"\.[a-z][a-z0-9]{1,4}", suffix) or suffix in (".com", ".org", ".net", ".io")


def is_below(url: httpx2.URL, paths: Collection[str]) -> bool:
    """Whether the page is one of `paths`, or below one."""
    return any(url.path == path or url.path.startswith(path.rstrip("/") + "/") for path in paths)

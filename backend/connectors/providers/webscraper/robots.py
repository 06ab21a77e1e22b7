"""What a site's robots.txt allows (RFC 9309)."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx2
from protego import Protego

from backend.connectors.providers.contract import ProviderUnavailable, RateLimited
from backend.connectors.providers.conversation import after
from backend.outside.addresses import AddressRefused
from backend.outside.fetch import (
    AnswerNotUnderstood,
    AnswerTooLarge,
    Fetcher,
    HostUnavailable,
    TooManyRedirects,
)

#: What lines of robots.txt, and of X-Robots-Tag, are addressed to.
PRODUCT: Final = "secondbrain"
#: RFC 9309 asks for at least 500 KiB.
MAX_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """One origin's rules."""

    robots: Protego
    delay: float
    """Seconds it asks to leave between requests; 0 if it does not."""
    sitemaps: tuple[str, ...]

    def allows(self, url: httpx2.URL) -> bool:
        """Whether the page may be read."""
        return bool(self.robots.can_fetch(str(url), PRODUCT))


def read_rules(fetcher: Fetcher, url: httpx2.URL) -> Rules:
    """The rules of the origin that `url` is of.

    No robots.txt (4xx) allows everything; one that cannot be had (5xx, no answer) nothing, so that nothing is read
    now: `ProviderUnavailable`. Raises `RateLimited` too.
    """
    address = str(url.copy_with(path="/robots.txt", query=None))
    try:
        answer = fetcher.fetch(address, limit=lambda *_: MAX_BYTES)
    except HostUnavailable as error:
        raise ProviderUnavailable(f"{url.host} does not answer.") from error
    except (AnswerTooLarge, AnswerNotUnderstood) as error:
        raise ProviderUnavailable(f"The robots.txt of {url.host} cannot be read: {error.message}") from error
    except (AddressRefused, TooManyRedirects):
        # As if there were none. Where the address itself is refused, the page is refused for the same reason.
        return Rules(Protego.parse(""), 0, ())
    if answer.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        raise RateLimited(after(answer.headers.get("retry-after")))
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ProviderUnavailable(f"The robots.txt of {url.host} cannot be read right now.")
    text = (answer.body or b"").decode("utf-8", "replace") if answer.status == HTTPStatus.OK else ""
    robots = Protego.parse(text)
    return Rules(robots, float(robots.crawl_delay(PRODUCT) or 0), tuple(robots.sitemaps))

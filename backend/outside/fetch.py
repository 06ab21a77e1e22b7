"""One GET of an address a person named, bounded in every direction."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Self, TypeAlias

import httpcore2
import httpx2

from backend.errors import Unavailable, Unprocessable
from backend.outside.addresses import Address, AddressRefused, is_public, read_url
from backend.outside.decompression import BodyBroken, Decompressor, EncodingUnknown
from backend.outside.network import (
    CONNECT_SECONDS,
    READ_SECONDS,
    Deadline,
    GuardedNetwork,
    Resolver,
    look_up,
)

MAX_REDIRECTS: Final = 5
#: One request with all its redirects.
MAX_SECONDS: Final = 60.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

#: (final address, content type in lower case without parameters) -> most bytes to read; 0 reads no body.
Limit: TypeAlias = Callable[[str, str], int]


class AnswerTooLarge(Unprocessable):
    """What is there is larger than what is read."""


class AnswerNotUnderstood(Unprocessable):
    """What is there is packed in a way that is not understood."""


class TooManyRedirects(Unprocessable):
    """The address leads from one to the next and arrives nowhere."""


class HostUnavailable(Unavailable):
    """The server does not answer, or not to the end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said at last."""

    url: str
    """After redirects."""
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes | None = field(repr=False)
    """Unpacked; None when the limit was 0, and for a redirect that was not followed."""
    location: str | None = None
    """Where a redirect leads that was not followed."""

    @property
    def content_type(self) -> str:
        """In lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str | None:
        """As the server declared it."""
        _, _, parameters = self.headers.get("content-type", "").lower().partition("charset=")
        return parameters.partition(";")[0].strip(" \"'") or None


class Fetcher:
    """Reads public web addresses. Not shared between threads; close it.

    No cookies, no credentials, no proxy of the environment; answers are asked for unpacked or as gzip.
    """

    def __init__(
        self,
        *,
        allow_private_addresses: bool = False,
        user_agent: str = "secondbrain",
        permits: Callable[[Address], bool] = is_public,
        resolve: Resolver = look_up,
        any_port: bool = False,
    ) -> None:
        """`allow_private_addresses` lifts the rules about networks and ports; the three last are for tests of them."""
        self._any_port = any_port or allow_private_addresses
        self._deadline = Deadline()
        self._network = GuardedNetwork(
            self._deadline, permits=(lambda _: True) if allow_private_addresses else permits, resolve=resolve
        )
        self._pools: dict[str, httpcore2.ConnectionPool] = {}
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "gzip", "Accept": "*/*"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.close()

    def check(self, url: str) -> None:
        """Raises what `fetch` would before it connects: `AddressRefused`, or `HostUnavailable` for an unknown name."""
        found = read_url(url, any_port=self._any_port)
        try:
            self._network.addresses(found.raw_host.decode("ascii"), _port(found))
        except httpcore2.ConnectError as error:
            raise HostUnavailable(f"There is no server called {found.host}.") from error

    def fetch(
        self,
        url: str,
        *,
        limit: Limit,
        headers: Mapping[str, str] | None = None,
        seconds: float = MAX_SECONDS,
        may_follow: Callable[[str], bool] = lambda _: True,
    ) -> Answer:
        """What is at `url`, any status. Redirects are followed where `may_follow(address)` says so.

        A redirect from https to http is refused: what was asked for over a connection that cannot be tampered with
        is not accepted over one that can. Raises `AddressRefused`, `TooManyRedirects`, `AnswerTooLarge`,
        `AnswerNotUnderstood`, or `HostUnavailable`.
        """
        self._deadline.begin(seconds)
        here = read_url(url, any_port=self._any_port)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._send(here, {**self._headers, **(headers or {})}, limit)
            if answer.location is None:
                return answer
            there = read_url(answer.location, any_port=self._any_port)
            if here.scheme == "https" and there.scheme == "http":
                raise AddressRefused("The address leads from https to plain http.")
            if not may_follow(str(there)):
                return answer
            here = there
        raise TooManyRedirects

    def _pool(self, scheme: str) -> httpcore2.ConnectionPool:
        if scheme not in self._pools:
            self._pools[scheme] = httpcore2.ConnectionPool(
                # Reading all certificates takes a tenth of a second; plain http does without.
                ssl_context=httpx2.create_ssl_context() if scheme == "https" else None,
                network_backend=self._network,
                max_connections=10,
                max_keepalive_connections=2,
                keepalive_expiry=15,
            )
        return self._pools[scheme]

    def _send(self, url: httpx2.URL, headers: Mapping[str, str], limit: Limit) -> Answer:
        request = httpcore2.Request(
            "GET",
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[(b"Host", url.netloc), *((k.encode(), v.encode()) for k, v in headers.items())],
            extensions={
                "timeout": {
                    "connect": CONNECT_SECONDS,
                    "read": READ_SECONDS,
                    "write": READ_SECONDS,
                    "pool": READ_SECONDS,
                }
            },
        )
        try:
            with closing(self._pool(url.scheme).handle_request(request)) as response:
                return _read(str(url), response, limit)
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise HostUnavailable(f"{url.host} does not answer, or not to the end.") from error
        except BodyBroken as error:
            raise HostUnavailable(f"The answer of {url.host} was cut off or damaged.") from error
        except EncodingUnknown as error:
            raise AnswerNotUnderstood from error


def _read(url: str, response: httpcore2.Response, limit: Limit) -> Answer:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("ascii", "replace").lower(), raw_value.decode("latin-1").strip()
        # A header that is sent twice means both (RFC 9110), but for those that can only be said once.
        is_list = name in headers and name not in ("content-type", "location", "etag", "last-modified")
        headers[name] = f"{headers[name]}, {value}" if is_list else headers.get(name, value)
    answer = Answer(url, response.status, headers, None, _location(url, response.status, headers))
    if answer.location is not None or answer.status == HTTPStatus.NOT_MODIFIED:
        return answer
    most = limit(url, answer.content_type)
    if most <= 0:
        return answer
    announced = headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > most:
        raise _too_large(most)
    body = bytearray()
    decompressor = Decompressor(headers.get("content-encoding", ""))
    arrived = 0
    for chunk in response.iter_stream():
        arrived += len(chunk)
        body += decompressor.take(chunk, most - len(body) + 1)
        if len(body) > most or arrived > most:
            raise _too_large(most)
    decompressor.finish()
    return Answer(url, response.status, headers, bytes(body))


def _location(url: str, status: int, headers: Mapping[str, str]) -> str | None:
    location = headers.get("location")
    if status not in _REDIRECTS or not location:
        return None
    try:
        return str(httpx2.URL(url).join(location))
    except (httpx2.InvalidURL, ValueError) as error:
        raise AddressRefused("The address leads to something that is not a web address.") from error


def _port(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _too_large(most: int) -> AnswerTooLarge:
    size = f"{most // 1024 // 1024} MiB" if most >= 1024 * 1024 else f"{most} bytes"
    return AnswerTooLarge(f"What is there is larger than {size}.")

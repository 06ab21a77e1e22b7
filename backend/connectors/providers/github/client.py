"""One HTTP conversation with a GitHub REST API: bounded answers, few retries, the contract's errors.

Plain httpx2, the client Authlib uses as well, and not githubkit: its models insist on fields that GitHub
Enterprise and emulators leave out, and its retries sleep inside the request where a job should rather be put
off.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx2
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.errors import Conflict, Invalid, NotFound

#: GitHub cuts trees at 7 MB and blobs are asked for up to 10 MiB (14 MiB as base64); more is not GitHub's
#: answer.
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
#: A server that sends a byte now and then defeats read timeouts; this is the end of one request all the same.
MAX_ANSWER_SECONDS: Final = 120
ATTEMPTS: Final = 4
TIMEOUT: Final = httpx2.Timeout(30, connect=10)
#: GitHub's advice when it names no time.
DEFAULT_PAUSE: Final = timedelta(seconds=60)
#: Its windows last an hour; a wrong header or clock must not stop a connector for longer than this.
LONGEST_PAUSE: Final = timedelta(hours=2)


class Missing(NotFound):
    """GitHub has no such item, or hides it from this account."""


class RepositoryEmpty(Conflict):
    """The repository has no commits yet."""


class Unprocessable(Invalid):
    """GitHub does not understand the request, such as a link to a next page that is too old."""


class _TryAgain(Exception):
    """The same request may succeed in a moment."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer and the path of the page after it, to be given to `GitHubClient.get`."""

    data: Any
    next_path: str | None


class GitHubClient:
    """A session with one access token. Not shared between threads; close it."""

    def __init__(self, api_base: str, access_token: str) -> None:
        """`api_base` without a trailing slash, such as `https://api.github.com` or `https://host/api/v3`."""
        self._base = api_base.rstrip("/")
        self._base_path = httpx2.URL(self._base).path.rstrip("/")
        self._http = httpx2.Client(
            timeout=TIMEOUT,
            # Renamed repositories redirect by id. httpx2 drops the token when a redirect leaves the origin.
            follow_redirects=True,
            max_redirects=3,
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {access_token}",
                "User-Agent": "secondbrain",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str) -> Answer:
        """The JSON at `path`, which starts with a slash and is quoted already.

        Raises `CredentialsRejected` (401), `RateLimited` (429, or 403 for that reason), `ProviderRefused`
        (other 403 and the rest of 4xx), `Missing` (404, 410), `RepositoryEmpty` (409), `Unprocessable` (422)
        and, after a few attempts, `ProviderUnavailable` (5xx, broken connections, cut or unreadable answers).
        """
        try:
            for attempt in stamina.retry_context(
                on=_TryAgain, attempts=ATTEMPTS, timeout=60, wait_initial=0.5
            ):
                with attempt:
                    return self._get_once(path)
        except _TryAgain as error:
            raise ProviderUnavailable from error
        raise ProviderUnavailable

    def each(self, path: str) -> Iterator[Any]:
        """Every element of a list that may go over several pages. Raises what `get` raises."""
        following: str | None = path
        while following:
            answer = self.get(following)
            yield from answer.data
            following = answer.next_path

    def _get_once(self, path: str) -> Answer:
        try:
            with self._http.stream("GET", self._base + path) as response:
                raw = _read(response)
        except httpx2.RequestError as error:
            raise _TryAgain(type(error).__name__) from error
        if response.status_code != HTTPStatus.OK:
            raise _refusal(response, raw)
        try:
            data = json.loads(raw)
        except ValueError as error:
            raise _TryAgain("the answer is not JSON") from error
        return Answer(data, self._next_path(response))

    def _next_path(self, response: httpx2.Response) -> str | None:
        url = response.links.get("next", {}).get("url")
        if not url:
            return None
        # Only the path is taken: whatever host a link names, the token goes to the configured one.
        return httpx2.URL(url).raw_path.decode("ascii").removeprefix(self._base_path)


def _read(response: httpx2.Response) -> bytes:
    deadline = time.monotonic() + MAX_ANSWER_SECONDS
    raw = bytearray()
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > MAX_ANSWER_BYTES:
            raise ProviderUnavailable("GitHub's answer is larger than it should be.")
        if time.monotonic() > deadline:
            raise _TryAgain("the answer takes too long")
    return bytes(raw)


def _refusal(response: httpx2.Response, raw: bytes) -> Exception:
    """What an answer other than 200 means."""
    match response.status_code:
        case HTTPStatus.UNAUTHORIZED:
            return CredentialsRejected()
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited(_resume_at(response))
        case HTTPStatus.FORBIDDEN if _is_rate_limit(response, raw):
            return RateLimited(_resume_at(response))
        case HTTPStatus.FORBIDDEN if "required" in response.headers.get("x-github-sso", ""):
            return ProviderRefused("The organisation asks for single sign-on to this app at GitHub.")
        case HTTPStatus.FORBIDDEN | HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return ProviderRefused("GitHub does not let this account read it.")
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return Missing()
        case HTTPStatus.CONFLICT:
            return RepositoryEmpty()
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return Unprocessable()
        case HTTPStatus.REQUEST_TIMEOUT:
            return _TryAgain("status 408")
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _TryAgain(f"status {status}")
        case status:
            return ProviderRefused(f"GitHub answered with status {status}.")


def _is_rate_limit(response: httpx2.Response, raw: bytes) -> bool:
    # The secondary limit is told by its message alone.
    headers = response.headers
    return (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or b"rate limit" in raw.lower()
    )


def _resume_at(response: httpx2.Response) -> datetime:
    now = datetime.now(UTC)
    named = now + DEFAULT_PAUSE
    headers = response.headers
    try:
        if retry_after := headers.get("retry-after"):
            if retry_after.isdecimal():
                named = now + timedelta(seconds=int(retry_after))
            else:
                named = parsedate_to_datetime(retry_after).astimezone(UTC)
        elif headers.get("x-ratelimit-remaining") == "0":
            named = datetime.fromtimestamp(int(headers["x-ratelimit-reset"]) + 1, UTC)
    except (KeyError, ValueError, OverflowError):
        pass
    return min(max(named, now + timedelta(seconds=1)), now + LONGEST_PAUSE)

"""One HTTP conversation with a provider's API: bounded answers, few retries, the contract's errors.

Retries are for what a moment mends (a broken connection, a 502). What takes longer is the engine's: it puts the
job off and holds no thread meanwhile.
"""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

import httpx2
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    ItemGone,
    ItemUnreadable,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)

MAX_JSON_BYTES: Final = 32 * 1024 * 1024
#: Larger files are no documents; the parser's own limit, a config, is smaller.
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
#: A server that sends a byte now and then defeats read timeouts; this is the end of one request all the same.
MAX_ANSWER_SECONDS: Final = 120
ATTEMPTS: Final = 4
TIMEOUT: Final = httpx2.Timeout(30, connect=10)
#: How long to wait when the provider names no time.
DEFAULT_PAUSE: Final = timedelta(seconds=60)
#: Windows of limits last an hour or so; a wrong header or clock must not stop a connector for longer than this.
LONGEST_PAUSE: Final = timedelta(hours=2)


class TryAgain(Exception):
    """The same request may succeed in a moment."""


_T = TypeVar("_T")

#: What an answer that is no success means: (response, its body) -> the error to raise.
Refusal = Callable[[httpx2.Response, bytes], Exception]


def _answer_too_large() -> Exception:
    return ProviderUnavailable("The answer is larger than it should be.")


class Conversation:
    """Requests to one origin, with one set of headers. Not shared between threads; close it.

    `refusal` maps answers that are no success to the contract's errors; `refusal_of` is the common one.
    """

    def __init__(
        self,
        base: str,
        *,
        headers: Mapping[str, str],
        refusal: Refusal | None = None,
        http: httpx2.Client | None = None,
    ) -> None:
        """`base` is an origin with an optional path, such as `https://host/api/v3`. `http`: a client of the caller's
        own, such as one that refuses private addresses; closed together with this."""
        self.base = base.rstrip("/")
        self._refusal = refusal or refusal_of
        self._http = http or httpx2.Client(timeout=TIMEOUT, follow_redirects=True, max_redirects=3)
        # httpx2 drops the Authorization header when a redirect leaves the origin.
        self._http.headers.update({"User-Agent": "secondbrain", **headers})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get_json(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        """The JSON at `path`, which starts with a slash (or is a whole address) and is quoted already.

        Raises what `request` raises.
        """
        return self.request_json("GET", path, params=params)[1]

    def get_object(self, path: str, params: Mapping[str, str | int] | None = None) -> Mapping[str, Any]:
        """The JSON object at `path`, one with an `id`. Raises the same, and ProviderUnavailable for anything else."""
        found = self.get_json(path, params)
        if not isinstance(found, dict) or not found.get("id"):
            raise ProviderUnavailable
        return found

    def post_json(self, path: str, body: object) -> Any:
        """The JSON that answers a POST of `body` as JSON. For calls that may be repeated only. Raises the same."""
        return self.request_json("POST", path, content=body)[1]

    def post_form(self, path: str, form: Mapping[str, str]) -> Any:
        """The JSON that answers a POST of a form. For calls that may be repeated only. Raises the same."""
        return self.request_json("POST", path, form=form)[1]

    def get_bytes(self, path: str, *, max_bytes: int = MAX_FILE_BYTES) -> bytes:
        """A file. Raises ItemUnreadable above `max_bytes`, and what `request` raises."""
        return self.request("GET", path, max_bytes=max_bytes, too_large=too_large)[1]

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        content: object = None,
        form: Mapping[str, str] | None = None,
        max_bytes: int = MAX_JSON_BYTES,
        too_large: Callable[[], Exception] = _answer_too_large,
    ) -> tuple[httpx2.Response, bytes]:
        """(response, body) of a success, after a few attempts.

        Raises what `refusal` makes of other answers, `too_large()`, and ProviderUnavailable for 5xx, broken
        connections and answers that were cut.
        """

        return self._attempt(
            lambda: self._send(
                method,
                path,
                params=params,
                content=content,
                form=form,
                max_bytes=max_bytes,
                too_large=too_large,
            )
        )

    def request_json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        content: object = None,
        form: Mapping[str, str] | None = None,
    ) -> tuple[httpx2.Response, Any]:
        """(response, its JSON) of a success. An answer that is no JSON was cut or came from something in between, and
        is asked for again. Raises what `request` raises."""

        def once() -> tuple[httpx2.Response, Any]:
            response, body = self._send(method, path, params=params, content=content, form=form)
            try:
                return response, json.loads(body)
            except (ValueError, RecursionError) as error:
                raise TryAgain("the answer is not JSON") from error

        return self._attempt(once)

    def _attempt(self, once: Callable[[], _T]) -> _T:
        try:
            for attempt in stamina.retry_context(
                on=TryAgain, attempts=ATTEMPTS, timeout=60, wait_initial=0.5
            ):
                with attempt:
                    return once()
        except TryAgain as error:
            raise ProviderUnavailable from error
        raise ProviderUnavailable

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None,
        content: object,
        form: Mapping[str, str] | None,
        max_bytes: int = MAX_JSON_BYTES,
        too_large: Callable[[], Exception] = _answer_too_large,
    ) -> tuple[httpx2.Response, bytes]:
        url = path if path.startswith(("https://", "http://")) else self.base + path
        try:
            with self._http.stream(method, url, params=params, json=content, data=form) as response:
                body = _read(response, max_bytes, too_large)
        except httpx2.RequestError as error:
            raise TryAgain(type(error).__name__) from error
        if not response.is_success:
            raise self._refusal(response, body)
        return response, body

    def parsed(self, body: bytes) -> Any:
        """`body` as JSON. Raises ProviderUnavailable: an answer that is none was cut or came from something else."""
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProviderUnavailable from error


def refusal_of(response: httpx2.Response, _body: bytes) -> Exception:
    """What most providers mean by an answer that is no success."""
    match response.status_code:
        case HTTPStatus.UNAUTHORIZED if response.history:
            # From where a redirect led to, which was never shown the token: an address that has expired.
            return TryAgain("status 401 after a redirect")
        case HTTPStatus.UNAUTHORIZED:
            return CredentialsRejected()
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited(resume_at(response))
        case HTTPStatus.SERVICE_UNAVAILABLE if "retry-after" in response.headers:
            return RateLimited(resume_at(response))
        case HTTPStatus.FORBIDDEN | HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return ItemUnreadable("The provider does not let this account read it.")
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return ItemGone()
        case HTTPStatus.REQUEST_TIMEOUT:
            return TryAgain("status 408")
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return TryAgain(f"status {status}")
        case status:
            return ProviderRefused(f"The provider answered with status {status}.")


def resume_at(response: httpx2.Response) -> datetime:
    """When to ask again, by the response's `Retry-After`, within reason."""
    return after(response.headers.get("retry-after"))


def after(retry_after: str | None) -> datetime:
    """When to ask again, by a `Retry-After` (RFC 9110: seconds or a date), within reason."""
    now = datetime.now(UTC)
    named = now + DEFAULT_PAUSE
    if retry_after:
        try:
            if retry_after.isdecimal():
                named = now + timedelta(seconds=int(retry_after))
            else:
                named = parsedate_to_datetime(retry_after).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    return within_reason(named)


def within_reason(moment: datetime) -> datetime:
    """`moment`, but at least a second and at most `LONGEST_PAUSE` from now."""
    now = datetime.now(UTC)
    return min(max(moment, now + timedelta(seconds=1)), now + LONGEST_PAUSE)


def too_large(byte_size: int | None = None) -> ItemUnreadable:
    """A file above `MAX_FILE_BYTES`, with its size when a listing told."""
    limit = f"{MAX_FILE_BYTES // 1024 // 1024} MiB"
    if byte_size is None:
        return ItemUnreadable(f"The file is larger than {limit}.")
    return ItemUnreadable(
        f"The file has {byte_size / 1024 / 1024:.0f} MiB; files above {limit} are not read."
    )


def _read(response: httpx2.Response, max_bytes: int, too_large: Callable[[], Exception]) -> bytes:
    deadline = time.monotonic() + MAX_ANSWER_SECONDS
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise too_large()
        if time.monotonic() > deadline:
            raise TryAgain("the answer takes too long")
    return bytes(body)

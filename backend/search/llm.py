"""A language model behind the OpenAI interface: asked at once, or read while it writes."""

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import httpx2
import stamina

from backend.errors import Unavailable

ATTEMPTS: Final = 3
_CONNECT_SECONDS: Final = 5.0
_MAX_WAIT_SECONDS: Final = 10.0
#: Left out when refused: newer models accept neither.
_OPTIONS: Final = MappingProxyType({"temperature": 0, "max_tokens": 800})
#: A reply is never longer, in bytes; a server that sends more is not one we speak with.
_MAX_REPLY_BYTES: Final = 4 * 1024 * 1024


class LanguageModelUnavailable(Unavailable):
    """The language model does not answer right now; try again."""


class LanguageModelRefused(LanguageModelUnavailable):
    """The language model does not answer this; it may answer other questions."""


class _TryAgain(Exception):
    """The server asked for patience or failed itself."""

    def __init__(self, status: int, wait_seconds: float | None) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(f"status {status}")


@dataclass(frozen=True, slots=True)
class ChatModel:
    """`model` at any server that answers `POST {base_url}/chat/completions`; `api_key` may be missing.

    `client` is shared and thread-safe; its owner closes it. A busy or unreachable server is asked up to 3
    times, as patiently as it asks for within 10 seconds a time and half a minute in all. It may be silent for
    `stall_seconds`, and a reply that is read while it is written may take `longest_seconds` in all.
    """

    base_url: str = field(repr=False)
    model: str
    api_key: str | None = field(repr=False)
    client: httpx2.Client = field(repr=False)
    stall_seconds: float = 60.0
    longest_seconds: float = 240.0

    def complete(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The model's reply to `messages` (`role` and `content` each), stripped and never empty.

        Raises `LanguageModelUnavailable` when the server cannot be reached, refuses, or says nothing, and of these
        `LanguageModelRefused` when it is for what it was asked.
        """
        reply = "".join(self._pieces(messages, is_streamed=False)).strip()
        if not reply:
            raise LanguageModelRefused("The language model gave no answer.")
        return reply

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        on_connected: Callable[[httpx2.Response], None] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> Generator[str, None, None]:
        """The model's reply in pieces as they come, or at once from a server that does not stream.

        Raises `LanguageModelUnavailable`, also amid the reply: when it breaks off, stalls or takes too long.
        """
        return self._pieces(
            messages, is_streamed=True, on_connected=on_connected, extensions=extensions or {}
        )

    def _pieces(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        is_streamed: bool,
        on_connected: Callable[[httpx2.Response], None] | None = None,
        extensions: Mapping[str, Any] = MappingProxyType({}),
    ) -> Generator[str, None, None]:
        try:
            for attempt in stamina.retry_context(
                _patience, attempts=ATTEMPTS, timeout=30, wait_initial=0.5, wait_max=_MAX_WAIT_SECONDS
            ):
                with attempt:
                    response = self._ask(messages, is_streamed, extensions)
            with closing(response):
                if on_connected is not None:
                    on_connected(response)
                if response.headers.get("content-type", "").lower().startswith("text/event-stream"):
                    yield from _events(response)
                else:
                    yield _whole(response)
        except (httpx2.HTTPError, httpx2.StreamError, _TryAgain) as error:
            raise LanguageModelUnavailable() from error

    def _ask(
        self, messages: Sequence[Mapping[str, str]], is_streamed: bool, extensions: Mapping[str, Any]
    ) -> httpx2.Response:
        """An answer whose body is still to be read; whoever gets it closes it."""
        body: dict[str, Any] = {"model": self.model, "messages": [dict(message) for message in messages]}
        if is_streamed:
            body["stream"] = True
        response = self._post(body | _OPTIONS, extensions)
        if response.status_code == httpx2.codes.BAD_REQUEST:
            response.close()
            response = self._post(body, extensions)
        if response.status_code == httpx2.codes.OK:
            return response
        response.close()
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise _TryAgain(response.status_code, _asked_wait(response))
        # What the server says may repeat the prompt or the key; its number says enough. A key or an address that is wrong is
        # so for every question.
        is_about_this = response.status_code < 500 and response.status_code not in (401, 403, 404)
        raise (LanguageModelRefused if is_about_this else LanguageModelUnavailable)(
            f"The language model refused the request (status {response.status_code})."
        )

    def _post(self, body: Mapping[str, Any], extensions: Mapping[str, Any]) -> httpx2.Response:
        request = self.client.build_request(
            "POST",
            f"{self.base_url.rstrip('/')}/chat/completions",
            json=dict(body),
            headers={"Authorization": f"Bearer {self.api_key}"} if self.api_key else {},
            timeout=httpx2.Timeout(self.stall_seconds, connect=_CONNECT_SECONDS),
            extensions=dict(extensions),
        )
        return self.client.send(request, stream=True)


def _whole(response: httpx2.Response) -> str:
    """The reply of a server that sends it at once."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > _MAX_REPLY_BYTES:
            raise LanguageModelUnavailable("The language model's answer is too long.")
    try:
        reply = json.loads(bytes(body))["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise LanguageModelUnavailable("The language model's answer is malformed.") from error
    if not isinstance(reply, str):
        raise LanguageModelRefused("The language model gave no answer.")
    return reply


def _events(response: httpx2.Response) -> Iterator[str]:
    is_whole, size = False, 0
    for event in httpx2.EventSource(response, max_event_size=_MAX_REPLY_BYTES):
        if event.data.strip() == "[DONE]":
            return
        try:
            piece, is_last = _piece(json.loads(event.data) if event.data else {})
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise LanguageModelUnavailable("The language model's answer is malformed.") from error
        is_whole = is_whole or is_last
        size += len(piece)
        if size > _MAX_REPLY_BYTES:
            raise LanguageModelUnavailable("The language model's answer is too long.")
        if piece:
            yield piece
    if not is_whole:
        raise LanguageModelUnavailable("The language model's answer broke off.")


def _piece(event: Any) -> tuple[str, bool]:
    """(what is added to the reply, whether it is whole then) of one event of a stream."""
    if event.get("error"):
        raise LanguageModelUnavailable("The language model failed amid its answer.")
    choices = event.get("choices") or [{}]
    piece = (choices[0].get("delta") or {}).get("content") or ""
    if not isinstance(piece, str):
        raise TypeError(type(piece).__name__)
    return piece, choices[0].get("finish_reason") is not None


def _patience(error: Exception) -> bool | float:
    """Whether to try again, or in how many seconds if the server named them."""
    if isinstance(error, _TryAgain):
        return True if error.wait_seconds is None else error.wait_seconds
    # A server that took the request and then stayed silent would only be given the same work twice.
    return isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.ReadTimeout)


def _asked_wait(response: httpx2.Response) -> float | None:
    try:
        return min(max(float(response.headers["Retry-After"]), 0.0), _MAX_WAIT_SECONDS)
    except (KeyError, ValueError):
        return None

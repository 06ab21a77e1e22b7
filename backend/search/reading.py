"""A language model's reply, read in the background, so that whoever waits for it can say meanwhile that they live,
and can stop it at any moment: the connection is closed, and the server need not write on for nobody.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

import httpx2
import structlog

from backend.search.llm import ChatModel, LanguageModelUnavailable

_log = structlog.get_logger(__name__)


class _NobodyWaits(Exception):
    """The reply is not wanted any more."""


class Reading:
    """One reply; use it in a `with` block, whose end closes the connection."""

    def __init__(self, model: ChatModel, messages: Sequence[Mapping[str, str]]) -> None:
        self._model = model
        self._messages = messages
        self._pieces: SimpleQueue[str | LanguageModelUnavailable | None] = SimpleQueue()
        self._is_closed = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._read, name="language model", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed.set()
        if self._thread.is_alive():
            self._hang_up()

    def pieces(self, heartbeat: float) -> Iterator[str | None]:
        """The reply's pieces; None whenever nothing has come for `heartbeat` seconds.

        Raises LanguageModelUnavailable as soon as the reply will not be completed, or has stalled.
        """
        began_at = spoke_at = time.monotonic()
        while True:
            # Looked at here: what only keeps a connection alive never gets as far as this.
            now = time.monotonic()
            if now - spoke_at > self._model.stall_seconds or now - began_at > self._model.longest_seconds:
                raise LanguageModelUnavailable("The language model takes too long.")
            try:
                piece = self._pieces.get(timeout=heartbeat)
            except Empty:
                yield None
                continue
            if piece is None:
                return
            if isinstance(piece, LanguageModelUnavailable):
                raise piece
            spoke_at = time.monotonic()
            yield piece

    def _read(self) -> None:
        try:
            with contextlib.closing(
                self._model.stream(
                    self._messages, on_connected=self._connected, extensions={"trace": self._trace}
                )
            ) as pieces:
                for piece in pieces:
                    if self._is_closed.is_set():
                        return
                    self._pieces.put(piece)
        except LanguageModelUnavailable as error:
            self._pieces.put(error)
        except _NobodyWaits:
            return
        except Exception as error:  # noqa: BLE001 - logged; whoever waits must not wait for ever
            if not self._is_closed.is_set():
                _log.exception("reading the language model's answer failed", error=type(error).__name__)
            self._pieces.put(LanguageModelUnavailable())
        else:
            self._pieces.put(None)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started" and self._is_closed.is_set():
            raise _NobodyWaits
        # A new connection, before its server has answered anything.
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._hold(info.get("return_value"))

    def _connected(self, response: httpx2.Response) -> None:
        self._hold(response.extensions.get("network_stream"))

    def _hold(self, stream: Any) -> None:
        with contextlib.suppress(AttributeError):
            self._socket = stream.get_extra_info("socket")
        if self._is_closed.is_set():
            self._hang_up()
            raise _NobodyWaits

    def _hang_up(self) -> None:
        """Wakes the reader, wherever it waits, with the end of the connection."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

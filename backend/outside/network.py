"""Connections to addresses that were looked at, which end in time."""

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import httpcore2

from backend.outside.addresses import Address, AddressRefused, read_address

CONNECT_SECONDS: Final = 10.0
#: The longest silence; what trickles ends with the deadline.
READ_SECONDS: Final = 20.0

#: (host, port) -> what `socket.getaddrinfo` returns for it.
Resolver: TypeAlias = Callable[[str, int], Iterable[tuple[Any, ...]]]


def look_up(host: str, port: int) -> list[tuple[Any, ...]]:
    """Every address of `host`, however it is written."""
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class Deadline:
    """The moment a request must be over by. One thread's."""

    def __init__(self) -> None:
        self._at = 0.0

    def begin(self, seconds: float) -> None:
        """A new request begins."""
        self._at = time.monotonic() + seconds

    def left(self, at_most: float | None) -> float:
        """Seconds that may be waited now. Raises `httpcore2.ReadTimeout` when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the request takes too long")
        return left if at_most is None else min(left, at_most)


class GuardedNetwork(httpcore2.NetworkBackend):
    """Connects to hosts all of whose addresses are permitted, and to one of these addresses itself."""

    def __init__(self, deadline: Deadline, *, permits: Callable[[Address], bool], resolve: Resolver) -> None:
        self._deadline = deadline
        self._permits = permits
        self._resolve = resolve
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Raises `AddressRefused` if any address of the host is not permitted; else tries them in their order."""
        failure: Exception = httpcore2.ConnectError("the name has no address")
        for address in self.addresses(host, port):
            try:
                stream = self._plain.connect_tcp(
                    address, port, self._deadline.left(timeout), local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
                continue
            return _TimedStream(stream, self._deadline)
        raise failure

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, each once. Raises `AddressRefused`, or `httpcore2.ConnectError` if it has none."""
        try:
            found = list(dict.fromkeys(str(info[4][0]) for info in self._resolve(host, port)))
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("the name has no address") from error
        for address in found:
            if not self._permits(read_address(address)):
                raise AddressRefused("The address leads into a private network.")
        return found


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose waits end with the request's deadline, however little arrives at a time."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""A real HTTP server that answers as a test tells it to: for faults and limits, which no emulator has."""

import json
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    """With the query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `missing_bytes` announces that many bytes more than are sent, then hangs up; `seconds` is how long
    the body takes, in ten pieces. `pieces` are sent in place of `body`, as they come; who hangs up closes them."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    missing_bytes: int = 0
    seconds: float = 0.0
    pieces: Generator[bytes, None, None] | None = None


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    """A JSON answer; header names are written with underscores."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json", **named})


@dataclass(frozen=True, slots=True)
class ScriptedServer:
    """A running server and the requests it has had."""

    base_url: str
    requests: list[Request]

    def paths(self) -> list[str]:
        """The paths asked for, with queries, in order."""
        return [request.path for request in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no error here; whoever it was may have been killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def scripted_server(answer: Callable[[Request], Reply]) -> Iterator[ScriptedServer]:
    """A server on 127.0.0.1 that gives `answer(request)`, for as long as the block runs."""
    seen: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body go out in two writes; with Nagle's algorithm each answer would wait 40 ms.
        disable_nagle_algorithm = True

        def _respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            seen.append(request)
            reply = answer(request)
            # The one with a `Date` of its own must not get a second one.
            (self.send_response_only if "date" in reply.headers else self.send_response)(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.pieces is not None:
                self._send_pieces(reply.pieces)
                return
            self.send_header("content-length", str(len(reply.body) + reply.missing_bytes))
            self.end_headers()
            self._send_body(reply)
            self.close_connection = bool(reply.missing_bytes)

        def _send_pieces(self, pieces: Generator[bytes, None, None]) -> None:
            self.send_header("connection", "close")
            self.end_headers()
            with closing(pieces):
                for piece in pieces:
                    self.wfile.write(piece)
            self.close_connection = True

        def _send_body(self, reply: Reply) -> None:
            if not reply.seconds:
                self.wfile.write(reply.body)
                return
            step = len(reply.body) // 10 + 1
            for start in range(0, len(reply.body), step):
                self.wfile.write(reply.body[start : start + step])
                time.sleep(reply.seconds / 10)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _respond

        def log_message(self, format: str, *args: object) -> None:
            """Tests look at `requests`; a log would only be noise."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield ScriptedServer(f"http://127.0.0.1:{server.server_port}", seen)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""Reading addresses that people name, against real sockets: where it must not go, and where it must end."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import pytest

from backend.outside.addresses import AddressRefused, is_public, read_url
from backend.outside.fetch import (
    Answer,
    AnswerNotUnderstood,
    AnswerTooLarge,
    Fetcher,
    HostUnavailable,
    TooManyRedirects,
)
from tests.emulators.scripted import Reply, Request, ScriptedServer, scripted_server

MEBIBYTE = 1024 * 1024


def fetch(url: str, *, most: int = MEBIBYTE, seconds: float = 20, **options: Any) -> Answer:
    options.setdefault("allow_private_addresses", True)
    with Fetcher(**options) as fetcher:
        return fetcher.fetch(url, limit=lambda _url, _type: most, seconds=seconds)


@contextmanager
def raw_server(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request's beginning and lets `speak` write whatever it wants."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                try:
                    speak(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server(lambda _request: Reply(200, b"inside", {"content-type": "text/plain"})) as running:
        yield running


def port_of(server: ScriptedServer) -> int:
    return int(server.base_url.rpartition(":")[2])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "１２７.０.０.１",
        "169.254.169.254",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_private_addresses_are_not_connected_to_however_they_are_written(
    server: ScriptedServer, host: str
) -> None:
    with pytest.raises((AddressRefused, HostUnavailable)) as refused:
        fetch(f"http://{host}:{port_of(server)}/", allow_private_addresses=False, any_port=True)
    assert server.requests == []
    # What no resolver knows is no address at all; everything else was looked at and refused.
    if isinstance(refused.value, HostUnavailable):
        with pytest.raises(OSError):
            socket.getaddrinfo(host.strip("[]"), 80)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("2002:808:808::1", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("192.88.99.1", False),
        ("198.18.0.1", False),
        ("203.0.113.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::808:808", False),
        ("2001:0:808:808::1", False),
        ("2001:db8::1", False),
        ("2002:a00:1::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("fe80::1", False),
        ("ff02::1", False),
        ("100::1", False),
    ],
)
def test_public_addresses(address: str, expected: bool) -> None:
    assert is_public(ip_address(address)) is expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "begin with http"),
        ("ftp://example.com/", "begin with http"),
        ("gopher://example.com/", "begin with http"),
        ("javascript:alert(1)", "begin with http"),
        ("//example.com/", "begin with http"),
        ("example.com", "begin with http"),
        ("http:///path", "names no server"),
        ("http://user:pass@example.com/", "user name or password"),
        ("http://user@example.com/", "user name or password"),
        ("http://example.com:25/", "Port 25"),
        ("http://example.com:6379/", "Port 6379"),
        ("http://example.com:99999/", "not a web address"),
        ("http://exa\nmple.com/", "not a web address"),
        ("http://[::1/", "not a web address"),
        ("http://example.com/" + "a" * 2000, "characters"),
    ],
)
def test_addresses_that_are_none_of_a_website_are_refused(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused, match=reason):
        fetch(url, allow_private_addresses=False)


def test_address_is_kept_without_its_fragment() -> None:
    assert str(read_url("https://Example.com:443/a b?q=ü#part")) == "https://example.com/a%20b?q=%C3%BC"


class Names:
    """A resolver that gives the next of its answers each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


def only_127_0_0_1(address: object) -> bool:
    """In place of the internet: the one address that counts as public."""
    return str(address) == "127.0.0.1"


def guarded(names: Names) -> dict[str, Any]:
    return {
        "allow_private_addresses": False,
        "any_port": True,
        "permits": only_127_0_0_1,
        "resolve": names,
    }


def test_name_that_changes_its_address_is_connected_to_where_it_was_looked_at(server: ScriptedServer) -> None:
    """DNS rebinding: the second look-up would say something else, so there is none."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    answer = fetch(f"http://rebinding.test:{port_of(server)}/", **guarded(names))
    assert answer.body == b"inside"
    assert names.asked == ["rebinding.test"]
    assert server.requests[0].headers["host"] == f"rebinding.test:{port_of(server)}"


def test_name_with_one_private_address_among_others_is_refused(server: ScriptedServer) -> None:
    with pytest.raises(AddressRefused, match="private network"):
        fetch(f"http://mixed.test:{port_of(server)}/", **guarded(Names(["127.0.0.1", "127.0.0.2"])))
    assert server.requests == []


def test_new_connection_is_a_new_look(server: ScriptedServer) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    with Fetcher(**guarded(names)) as fetcher:
        fetcher.fetch(f"http://a.test:{port_of(server)}/", limit=lambda *_: 100)
        with pytest.raises(AddressRefused):
            fetcher.fetch(f"http://b.test:{port_of(server)}/", limit=lambda *_: 100)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2:{port}/", "http://[::1]:{port}/", "//127.0.0.2:{port}/x"]
)
def test_redirect_into_a_private_network_is_refused(target: str) -> None:
    def answer(request: Request) -> Reply:
        port = request.headers["host"].rpartition(":")[2]
        return Reply(302, b"", {"location": target.format(port=port)})

    def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
        name = "127.0.0.1" if host == "start.test" else host
        return list(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))

    with scripted_server(answer) as server, pytest.raises(AddressRefused, match="private network"):
        fetch(
            f"http://start.test:{port_of(server)}/",
            allow_private_addresses=False,
            any_port=True,
            permits=only_127_0_0_1,
            resolve=resolve,
        )
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "http://[::1/"]
)
def test_redirect_to_something_else_is_refused(location: str) -> None:
    with (
        scripted_server(lambda _request: Reply(302, b"", {"location": location})) as server,
        pytest.raises(AddressRefused),
    ):
        fetch(server.base_url)


def test_redirects_end() -> None:
    def answer(request: Request) -> Reply:
        return Reply(302, b"", {"location": f"{request.path}x"})

    with scripted_server(answer) as server, pytest.raises(TooManyRedirects):
        fetch(f"{server.base_url}/")
    assert len(server.requests) == 6


def test_redirect_is_followed_only_where_the_caller_goes(server: ScriptedServer) -> None:
    with (
        scripted_server(lambda _request: Reply(301, b"", {"location": server.base_url + "/there"})) as first,
        Fetcher(allow_private_addresses=True) as fetcher,
    ):
        kept = fetcher.fetch(first.base_url, limit=lambda *_: 100, may_follow=lambda _: False)
        followed = fetcher.fetch(first.base_url, limit=lambda *_: 100)
    assert (kept.status, kept.location, kept.body) == (301, f"{server.base_url}/there", None)
    assert (followed.url, followed.body) == (f"{server.base_url}/there", b"inside")
    assert server.paths() == ["/there"]


def packed(body: bytes, encoding: str) -> Callable[[Request], Reply]:
    return lambda _request: Reply(200, body, {"content-encoding": encoding})


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"hello world", mtime=0), "gzip"),
        (gzip.compress(b"hello ", mtime=0) + gzip.compress(b"world", mtime=0), "x-gzip"),
        (zlib.compress(b"hello world"), "deflate"),
        (zlib.compress(b"hello world", wbits=-15), "deflate"),
        (b"hello world", "identity"),
    ],
)
def test_packed_answers_are_unpacked(body: bytes, encoding: str) -> None:
    with scripted_server(packed(body, encoding)) as server:
        assert fetch(server.base_url, most=len(body) + 20).body == b"hello world"


def test_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(64 * MEBIBYTE))
    with scripted_server(packed(bomb, "gzip")) as server, pytest.raises(AnswerTooLarge, match="1 MiB"):
        fetch(server.base_url)


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
def test_what_was_not_asked_for_is_not_unpacked(encoding: str) -> None:
    with scripted_server(packed(b"anything", encoding)) as server, pytest.raises(AnswerNotUnderstood):
        fetch(server.base_url)


@pytest.mark.parametrize(
    "body", [gzip.compress(b"x" * 10_000, mtime=0)[:-10], b"\x1f\x8bdamaged beyond reading"]
)
def test_damaged_packing_is_an_answer_cut_off(body: bytes) -> None:
    with scripted_server(packed(body, "gzip")) as server, pytest.raises(HostUnavailable):
        fetch(server.base_url)


def test_answer_that_is_cut_is_no_answer() -> None:
    cut = scripted_server(lambda _request: Reply(200, b"half", missing_bytes=100))
    with cut as server, pytest.raises(HostUnavailable):
        fetch(server.base_url)


def test_endless_body_ends() -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with raw_server(speak) as url, pytest.raises(AnswerTooLarge):
        fetch(url)


def test_packed_body_without_content_ends() -> None:
    empty = gzip.compress(b"", mtime=0)

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n")
        while True:
            connection.sendall(empty * 1000)

    with raw_server(speak) as url, pytest.raises(AnswerTooLarge):
        fetch(url)


def test_announced_size_is_enough_to_refuse() -> None:
    reply = Reply(200, b"", missing_bytes=MEBIBYTE + 1)
    with scripted_server(lambda _request: reply) as server, pytest.raises(AnswerTooLarge):
        fetch(server.base_url)


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nx-slow: "])
def test_slow_drip_ends_with_the_deadline(beginning: bytes) -> None:
    """Each byte arrives in time; all of them would take for ever."""
    over = threading.Event()

    def speak(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while not over.wait(0.05):
            connection.sendall(b"x")

    began = time.monotonic()
    with raw_server(speak) as url:
        with pytest.raises(HostUnavailable):
            fetch(url, seconds=0.5)
        over.set()
    assert time.monotonic() - began < 5


def test_body_is_read_only_if_it_is_wanted() -> None:
    reply = Reply(200, b"GIF89a", {"content-type": "image/GIF; x=y"})
    with (
        scripted_server(lambda _request: reply) as server,
        Fetcher(allow_private_addresses=True) as fetcher,
    ):
        answer = fetcher.fetch(server.base_url, limit=lambda _, kind: 0 if kind == "image/gif" else 100)
    assert (answer.status, answer.content_type, answer.body) == (200, "image/gif", None)


def test_request_carries_no_cookie_no_credentials_and_goes_through_no_proxy(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    fetch(server.base_url, user_agent="somebody/1")
    headers = server.requests[0].headers
    assert set(headers) == {"host", "user-agent", "accept-encoding", "accept"}
    assert headers["user-agent"] == "somebody/1"


def test_check_says_beforehand_what_fetching_would(server: ScriptedServer) -> None:
    with Fetcher() as fetcher:
        with pytest.raises(AddressRefused, match="private network"):
            fetcher.check("http://127.0.0.1/")
        with pytest.raises(AddressRefused, match="Port"):
            fetcher.check("http://127.0.0.1:22/")
    with Fetcher(allow_private_addresses=True) as fetcher:
        fetcher.check(server.base_url)
        with pytest.raises(HostUnavailable, match="no server called"):
            fetcher.check("http://nobody.invalid/")
    assert server.requests == []

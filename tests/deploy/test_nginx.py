"""deploy/nginx.conf: all instances, event streams as they come, and no retry of what changes something."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import yaml

from backend.serve import WebInstance
from backend.settings import Settings, generate_key
from backend.sync.stream import HEARTBEAT_SECONDS
from tests.deploy.files import ROOT, final_stage, image_environment

STREAM = "/api/sync-progress/x/stream"


@dataclass(frozen=True)
class Block:
    """What stands between braces: simple directives by name, and the blocks inside."""

    head: tuple[str, ...] = ()
    directives: list[tuple[str, ...]] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)

    def all(self, name: str) -> list[tuple[str, ...]]:
        return [words[1:] for words in self.directives if words[0] == name]

    def one(self, name: str) -> str:
        (words,) = self.all(name)
        return " ".join(words)

    def block(self, *head: str) -> "Block":
        (found,) = (block for block in self.blocks if block.head[: len(head)] == head)
        return found


def parse(text: str) -> Block:
    """nginx's grammar, as far as the file uses it."""
    tokens = re.findall(r'#[^\n]*|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[{};]|[^\s{};]+', text)
    return read((token for token in tokens if not token.startswith("#")), ())


def read(tokens: Iterator[str], head: tuple[str, ...]) -> Block:
    block, words = Block(head), list[str]()
    for token in tokens:
        if token == "}":
            break
        if token == "{":
            block.blocks.append(read(tokens, tuple(words)))
        elif token == ";":
            block.directives.append(tuple(words))
        else:
            words.append(token.strip("\"'"))
            continue
        words = []
    assert not words, f"not ended: {words}"
    return block


def seconds(value: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m|h)", value).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


@pytest.fixture(scope="module")
def http() -> Block:
    """The `http` block."""
    return parse((ROOT / "deploy" / "nginx.conf").read_text()).block("http")


@pytest.fixture(scope="module")
def stream(http: Block) -> Block:
    """The location that serves the event stream: the longest prefix wins."""
    prefixes = [block for block in http.block("server").blocks if len(block.head) == 2]
    return max((b for b in prefixes if STREAM.startswith(b.head[1])), key=lambda b: len(b.head[1]))


def test_balances_over_every_web_instance(http: Block) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    web = {name for name, service in services.items() if service.get("command") == ["serve"]}
    assert len(web) == 3
    upstream = http.block("upstream", "web")
    port = image_environment()["PORT"]
    assert {server[0] for server in upstream.all("server")} == {f"{name}:{port}" for name in web}
    assert {"serve"} == set(yaml.safe_load(dict(final_stage())["CMD"]))
    # A replaced container has another address; without both of these nginx keeps the first one for ever.
    assert all("resolve" in server for server in upstream.all("server"))
    assert (upstream.one("zone"), http.one("resolver").split()[0]) == ("web 128k", "127.0.0.11")
    proxied = [b for b in http.block("server").blocks if b.head[:2] != ("location", "=")]
    assert {b.one("proxy_pass") for b in proxied} == {"http://web"}


def test_listens_where_compose_publishes(http: Block) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    (published,) = services["loadbalancer"]["ports"]
    assert http.block("server").one("listen") == published.rpartition(":")[2]


def test_lets_event_streams_through_as_they_come(http: Block, stream: Block) -> None:
    assert stream.head[1] == "/api/sync-progress/"
    assert stream.one("proxy_buffering") == "off"
    assert seconds(stream.one("proxy_read_timeout")) > 4 * HEARTBEAT_SECONDS
    assert http.block("server").one("proxy_http_version") == "1.1"


def test_tells_instances_whose_request_it_is(http: Block) -> None:
    server = http.block("server")
    headers = {name: value for name, value in server.all("proxy_set_header")}
    # Appended, never taken over: the last entry is who really connected.
    assert headers["X-Forwarded-For"] == "$proxy_add_x_forwarded_for"
    assert {"Host", "X-Forwarded-Proto", "X-Forwarded-Host"} <= set(headers)
    assert headers["Connection"] == ""
    # One header set in a location would undo all of the server's.
    assert not any(location.all("proxy_set_header") for location in server.blocks)


def test_closes_idle_connections_before_the_instances_do(http: Block) -> None:
    made = WebInstance(Settings.model_validate({"SECRET_KEYS": generate_key()}))
    assert seconds(http.block("upstream", "web").one("keepalive_timeout")) < made.cfg.keepalive


def test_never_sends_a_change_twice(http: Block) -> None:
    assert set(http.block("server").one("proxy_next_upstream").split()) == {"error", "timeout"}


def test_leaves_the_size_of_requests_to_the_instances(http: Block) -> None:
    server = http.block("server")
    assert (server.one("client_max_body_size"), server.one("proxy_request_buffering")) == ("0", "off")


def test_keeps_metrics_and_queries_to_itself(http: Block) -> None:
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    assert http.block("server").block("location", "=", "/metrics").one("return") == "404"
    logged = re.search(r"log_format.*?;", text, re.DOTALL)
    assert logged
    assert not re.search(r"\$(request|request_uri|args|uri|query_string|arg_\w+)\b", logged[0])
    assert parse(text).one("error_log") == "stderr crit"


def test_writes_nowhere_but_in_memory(http: Block) -> None:
    root = parse((ROOT / "deploy" / "nginx.conf").read_text())
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["loadbalancer"]
    assert service["read_only"]
    assert str(root.one("pid")).startswith("/tmp/")
    assert {"/tmp", "/var/cache/nginx"} <= set(service["tmpfs"])

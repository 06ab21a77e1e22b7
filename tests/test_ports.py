"""Ports, with real sockets."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from backend.ports import PortInUse, answers, port_is_free, require_free_port

HOST = "127.0.0.1"


def listen(host: str = HOST, *, shared: bool = False) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    server.bind((host, 0))
    server.listen()
    return server


@pytest.mark.parametrize("host", [HOST, "0.0.0.0"])
@pytest.mark.parametrize("shared", [False, True])
def test_require_free_port_names_port_and_way_out(host: str, shared: bool) -> None:
    with listen(host, shared=shared) as server:
        port = server.getsockname()[1]
        assert not port_is_free(HOST, port)
        with pytest.raises(PortInUse) as refused:
            require_free_port(HOST, port, "--port or PORT")
    assert f"Port {port} on {HOST} is in use" in refused.value.message
    assert "choose another with --port or PORT" in refused.value.message
    require_free_port(HOST, port, "--port or PORT")


def test_port_is_free_right_after_its_server_closed_connections() -> None:
    with listen() as server:
        port = server.getsockname()[1]
        client = socket.create_connection((HOST, port))
        connection, _ = server.accept()
        # Closing first leaves this end of the connection in TIME_WAIT, on the server's port.
        connection.close()
        client.close()
    assert port_is_free(HOST, port)


def test_port_is_free_says_no_to_address_that_is_not_ours() -> None:
    assert not port_is_free("192.0.2.1", 5003)


def test_answers_only_to_success() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/well" else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        base = f"http://{HOST}:{server.server_port}"
        assert answers(f"{base}/well")
        assert not answers(f"{base}/ill")
        server.shutdown()
    assert not answers(f"{base}/well")


def test_answers_gives_up_on_silence() -> None:
    with listen() as server:
        assert not answers(f"http://{HOST}:{server.getsockname()[1]}/", seconds=0.1)

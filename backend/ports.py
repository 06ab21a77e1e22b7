"""Whether a port can be had, and whether somebody answers there: asked around the start of a server."""

import http.client
import socket
from urllib.parse import urlsplit

from backend.errors import Unavailable


class PortInUse(Unavailable):
    """The port is in use."""


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there and nobody does, not even one that would share (SO_REUSEPORT)."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # Without it the connections of a server that has just stopped would count as somebody listening.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError:
        return False
    return True


def require_free_port(host: str, port: int, choose: str) -> None:
    """Raises PortInUse with one line that names the port and how to take another: `choose`, say `--port`."""
    if not port_is_free(host, port):
        raise PortInUse(f"Port {port} on {host} is in use, or not ours to use: choose another with {choose}.")


def answers(url: str, seconds: float = 1.0) -> bool:
    """Whether an HTTP GET is answered with a 2xx status within `seconds`; no proxy, no redirect."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path or "/")
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

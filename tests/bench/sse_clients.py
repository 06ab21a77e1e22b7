"""Many clients of one event stream, in a process of their own: who saw which event when.

`python -m tests.bench.sse_clients PORT PATH COUNT`: prints `connected` once every client has its first event; then
reads lines from its input: `expect ID` answers with a JSON list of the moments (seconds of the machine's monotonic
clock) at which each client saw the event of that id or a later one.
"""

import json
import re
import selectors
import socket
import sys
import time

_ID = re.compile(rb"\nid: (\d+)\n")


class Clients:
    """`count` connections that read the same stream."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        #: number of a client -> (id of the last event, when it came)
        self._seen: dict[int, tuple[int, float]] = {}
        self._count = count
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
        for number in range(count):
            client = socket.create_connection(("127.0.0.1", port), timeout=30)
            client.sendall(request)
            client.setblocking(False)
            self._selector.register(client, selectors.EVENT_READ, number)

    def wait_for(self, event_id: int, seconds: float) -> list[float]:
        """When each client saw the event. Raises TimeoutError, ConnectionError."""
        deadline = time.monotonic() + seconds
        while len(moments := [at for seen, at in self._seen.values() if seen >= event_id]) < self._count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(moments)} of {self._count} clients saw event {event_id}")
            # All that are ready before counting again: a thousand arrive within a moment.
            for key, _ in self._selector.select(1.0):
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(65536)
                now = time.monotonic()
                if not data:
                    raise ConnectionError("the server closed a stream")
                for found in _ID.findall(data):
                    self._seen[key.data] = (int(found), now)
        return moments


def main(port: int, path: str, count: int) -> None:
    clients = Clients(port, path, count)
    clients.wait_for(0, 120)
    print("connected", flush=True)
    for line in sys.stdin:
        print(json.dumps(clients.wait_for(int(line.split()[1]), 30)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

"""The stream as one writes it with Redis, for comparison: gunicorn's gevent worker, one subscription a process.

`gunicorn -k gevent 'tests.bench.redis_streams:make()'`, with REDIS_PORT. GET /KEY streams what is published to
the channel KEY, after the state that lies under KEY.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import redis
from gevent.queue import Queue

_Queues = defaultdict[str, set["Queue[bytes]"]]


class _Application:
    def __init__(self) -> None:
        # As many connections as an instance of ours has.
        pool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]
            port=int(os.environ["REDIS_PORT"]), max_connections=20, timeout=30
        )
        self._redis = redis.Redis(connection_pool=pool)
        self._queues: _Queues = defaultdict(set)
        gevent.spawn(self._listen)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
    ) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])
        return self._stream(environ["PATH_INFO"].strip("/"))

    def _stream(self, key: str) -> Iterator[bytes]:
        queue: Queue[bytes] = Queue()
        self._queues[key].add(queue)
        try:
            state = self._redis.get(key)
            yield _frame(state if isinstance(state, bytes) else b'{"seq": 0}')
            while True:
                yield queue.get()
        finally:
            self._queues[key].discard(queue)

    def _listen(self) -> None:
        subscription = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        subscription.psubscribe("*")
        for message in subscription.listen():
            frame = _frame(message["data"])
            for queue in self._queues[message["channel"].decode()]:
                queue.put(frame)


def _frame(data: bytes) -> bytes:
    return b"event: progress\nid: %d\ndata: %s\n\n" % (json.loads(data)["seq"], data)


def make() -> _Application:
    """The WSGI application."""
    return _Application()

"""What goes wrong between GitHub and the workers: a proxy that lies, cuts, delays and refuses, when told to."""

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from tests.chaos.hub import Hub
from tests.chaos.tokens import Tokens
from tests.emulators.scripted import Reply, Request, json_reply

_UNAUTHORIZED: Final = json_reply({"message": "Bad credentials"}, 401)


class Faults:
    """Answers every request, well or badly. One fault of a kind at a time; safe for threads.

    `latency` is how many seconds reading an item takes at least, `refusal` the status with which `stubborn` is
    answered, always.
    """

    def __init__(self, hub: Hub, tokens: Tokens, *, latency: float = 0.0, refusal: int = 451) -> None:
        self.hub = hub
        self.tokens = tokens
        self.stubborn = hub.some_file()
        self._refusal = refusal
        self._latency = latency
        self._lock = threading.Lock()
        self._random = random.Random()
        self._kind = ""
        self._left = 0
        self._until = 0.0
        #: Requests that read an item, so far.
        self.read_count = 0
        #: Set when the fault under way is over.
        self.is_over = threading.Event()

    def begin(self, kind: str, chance: random.Random, *, seconds: float = 0.0, count: int = 0) -> None:
        """The next `count` requests that `kind` is about go wrong, or all of them for `seconds`."""
        with self._lock:
            self.is_over.clear()
            self._random, self._kind, self._left = chance, kind, count
            self._until = time.monotonic() + seconds if seconds else 0.0

    def end(self) -> None:
        """Whatever goes wrong, it is over."""
        with self._lock:
            self._kind, self._left, self._until = "", 0, 0.0
            self.is_over.set()

    def answer(self, request: Request) -> Reply:
        """The hub's answer, or what has become of it."""
        path = urlsplit(request.path).path
        if path.startswith("/login/"):
            return self.tokens.answer(request)
        if not self.tokens.accepts(request):
            return _UNAUTHORIZED
        item = self.hub.locate(request.path)
        if item is not None:
            with self._lock:
                self.read_count += 1
            time.sleep(self._latency)
            if item == self.stubborn:
                return json_reply({"message": "Unavailable"}, self._refusal)
        kind = self._next(path, is_item=item is not None)
        reply = self.hub.answer(request)
        return self._spoilt(kind, reply, item) if kind else reply

    def _next(self, path: str, *, is_item: bool) -> str:
        """The fault this request meets; each of a number of requests uses one up."""
        with self._lock:
            if not self._kind or not self._concerns(path, is_item):
                return ""
            if self._until:
                if time.monotonic() < self._until:
                    return self._kind
            else:
                self._left -= 1
                kind = self._kind
                if self._left > 0:
                    return kind
                self._kind = ""
                self.is_over.set()
                return kind
            self._kind = ""
            self.is_over.set()
            return ""

    def _concerns(self, path: str, is_item: bool) -> bool:
        match self._kind:
            case "changing":
                return is_item
            case "disorder":
                return path.endswith("/issues") or "/git/trees/" in path
            case _:
                return True

    def _spoilt(self, kind: str, reply: Reply, item: str | None) -> Reply:
        spoil: dict[str, Callable[[Reply], Reply]] = {
            "rate limit": self._limited,
            "503": lambda _: json_reply({"message": "Service Unavailable"}, 503),
            "cut body": self._cut,
            "slow body": lambda whole: Reply(
                whole.status, whole.body, whole.headers, seconds=self._random.uniform(0.5, 1.5)
            ),
            "not JSON": lambda _: Reply(200, b"<html><body>One moment, please.</body></html>"),
            "disorder": self._disordered,
        }
        if kind == "changing":
            # The answer is made already: what comes is what was there before.
            if item is not None:
                self.hub.change(item)
            if self._random.random() < 0.3:
                self.hub.add_and_remove()
            return reply
        return spoil[kind](reply)

    def _limited(self, _: Reply) -> Reply:
        seconds = max(1, round(self._until - time.monotonic()))
        return json_reply({"message": "API rate limit exceeded"}, 429, retry_after=str(seconds))

    def _cut(self, whole: Reply) -> Reply:
        at = self._random.randrange(len(whole.body)) if whole.body else 0
        missing = len(whole.body) - at or 1
        return Reply(whole.status, whole.body[:at], whole.headers, missing_bytes=missing)

    def _disordered(self, whole: Reply) -> Reply:
        answer: Any = json.loads(whole.body)
        entries = answer["tree"] if isinstance(answer, dict) else answer
        again = self._random.sample(entries, k=min(len(entries), 10))
        entries += again
        self._random.shuffle(entries)
        return Reply(whole.status, json.dumps(answer).encode(), whole.headers)

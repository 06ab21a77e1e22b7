"""A website whose pages a test writes, changes and takes away: it knows validators, redirects and robots.txt."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.emulators.scripted import Reply, Request


def html(title: str, *links: str, head: str = "", text: str = "") -> str:
    """A page with a menu, a main part that links on, and a footer."""
    anchors = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    return (
        f"<!doctype html><html lang='en'><head><title>{title}</title>{head}</head><body>"
        f"<nav>Menu</nav><main><h1>{title}</h1><p>{text or 'About ' + title}.</p><ul>{anchors}</ul></main>"
        "<footer>Imprint</footer></body></html>"
    )


@dataclass
class Website:
    """Answers by path (with the query, if one was written down with it). What is not there is a 404."""

    answers: dict[str, Reply | Callable[[Request], Reply]] = field(default_factory=dict)
    has_validators: bool = True

    def put(
        self, path: str, body: str | bytes, content_type: str = "text/html; charset=utf-8", **headers: str
    ) -> None:
        """A page; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body.encode() if isinstance(body, str) else body
        self.answers[path] = Reply(200, data, {"content-type": content_type, **named})

    def redirect(self, path: str, location: str, status: int = 301) -> None:
        """A page that has moved."""
        self.answers[path] = Reply(status, b"", {"location": location})

    def fail(self, path: str, status: int, **headers: str) -> None:
        """A page that cannot be had."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = Reply(status, b"", named)

    def robots(self, *lines: str) -> None:
        """The site's robots.txt."""
        self.put("/robots.txt", "\n".join(lines), "text/plain")

    def __call__(self, request: Request) -> Reply:
        answer = self.answers.get(request.path, self.answers.get(urlsplit(request.path).path))
        if answer is None:
            return Reply(404, b"<h1>Not here</h1>", {"content-type": "text/html"})
        reply = answer if isinstance(answer, Reply) else answer(request)
        if reply.status != 200 or not self.has_validators:
            return reply
        etag = f'"{hashlib.sha256(reply.body).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == etag:
            return Reply(304, b"", {"etag": etag})
        return Reply(200, reply.body, {**reply.headers, "etag": etag}, reply.missing_bytes)

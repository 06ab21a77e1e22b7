"""Runs the Google emulator for tests, and does there what people do with their mail and files.

The emulator is the npm package `emulate`: OAuth with PKCE, refresh tokens and revocation; Gmail with threads, labels,
attachments and history; Drive's files. A server in front of it passes everything on, answers what the emulator lacks
(`_Front`: the mailbox's profile, shared drives, Drive's change log and start tokens), and can be told to fail.

Where it differs from Google, as far as tests can notice:

- Any unknown token counts as the first user of the seed, so a 401 is one of the front's.
- Its history never expires, a thread's history id is that of its latest message only, threads in the bin cannot be fetched, and its search knows no
  `-category:`, `newer_than:` and braces.
- Drive files have no checksum, version, owner or export, cannot be overwritten or thrown away, and `fields` is
  ignored; a removal is the front's.
- Times of Drive files are those of the machine.
- It limits every token to 5000 requests an hour.
"""

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.emulators.emulate import consent, emulate
from tests.emulators.google_seed import TOKENS, Mail, Seed, raw_mail, seed_file, token_of
from tests.emulators.scripted import Reply, Request, json_reply, scripted_server

CLIENT_ID: Final = "emulated-client.apps.googleusercontent.com"
CLIENT_SECRET: Final = "emulated-secret"
REDIRECT_URI: Final = "http://localhost:5003/api/integrations/gmail/callback"

_ME: Final = "/gmail/v1/users/me"
_HOP: Final = frozenset({"connection", "content-length", "host", "transfer-encoding", "accept-encoding"})


@dataclass(slots=True)
class _Front:
    """What stands before the emulator, and what it knows that the emulator does not."""

    address: str
    http: httpx2.Client
    changed: list[str] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    faults: list[tuple[str, Reply]] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        for fault in self.faults:
            if fault[0] in request.path:
                self.faults.remove(fault)
                return fault[1]
        path = urlsplit(request.path).path
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        answers: Mapping[str, Callable[[], Any]] = {
            f"{_ME}/profile": lambda: {"historyId": self._history_id(request)},
            "/drive/v3/drives": lambda: {"drives": []},
            "/drive/v3/files/root": lambda: {"id": "root"},
            "/drive/v3/changes/startPageToken": lambda: {"startPageToken": str(len(self.changed))},
            "/drive/v3/changes": lambda: self._changes(request, int(query["pageToken"])),
        }
        if path in answers:
            return json_reply(answers[path]())
        if path.rpartition("/")[2] in self.removed:
            return json_reply({"error": {"code": 404, "errors": [{"reason": "notFound"}]}}, 404)
        reply = self._pass_on(request)
        if path == "/drive/v3/files" and request.method == "GET":
            listing = json.loads(reply.body)
            listing["files"] = [file for file in listing["files"] if file["id"] not in self.removed]
            return json_reply(listing)
        return reply

    def _pass_on(self, request: Request, path: str | None = None) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        method, url = ("GET", path) if path else (request.method, request.path)
        answer = self.http.request(method, self.address + url, content=request.body, headers=headers)
        kept = {name: value for name, value in answer.headers.items() if name in ("content-type", "location")}
        return Reply(answer.status_code, answer.content, kept)

    def _history_id(self, request: Request) -> str:
        answer = self._pass_on(request, f"{_ME}/history?startHistoryId=0&maxResults=1")
        return str(json.loads(answer.body)["historyId"])

    def _changes(self, request: Request, start: int) -> Mapping[str, Any]:
        changes: list[Mapping[str, Any]] = []
        for file_id in self.changed[start:]:
            change: dict[str, Any] = {
                "changeType": "file",
                "fileId": file_id,
                "removed": file_id in self.removed,
            }
            if not change["removed"]:
                change["file"] = json.loads(self._pass_on(request, f"/drive/v3/files/{file_id}").body)
            changes.append(change)
        return {"changes": changes, "newStartPageToken": str(len(self.changed))}


@dataclass(frozen=True, slots=True)
class GoogleEmulator:
    """A running emulator. `base_url` is the one origin of OAuth, Gmail and Drive."""

    base_url: str
    requests: list[Request]
    http: httpx2.Client = field(repr=False)
    front: _Front = field(repr=False)
    numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def token(self, email: str) -> str:
        """A token of a seeded user that needs no sign-in; another one each time, for the limit of each."""
        return token_of(email, next(self.numbers) % TOKENS)

    def authorize(self, authorize_url: str, email: str) -> str:
        """Consent as `email` on the page at `authorize_url`; returns the callback URL it leads to."""
        return consent(authorize_url, email=email)

    def fail(self, path: str, *replies: Reply) -> None:
        """Answer the next requests whose path contains `path` with these, one after the other."""
        self.front.faults += [(path, reply) for reply in replies]

    def receive_mail(self, user: str, mail: Mail) -> str:
        """Deliver a message to `user`; returns its id."""
        raw = base64.urlsafe_b64encode(raw_mail(mail)).decode()
        body = {"raw": raw, "threadId": mail.thread, "labelIds": list(mail.labels)}
        return str(self.call("POST", f"{_ME}/messages", body, user)["id"])

    def label_thread(
        self, user: str, thread: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()
    ) -> None:
        """Put labels on all messages of a thread, or take them off."""
        self.call(
            "POST", f"{_ME}/threads/{thread}/modify", {"addLabelIds": add, "removeLabelIds": remove}, user
        )

    def delete_thread(self, user: str, thread: str) -> None:
        """Delete a thread for good."""
        self.call("DELETE", f"{_ME}/threads/{thread}", None, user)

    def delete_message(self, user: str, message: str) -> None:
        """Delete a message for good."""
        self.call("DELETE", f"{_ME}/messages/{message}", None, user)

    def upload(
        self, user: str, name: str, content: bytes, *, parent: str = "root", mime: str = "text/plain"
    ) -> str:
        """Make a file; returns its id."""
        about = json.dumps({"name": name, "mimeType": mime, "parents": [parent]}).encode()
        body = b"--b\r\nContent-Type: application/json\r\n\r\n" + about
        body += b"\r\n--b\r\nContent-Type: " + mime.encode() + b"\r\n\r\n" + content + b"\r\n--b--\r\n"
        headers = {
            "Authorization": f"Bearer {token_of(user)}",
            "Content-Type": "multipart/related; boundary=b",
        }
        answer = self.http.post(f"{self.base_url}/upload/drive/v3/files", content=body, headers=headers)
        answer.raise_for_status()
        self.front.changed.append(str(answer.json()["id"]))
        return self.front.changed[-1]

    def rename(self, user: str, file_id: str, name: str) -> None:
        """Give a file or folder another name."""
        self.call("PATCH", f"/drive/v3/files/{file_id}", {"name": name}, user)
        self.front.changed.append(file_id)

    def remove(self, file_id: str) -> None:
        """Delete a file for good."""
        self.front.removed.add(file_id)
        self.front.changed.append(file_id)

    def call(self, method: str, path: str, body: object, user: str) -> Any:
        """One API request as a seeded user; returns the JSON answer. Raises `httpx2.HTTPStatusError`."""
        headers = {"Authorization": f"Bearer {token_of(user)}"}
        answer = self.http.request(method, self.base_url + path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def google_emulator(
    seed: Seed, *, redirect_uris: tuple[str, ...] = (REDIRECT_URI,)
) -> Iterator[GoogleEmulator]:
    """A running emulator that contains `seed`, ended with the block. Skips the test where Node cannot be had."""
    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "name": "Second Brain",
        "redirect_uris": list(redirect_uris),
    }
    with (
        httpx2.Client(timeout=30, trust_env=False) as http,
        emulate("google", seed_file(seed, client), ready="/.well-known/openid-configuration") as address,
    ):
        front = _Front(address, http)
        with scripted_server(front) as server:
            yield GoogleEmulator(server.base_url, server.requests, http, front)

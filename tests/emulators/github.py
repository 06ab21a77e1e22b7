"""Runs the GitHub emulator for tests, and does there what people do at GitHub.

The emulator is the npm package `emulate`. Where it differs from GitHub, as far as tests can notice:

- It ignores PKCE, and cannot revoke tokens over the API (404).
- Any unknown token counts as the first user of the seed, here one named `nobody` who owns nothing. A token
that begins like a JWT (`BAD_TOKEN`) is refused with 401. - Pull requests are not listed among the issues, and
an empty repository has no tree (404, not 409). - Times are those of the machine and cannot be seeded, so
everything but users is made over the API after the start. - It limits every token to 5000 requests an hour,
and it listens on all addresses of the machine.
"""

import base64
import json
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import httpx2

from backend.lifeline import die_with_parent
from tests.emulators.github_seed import (
    COLLABORATOR,
    OWNER,
    FileSeed,
    IssueSeed,
    PullSeed,
    RepositorySeed,
    Seed,
)
from tests.emulators.node import give_up, installed_package

CLIENT_ID: Final = "emulated-client"
CLIENT_SECRET: Final = "emulated-secret"
#: Refused by the emulator with 401, as GitHub refuses every token it does not know.
BAD_TOKEN: Final = "eyJ-not-a-token"
REDIRECT_URI: Final = "http://localhost:5003/api/integrations/github/callback"

_START_SECONDS: Final = 30
_STRANGER: Final = "nobody"


@dataclass(frozen=True, slots=True)
class GitHubEmulator:
    """A running emulator. `base_url` serves as the base of the OAuth pages and of the API at once."""

    base_url: str
    client_id: str
    client_secret: str
    http: httpx2.Client = field(repr=False)

    def token(self, login: str = OWNER) -> str:
        """A token of a seeded user that needs no sign-in."""
        return _token(login)

    def authorize(self, authorize_url: str, login: str = OWNER) -> str:
        """Consent as `login` on the page at `authorize_url`; returns the callback URL it leads to."""
        return authorize(authorize_url, login)

    def create_issue(self, repository: str, issue: IssueSeed) -> int:
        """Open an issue with its comments; returns its number."""
        body = {"title": issue.title, "body": issue.body, "labels": issue.labels}
        number = int(self.call("POST", f"/repos/{repository}/issues", body)["number"])
        self._comment(repository, number, issue.comments)
        if issue.closed:
            self.call("PATCH", f"/repos/{repository}/issues/{number}", {"state": "closed"})
        return number

    def edit_issue(self, repository: str, number: int, *, body: str) -> None:
        """Replace the text of an issue."""
        self.call("PATCH", f"/repos/{repository}/issues/{number}", {"body": body})

    def create_pull(self, repository: str, pull: PullSeed) -> int:
        """Open a pull request with its comments and reviews; returns its number."""
        opened = {"title": pull.title, "body": pull.body, "head": pull.branch, "base": "main"}
        number = int(self.call("POST", f"/repos/{repository}/pulls", opened)["number"])
        path = f"/repos/{repository}/pulls/{number}"
        self._comment(repository, number, pull.comments)
        if pull.review:
            self.call("POST", f"{path}/reviews", {"event": "APPROVE", "body": pull.review}, COLLABORATOR)
        if pull.line_comment:
            on_line = {"path": "README.md", "line": 1, "side": "RIGHT", "body": pull.line_comment}
            self.call("POST", f"{path}/comments", on_line, COLLABORATOR)
        if pull.merged:
            self.call("PUT", f"{path}/merge", {})
        return number

    def put_file(self, repository: str, file: FileSeed) -> None:
        """Commit a file to the default branch, new or changed."""
        path = f"/repos/{repository}/contents/{file.path}"
        existing = self._send("GET", path)
        sha = {"sha": existing.json()["sha"]} if existing.is_success else {}
        content = base64.b64encode(file.content).decode()
        self.call("PUT", path, {"message": f"Write {file.path}", "content": content, **sha})

    def delete_file(self, repository: str, path: str) -> None:
        """Commit the removal of a file."""
        url = f"/repos/{repository}/contents/{path}"
        sha = self.call("GET", url)["sha"]
        self.call("DELETE", url, {"message": f"Remove {path}", "sha": sha})

    def call(self, method: str, path: str, body: object = None, login: str = OWNER) -> Any:
        """One API request as a seeded user; returns the JSON answer. Raises `httpx2.HTTPStatusError`."""
        answer = self._send(method, path, body, login)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def fill(self, seed: Seed) -> None:
        """Make everything in `seed` that the emulator does not read from its seed file."""
        for repository in seed.repositories:
            self._fill(repository)

    def _fill(self, repository: RepositorySeed) -> None:
        self.call(
            "PUT", f"/repos/{repository.full_name}/collaborators/{COLLABORATOR}", {"permission": "push"}
        )
        for file in repository.files:
            self.put_file(repository.full_name, file)
        for issue in repository.issues:
            self.create_issue(repository.full_name, issue)
        for pull in repository.pulls:
            self.create_pull(repository.full_name, pull)

    def _comment(self, repository: str, number: int, comments: Sequence[str]) -> None:
        for position, text in enumerate(comments):
            login = (COLLABORATOR, OWNER)[position % 2]
            self.call("POST", f"/repos/{repository}/issues/{number}/comments", {"body": text}, login)

    def _send(self, method: str, path: str, body: object = None, login: str = OWNER) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {_token(login)}"}
        return self.http.request(method, self.base_url + path, json=body, headers=headers)


@contextmanager
def github_emulator(
    seed: Seed, *, port: int = 0, redirect_uris: Sequence[str] = (REDIRECT_URI,)
) -> Iterator[GitHubEmulator]:
    """A running, filled emulator on 127.0.0.1, ended with the block, and with this thread in any case.

    `port` 0 takes a free one. Skips the test where Node cannot be had.
    """
    node, package = installed_package("emulate")
    port = port or _free_port()
    base_url = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory(prefix="github-emulator-") as folder,
        httpx2.Client(timeout=30, trust_env=False) as http,
    ):
        seed_file, log_file = Path(folder) / "seed.json", Path(folder) / "log.txt"
        seed_file.write_text(json.dumps(_seed_file(seed, redirect_uris)))
        command = [*node.node, str(package / "dist" / "index.js"), "start", "--service", "github"]
        command += ["--port", str(port), "--seed", str(seed_file), "--base-url", base_url]
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        try:
            _wait_until_it_answers(process, base_url, http, log_file)
            emulator = GitHubEmulator(base_url, CLIENT_ID, CLIENT_SECRET, http)
            emulator.fill(seed)
            yield emulator
        finally:
            process.kill()
            process.wait()


def authorize(authorize_url: str, login: str, *, field: str = "login") -> str:
    """Choose `login` on the emulator's consent page and return the callback URL it redirects to.

    `field` of the page's forms names the user; other services of the package have another one.

    Raises `LookupError` when the page does not offer that user, which includes pages that say what is wrong.
    """
    with httpx2.Client(timeout=30, trust_env=False) as client:
        page = client.get(authorize_url)
        form = _form_of(page.text, login, field)
        if form is None:
            raise LookupError(f"{login} cannot sign in there: status {page.status_code}")
        answer = client.post(urljoin(str(page.url), form.action), data=form.fields)
    return str(answer.headers["location"])


@dataclass(slots=True)
class _Form:
    action: str
    fields: dict[str, str]


class _Forms(HTMLParser):
    """Collects the forms of a page with their hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(_Form(given["action"], {}))
        elif tag == "input" and self.found:
            self.found[-1].fields[given["name"]] = given.get("value", "")


def _form_of(html: str, login: str, field: str) -> _Form | None:
    forms = _Forms()
    forms.feed(html)
    return next((form for form in forms.found if form.fields.get(field) == login), None)


def _token(login: str) -> str:
    return f"seeded-{login}"


def _seed_file(seed: Seed, redirect_uris: Sequence[str]) -> dict[str, Any]:
    logins = (_STRANGER, OWNER, COLLABORATOR)
    app = {"name": "Second Brain", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return {
        "tokens": {_token(login): {"login": login, "scopes": ["repo", "user"]} for login in logins},
        "github": {
            "users": [{"login": login, "email": f"{login}@example.com"} for login in logins],
            "oauth_apps": [{**app, "redirect_uris": list(redirect_uris)}],
            "repos": [
                {
                    "owner": repository.owner,
                    "name": repository.name,
                    "private": repository.private,
                    "description": repository.description,
                    "auto_init": False,
                }
                for repository in seed.repositories
            ],
        },
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], base_url: str, http: httpx2.Client, log_file: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            http.get(f"{base_url}/meta")
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    give_up(f"The GitHub emulator did not start: {log_file.read_text()[-500:]}")

"""Runs the Slack emulator for tests, fills it, and does there what people do at Slack.

The emulator is the npm package `emulate`. Where it differs from Slack, as far as tests can notice:

- Times are those of the machine and cannot be seeded, so everything is of today; `oldest` and `latest` are ignored.
- Threads tell the number of their replies but not the last one, and lose none when a reply is deleted. Of a deleted
  message nothing is left, of a thread's first one neither.
- `conversations.replies` is one page. Public channels can be read without being a member.
- No token rotation, no `auth.revoke`, no `x-oauth-scopes`, no limits; apps' messages carry no `bot_id` of their own.

What depends on these is tested against `slack_workspace.py`.
"""

import json
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from backend.connectors.providers.slack.oauth import DEFAULT_SCOPES
from backend.lifeline import die_with_parent
from tests.emulators.github import authorize
from tests.emulators.node import give_up, installed_package

CLIENT_ID: Final = "1111.2222"
CLIENT_SECRET: Final = "emulated-secret"
REDIRECT_URI: Final = "http://localhost:5003/api/integrations/slack/callback"
BOT_USER: Final = "U0SECONDBR"
BOT_TOKEN: Final = "xoxb-emulated-bot-token"
#: A bot token that may list public channels, and nothing else.
POOR_TOKEN: Final = "xoxb-emulated-poor-token"
WORKSPACE: Final = "Harbour Works"
WORKSPACE_ID: Final = "T000000001"
#: Handles of the people there; the names others see are these in capitals.
PEOPLE: Final = ("octocat", "hubot")

_START_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class SlackEmulator:
    """A running emulator. `base_url` serves the OAuth pages, the API and the files."""

    base_url: str
    http: httpx2.Client = field(repr=False)

    def call(self, method: str, user: str = PEOPLE[0], **arguments: str) -> Mapping[str, Any]:
        """One call as a person; returns the answer. Raises `LookupError` with Slack's code."""
        headers = {"Authorization": f"Bearer {_token(user)}"}
        answer = self.http.post(f"{self.base_url}/api/{method}", data=arguments, headers=headers)
        said: dict[str, Any] = answer.raise_for_status().json()
        if not said["ok"]:
            raise LookupError(said["error"])
        return said

    def channel(self, name: str) -> str:
        """Id of a channel."""
        listed = self.call("conversations.list", types="public_channel,private_channel", limit="1000")[
            "channels"
        ]
        return next(str(channel["id"]) for channel in listed if channel["name"] == name)

    def invite(self, channel: str) -> None:
        """Make the app a member."""
        self.call("conversations.invite", channel=channel, users=BOT_USER)

    def post(self, channel: str, text: str, user: str = PEOPLE[0], **more: str) -> str:
        """Post a message (with `thread_ts`: a reply); returns its timestamp."""
        return str(self.call("chat.postMessage", user, channel=channel, text=text, **more)["ts"])

    def edit(self, channel: str, ts: str, text: str, user: str = PEOPLE[0]) -> None:
        """Replace the text of a message."""
        self.call("chat.update", user, channel=channel, ts=ts, text=text)

    def delete(self, channel: str, ts: str, user: str = PEOPLE[0]) -> None:
        """Delete a message."""
        self.call("chat.delete", user, channel=channel, ts=ts)

    def share(self, channel: str, name: str, content: bytes, **more: str) -> str:
        """Upload a file and share it; returns its id."""
        ticket = self.call("files.getUploadURLExternal", filename=name, length=str(len(content)))
        self.http.post(ticket["upload_url"], content=content).raise_for_status()
        files = json.dumps([{"id": ticket["file_id"], "title": name}])
        self.call("files.completeUploadExternal", files=files, channel_id=channel, **more)
        return str(ticket["file_id"])

    def authorize(self, url: str) -> str:
        """Consent on the page at `url`; returns the callback URL it leads to."""
        return authorize(url, self._user_id(PEOPLE[0]), field="user_id")

    def _user_id(self, user: str) -> str:
        members = self.call("users.list", limit="1000")["members"]
        return next(str(member["id"]) for member in members if member["name"] == user)


@contextmanager
def slack_emulator(*, channels: Mapping[str, bool], port: int = 0) -> Iterator[SlackEmulator]:
    """A running emulator on 127.0.0.1 with `channels` (name -> whether private), ended with the block.

    `port` 0 takes a free one. Skips the test where Node cannot be had.
    """
    node, package = installed_package("emulate")
    port = port or _free_port()
    base_url = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory(prefix="slack-emulator-") as folder,
        httpx2.Client(timeout=30, trust_env=False) as http,
    ):
        seed_file, log_file = Path(folder) / "seed.json", Path(folder) / "log.txt"
        seed_file.write_text(json.dumps(_seed_file(channels)))
        command = [*node.node, str(package / "dist" / "index.js"), "start", "--service", "slack"]
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
            yield SlackEmulator(base_url, http)
        finally:
            process.kill()
            process.wait()


def _token(user: str) -> str:
    return f"xoxp-emulated-{user}"


def _seed_file(channels: Mapping[str, bool]) -> dict[str, Any]:
    bot = {"type": "bot", "user_id": BOT_USER, "bot_user_id": BOT_USER}
    return {
        "slack": {
            "team": {"name": WORKSPACE, "domain": "harbour-works"},
            "users": [
                {"name": user, "real_name": user.upper(), "profile": {"display_name": user.upper()}}
                for user in PEOPLE
            ],
            "channels": [{"name": name, "is_private": private} for name, private in channels.items()],
            "oauth_apps": [
                {
                    "app_id": "A0SECONDBR",
                    "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET,
                    "name": "Second Brain",
                    "redirect_uris": [REDIRECT_URI],
                    "scopes": list(DEFAULT_SCOPES),
                    "bot_id": "B0SECONDBR",
                    "bot_user_id": BOT_USER,
                    "bot_name": "second-brain",
                }
            ],
            "tokens": [
                *({"token": _token(user), "type": "user", "user": user} for user in PEOPLE),
                {"token": BOT_TOKEN, "scopes": list(DEFAULT_SCOPES), **bot},
                {"token": POOR_TOKEN, "scopes": ["channels:read", "groups:read"], **bot},
            ],
            "strict_scopes": True,
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
            http.post(f"{base_url}/api/auth.test")
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    give_up(f"The Slack emulator did not start: {log_file.read_text()[-500:]}")

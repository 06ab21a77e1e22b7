"""A Slack workspace in memory that answers as Slack's Web API does, served by `scripted.py`.

Written from Slack's published description of each method (docs.slack.dev/reference/methods: auth.test,
conversations.list, .info, .history, .replies, users.list, users.info, files.list, files.info), of its paging, its limits
and its errors; not recorded from Slack. It has what the emulator lacks: times of one's own, `oldest` and `latest`,
the last reply and the number of replies, pages of replies that repeat the first message, what is left of deleted
messages, scopes, limits.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from tests.emulators.scripted import Reply, Request, json_reply

TOKEN: Final = "xoxb-never-to-be-seen"
TEAM: Final = {"team_id": "T1", "team": "Harbour Works", "url": "https://harbour-works.slack.com/"}
SCOPES: Final = "channels:history,channels:read,files:read,groups:history,groups:read,users:read"
TODAY: Final = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def at(days_ago: int, minute: int = 0) -> str:
    """Timestamp of a message that was sent so many days ago, some minutes after noon."""
    when = TODAY - timedelta(days=days_ago) + timedelta(hours=12, minutes=minute)
    return f"{int(when.timestamp())}.{minute:06}"


def day(days_ago: int) -> str:
    """ISO date of so many days ago."""
    return (TODAY - timedelta(days=days_ago)).date().isoformat()


@dataclass
class Workspace:
    """Answers requests; a test changes its fields."""

    channels: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Of each channel, replies among them."""
    users: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, tuple[dict[str, Any], bytes]] = field(default_factory=dict)
    scopes: str = SCOPES
    most: int = 1000
    """What one page holds at most; 15 for apps that Slack limits."""
    budget: dict[str, int] = field(default_factory=dict)
    """How many more requests a method answers before it says 429; without an entry, any number."""
    faults: dict[str, list[Reply]] = field(default_factory=dict)
    """Answers to a method's next requests, in place of its own."""
    channels_per_page: int = 1000
    base_url: str = ""

    def add_channel(self, id: str, name: str, **more: Any) -> str:
        """A channel the app is a member of."""
        channel = {"id": id, "name": name, "is_private": False, "is_member": True, "num_members": 3}
        self.channels.append({**channel, **more})
        self.messages.setdefault(id, [])
        return id

    def post(self, channel: str, ts: str, text: str, user: str = "U1", **more: Any) -> str:
        """A message; with `thread_ts` a reply."""
        self.messages[channel].append({"type": "message", "ts": ts, "user": user, "text": text, **more})
        return ts

    def find(self, channel: str, ts: str) -> dict[str, Any]:
        """A message, to be changed."""
        return next(message for message in self.messages[channel] if message["ts"] == ts)

    def edit(self, channel: str, ts: str, text: str) -> None:
        """Replace a text, as its author does."""
        self.find(channel, ts).update(text=text, edited={"user": "U1", "ts": at(0)})

    def delete(self, channel: str, ts: str) -> None:
        """Delete a message; of one with replies a tombstone is left."""
        message = self.find(channel, ts)
        if self._replies(channel, ts):
            message.update(
                subtype="tombstone", user="USLACKBOT", text="This message was deleted.", hidden=True
            )
        else:
            self.messages[channel].remove(message)

    def share(self, channel: str, id: str, name: str, content: bytes, ts: str, **more: Any) -> None:
        """A file, with the message that shares it."""
        raw = {
            "id": id, "name": name, "title": name, "mimetype": "text/plain", "size": len(content), "mode": "hosted",
            "user": "U1", "created": int(ts.partition(".")[0]), "timestamp": int(ts.partition(".")[0]),
            "channels": [channel], "permalink": f"https://harbour-works.slack.com/files/U1/{id}/{name}",
            "url_private": f"{self.base_url}/files-pri/T1-{id}/{name}", **more,
        }  # fmt: skip
        self.files[id] = (raw, content)
        self.post(channel, ts, "", files=[raw], subtype="file_share")

    def __call__(self, request: Request) -> Reply:
        path = request.path.partition("?")[0]
        method = path.removeprefix("/api/")
        if queued := self.faults.get(method):
            return queued.pop(0)
        if self.budget.get(method, 1) <= 0:
            return json_reply({"ok": False, "error": "ratelimited"}, 429, retry_after="60")
        if method in self.budget:
            self.budget[method] -= 1
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._reply({"ok": False, "error": "invalid_auth"})
        if path.startswith("/files-pri/"):
            return self._download(path)
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        answers: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
            "auth.test": lambda _: {**TEAM},
            "auth.revoke": lambda _: {"revoked": True},
            "conversations.list": self._list,
            "conversations.info": lambda form: {"channel": self._channel(form["channel"])},
            "conversations.history": self._history,
            "conversations.replies": self._thread,
            "users.list": lambda form: self._page("members", self.users, form, self.most),
            "users.info": self._user,
            "files.list": self._list_files,
            "files.info": self._file,
        }
        try:
            return self._reply({"ok": True, **answers[method](form)})
        except LookupError as error:
            return self._reply({"ok": False, "error": str(error.args[0])})

    def _reply(self, answer: dict[str, Any]) -> Reply:
        return json_reply(answer, x_oauth_scopes=self.scopes)

    def _list(self, form: dict[str, str]) -> dict[str, Any]:
        types = form["types"].split(",")
        found = [
            channel for channel in self.channels
            if ("mpim" if channel.get("is_mpim") else "private_channel" if channel["is_private"] else "public_channel") in types
        ]  # fmt: skip
        return self._page("channels", found, form, self.channels_per_page)

    def _channel(self, id: str) -> dict[str, Any]:
        for channel in self.channels:
            if channel["id"] == id:
                return channel
        raise LookupError("channel_not_found")

    def _member(self, form: dict[str, str]) -> str:
        channel = self._channel(form["channel"])
        if not channel["is_member"]:
            raise LookupError("not_in_channel")
        return str(channel["id"])

    def _history(self, form: dict[str, str]) -> dict[str, Any]:
        channel = self._member(form)
        inclusive = form.get("inclusive") in ("true", "1")
        shown = [
            self._as_listed(channel, message)
            for message in self.messages[channel]
            if message.get("thread_ts", message["ts"]) == message["ts"]
            or message.get("subtype") == "thread_broadcast"
        ]
        if "oldest" in form:
            shown = [
                m
                for m in shown
                if _key(m) > _of(form["oldest"]) or (inclusive and _key(m) == _of(form["oldest"]))
            ]
        if "latest" in form:
            shown = [
                m
                for m in shown
                if _key(m) < _of(form["latest"]) or (inclusive and _key(m) == _of(form["latest"]))
            ]
        shown.sort(key=_key, reverse=True)
        return self._page("messages", shown, form, self.most)

    def _thread(self, form: dict[str, str]) -> dict[str, Any]:
        channel = self._member(form)
        found = [message for message in self.messages[channel] if message["ts"] == form["ts"]]
        if not found:
            raise LookupError("thread_not_found")
        page = self._page("messages", self._replies(channel, form["ts"]), form, self.most)
        # Each page begins with the first message of the thread.
        return {**page, "messages": [self._as_listed(channel, found[0]), *page["messages"]]}

    def _replies(self, channel: str, ts: str) -> list[dict[str, Any]]:
        replies = [m for m in self.messages[channel] if m.get("thread_ts") == ts and m["ts"] != ts]
        return sorted(replies, key=_key)

    def _as_listed(self, channel: str, message: dict[str, Any]) -> dict[str, Any]:
        replies = self._replies(channel, message["ts"])
        if not replies:
            return dict(message)
        last = replies[-1]["ts"]
        return {**message, "thread_ts": message["ts"], "reply_count": len(replies), "latest_reply": last}

    def _user(self, form: dict[str, str]) -> dict[str, Any]:
        for user in self.users:
            if user["id"] == form["user"]:
                return {"user": user}
        raise LookupError("user_not_found")

    def _list_files(self, form: dict[str, str]) -> dict[str, Any]:
        since, until = int(form.get("ts_from", 0)), int(form.get("ts_to", 1 << 40))
        found = [
            raw for raw, _ in self.files.values()
            if form["channel"] in raw["channels"] and since <= raw["created"] <= until and raw["mode"] != "tombstone"
        ]  # fmt: skip
        count, page = min(int(form["count"]), self.most), int(form["page"])
        pages = -(-len(found) // count)
        return {"files": found[(page - 1) * count : page * count], "paging": {"page": page, "pages": pages}}

    def _file(self, form: dict[str, str]) -> dict[str, Any]:
        if form["file"] not in self.files:
            raise LookupError("file_not_found")
        return {"file": self.files[form["file"]][0]}

    def _download(self, path: str) -> Reply:
        raw, content = self.files[path.split("/")[2].removeprefix("T1-")]
        return Reply(200, content, {"content-type": str(raw["mimetype"])})

    def _page(
        self, name: str, found: list[dict[str, Any]], form: dict[str, str], most: int
    ) -> dict[str, Any]:
        names = [str(item.get("ts") or item["id"]) for item in found]
        start = 0
        if form.get("cursor"):
            following = base64.b64decode(form["cursor"]).decode()
            if following not in names:
                raise LookupError("invalid_cursor")
            start = names.index(following)
        end = start + min(int(form.get("limit", 100)), most)
        cursor = base64.b64encode(names[end].encode()).decode() if end < len(found) else ""
        return {
            name: found[start:end],
            "has_more": bool(cursor),
            "response_metadata": {"next_cursor": cursor},
        }


def _key(message: dict[str, Any]) -> tuple[int, int]:
    return _of(message["ts"])


def _of(ts: str) -> tuple[int, int]:
    seconds, _, rest = ts.partition(".")
    return int(seconds), int(rest or 0)

"""Reads one thread, day or file into a document."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from backend.connectors.providers.contract import (
    JSON,
    Entry,
    ItemGone,
    ItemUnreadable,
    ProviderUnavailable,
    RateLimited,
    SourceItem,
)
from backend.connectors.providers.conversation import MAX_FILE_BYTES, too_large
from backend.connectors.providers.file_types import extension
from backend.connectors.providers.slack import render
from backend.connectors.providers.slack.channels import next_cursor
from backend.connectors.providers.slack.client import LIMITED, SlackClient, SlackRefused
from backend.connectors.providers.slack.messages import (
    Kind,
    Message,
    day_of,
    kind_of,
    midnight,
    moment,
    order,
)
from backend.connectors.providers.slack.people import People
from backend.connectors.providers.slack.render import Place

PER_REQUEST: Final = 200
#: Some megabytes of text; what is longer was not written by people.
MAX_MESSAGES: Final = 20_000
MAX_NAMES: Final = 50

_GONE: Final = frozenset(
    {"channel_not_found", "thread_not_found", "message_not_found", "file_not_found", "file_deleted"}
)


class Documents:
    """Reads what `entries.py` describes."""

    def __init__(self, client: SlackClient, people: People, *, include_bots: bool) -> None:
        self._client = client
        self._people = people
        self._include_bots = include_bots

    def thread(self, place: Place, entry: Entry, ts: str) -> SourceItem:
        """A thread. Raises ItemGone when its first message or its last reply is."""
        messages = render.in_order(
            list(self._pages("conversations.replies", channel=place.channel_id, ts=ts))
        )
        if len(messages) < 2 or messages[0]["ts"] != ts or messages[0].get("subtype") == "tombstone":
            raise ItemGone
        title, body = render.thread(place, messages, self._people)
        author = self._people.author(messages[0]).handle
        return self._item(place, entry, "thread", title, body, messages, author, {"thread_ts": ts})

    def day(self, place: Place, entry: Entry, day: date) -> SourceItem:
        """What was said outside threads on a day. Raises ItemGone when nothing is left."""
        listed = entry.listed
        messages = render.in_order(list(listed if listed is not None else self._messages_of(place, day)))
        if not messages:
            raise ItemGone
        title, body = render.day(place, day, messages, self._people)
        return self._item(place, entry, "day", title, body, messages, None, {"day": day.isoformat()})

    def file(self, place: Place, entry: Entry, file_id: str) -> SourceItem:
        """A file."""
        raw = entry.listed or self._call("files.info", file=file_id).get("file")
        if not isinstance(raw, dict):
            raise ProviderUnavailable
        if raw.get("mode") == "tombstone":
            raise ItemGone
        if raw.get("mode") == "hidden_by_limit":
            raise ItemUnreadable("Slack hides this file: it is older than the workspace's plan keeps.")
        if (byte_size := int(raw.get("size") or 0)) > MAX_FILE_BYTES:
            raise too_large(byte_size)
        mime_type = str(raw.get("mimetype") or "application/octet-stream")
        body = self._client.download(
            str(raw.get("url_private_download") or raw.get("url_private") or ""), mime_type
        )
        name = re.sub(r"[/\\\x00-\x1f]", "_", str(raw.get("name") or file_id))
        when = datetime.fromtimestamp(int(raw["created"]), UTC) if raw.get("created") else None
        author = self._people.find(str(raw["user"])) if raw.get("user") else None
        return SourceItem(
            external_id=entry.external_id,
            title=str(raw.get("title") or name),
            body=body,
            mime_type=mime_type,
            file_name=name,
            kind="file",
            url=str(raw["permalink"]) if raw.get("permalink") else entry.url,
            author=author.handle if author else None,
            created_at=when,
            updated_at=when,
            metadata={
                **_where(place),
                "participants": [author.name] if author else [],
                "file_type": extension(name) or str(raw.get("filetype") or ""),
            },
        )

    def _messages_of(self, place: Place, day: date) -> Iterator[Message]:
        start, end = midnight(day), midnight(day + timedelta(days=1))
        for message in self._pages(
            "conversations.history",
            channel=place.channel_id,
            oldest=start,
            latest=end,
            inclusive="true",
            until=start,
        ):
            is_plain = kind_of(message, include_bots=self._include_bots) is Kind.PLAIN
            if day_of(message["ts"]) == day and is_plain:
                yield message

    def _pages(self, method: str, *, until: str | None = None, **arguments: str) -> Iterator[Message]:
        """Every message of a list, each page of a thread beginning with the first message again; of a history down to
        `until`. Raises ItemUnreadable for what Slack hands this app in too small pieces."""
        cursor: str | None = None
        count = 0
        while True:
            try:
                answer = self._call(method, limit=PER_REQUEST, cursor=cursor, **arguments)
            except RateLimited as error:
                # Each try would get as far as this one, as waiting ends with the same list, or the same first page.
                if cursor is not None and count <= LIMITED:
                    raise ItemUnreadable(
                        f"It has more than {LIMITED} messages, and Slack hands this app no more than that a minute."
                    ) from error
                if cursor is None and self._client.is_limited and method == "conversations.history":
                    raise ItemUnreadable(
                        f"Slack hands this app {LIMITED} messages a minute; this is tried again later."
                    ) from error
                raise
            messages = answer.get("messages")
            if not isinstance(messages, list) or not all(
                isinstance(m, dict) and m.get("ts") for m in messages
            ):
                raise ProviderUnavailable
            yield from messages
            count += len(messages)
            if count > MAX_MESSAGES:
                raise ItemUnreadable(f"It has more than {MAX_MESSAGES} messages.")
            following = next_cursor(answer)
            is_past = until is not None and any(order(message["ts"]) < order(until) for message in messages)
            if is_past or following is None or following == cursor:
                return
            cursor = following

    def _call(self, method: str, **arguments: str | int | None) -> Mapping[str, Any]:
        try:
            return self._client.call(method, **arguments)
        except SlackRefused as refused:
            if refused.error in _GONE:
                raise ItemGone from refused
            raise ItemUnreadable(refused.message) from refused

    def _item(
        self, place: Place, entry: Entry, kind: str, title: str, body: str, messages: Sequence[Message],
        author: str | None, more: Mapping[str, JSON],
    ) -> SourceItem:  # fmt: skip
        names = list(dict.fromkeys(self._people.author(message).name for message in messages))
        edits = [
            str(message["edited"].get("ts"))
            for message in messages
            if isinstance(message.get("edited"), dict)
        ]
        last = max([messages[-1]["ts"], *(ts for ts in edits if ts[:1].isdecimal())], key=order)
        return SourceItem(
            external_id=entry.external_id,
            title=title,
            body=body.encode(),
            mime_type="text/markdown",
            file_name=f"{re.sub(r'[^A-Za-z0-9.-]+', '-', entry.external_id)}.md",
            kind=kind,
            url=place.permalink(messages[0]["ts"]),
            author=author,
            created_at=moment(messages[0]["ts"]),
            updated_at=moment(last),
            metadata={
                **_where(place),
                **more,
                "participants": names[:MAX_NAMES],
                "message_count": len(messages),
            },
        )


def _where(place: Place) -> dict[str, JSON]:
    return {"channel": place.name, "channel_id": place.channel_id, "is_private": place.is_private}

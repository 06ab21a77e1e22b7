"""Threads and days of conversation as Markdown.

The same messages always give the same bytes, as long as nobody is renamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from backend.connectors.providers.slack.messages import Message, moment, order
from backend.connectors.providers.slack.people import People
from backend.connectors.providers.slack.text import excerpt, message_text


@dataclass(frozen=True, slots=True)
class Place:
    """Where messages were said."""

    channel_id: str
    name: str
    """Without #."""
    is_private: bool
    workspace_url: str
    """Ends with a slash."""

    def permalink(self, ts: str, thread_ts: str | None = None) -> str:
        """Where a person opens a message."""
        link = f"{self.workspace_url}archives/{self.channel_id}/p{ts.replace('.', '')}"
        return f"{link}?thread_ts={thread_ts}&cid={self.channel_id}" if thread_ts not in (None, ts) else link


def thread_title(place: Place, parent_text: str) -> str:
    """What a thread is called: its channel and its first words."""
    return f"#{place.name}: {excerpt(parent_text) or 'thread'}"


def day_title(place: Place, day: date) -> str:
    """What a day of a channel is called."""
    return f"#{place.name}, {day.isoformat()}"


def thread(place: Place, messages: Sequence[Message], people: People) -> tuple[str, str]:
    """(title, Markdown) of a thread, its first message first."""
    parent = messages[0]
    parent_text = message_text(parent, people)
    title = thread_title(place, parent_text)
    opening = (
        f"Thread in #{place.name}, begun by {people.author(parent).name} "
        f"on {moment(parent['ts']):%Y-%m-%d at %H:%M} UTC."
    )
    said = [_said(place, message, people, "%Y-%m-%d %H:%M", parent["ts"]) for message in messages]
    return title, _joined([f"# {title}", opening, *said])


def day(place: Place, on: date, messages: Sequence[Message], people: People) -> tuple[str, str]:
    """(title, Markdown) of what was said outside threads on one day, first message first."""
    title = day_title(place, on)
    said = [_said(place, message, people, "%H:%M", None) for message in messages]
    return title, _joined([f"# {title}", f"Messages in #{place.name} on {on.isoformat()} (UTC).", *said])


def in_order(messages: Sequence[Message]) -> list[Message]:
    """`messages` by time, each once."""
    by_ts = {message["ts"]: message for message in messages}
    return [by_ts[ts] for ts in sorted(by_ts, key=order)]


def _said(place: Place, message: Message, people: People, stamp: str, thread_ts: str | None) -> str:
    when = f"{moment(message['ts']):{stamp}}"
    edited = " (edited)" if message.get("edited") else ""
    link = place.permalink(message["ts"], thread_ts)
    heading = f"**{people.author(message).name}**, [{when}]({link}){edited}"
    return f"{heading}\n\n{message_text(message, people)}".rstrip()


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts).replace("\r\n", "\n") + "\n"

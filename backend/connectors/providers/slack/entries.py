"""Threads, days and files as a listing shows them."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from backend.connectors.providers.contract import Entry, ItemFailure, ProviderRefused
from backend.connectors.providers.file_types import document_type
from backend.connectors.providers.slack.days import Day
from backend.connectors.providers.slack.messages import Message, files_of, thread_revision
from backend.connectors.providers.slack.render import Place, day_title, thread_title
from backend.connectors.providers.slack.text import Ids, message_text


def thread_id(channel_id: str, ts: str) -> str:
    """External id of a thread."""
    return f"{channel_id}:thread:{ts}"


def day_id(channel_id: str, day: date) -> str:
    """External id of a day."""
    return f"{channel_id}:day:{day.isoformat()}"


def file_id(slack_id: str) -> str:
    """External id of a file, which may be shared in several channels."""
    return f"file:{slack_id}"


def thread(place: Place, parent: Message, mark: str) -> Entry:
    """A thread by its first message. `mark`, unless empty, makes its revision that of one pass: it must be read to know
    whether it has changed, but once, even if the pass is interrupted."""
    return Entry(
        external_id=thread_id(place.channel_id, parent["ts"]),
        title=thread_title(place, message_text(parent, Ids())),
        url=place.permalink(parent["ts"]),
        revision=thread_revision(parent) + mark,
        locator={"channel": place.channel_id, "thread": parent["ts"]},
    )


def day(place: Place, listed: Day) -> Entry:
    """A day, with its messages when they are at hand."""
    return Entry(
        external_id=day_id(place.channel_id, listed.day),
        title=day_title(place, listed.day),
        url=place.permalink(listed.first),
        revision=listed.revision,
        locator={"channel": place.channel_id, "day": listed.day.isoformat()},
        listed=listed.messages,
    )


def file(place: Place, raw: Mapping[str, Any]) -> Entry:
    """A file that was shared in a channel."""
    facts = (
        raw.get("id"),
        raw.get("size"),
        raw.get("edit_timestamp") or raw.get("updated") or raw.get("timestamp"),
    )
    return Entry(
        external_id=file_id(str(raw["id"])),
        title=str(raw.get("title") or raw.get("name") or raw["id"]),
        url=str(raw["permalink"]) if raw.get("permalink") else None,
        revision=":".join(str(fact) for fact in (*facts, raw.get("title"))),
        locator={"channel": place.channel_id, "file": str(raw["id"])},
        listed=raw,
    )


def is_worth_reading(raw: Mapping[str, Any]) -> bool:
    """Whether a file is kept at Slack, and is a document by its name, or text such as a snippet of code."""
    if not raw.get("id") or raw.get("mode") in ("tombstone", "external") or raw.get("is_external"):
        return False
    return document_type(str(raw.get("name") or "")) is not None or str(raw.get("mimetype") or "").startswith(
        "text/"
    )


def deleted_files(message: Message) -> Iterator[Mapping[str, Any]]:
    """Files that the message once had."""
    return (raw for raw in files_of(message) if raw.get("mode") == "tombstone" and raw.get("id"))


def failure(place: Place, external_id: str, reason: ProviderRefused) -> ItemFailure:
    """A channel, or its files, that could not be listed."""
    # Files do not tell which channels they are in.
    hides = ("file:",) if external_id.endswith(":files") else (f"{place.channel_id}:", "file:")
    url = f"{place.workspace_url}archives/{place.channel_id}"
    return ItemFailure(external_id, url, "list", reason.message, hides)

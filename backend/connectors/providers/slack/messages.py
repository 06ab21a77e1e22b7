"""What Slack's messages are, told from the way a channel's history lists them.

A timestamp (`ts`) is a string of seconds and microseconds, unique within its channel: it is the message's name.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias

Message: TypeAlias = Mapping[str, Any]

#: What Slack itself writes into a channel; nobody said it.
NOISE: Final = frozenset(
    {
        "bot_add", "bot_remove", "channel_archive", "channel_canvas_updated", "channel_convert_to_private",
        "channel_convert_to_public", "channel_join", "channel_leave", "channel_name", "channel_posting_permissions",
        "channel_purpose", "channel_topic", "channel_unarchive", "ekm_access_denied", "group_archive", "group_join",
        "group_leave", "group_name", "group_purpose", "group_topic", "group_unarchive", "huddle_thread",
        "joiner_notification", "pinned_item", "reminder_add", "sh_room_created", "tabbed_canvas_updated", "unpinned_item",
    }
)  # fmt: skip

#: What a message's revision is made of; reactions and read marks are not part of a document.
_CONTENT: Final = ("ts", "user", "bot_id", "username", "subtype", "text", "blocks", "attachments")


class Kind(StrEnum):
    """What a listed message means for documents."""

    PLAIN = "plain"
    """Part of its day."""
    THREAD = "thread"
    """Begins a thread with replies."""
    REPLY = "reply"
    """A reply that was also sent to the channel; part of its thread."""
    DELETED = "deleted"
    """What is left of a deleted message that has replies."""
    IGNORED = "ignored"
    """Not part of any document."""


def kind_of(message: Message, *, include_bots: bool) -> Kind:
    """What `message` means, in a channel's history."""
    subtype = message.get("subtype")
    if subtype == "tombstone":
        return Kind.DELETED
    if message.get("thread_ts", message["ts"]) != message["ts"]:
        return Kind.REPLY
    if reply_count(message):
        return Kind.THREAD
    if subtype in NOISE or message.get("hidden"):
        return Kind.IGNORED
    return Kind.PLAIN if include_bots or not is_of_bot(message) else Kind.IGNORED


def is_of_bot(message: Message) -> bool:
    """Whether an app wrote it."""
    return bool(message.get("bot_id")) or message.get("subtype") == "bot_message"


def reply_count(message: Message) -> int:
    """How many replies the listing says there are."""
    count = message.get("reply_count")
    return count if isinstance(count, int) else 0


def order(ts: str) -> tuple[int, int]:
    """A timestamp as something to compare. Raises ValueError for anything else."""
    seconds, _, rest = ts.partition(".")
    return int(seconds), int(rest or 0)


def moment(ts: str) -> datetime:
    """When it was sent."""
    seconds, microseconds = order(ts)
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=min(microseconds, 999_999))


def day_of(ts: str) -> date:
    """The day, in UTC, on which it was sent."""
    return moment(ts).date()


def midnight(day: date) -> str:
    """The timestamp with which `day` begins."""
    return f"{int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())}.000000"


def content_hash(message: Message) -> str:
    """Another one whenever a reader would see something else."""
    seen = {name: message[name] for name in _CONTENT if message.get(name)}
    edited = message.get("edited")
    seen["edited"] = edited.get("ts") if isinstance(edited, dict) else None
    seen["files"] = [(file.get("id"), file.get("mode"), file.get("title")) for file in files_of(message)]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()


def files_of(message: Message) -> list[Mapping[str, Any]]:
    """The files shared with it."""
    files = message.get("files")
    return [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []


def thread_revision(parent: Message) -> str:
    """Another one when the first message, the number of replies or the last of them is another one.

    An edited reply changes none of these; see `walk.REREAD`.
    """
    facts = (content_hash(parent), reply_count(parent), parent.get("latest_reply"))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

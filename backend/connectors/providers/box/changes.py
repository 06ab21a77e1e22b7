"""What happened since a position in the account's stream of events (developer.box.com/guides/events).

Box says of this stream that events come again and out of order. So an event only tells which file or folder to
look at; what is true of it is asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from backend.connectors.providers.box import items
from backend.connectors.providers.box.client import RequestInvalid, find_file, find_folder
from backend.connectors.providers.contract import (
    CursorExpired,
    Entry,
    ItemFailure,
    ItemGone,
    ItemUnreadable,
    ProviderRefused,
    ProviderUnavailable,
)
from backend.connectors.providers.conversation import Conversation

#: Each file and folder that an answer names costs one request more.
EVENTS_PER_PAGE: Final = 100
#: Box keeps this stream for 21 days and does not say what it answers to an older position.
LONGEST_ABSENCE: Final = timedelta(days=14)

#: What changes neither content nor name, place or access.
_HARMLESS: Final = frozenset(
    {
        "COMMENT_CREATE", "COMMENT_DELETE", "ITEM_DOWNLOAD", "ITEM_OPEN", "ITEM_PREVIEW", "ITEM_SHARED",
        "ITEM_SHARED_CREATE", "ITEM_SHARED_UNSHARE", "ITEM_SHARED_UPDATE", "ITEM_SYNC", "ITEM_UNSYNC",
        "LOCK_CREATE", "LOCK_DESTROY", "METADATA_INSTANCE_CREATE", "METADATA_INSTANCE_DELETE",
        "METADATA_INSTANCE_UPDATE", "TAG_ITEM_CREATE", "TASK_ASSIGNMENT_CREATE", "TASK_ASSIGNMENT_DELETE",
        "TASK_ASSIGNMENT_UPDATE", "TASK_CREATE",
    }
)  # fmt: skip
#: A new folder is empty; what comes into it has events of its own.
_NEW_FOLDER: Final = frozenset({"ITEM_CREATE", "ITEM_UPLOAD"})


@dataclass(frozen=True, slots=True)
class Events:
    """One answer of the stream."""

    position: str
    """Where the stream goes on."""
    as_of: datetime
    """When it was given, by Box's clock."""
    entries: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Changes:
    """What one answer of the stream means."""

    entries: tuple[Entry, ...]
    gone: tuple[str, ...]
    failures: tuple[ItemFailure, ...]
    folders: tuple[str, ...]
    """To be listed again with all below them: what is in them got another place, or was not to be seen before."""
    is_unknown: bool
    """Whether files are gone whose ids nobody tells: those in a folder that is."""


@dataclass(slots=True)
class _Seen:
    """What files and folders were when an event named them, by their ids."""

    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    folders: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    """Folders that may have been one of ours before."""


def latest(box: Conversation) -> Events:
    """The end of the stream. Raises `ProviderRefused`, and what `Conversation.request` raises."""
    try:
        return _ask(box, "now")
    except ItemGone as error:
        raise ProviderRefused("Box has no events for this account.") from error


def events_after(box: Conversation, position: str, as_of: datetime) -> Events:
    """The events after a position that was given at `as_of`.

    Raises `CursorExpired` when Box no longer knows it or may have forgotten what came after it.
    """
    try:
        answer = _ask(box, position)
    except (RequestInvalid, ItemGone) as error:
        raise CursorExpired from error
    if answer.as_of - as_of > LONGEST_ABSENCE:
        raise CursorExpired
    return answer


def look_at(box: Conversation, events: Iterable[Mapping[str, Any]], chosen: Sequence[str]) -> Changes:
    """What is true now of all that `events` name, as far as it is in the chosen folders."""
    seen = _named(events)
    entries: list[Entry] = []
    gone: list[str] = []
    failures: list[ItemFailure] = []
    for file_id in seen.files:
        try:
            file = find_file(box, file_id)
        except (ItemUnreadable, RequestInvalid) as error:
            failures.append(items.file_failure(file_id, error.message))
            continue
        if file and items.is_document(file) and items.is_within(file, chosen):
            entries.append(items.entry_of(file))
        else:
            gone.append(file_id)
    folders: dict[str, Mapping[str, Any]] = {}
    is_unknown = False
    for folder_id, raw in seen.folders.items():
        try:
            folder = find_folder(box, folder_id)
        except (ItemUnreadable, RequestInvalid):
            folder = None
        if folder and items.is_within(folder, chosen):
            folders[folder_id] = folder
        elif folder_id in seen.moved or (folder is None and _may_be_within(raw, chosen)):
            is_unknown = True
    above = [id for id, folder in folders.items() if folders.keys().isdisjoint(items.ancestors(folder))]
    return Changes(tuple(entries), tuple(gone), tuple(failures), tuple(above), is_unknown)


def _named(events: Iterable[Mapping[str, Any]]) -> _Seen:
    """The files and folders that events name, each once."""
    seen = _Seen()
    known: set[str] = set()
    for event in events:
        event_id, event_type = str(event.get("event_id")), event.get("event_type")
        if event_id in known or event_type in _HARMLESS:
            continue
        known.add(event_id)
        source = event.get("source") or {}
        # Of collaborations, the item they are about; files and folders have no `item`.
        source = source.get("item") or source
        kind, item_id = (
            (source.get("type") or source.get("item_type")),
            (source.get("id") or source.get("item_id")),
        )
        if not item_id or str(item_id) == items.ROOT:
            continue
        if kind == "file":
            seen.files[str(item_id)] = source
        elif kind == "folder" and event_type not in _NEW_FOLDER:
            seen.folders[str(item_id)] = {**source, "id": str(item_id)}
            if event_type == "ITEM_MOVE":
                seen.moved.add(str(item_id))
    return seen


def _may_be_within(raw: Mapping[str, Any], chosen: Sequence[str]) -> bool:
    """Whether a folder that is gone may have been in the chosen ones; where it was, an event need not tell."""
    where = items.ancestors(raw)
    return not where or items.TRASH in where or items.is_within(raw, chosen)


def _ask(box: Conversation, position: str) -> Events:
    params: dict[str, str | int] = {
        "stream_type": "changes",
        "stream_position": position,
        "limit": EVENTS_PER_PAGE,
    }
    try:
        response, answer = box.request_json("GET", "/2.0/events", params=params)
    except ItemUnreadable as error:
        raise ProviderRefused("Box does not let this account read what has changed.") from error
    try:
        found = Events(
            str(answer["next_stream_position"]), _clock(response.headers.get("date")), answer["entries"]
        )
    except (KeyError, TypeError) as error:
        raise ProviderUnavailable from error
    return found


def _clock(date: str | None) -> datetime:
    try:
        return parsedate_to_datetime(date or "").astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)

"""Lists and reads the files of a Box account.

A full pass asks for the end of the stream of events first and then walks the folders; what happens during the walk
is in the events after it. Passes of changes read the stream from there. A folder that is moved, renamed, restored
or shared is walked again, because its files have no events of their own; a folder that is gone takes files with it
whose ids nobody tells, so everything is listed again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Self

from backend.connectors.providers.box import changes, items
from backend.connectors.providers.box.client import download, find_file, find_folder, open_conversation
from backend.connectors.providers.box.walk import Visit, from_json, to_json, walk
from backend.connectors.providers.contract import (
    JSON,
    CredentialsRejected,
    CursorExpired,
    Entry,
    ItemGone,
    ItemUnreadable,
    Opening,
    Page,
    ProviderRefused,
    SourceItem,
)
from backend.connectors.providers.conversation import MAX_FILE_BYTES, Conversation, too_large

VERSION: Final = 1
#: So many folders without documents are passed before a page says how far the walk is.
IDLE_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a pass; without anything left to visit, the place where the next pass of changes begins."""

    chosen: tuple[str, ...]
    """The folders the pass is about; empty for all."""
    stream: str
    """Position in the stream of events."""
    as_of: datetime
    """When Box gave it."""
    left: tuple[Visit, ...]
    """Folders still to be listed."""
    is_full: bool
    is_expired: bool = False
    """Whether something happened that only listing everything again can tell."""

    def to_cursor(self) -> Mapping[str, JSON]:
        """This as JSON."""
        return {
            "version": VERSION,
            "chosen": list(self.chosen),
            "stream": self.stream,
            "as_of": self.as_of.isoformat(),
            "left": to_json(self.left),
            "is_full": self.is_full,
            "is_expired": self.is_expired,
        }

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any]) -> Self:
        """The place `to_cursor` wrote down. Raises `CursorExpired` for anything else."""
        try:
            return cls(
                chosen=tuple(cursor["chosen"]),
                stream=str(cursor["stream"]),
                as_of=datetime.fromisoformat(cursor["as_of"]),
                left=from_json(cursor["left"]),
                is_full=bool(cursor["is_full"]),
                is_expired=bool(cursor["is_expired"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CursorExpired from error


class BoxSource:
    """A `Source` for one Box account. Loaded by workers only."""

    def __init__(self, opening: Opening) -> None:
        """`opening.settings["folders"]`: ids of folders; empty means all."""
        if opening.credentials is None:
            raise CredentialsRejected
        self._box: Conversation = open_conversation(opening.api_base, opening.credentials.access_token)
        self._chosen = tuple(sorted(set(opening.settings["folders"]) - {items.ROOT}))
        if items.ROOT in opening.settings["folders"]:
            self._chosen = ()

    def close(self) -> None:
        """Let go of connections."""
        self._box.close()

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`."""
        if since is None:
            at = self._beginning()
            if not at.left:
                raise ProviderRefused(
                    "None of the chosen folders is there any more, or shared with this account."
                )
        else:
            at = Position.from_cursor(since)
            if at.is_expired or at.chosen != self._chosen:
                raise CursorExpired
        if at.left:
            yield from self._walk(at)
        if since is not None and not at.is_full:
            yield from self._changes(replace(at, left=()))

    def read(self, entry: Entry) -> SourceItem:
        """See `Source.read`."""
        raw = entry.listed or find_file(self._box, str(entry.locator["id"]))
        if raw is None:
            raise ItemGone
        if int(raw.get("size") or 0) > MAX_FILE_BYTES:
            raise too_large(int(raw["size"]))
        return items.item_of(raw, download(self._box, str(raw["id"])))

    def _beginning(self) -> Position:
        now = changes.latest(self._box)
        # A chosen folder that was deleted is no failure: its documents are to go as well.
        roots = [folder for folder in self._chosen if self._exists(folder)] if self._chosen else [items.ROOT]
        left = tuple((folder, "") for folder in reversed(roots))
        return Position(self._chosen, now.position, now.as_of, left, is_full=True)

    def _exists(self, folder: str) -> bool:
        try:
            return find_folder(self._box, folder) is not None
        except ItemUnreadable:
            # Listing it says why.
            return True

    def _walk(self, at: Position) -> Iterator[Page]:
        idle = 0
        for step in walk(self._box, at.left):
            idle += 1
            if not (step.entries or step.failures) and step.left and idle < IDLE_STEPS:
                continue
            idle = 0
            here = replace(at, left=step.left, is_full=at.is_full and bool(step.left))
            yield Page(
                cursor=here.to_cursor(),
                entries=step.entries,
                failures=step.failures,
                is_full=at.is_full,
                note=step.folder_path,
            )

    def _changes(self, at: Position) -> Iterator[Page]:
        while True:
            answer = changes.events_after(self._box, at.stream, at.as_of)
            is_end = not answer.entries or answer.position == at.stream
            found = changes.look_at(self._box, answer.entries, at.chosen)
            left = tuple((folder, "") for folder in reversed(found.folders))
            at = replace(at, stream=answer.position, as_of=answer.as_of, is_expired=found.is_unknown)
            yield Page(
                cursor=replace(at, left=left).to_cursor(),
                entries=found.entries,
                gone=found.gone,
                failures=found.failures,
            )
            if found.is_unknown:
                raise CursorExpired
            if left:
                yield from self._walk(replace(at, left=left))
            if is_end:
                return


def open_source(opening: Opening) -> BoxSource:
    """Reads one Box account."""
    return BoxSource(opening)

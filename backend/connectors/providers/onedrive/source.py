"""Lists and reads the files of OneDrive and of SharePoint document libraries.

Both are drives, and each drive is listed by its delta: everything first, and from the link at the end only what has
changed. Drives come one after the other; a cursor names those left, the next page of the first of them, and the
link at the end of each one that is through.

A delta tells of a folder that was renamed, moved or deleted, but not reliably of the files in it, so everything is
listed again then: two hundred items a request, of which only those are read that are different. Files of other
types than documents, shortcuts to other drives and notebooks are not listed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Self

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
from backend.connectors.providers.conversation import MAX_FILE_BYTES, too_large
from backend.connectors.providers.onedrive import graph, items
from backend.connectors.providers.onedrive.graph import Delta, RequestInvalid
from backend.errors import Forbidden, NotFound, Unprocessable

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Link:
    """Where a drive's changes are told from, and since when."""

    path: str
    as_of: datetime

    def to_json(self) -> list[str]:
        """This as JSON."""
        return [self.path, self.as_of.isoformat()]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a pass; without anything left, the place where the next pass of changes begins."""

    chosen: tuple[str, ...]
    """The drives that the settings name; empty for the account's own."""
    drives: tuple[str, ...]
    """The drives of the pass."""
    left: tuple[str, ...]
    """Those not through yet; `following` belongs to the first one."""
    following: str | None
    links: Mapping[str, Link]
    """By drive. During a pass of changes, links of drives that are left are those of the pass before."""
    is_full: bool
    is_expired: bool = False
    """Whether something happened that only listing everything again can tell."""

    def to_cursor(self) -> Mapping[str, JSON]:
        """This as JSON."""
        return {
            "version": VERSION,
            "chosen": list(self.chosen),
            "drives": list(self.drives),
            "left": list(self.left),
            "following": self.following,
            "links": {drive: link.to_json() for drive, link in self.links.items()},
            "is_full": self.is_full,
            "is_expired": self.is_expired,
        }

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any]) -> Self:
        """The place `to_cursor` wrote down. Raises `CursorExpired` for anything else."""
        try:
            return cls(
                chosen=tuple(cursor["chosen"]),
                drives=tuple(cursor["drives"]),
                left=tuple(cursor["left"]),
                following=cursor["following"],
                links={
                    drive: Link(path, datetime.fromisoformat(as_of))
                    for drive, (path, as_of) in cursor["links"].items()
                },
                is_full=bool(cursor["is_full"]),
                is_expired=bool(cursor["is_expired"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CursorExpired from error


class OneDriveSource:
    """A `Source` for one Microsoft account. Loaded by workers only."""

    def __init__(self, opening: Opening) -> None:
        """`opening.settings["drives"]`: ids of drives; empty means the account's own."""
        if opening.credentials is None:
            raise CredentialsRejected
        self._graph = graph.open_conversation(opening.api_base, opening.credentials.access_token)
        self._chosen = tuple(sorted(set(opening.settings["drives"])))

    def close(self) -> None:
        """Let go of connections."""
        self._graph.close()

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`."""
        at = self._beginning() if since is None else self._go_on(since)
        is_stored = since is not None and at.following is not None
        while at.left:
            drive = at.left[0]
            link = None if at.is_full else at.links.get(drive)
            is_stored = is_stored or (link is not None and at.following is None)
            try:
                delta = graph.read_delta(self._graph, _path(at, drive, link))
            except (RequestInvalid, ItemGone, ItemUnreadable) as error:
                if is_stored and not isinstance(error, ItemUnreadable):
                    raise CursorExpired from error
                at = replace(at, left=at.left[1:], following=None)
                yield self._without(at, drive, error)
                continue
            is_stored = False
            was_full = at.is_full
            expires = not was_full and _needs_listing(delta, link)
            at = replace(_moved(at, drive, delta), is_expired=expires)
            yield _page(at, drive, delta, is_full=was_full)
            if expires:
                raise CursorExpired

    def read(self, entry: Entry) -> SourceItem:
        """See `Source.read`. Asks for the file once more, because a delta does not tell where it is."""
        drive, item = str(entry.locator["drive"]), str(entry.locator["item"])
        raw = graph.find_item(self._graph, drive, item)
        if not items.is_document(raw):
            raise ItemGone
        if int(raw.get("size") or 0) > MAX_FILE_BYTES:
            raise too_large(int(raw["size"]))
        return items.item_of(drive, raw, graph.download(self._graph, drive, item))

    def _without(self, at: Position, drive: str, error: NotFound | Unprocessable | Forbidden) -> Page:
        """The page of a drive that is not shown. Raises ProviderRefused when that is all there is."""
        reason = "Microsoft does not show this drive to the account."
        if len(at.drives) == 1 or not (at.left or at.links):
            raise ProviderRefused(reason) from error
        # One that was deleted is no failure: its documents are to go as well.
        failures = () if isinstance(error, ItemGone) else (items.drive_failure(drive, reason),)
        return Page(at.to_cursor(), failures=failures, is_full=at.is_full)

    def _beginning(self) -> Position:
        drives = self._chosen
        if not drives:
            try:
                drives = (str(graph.own_drive(self._graph)["id"]),)
            except (ItemGone, ItemUnreadable) as error:
                raise ProviderRefused("This account has no OneDrive.") from error
        return Position(self._chosen, drives, drives, None, {}, is_full=True)

    def _go_on(self, since: Mapping[str, JSON]) -> Position:
        at = Position.from_cursor(since)
        if at.is_expired or at.chosen != self._chosen:
            raise CursorExpired
        return at if at.left else replace(at, left=at.drives, is_full=False)


def _path(at: Position, drive: str, link: Link | None) -> str:
    """What to ask for next."""
    return at.following or (link.path if link else graph.delta_path(drive))


def _moved(at: Position, drive: str, delta: Delta) -> Position:
    """The place after a page of a drive."""
    if delta.following:
        return replace(at, following=delta.following)
    links = {**at.links, drive: Link(delta.end, delta.as_of)} if delta.end else at.links
    return replace(at, left=at.left[1:], following=None, links=links)


def _needs_listing(delta: Delta, link: Link | None) -> bool:
    """Whether files have another place, or are gone, that the delta does not name."""
    return link is not None and any(
        # Of what is deleted, some accounts tell the id alone.
        (items.is_folder(raw) and not items.created_after(raw, link.as_of))
        or ("deleted" in raw and "file" not in raw)
        for raw in delta.items
    )


def _page(at: Position, drive: str, delta: Delta, *, is_full: bool) -> Page:
    # The same item may come more than once; what was said last is true.
    last = {str(raw["id"]): raw for raw in delta.items}
    files = [raw for raw in last.values() if not items.is_folder(raw) and "root" not in raw]
    # A file that is no document may have been one under another name.
    gone = [raw for raw in files if not items.is_document(raw) and ("deleted" in raw or not is_full)]
    return Page(
        cursor=at.to_cursor(),
        entries=tuple(items.entry_of(drive, raw) for raw in files if items.is_document(raw)),
        gone=tuple(items.external_id(drive, str(raw["id"])) for raw in gone),
        is_full=is_full,
    )


def open_source(opening: Opening) -> OneDriveSource:
    """Reads one Microsoft account."""
    return OneDriveSource(opening)

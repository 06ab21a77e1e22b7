"""Walks the files of a Drive: all of them or those of chosen folders, or what its change logs say has changed.

The person's own Drive (with what is shared with them) and every shared drive have a listing and a change log each;
nothing less than all the logs shows every change. Their tokens are taken before a full pass begins, so what happens
meanwhile is the next pass's. A change of a folder is not repeated for what is below it, so the folder is looked
through: that is how the files of a folder that was moved, renamed or thrown away are found.

https://developers.google.com/workspace/drive/api/guides/about-changes
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from backend.connectors.providers.contract import (
    JSON,
    CursorExpired,
    Entry,
    ItemFailure,
    ItemGone,
    ItemUnreadable,
    Opening,
    Page,
    ProviderUnavailable,
    SourceItem,
)
from backend.connectors.providers.conversation import MAX_FILE_BYTES
from backend.connectors.providers.google.api import BadRequest, connect, get_object
from backend.connectors.providers.google_drive import items
from backend.connectors.providers.google_drive.files import EXPORTS, FIELDS, DriveFile
from backend.connectors.providers.google_drive.folders import Folders
from backend.connectors.providers.google_drive.position import MAX_TODO, OWN, Position

FILES_PER_PAGE: Final = 200
_API: Final = "/drive/v3"
_ALL_DRIVES: Final = MappingProxyType({"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"})


class GoogleDriveSource:
    """A `Source` for one Google account. Loaded by workers only."""

    def __init__(self, opening: Opening) -> None:
        self._drive = connect(opening)
        self._folders = Folders(self._drive)
        self._chosen = tuple(opening.settings.get("folders") or ())

    def close(self) -> None:
        """Let go of connections."""
        self._drive.close()

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`."""
        at = Position.from_cursor(since) if since is not None else self._beginning()
        if not at.is_full and not at.todo and at.log is None:
            at = self._begin_changes(at)
        while at.todo or (at.log is not None and not at.is_full):
            page, at = self._listed(at) if at.todo else self._changed(at)
            yield page

    def read(self, entry: Entry) -> SourceItem:
        """See `Source.read`."""
        file_id = str(entry.locator["file"])
        file = entry.listed if isinstance(entry.listed, DriveFile) else None
        if file is None:
            params = {"fields": FIELDS, "supportsAllDrives": "true"}
            file = DriveFile.of(get_object(self._drive, f"{_API}/files/{quote(file_id, safe='')}", params))
        if file.is_trashed or not file.is_document:
            raise ItemGone
        place = self._folders.place(file)
        if not place.is_below(self._chosen):
            raise ItemGone
        try:
            return items.item(file, place, self._download(file))
        except BadRequest as error:
            raise ItemUnreadable from error

    def _beginning(self) -> Position:
        logs = {OWN: self._start_token(OWN), **self._start_tokens(self._drives())}
        if self._chosen:
            todo = [f"folder:{folder}" for folder in self._chosen]
        else:
            todo = [f"drive:{log}" for log in sorted(logs)]
        return Position(logs, is_full=True, todo=tuple(reversed(todo)))

    def _begin_changes(self, at: Position) -> Position:
        """A pass over all the logs there are now."""
        drives = set(self._drives())
        if set(at.logs) - drives - {OWN}:
            # Nothing tells which documents were in a shared drive that is out of sight.
            raise CursorExpired("A shared drive was left or deleted; everything has to be listed again.")
        added = self._start_tokens(sorted(drives - set(at.logs)))
        todo = () if self._chosen else tuple(f"drive:{drive_id}" for drive_id in added)
        return replace(at, logs={**at.logs, **added}, todo=todo, log=OWN)

    def _drives(self) -> Iterator[str]:
        token: str | None = None
        while True:
            params = _params(pageSize=100, fields="nextPageToken,drives(id)", pageToken=token)
            answer = get_object(self._drive, f"{_API}/drives", params)
            for drive in answer.get("drives") or ():
                yield _text(drive, "id")
            token = answer.get("nextPageToken")
            if not token:
                return

    def _start_tokens(self, drives: Iterable[str]) -> dict[str, str]:
        tokens: dict[str, str] = {}
        for drive_id in drives:
            # One that was left a moment ago has neither a log nor files.
            with suppress(ItemGone, ItemUnreadable):
                tokens[drive_id] = self._start_token(drive_id)
        return tokens

    def _start_token(self, log: str) -> str:
        params = _params(driveId=log, supportsAllDrives="true")
        answer = get_object(self._drive, f"{_API}/changes/startPageToken", params)
        return _text(answer, "startPageToken")

    def _listed(self, at: Position) -> tuple[Page, Position]:
        """One page of what is to be listed next, and the place after it."""
        kind, _, name = at.todo[-1].partition(":")
        query = [] if kind == "drive" else [f"'{name}' in parents"]
        if at.is_full or kind == "drive":
            query.append("trashed = false")
        corpus = {"corpora": "drive", "driveId": name} if kind == "drive" and name != OWN else {}
        fields = f"nextPageToken,incompleteSearch,files({FIELDS})"
        params = (
            _params(
                q=" and ".join(query), pageSize=FILES_PER_PAGE, fields=fields, pageToken=at.token, **corpus
            )
            | _ALL_DRIVES
        )
        failures: tuple[ItemFailure, ...] = ()
        try:
            answer = get_object(self._drive, f"{_API}/files", params)
        except (ItemGone, ItemUnreadable, BadRequest) as error:
            if at.token:
                raise CursorExpired from error
            if kind == "drive" and name == OWN:
                raise ProviderUnavailable from error
            answer = {}
            # A folder that has vanished since a change named it is no failure: its removal is a change as well.
            if at.is_full or kind == "drive":
                failures = (
                    _failure(at.todo[-1], "It is not there any more, or no longer shared with this account."),
                )
        if answer.get("incompleteSearch"):
            failures = (_failure(at.todo[-1], "Google could not list all the files this time."),)
        files = [DriveFile.of(raw) for raw in answer.get("files") or ()]
        # Below a folder that was thrown away everything is in the bin as well, folders included.
        folders = tuple(file.id for file in files if file.is_folder) if kind == "folder" else ()
        following = self._checked(at.after_page(answer.get("nextPageToken"), folders))
        entries, gone = self._sorted(files)
        page = Page(
            following.to_cursor(),
            entries=entries,
            gone=() if at.is_full else gone,
            failures=failures,
            is_full=at.is_full,
            note=self._note(kind, name),
        )
        return page, following

    def _changed(self, at: Position) -> tuple[Page, Position]:
        """One page of the change log that is being read, and the place after it."""
        log = str(at.log)
        fields = f"nextPageToken,newStartPageToken,changes(changeType,removed,fileId,file({FIELDS}))"
        params = _params(pageToken=at.logs[log], pageSize=FILES_PER_PAGE, fields=fields, driveId=log) | dict(
            _ALL_DRIVES
        )
        try:
            answer = get_object(self._drive, f"{_API}/changes", params)
        except (ItemGone, ItemUnreadable, BadRequest) as error:
            raise CursorExpired from error
        removed: list[str] = []
        files: list[DriveFile] = []
        for change in answer.get("changes") or ():
            if change.get("changeType", "file") != "file":
                continue
            if change.get("removed") or not change.get("file"):
                removed.append(_text(change, "fileId"))
            else:
                files.append(DriveFile.of(change["file"]))
        folders = tuple(file.id for file in files if file.is_folder)
        token = answer.get("nextPageToken")
        logs = sorted(at.logs)
        rest = logs[logs.index(log) + 1 :]
        following = self._checked(
            at.with_log(
                str(token) if token else _text(answer, "newStartPageToken"),
                following=log if token else next(iter(rest), None),
                folders=folders,
            )
        )
        entries, gone = self._sorted(files)
        page = Page(
            following.to_cursor(),
            entries=entries,
            gone=(*map(items.external_id, removed), *gone),
            note="Changes",
        )
        return page, following

    def _sorted(self, files: Iterable[DriveFile]) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
        """(entries, external ids of what is out of sight) of files as Drive has them now."""
        files = list(files)
        for folder in files:
            if folder.is_folder:
                self._folders.remember(folder)
        entries: list[Entry] = []
        gone: list[str] = []
        for file in files:
            if file.is_folder or not file.is_document:
                continue
            if file.is_trashed:
                gone.append(items.external_id(file.id))
                continue
            place = self._folders.place(file)
            if place.is_below(self._chosen):
                entries.append(items.entry(file, place))
            else:
                gone.append(items.external_id(file.id))
        return tuple(entries), tuple(gone)

    def _download(self, file: DriveFile) -> bytes:
        if file.byte_size is not None and file.byte_size > MAX_FILE_BYTES:
            raise ItemUnreadable(f"The file is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB.")
        path = f"{_API}/files/{quote(file.id, safe='')}"
        if file.mime_type in EXPORTS:
            return self._drive.get_bytes(f"{path}/export?{urlencode({'mimeType': file.read_as[0]})}")
        return self._drive.get_bytes(f"{path}?alt=media&supportsAllDrives=true")

    def _note(self, kind: str, name: str) -> str:
        if kind == "folder":
            return "Folders"
        return "My Drive and shared with me" if name == OWN else "Shared drives"

    def _checked(self, at: Position) -> Position:
        if len(at.todo) > MAX_TODO and not at.is_full:
            raise CursorExpired("So many folders have changed that everything has to be listed again.")
        return at


def open_source(opening: Opening) -> GoogleDriveSource:
    """A source for the connected Drive."""
    return GoogleDriveSource(opening)


def _failure(what: str, reason: str) -> ItemFailure:
    return ItemFailure(what, None, "list", reason)


def _params(**given: str | int | None) -> dict[str, str | int]:
    """Parameters without the ones that have no value."""
    return {name: value for name, value in given.items() if value}


def _text(answer: Any, name: str) -> str:
    try:
        return str(answer[name])
    except (KeyError, TypeError) as error:
        raise ProviderUnavailable from error

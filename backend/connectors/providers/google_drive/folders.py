"""Where a file is: the names and ids of the folders above it, asked for one by one and remembered for a while."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from backend.connectors.providers.contract import ItemGone, ItemUnreadable
from backend.connectors.providers.conversation import Conversation
from backend.connectors.providers.google.api import get_object
from backend.connectors.providers.google_drive.files import FIELDS, DriveFile

#: A folder takes some hundred bytes.
MAX_REMEMBERED: Final = 20_000
#: Folders may be as deep as a hundred in a shared drive.
_DEEPEST: Final = 128


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is. `path` begins with the name of the shared drive, if it is in one; a person's own Drive has no
    name. `ids` are those of the folders, and of the shared drive."""

    path: str
    ids: frozenset[str]

    def is_below(self, chosen: Collection[str]) -> bool:
        """Whether one of the chosen folders is above it; everything is when none is chosen."""
        return not chosen or not self.ids.isdisjoint(chosen)


@dataclass(frozen=True, slots=True)
class _Folder:
    name: str
    parent: str | None


class Folders:
    """The folders one account can see. Not shared between threads."""

    def __init__(self, drive: Conversation) -> None:
        self._drive = drive
        self._known: dict[str, _Folder | None] = {}
        self._drives: dict[str, str] = {}
        self._root: str | None = None

    def place(self, file: DriveFile) -> Place:
        """Where the file is. Folders this account may not see end the path."""
        names: list[str] = []
        ids: set[str] = set()
        at = file.parent
        while at and at not in ids and len(ids) < _DEEPEST:
            ids.add(at)
            folder = None if at in (file.drive, self._my_root()) else self._folder(at)
            if folder is None:
                break
            names.append(folder.name)
            at = folder.parent
        if file.drive:
            ids.add(file.drive)
            names.append(self._drive_name(file.drive))
        return Place("/".join(reversed(names)), frozenset(ids))

    def remember(self, folder: DriveFile) -> None:
        """Note a folder as a listing shows it."""
        while len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known.pop(folder.id, None)
        self._known[folder.id] = _Folder(folder.name, folder.parent)

    def _folder(self, folder_id: str) -> _Folder | None:
        if folder_id not in self._known:
            params = {"fields": FIELDS, "supportsAllDrives": "true"}
            try:
                path = f"/drive/v3/files/{quote(folder_id, safe='')}"
                self.remember(DriveFile.of(get_object(self._drive, path, params)))
            except (ItemGone, ItemUnreadable):
                self._known[folder_id] = None
        return self._known[folder_id]

    def _my_root(self) -> str:
        """Id of the folder that a person's own Drive is; a name of it in listings is `root`."""
        if self._root is None:
            try:
                answer = get_object(self._drive, "/drive/v3/files/root", {"fields": "id"})
                self._root = str(answer.get("id") or "root")
            except (ItemGone, ItemUnreadable):
                self._root = "root"
        return self._root

    def _drive_name(self, drive_id: str) -> str:
        if drive_id not in self._drives:
            try:
                answer = get_object(
                    self._drive, f"/drive/v3/drives/{quote(drive_id, safe='')}", {"fields": "name"}
                )
                self._drives[drive_id] = str(answer.get("name") or drive_id)
            except (ItemGone, ItemUnreadable):
                self._drives[drive_id] = "Shared drive"
        return self._drives[drive_id]

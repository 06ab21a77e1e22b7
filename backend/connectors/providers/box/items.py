"""What Box says of a file, in the contract's values."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from backend.connectors.providers.contract import Entry, ItemFailure, SourceItem
from backend.connectors.providers.file_types import document_type, extension

#: The folder above all others; it has no name that a person would recognise.
ROOT: Final = "0"
#: The folder that Box shows as the parent of what is in the trash.
TRASH: Final = "1"


def is_document(raw: Mapping[str, Any]) -> bool:
    """Whether an item of a listing is a file worth reading."""
    return raw.get("type") == "file" and document_type(str(raw.get("name") or "")) is not None


def entry_of(raw: Mapping[str, Any]) -> Entry:
    """A file as a listing shows it."""
    return Entry(
        external_id=str(raw["id"]),
        title=str(raw["name"]),
        url=file_url(str(raw["id"])),
        revision=_revision(raw),
        locator={"id": str(raw["id"])},
        listed=raw,
    )


def item_of(raw: Mapping[str, Any], body: bytes) -> SourceItem:
    """A file with its content. Who holds a shared link is Box's to say: links are not passed on."""
    name, file_id = str(raw["name"]), str(raw["id"])
    return SourceItem(
        external_id=file_id,
        title=name,
        body=body,
        mime_type=document_type(name) or "application/octet-stream",
        file_name=name,
        kind="document",
        url=file_url(file_id),
        author=login(raw.get("created_by")) or login(raw.get("owned_by")),
        created_at=_moment(raw.get("content_created_at") or raw.get("created_at")),
        updated_at=_moment(raw.get("content_modified_at") or raw.get("modified_at")),
        metadata={
            "folder_path": folder_path(raw),
            "file_type": extension(name),
            "owner": login(raw.get("owned_by")),
            "modified_by": login(raw.get("modified_by")),
            "byte_size": int(raw.get("size") or 0),
        },
    )


def folder_failure(folder: str, reason: str) -> ItemFailure:
    """A folder that could not be listed."""
    return ItemFailure(f"folder:{folder}", f"https://app.box.com/folder/{folder}", "list", reason)


def file_failure(file_id: str, reason: str) -> ItemFailure:
    """A file that Box named and did not show."""
    return ItemFailure(file_id, file_url(file_id), "list", reason, hides=(file_id,))


def file_url(file_id: str) -> str:
    """Where a person opens a file."""
    return f"https://app.box.com/file/{file_id}"


def ancestors(raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Ids of the folders an item is in, from the root down; without those that the account cannot see."""
    return tuple(str(folder["id"]) for folder in _path(raw))


def is_within(raw: Mapping[str, Any], chosen: Iterable[str]) -> bool:
    """Whether an item is one of the chosen folders or in one of them. No chosen folder means all of them."""
    wanted = set(chosen)
    return not wanted or not wanted.isdisjoint((*ancestors(raw), str(raw["id"])))


def folder_path(raw: Mapping[str, Any]) -> str:
    """Names of the folders an item is in, by slashes; empty at the root."""
    return "/".join(str(folder["name"]) for folder in _path(raw) if str(folder["id"]) != ROOT)


def _path(raw: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (raw.get("path_collection") or {}).get("entries") or ()


def _revision(raw: Mapping[str, Any]) -> str | None:
    """Content, name and place: who moves a folder changes where its files are found, not their etag."""
    content = raw.get("sha1") or raw.get("etag")
    if not content:
        return None
    told = "\0".join((str(content), str(raw["name"]), folder_path(raw)))
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:40]


def login(user: Mapping[str, Any] | None) -> str | None:
    """What tells a person apart at Box: the address, else the name."""
    return (user or {}).get("login") or (user or {}).get("name") or None


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None

"""What Microsoft Graph says of a file (a driveItem), in the contract's values."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from backend.connectors.providers.contract import Entry, ItemFailure, SourceItem
from backend.connectors.providers.file_types import document_type, extension


def is_document(raw: Mapping[str, Any]) -> bool:
    """Whether an item is a file worth reading. Notebooks are packages, shortcuts are items of another drive."""
    return (
        "file" in raw
        and "deleted" not in raw
        and "package" not in raw
        and "remoteItem" not in raw
        and document_type(str(raw.get("name") or "")) is not None
    )


def is_folder(raw: Mapping[str, Any]) -> bool:
    """Whether an item is a folder, other than the root, which is listed with every change."""
    return "folder" in raw and "root" not in raw


def external_id(drive: str, item: str) -> str:
    """Items are told apart by their ids within one drive only."""
    return f"{drive}:{item}"


def entry_of(drive: str, raw: Mapping[str, Any]) -> Entry:
    """A file as a delta shows it."""
    return Entry(
        external_id=external_id(drive, str(raw["id"])),
        title=str(raw["name"]),
        url=raw.get("webUrl"),
        revision=_revision(raw),
        locator={"drive": drive, "item": str(raw["id"])},
    )


def item_of(drive: str, raw: Mapping[str, Any], body: bytes) -> SourceItem:
    """A file with its content; `raw` as `graph.find_item` gives it."""
    name = str(raw["name"])
    return SourceItem(
        external_id=external_id(drive, str(raw["id"])),
        title=name,
        body=body,
        mime_type=document_type(name) or "application/octet-stream",
        file_name=name,
        kind="document",
        url=raw.get("webUrl"),
        author=_person(raw.get("createdBy")),
        created_at=_moment(raw.get("createdDateTime")),
        updated_at=_moment(raw.get("lastModifiedDateTime")),
        metadata={
            "folder_path": _folder_path(raw),
            "file_type": extension(name),
            "modified_by": _person(raw.get("lastModifiedBy")),
            "byte_size": int(raw.get("size") or 0),
            "drive_id": drive,
        },
    )


def drive_failure(drive: str, reason: str) -> ItemFailure:
    """A drive that could not be listed."""
    return ItemFailure(f"drive:{drive}", None, "list", reason)


def created_after(raw: Mapping[str, Any], moment: datetime) -> bool:
    """Whether an item came into being after `moment`, by Microsoft's clock."""
    created = _moment(raw.get("createdDateTime"))
    return created is not None and created >= moment


def _folder_path(raw: Mapping[str, Any]) -> str:
    """Names of the folders an item is in, by slashes; empty at the root."""
    # `/drives/{id}/root:/Reports/2026`, or `/drive/root:` at the top; a colon ends the first part.
    _, _, path = str((raw.get("parentReference") or {}).get("path") or "").partition(":")
    return unquote(path).strip("/")


def _revision(raw: Mapping[str, Any]) -> str | None:
    """Content, name and place, as far as a delta tells: at work or school it leaves out `cTag` and the path."""
    hashes = raw["file"].get("hashes") or {}
    content = hashes.get("quickXorHash") or hashes.get("sha256Hash") or raw.get("cTag") or raw.get("eTag")
    if not content:
        return None
    parent = (raw.get("parentReference") or {}).get("id")
    told = "\0".join(str(part) for part in (content, raw["name"], parent, raw.get("webUrl")))
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:40]


def _person(identity: Mapping[str, Any] | None) -> str | None:
    user = (identity or {}).get("user") or {}
    return user.get("email") or user.get("displayName") or user.get("id") or None


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found and found.tzinfo else None

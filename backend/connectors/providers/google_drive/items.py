"""What becomes of files: their names here, their entries, and the documents."""

import hashlib
from pathlib import PurePath

from backend.connectors.providers.contract import JSON, Entry, SourceItem
from backend.connectors.providers.google_drive.files import DriveFile
from backend.connectors.providers.google_drive.folders import Place


def external_id(file_id: str) -> str:
    """External id of a file."""
    return f"file:{file_id}"


def entry(file: DriveFile, place: Place) -> Entry:
    """A file as the listing shows it."""
    # A file that was renamed or moved is read again: both are shown with it, and found by.
    where = hashlib.sha256(f"{place.path}\0{file.name}\0{file.mime_type}".encode()).hexdigest()[:16]
    return Entry(
        external_id=external_id(file.id),
        title=file.name,
        url=file.url,
        revision=f"{file.content}:{where}" if file.content else None,
        locator={"file": file.id},
        listed=file,
    )


def item(file: DriveFile, place: Place, body: bytes) -> SourceItem:
    """The file as a document."""
    mime_type, file_name = file.read_as
    metadata: dict[str, JSON] = {
        "folder_path": place.path,
        "file_type": PurePath(file_name).suffix.lower().lstrip(".") or "file",
        "owners": list(file.owners),
        "modified_by": file.modified_by,
        "byte_size": file.byte_size,
        "google_type": file.mime_type,
    }
    return SourceItem(
        external_id=external_id(file.id),
        title=file.name,
        body=body,
        mime_type=mime_type,
        file_name=file_name,
        kind=file.kind,
        url=file.url,
        author=next(iter(file.owners), None) or file.modified_by,
        created_at=file.created_at,
        updated_at=file.modified_at,
        metadata={name: value for name, value in metadata.items() if value is not None},
    )

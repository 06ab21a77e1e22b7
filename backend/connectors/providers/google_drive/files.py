"""Which files of a Drive are worth reading, in which form, and what is known of them.

https://developers.google.com/workspace/drive/api/reference/rest/v3/files
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final, Self

from backend.connectors.providers.contract import ProviderUnavailable

FOLDER: Final = "application/vnd.google-apps.folder"
_GOOGLE: Final = "application/vnd.google-apps."
#: What is asked for of each file; Drive sends four fields otherwise.
FIELDS: Final = (
    "id,name,mimeType,md5Checksum,version,size,createdTime,modifiedTime,trashed,parents,driveId,webViewLink,"
    "owners(displayName,emailAddress),lastModifyingUser(emailAddress)"
)

#: Google's own documents have no bytes. Word's format keeps footnotes and tables; Markdown, which Docs would give as
#: well, comes with all pictures inside.
EXPORTS: Final = MappingProxyType(
    {
        f"{_GOOGLE}document": (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ".docx",
            "document",
        ),
        f"{_GOOGLE}spreadsheet": (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            ".xlsx",
            "spreadsheet",
        ),
        f"{_GOOGLE}presentation": (
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            ".pptx",
            "presentation",
        ),
    }
)

#: Nobody looks for words in these, and no text could be taken from them.
_WORDLESS: Final = ("image/", "video/", "audio/", "font/", "model/", "chemical/")
_WORDLESS_TYPES: Final = frozenset(
    {
        "application/gzip",
        "application/java-archive",
        "application/octet-stream",
        "application/vnd.android.package-archive",
        "application/vnd.rar",
        "application/wasm",
        "application/x-7z-compressed",
        "application/x-apple-diskimage",
        "application/x-bzip2",
        "application/x-gzip",
        "application/x-iso9660-image",
        "application/x-msdownload",
        "application/x-rar-compressed",
        "application/x-sqlite3",
        "application/x-tar",
        "application/x-xz",
        "application/x-zip-compressed",
        "application/zip",
    }
)
#: Files that programs upload without a type of their own; the name says what they are.
_NAMED: Final = frozenset(
    {
        ".adoc", ".csv", ".doc", ".docx", ".eml", ".epub", ".htm", ".html", ".ipynb", ".md", ".markdown", ".msg",
        ".odp", ".ods", ".odt", ".org", ".pdf", ".ppt", ".pptx", ".rst", ".rtf", ".tex", ".tsv", ".txt", ".xls",
        ".xlsx",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DriveFile:
    """A file, folder or shortcut as Drive lists it."""

    id: str
    name: str
    mime_type: str
    content: str
    """Another one whenever the content is another one."""
    byte_size: int | None
    created_at: datetime | None
    modified_at: datetime | None
    is_trashed: bool
    parent: str | None
    drive: str | None
    """Id of the shared drive it is in."""
    url: str | None
    owners: tuple[str, ...]
    """Addresses; files of shared drives have none."""
    modified_by: str | None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """The file in an answer of Drive's. Raises ProviderUnavailable when it is none."""
        try:
            return cls(
                id=str(raw["id"]),
                name=str(raw["name"]),
                mime_type=str(raw["mimeType"]).lower(),
                # Google's own documents have no checksum; `version` goes up with what changes no content as well.
                content=str(raw.get("md5Checksum") or raw.get("modifiedTime") or raw.get("version") or ""),
                byte_size=int(raw["size"]) if raw.get("size") is not None else None,
                created_at=_moment(raw.get("createdTime")),
                modified_at=_moment(raw.get("modifiedTime")),
                is_trashed=bool(raw.get("trashed")),
                parent=next(iter(map(str, raw.get("parents") or ())), None),
                drive=raw.get("driveId"),
                url=raw.get("webViewLink"),
                owners=tuple(
                    str(owner["emailAddress"])
                    for owner in raw.get("owners") or ()
                    if owner.get("emailAddress")
                ),
                modified_by=(raw.get("lastModifyingUser") or {}).get("emailAddress"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProviderUnavailable from error

    @property
    def is_folder(self) -> bool:
        """Whether it holds files."""
        return self.mime_type == FOLDER

    @property
    def is_document(self) -> bool:
        """Whether there are words in it. Shortcuts count as none: what they lead to is listed where it is."""
        if self.mime_type.startswith(_GOOGLE):
            return self.mime_type in EXPORTS
        if self.mime_type.startswith(_WORDLESS):
            return False
        return self.mime_type not in _WORDLESS_TYPES or PurePath(self.name.lower()).suffix in _NAMED

    @property
    def kind(self) -> str:
        """`document`, `spreadsheet`, `presentation`, or `file`."""
        return EXPORTS[self.mime_type][2] if self.mime_type in EXPORTS else "file"

    @property
    def read_as(self) -> tuple[str, str]:
        """(type, file name) of what is downloaded."""
        if self.mime_type not in EXPORTS:
            return self.mime_type, self.name.replace("/", "_")
        mime_type, suffix, _ = EXPORTS[self.mime_type]
        name = self.name.replace("/", "_")
        return mime_type, name if name.lower().endswith(suffix) else name + suffix


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None

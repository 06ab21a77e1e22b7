"""The folders of a Drive and the shared drives, to choose from."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from backend.connectors.providers.contract import Opening
from backend.connectors.providers.conversation import Conversation
from backend.connectors.providers.google.api import connect, get_object
from backend.connectors.providers.google_drive.files import FOLDER
from backend.connectors.providers.provider import Choice

MAX_CHOICES: Final = 1000


def list_choices(opening: Opening) -> list[Choice]:
    """Shared drives, then the folders at the top of the person's own Drive, by name; at most a thousand of each.
    Raises what a conversation raises."""
    chosen = set(opening.settings.get("folders") or ())
    with connect(opening) as drive:
        drives = list(_each(drive, "/drive/v3/drives", "drives", {"fields": "nextPageToken,drives(id,name)"}))
        at_top = f"'root' in parents and mimeType = '{FOLDER}' and trashed = false"
        asked = {"q": at_top, "fields": "nextPageToken,files(id,name)", "orderBy": "name"}
        folders = list(_each(drive, "/drive/v3/files", "files", asked))
    return [
        Choice(
            id=str(each["id"]),
            name=str(each["name"]),
            is_chosen=each["id"] in chosen,
            details={"type": kind},
        )
        for kind, found in (("shared_drive", drives), ("folder", folders))
        for each in sorted(found, key=lambda each: str(each["name"]).lower())
    ]


def _each(
    drive: Conversation, path: str, name: str, params: Mapping[str, str]
) -> Iterator[Mapping[str, Any]]:
    token: str | None = None
    for _ in range(MAX_CHOICES // 100):
        answer = get_object(
            drive, path, {**params, "pageSize": 100, **({"pageToken": token} if token else {})}
        )
        yield from answer.get(name) or ()
        token = answer.get("nextPageToken")
        if not token:
            return

"""One file's content, by the sha that names it."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from backend.connectors.providers.contract import (
    ItemGone,
    ItemUnreadable,
    NothingToRead,
    SourceItem,
)
from backend.connectors.providers.github import files, items
from backend.connectors.providers.github.client import GitHubClient


def read_file(client: GitHubClient, locator: Mapping[str, Any]) -> SourceItem:
    """The file of an entry.

    Raises `ItemUnreadable` with the reason, `ItemGone`, `NothingToRead`, and what `GitHubClient.get` raises.
    """
    file = files.file_at(locator["path"], locator["sha"], locator["size"])
    if file is None:
        raise ItemGone
    if file.is_too_large:
        raise ItemUnreadable("The file is larger than 10 MiB.")
    blob = client.get(f"/repos/{locator['repository']}/git/blobs/{file.blob_sha}").data
    if blob.get("encoding") != "base64":
        raise ItemUnreadable("GitHub sent the file in a form that cannot be read.")
    try:
        body = base64.b64decode(blob["content"])
    except binascii.Error as error:
        raise ItemUnreadable("GitHub sent the file in a form that cannot be read.") from error
    if files.is_large_file_pointer(body):
        raise ItemUnreadable("The file is kept in Git LFS, which is not read.")
    if file.is_code and files.is_binary(body):
        # Named like code, but none: nobody misses it, and the blob will never be another one.
        raise NothingToRead
    return items.file_item(locator, file, body)

"""The calls of the Box API that are needed, as published at developer.box.com/reference."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import httpx2

from backend.connectors.providers.contract import (
    ItemGone,
    ItemUnreadable,
    ProviderRefused,
    ProviderUnavailable,
)
from backend.connectors.providers.conversation import (
    MAX_FILE_BYTES,
    Conversation,
    refusal_of,
    too_large,
)

#: One page of a listing, and so the most folders that a cursor gains on one level of the tree.
PAGE_SIZE: Final = 100

FILE_FIELDS: Final = (
    "id,type,name,etag,sha1,size,item_status,path_collection,created_at,modified_at,content_created_at,"
    "content_modified_at,created_by,modified_by,owned_by"
)
FOLDER_FIELDS: Final = "id,type,name,item_status,path_collection"


class RequestInvalid(ProviderRefused):
    """Box does not understand the request, such as a marker or a position that it no longer knows (400)."""


def open_conversation(api_base: str, access_token: str) -> Conversation:
    """Requests to Box with one access token; close it."""
    return Conversation(api_base, headers={"Authorization": f"Bearer {access_token}"}, refusal=refusal)


def refusal(response: httpx2.Response, body: bytes) -> Exception:
    """What an answer other than a success means."""
    if response.status_code == HTTPStatus.BAD_REQUEST:
        return RequestInvalid(f"Box answered with status {response.status_code}.")
    if response.status_code == HTTPStatus.FORBIDDEN and b"insufficient_scope" in body:
        return ProviderRefused("The app at Box lacks the scope to read all files and folders.")
    return refusal_of(response, body)


def list_folder(box: Conversation, folder: str, marker: str) -> tuple[list[Mapping[str, Any]], str]:
    """(items of one page, marker of the page after it); markers are empty for the first page and after the last.

    Raises what `Conversation.request` and `refusal` raise.
    """
    params: dict[str, str | int] = {"usemarker": "true", "limit": PAGE_SIZE, "fields": FILE_FIELDS}
    if marker:
        params["marker"] = marker
    answer = box.get_json(f"/2.0/folders/{quote(folder, safe='')}/items", params)
    try:
        return [raw for raw in answer["entries"] if raw.get("id")], str(answer.get("next_marker") or "")
    except (AttributeError, KeyError, TypeError) as error:
        raise ProviderUnavailable from error


def find_file(box: Conversation, file_id: str) -> Mapping[str, Any] | None:
    """A file as it is now; None if it is deleted, in the trash, or no longer shared with the account."""
    return _find(box, f"/2.0/files/{quote(file_id, safe='')}", FILE_FIELDS)


def find_folder(box: Conversation, folder_id: str) -> Mapping[str, Any] | None:
    """A folder as it is now; None if it is deleted, in the trash, or no longer shared with the account."""
    return _find(box, f"/2.0/folders/{quote(folder_id, safe='')}", FOLDER_FIELDS)


def _find(box: Conversation, path: str, fields: str) -> Mapping[str, Any] | None:
    try:
        found = box.get_object(path, {"fields": fields})
    except ItemGone:
        return None
    return found if found.get("item_status", "active") == "active" else None


def download(box: Conversation, file_id: str) -> bytes:
    """The content of a file, from where Box redirects to; the token is not sent there.

    Raises ItemUnreadable above the limit, or while Box still prepares the file, and what `request` raises.
    """
    response, body = box.request(
        "GET",
        f"/2.0/files/{quote(file_id, safe='')}/content",
        max_bytes=MAX_FILE_BYTES,
        too_large=too_large,
    )
    if response.status_code == HTTPStatus.ACCEPTED:
        raise ItemUnreadable("Box is still preparing this file; it is tried again later.")
    return body

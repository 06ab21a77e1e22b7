"""The calls of Microsoft Graph v1.0 that are needed, as published at learn.microsoft.com/graph/api."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import httpx2

from backend.connectors.providers.contract import (
    CursorExpired,
    ItemUnreadable,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.conversation import MAX_FILE_BYTES, Conversation, refusal_of, resume_at

PAGE_SIZE: Final = 200
VERSION_PATH: Final = "/v1.0/"
#: OneDrive's own status for an account that has moved too much data lately.
BANDWIDTH_LIMIT_EXCEEDED: Final = 509


class RequestInvalid(ProviderRefused):
    """Graph does not understand the request, such as a token of a delta that it no longer knows (400)."""


@dataclass(frozen=True, slots=True)
class Delta:
    """One page of what is in a drive, or of what has changed in it."""

    items: tuple[Mapping[str, Any], ...]
    following: str | None
    """Path of the page after it."""
    end: str | None
    """Path that will tell what has changed after this, on the last page."""
    as_of: datetime
    """When it was given, by Microsoft's clock."""


def open_conversation(api_base: str, access_token: str) -> Conversation:
    """Requests to Graph with one access token; close it."""
    # Without the second one, a delta lists the folders above each change as if they had changed as well.
    headers = {"Authorization": f"Bearer {access_token}", "deltaExcludeParent": "true"}
    return Conversation(api_base, headers=headers, refusal=refusal)


def refusal(response: httpx2.Response, body: bytes) -> Exception:
    """What an answer other than a success means."""
    match response.status_code:
        case HTTPStatus.GONE if not response.history:
            return CursorExpired()
        case HTTPStatus.BAD_REQUEST:
            return RequestInvalid(f"Microsoft answered with status {response.status_code}.")
        case HTTPStatus.LOCKED:
            return ItemUnreadable("The file is locked at Microsoft.")
        case status if status == BANDWIDTH_LIMIT_EXCEEDED:
            return RateLimited(resume_at(response))
    return refusal_of(response, body)


def delta_path(drive: str) -> str:
    """Where the listing of a whole drive begins."""
    return f"{VERSION_PATH}drives/{quote(drive, safe='')}/root/delta?$top={PAGE_SIZE}"


def read_delta(graph: Conversation, path: str) -> Delta:
    """One page. Raises `CursorExpired` (410), and what `Conversation.request` and `refusal` raise."""
    response, answer = graph.request_json("GET", path)
    try:
        return Delta(
            items=tuple(raw for raw in answer["value"] if raw.get("id")),
            following=_path(graph, answer.get("@odata.nextLink")),
            end=_path(graph, answer.get("@odata.deltaLink")),
            as_of=_clock(response.headers.get("date")),
        )
    except (AttributeError, KeyError, TypeError, httpx2.InvalidURL) as error:
        raise ProviderUnavailable from error


def own_drive(graph: Conversation) -> Mapping[str, Any]:
    """The account's own OneDrive. Raises ItemGone if it has none, and what `Conversation.request` raises."""
    return graph.get_object(f"{VERSION_PATH}me/drive", {"$select": "id,name,driveType"})


def find_item(graph: Conversation, drive: str, item: str) -> Mapping[str, Any]:
    """A file as it is now, with its path. Raises ItemGone, and what `Conversation.request` and `refusal` raise."""
    return graph.get_object(_item_path(drive, item))


def download(graph: Conversation, drive: str, item: str) -> bytes:
    """The content of a file, from where Graph redirects to; the token is not sent there.

    Raises ItemGone, ItemUnreadable above the limit, and what `Conversation.request` and `refusal` raise.
    """
    return graph.get_bytes(f"{_item_path(drive, item)}/content", max_bytes=MAX_FILE_BYTES)


def _item_path(drive: str, item: str) -> str:
    return f"{VERSION_PATH}drives/{quote(drive, safe='')}/items/{quote(item, safe='')}"


def _path(graph: Conversation, link: str | None) -> str | None:
    """The path of a link, below the configured origin: wherever a link leads, the token stays here."""
    if not link:
        return None
    path = httpx2.URL(link).raw_path.decode("ascii").removeprefix(httpx2.URL(graph.base).path.rstrip("/"))
    if not path.startswith(VERSION_PATH):
        raise ProviderUnavailable
    return path


def _clock(date: str | None) -> datetime:
    try:
        return parsedate_to_datetime(date or "").astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)

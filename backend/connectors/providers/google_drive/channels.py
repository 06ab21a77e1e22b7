"""Channels over which Drive calls: https://developers.google.com/workspace/drive/api/guides/push

One for the account's own change log, which tells of files in shared drives too once the account has dealt with them.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from backend.connectors.providers.contract import Opening, ProviderUnavailable
from backend.connectors.providers.google.api import connect, get_object
from backend.connectors.providers.provider import OpenChannel

_API: Final = "/drive/v3"
#: The longest that Drive allows for changes.
_LIFETIME: Final = timedelta(days=7)


def open_channel(opening: Opening, channel_id: str, address: str, token: str) -> OpenChannel:
    """Has Drive call `address`, with `token`, whenever something changes. Raises what `Conversation.request` raises."""
    with connect(opening) as drive:
        start = get_object(drive, f"{_API}/changes/startPageToken", {"supportsAllDrives": "true"})
        expiration = datetime.now(UTC) + _LIFETIME
        _, answer = drive.request_json(
            "POST",
            f"{_API}/changes/watch",
            params={
                "pageToken": str(start.get("startPageToken", "")),
                "supportsAllDrives": "true",
                "includeItemsFromAllDrives": "true",
            },
            content={
                "id": channel_id,
                "type": "web_hook",
                "address": address,
                "token": token,
                "expiration": str(int(expiration.timestamp() * 1000)),
            },
        )
    return _opened(answer)


def close_channel(opening: Opening, channel_id: str, resource: str) -> None:
    """Has Drive call no more. Raises ItemGone when there is no such channel (any more), and what
    `Conversation.request` raises."""
    with connect(opening) as drive:
        drive.request("POST", f"{_API}/channels/stop", content={"id": channel_id, "resourceId": resource})


def _opened(answer: Any) -> OpenChannel:
    try:
        # A server that does not say when ends it within the hour.
        ends = (
            datetime.fromtimestamp(int(answer["expiration"]) / 1000, UTC) if "expiration" in answer else None
        )
        return OpenChannel(str(answer["resourceId"]), ends or datetime.now(UTC) + timedelta(hours=1))
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise ProviderUnavailable from error

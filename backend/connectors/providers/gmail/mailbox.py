"""What Gmail's API is asked: https://developers.google.com/workspace/gmail/api/reference/rest"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from backend.connectors.providers.contract import ItemUnreadable, Opening, ProviderUnavailable
from backend.connectors.providers.gmail.scope import PASSING
from backend.connectors.providers.gmail.threads import Message, from_base64url, parse_message
from backend.connectors.providers.google.api import connect, get_object

_ME: Final = "/gmail/v1/users/me"
LISTED_PER_REQUEST: Final = 100


class Mailbox:
    """The mailbox of the connected account. Not shared between threads; close it.

    Every method raises what a conversation raises, and ItemUnreadable for an item in a form that cannot be read.
    """

    def __init__(self, opening: Opening) -> None:
        self._gmail = connect(opening)
        self._labels: Mapping[str, str] | None = None

    def close(self) -> None:
        """Let go of connections."""
        self._gmail.close()

    def history_id(self) -> str:
        """Id of the latest change."""
        return text_at(get_object(self._gmail, f"{_ME}/profile"), "historyId")

    def list_threads(self, *, search: str, label: str | None, token: str | None) -> Mapping[str, Any]:
        """One page of `threads`, with a `nextPageToken` if it is not the last."""
        asked = {"q": search, "labelIds": label, "pageToken": token}
        params: dict[str, str | int] = {name: value for name, value in asked.items() if value}
        return get_object(self._gmail, f"{_ME}/threads", {"maxResults": LISTED_PER_REQUEST, **params})

    def list_history(self, start: str, *, token: str | None) -> Mapping[str, Any]:
        """One page of `history` after the id `start`, with the `historyId` of now."""
        params: dict[str, str | int] = {"startHistoryId": start, "maxResults": LISTED_PER_REQUEST}
        return get_object(
            self._gmail, f"{_ME}/history", {**params, **({"pageToken": token} if token else {})}
        )

    def finds(self, search: str) -> bool:
        """Whether any message matches."""
        return bool(
            get_object(self._gmail, f"{_ME}/messages", {"q": search, "maxResults": 1}).get("messages")
        )

    def thread(self, thread_id: str) -> tuple[Mapping[str, Any], int]:
        """A thread as Gmail sends it, and the bytes it took. Raises ItemUnreadable when it is too large."""
        _, body = self._gmail.request(
            "GET",
            f"{_ME}/threads/{quote(thread_id, safe='')}",
            params={"format": "full"},
            too_large=lambda: ItemUnreadable("The thread is larger than 32 MiB."),
        )
        raw = self._gmail.parsed(body)
        if not isinstance(raw, dict):
            raise ProviderUnavailable
        return raw, len(body)

    def message(self, message_id: str) -> Message:
        """One message, for its attachments; parts of its text that Gmail keeps apart are not fetched."""
        path = f"{_ME}/messages/{quote(message_id, safe='')}"
        return parse_message(get_object(self._gmail, path, {"format": "full"}))

    def attachment(self, message_id: str, attachment_id: str) -> bytes:
        """What Gmail keeps apart of a message. Raises ItemUnreadable when it is too large."""
        path = f"{_ME}/messages/{quote(message_id, safe='')}/attachments/{quote(attachment_id, safe='')}"
        _, body = self._gmail.request(
            "GET", path, too_large=lambda: ItemUnreadable("This part of the message is larger than 24 MiB.")
        )
        answer = self._gmail.parsed(body)
        if not isinstance(answer, dict):
            raise ProviderUnavailable
        return from_base64url(answer.get("data") or "")

    def label_names(self) -> Mapping[str, str]:
        """Names of the labels by id, without those that come and go; asked for once."""
        if self._labels is None:
            labels = get_object(self._gmail, f"{_ME}/labels").get("labels") or ()
            self._labels = {
                text_at(label, "id"): text_at(label, "name")
                for label in labels
                if label.get("id") not in PASSING
            }
        return self._labels


def text_at(answer: Any, name: str) -> str:
    """A field that must be there. Raises ProviderUnavailable when it is not."""
    try:
        return str(answer[name])
    except (KeyError, TypeError) as error:
        raise ProviderUnavailable from error

"""Names of people and channels, asked for once per pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.connectors.providers.contract import RateLimited
from backend.connectors.providers.slack.channels import next_cursor
from backend.connectors.providers.slack.client import SlackClient, SlackRefused
from backend.connectors.providers.slack.messages import Message

#: Slack allows some twenty requests a minute; whoever is not among the first is asked for singly.
LISTED_PAGES: Final = 10
PER_REQUEST: Final = 999
#: Some megabytes. Beyond that, names are asked for again each time.
MAX_KNOWN: Final = 50_000


@dataclass(frozen=True, slots=True)
class Person:
    """Who somebody is."""

    handle: str
    """Unique within the workspace."""
    name: str
    """What others see."""


class People:
    """Says who is who. Implements `text.Names`."""

    def __init__(self, client: SlackClient, channels: Mapping[str, str]) -> None:
        """`channels`: names by id, filled by whoever lists channels."""
        self._client = client
        self._channels = channels
        self._known: dict[str, Person] = {}
        self._is_listed = False

    def person(self, user_id: str) -> str:
        """The name others see, or the id of somebody Slack does not name."""
        return self.find(user_id).name

    def channel(self, channel_id: str) -> str:
        """The channel's name, or its id where the app does not see it."""
        return self._channels.get(channel_id, channel_id)

    def author(self, message: Message) -> Person:
        """Who wrote `message`; an app by the name it wrote under."""
        profile = message.get("bot_profile")
        shown = message.get("username") or (profile.get("name") if isinstance(profile, dict) else None)
        if shown:
            return Person(str(message.get("bot_id") or shown), str(shown))
        if user_id := message.get("user"):
            return self.find(str(user_id))
        return Person(str(message.get("bot_id") or "unknown"), str(message.get("bot_id") or "somebody"))

    def find(self, user_id: str) -> Person:
        """Who has this id. Raises what `SlackClient.call` raises, but for ids that Slack does not know."""
        if not self._is_listed:
            self._is_listed = True
            self._list()
        person = self._known.get(user_id)
        if person is None:
            person = self._ask(user_id)
            self._keep(user_id, person)
        return person

    def _list(self) -> None:
        cursor: str | None = None
        for _ in range(LISTED_PAGES):
            try:
                answer = self._client.call("users.list", limit=PER_REQUEST, cursor=cursor)
            except RateLimited:
                # Waiting would begin the list anew, and meet the same limit again; the rest is asked for singly.
                return
            for raw in answer.get("members") or ():
                self._keep(str(raw.get("id")), _person(raw))
            cursor = next_cursor(answer)
            if cursor is None:
                return

    def _ask(self, user_id: str) -> Person:
        try:
            answer = self._client.call("users.info", user=user_id)
        except SlackRefused as refused:
            if refused.error not in ("user_not_found", "user_not_visible", "users_not_found"):
                raise
            return Person(user_id, user_id)
        return _person(answer.get("user") or {"id": user_id})

    def _keep(self, user_id: str, person: Person) -> None:
        if len(self._known) < MAX_KNOWN:
            self._known[user_id] = person


def _person(raw: Mapping[str, Any]) -> Person:
    profile = raw.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    names = (
        profile.get("display_name"),
        profile.get("real_name"),
        raw.get("real_name"),
        raw.get("name"),
        raw.get("id"),
    )
    shown = next((str(name) for name in names if name), "somebody")
    return Person(str(raw.get("name") or raw.get("id") or shown)[:100], shown[:100])

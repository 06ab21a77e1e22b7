"""Which channels there are, and which of them are synced."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    Opening,
    ProviderUnavailable,
)
from backend.connectors.providers.provider import Choice
from backend.connectors.providers.slack.client import SlackClient

#: Slack hands out less than a thousand at a time, and allows some twenty requests a minute.
PER_REQUEST: Final = 999


@dataclass(frozen=True, slots=True)
class Channel:
    """A conversation as Slack lists it."""

    id: str
    name: str
    is_private: bool
    is_member: bool
    num_members: int | None

    @property
    def title(self) -> str:
        """What people call it."""
        return f"#{self.name}"


def list_channels(
    client: SlackClient, scopes: Sequence[str], *, group_messages: bool = False
) -> Iterator[Channel]:
    """Every channel the app can see, archived ones included, as far as `scopes` reach (empty: not known).

    Raises what `SlackClient.call` raises.
    """
    types = ["public_channel"]
    if not scopes or "groups:read" in scopes:
        types.append("private_channel")
    if group_messages:
        types.append("mpim")
    seen: set[str] = set()
    cursor: str | None = None
    while True:
        answer = client.call("conversations.list", types=",".join(types), limit=PER_REQUEST, cursor=cursor)
        listed = answer.get("channels")
        if not isinstance(listed, list):
            raise ProviderUnavailable
        for raw in listed:
            channel = _channel(raw)
            if channel.id not in seen:
                seen.add(channel.id)
                yield channel
        following = next_cursor(answer)
        if following is None or following == cursor:
            return
        cursor = following


def list_choices(opening: Opening) -> list[Choice]:
    """Every channel, by name, those the app is in first: it reads no others until it is invited."""
    credentials = token_of(opening)
    chosen = opening.settings.get("channels")
    client = SlackClient(opening.api_base, credentials.access_token)
    try:
        found = list(
            list_channels(
                client,
                credentials.scopes,
                group_messages=bool(opening.settings.get("include_group_messages")),
            )
        )
    finally:
        client.close()
    return [
        Choice(
            id=channel.id,
            name=channel.name,
            is_chosen=channel.is_member if chosen is None else channel.id in chosen,
            details={
                "is_private": channel.is_private,
                "is_member": channel.is_member,
                "num_members": channel.num_members,
            },
        )
        for channel in sorted(found, key=lambda channel: (not channel.is_member, channel.name, channel.id))
    ]


def token_of(opening: Opening) -> Credentials:
    """The credentials Slack cannot be read without. Raises CredentialsRejected."""
    if opening.credentials is None:
        raise CredentialsRejected
    return opening.credentials


def next_cursor(answer: Mapping[str, Any]) -> str | None:
    """Where a paged answer goes on, or None at its end."""
    metadata = answer.get("response_metadata")
    return str(metadata.get("next_cursor") or "") or None if isinstance(metadata, dict) else None


def _channel(raw: Mapping[str, Any]) -> Channel:
    members = raw.get("num_members")
    return Channel(
        id=str(raw["id"]),
        name=str(raw.get("name") or raw["id"]),
        is_private=bool(raw.get("is_private") or raw.get("is_mpim")),
        is_member=bool(raw.get("is_member") or raw.get("is_mpim")),
        num_members=members if isinstance(members, int) else None,
    )

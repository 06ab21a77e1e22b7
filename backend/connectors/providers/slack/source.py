"""Walks the channels of a workspace in the order of their ids, and reads what they hold.

A cursor names the channel and the place in it, so that a pass goes on in another process after any page; at the end it
says of each channel how far it was seen. A channel that was not there last time is listed from its beginning.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from backend.connectors.providers.contract import (
    JSON,
    Credentials,
    Entry,
    ItemGone,
    ItemUnreadable,
    Opening,
    Page,
    SourceItem,
)
from backend.connectors.providers.slack import entries
from backend.connectors.providers.slack.channels import Channel, list_channels, token_of
from backend.connectors.providers.slack.client import SlackClient, SlackRefused
from backend.connectors.providers.slack.documents import Documents
from backend.connectors.providers.slack.listing import Wanted
from backend.connectors.providers.slack.people import People
from backend.connectors.providers.slack.position import Position, Spot
from backend.connectors.providers.slack.render import Place
from backend.connectors.providers.slack.walk import ChannelWalk

#: Refusals that concern one channel; others would be the same for every one.
_OF_A_CHANNEL: Final = frozenset(
    {"channel_not_found", "not_in_channel", "is_archived", "no_permission", "ekm_access_denied", "enterprise_is_restricted"}
)  # fmt: skip


def open_source(opening: Opening) -> "SlackSource":
    """Reads one workspace."""
    return SlackSource(token_of(opening), opening.settings, opening.api_base)


class SlackSource:
    """A `Source` for one workspace. Loaded by workers only."""

    def __init__(self, credentials: Credentials, settings: Mapping[str, Any], api_base: str) -> None:
        self._client = SlackClient(api_base, credentials.access_token)
        self._settings = settings
        self._scopes = credentials.scopes
        self._names: dict[str, str] = {}
        self._channels: dict[str, Channel] = {}
        self._workspace_url = ""
        self._documents = Documents(
            self._client,
            People(self._client, self._names),
            include_bots=bool(settings.get("include_bots")),
        )

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def pages(self, since: Mapping[str, JSON] | None) -> Iterator[Page]:
        """See `Source.pages`."""
        at = Position.from_cursor(since) if since is not None else Position.begin(None)
        is_new = since is None or not at.is_running
        if not at.is_running:
            at = Position.begin(at.known)
        self._client.is_limited = at.is_limited
        wanted = self._wanted(self._sign_in(), at.mark)
        if is_new:
            # From here on the pass is this one, wherever it goes on.
            yield Page(cursor=at.to_cursor(), is_full=at.is_full)
        channels = self._find_channels()
        for channel in sorted(channels, key=lambda channel: channel.id):
            if channel.id > at.done:
                yield from self._walk(channel, at, wanted)
        # A channel that comes back is new.
        at.known = {channel.id: at.known[channel.id] for channel in channels if channel.id in at.known}
        at.is_running, at.done, at.spot = False, "", None
        yield Page(cursor=at.to_cursor(), is_full=at.is_full)

    def read(self, entry: Entry) -> SourceItem:
        """See `Source.read`."""
        locator = entry.locator
        place = self._place(str(locator["channel"]))
        if "thread" in locator:
            return self._documents.thread(place, entry, str(locator["thread"]))
        if "day" in locator:
            return self._documents.day(place, entry, date.fromisoformat(str(locator["day"])))
        return self._documents.file(place, entry, str(locator["file"]))

    def _sign_in(self) -> datetime:
        """Learns the workspace's address; returns Slack's time."""
        url = str(self._client.call("auth.test").get("url") or self._client.base)
        self._workspace_url = url.rstrip("/") + "/"
        self._scopes = self._client.scopes or self._scopes
        return self._client.now

    def _wanted(self, now: datetime, mark: str) -> Wanted:
        # A token that reaches no files, by its owner's choice, is no failure.
        reaches_files = not self._scopes or "files:read" in self._scopes
        back = int(self._settings.get("history_days") or 0)
        return Wanted(
            horizon=(now - timedelta(days=back)).date() if back else date(1970, 1, 1),
            include_bots=bool(self._settings.get("include_bots")),
            include_files=reaches_files and bool(self._settings.get("include_files", True)),
            mark=mark,
        )

    def _find_channels(self) -> list[Channel]:
        chosen = self._settings.get("channels")
        if chosen is not None and not chosen:
            return []
        group_messages = bool(self._settings.get("include_group_messages"))
        for channel in list_channels(self._client, self._scopes, group_messages=group_messages):
            self._names[channel.id] = channel.name
            if channel.is_member or (chosen is not None and channel.id in chosen):
                self._channels[channel.id] = channel
        if chosen is None:
            return list(self._channels.values())
        # One that Slack does not list is asked for all the same, so that its failure says why.
        return [self._channels.get(id, Channel(id, id, False, False, None)) for id in dict.fromkeys(chosen)]

    def _walk(self, channel: Channel, at: Position, wanted: Wanted) -> Iterator[Page]:
        spot = at.spot if at.spot and at.spot.channel == channel.id else Spot(channel.id)
        place = self._place_of(channel)
        # A full pass lists all of it, whatever is known; so does one that goes on in a channel it has begun.
        known = None if at.is_full else at.known.get(channel.id)
        note = f"#{channel.name}"
        try:
            for step in ChannelWalk(self._client, place, wanted, known, spot).steps():
                at.spot, at.is_limited = step.spot, self._client.is_limited
                if step.spot is None:
                    at.known[channel.id], at.done = step.known, channel.id
                yield Page(
                    cursor=at.to_cursor(),
                    entries=step.entries,
                    gone=step.gone,
                    failures=step.failures,
                    is_full=at.is_full,
                    note=note,
                )
        except SlackRefused as refused:
            if refused.error not in _OF_A_CHANNEL:
                raise
            at.spot, at.done = None, channel.id
            at.known.pop(channel.id, None)
            failure = entries.failure(place, channel.id, refused)
            yield Page(cursor=at.to_cursor(), failures=(failure,), is_full=at.is_full, note=note)

    def _place(self, channel_id: str) -> Place:
        if not self._workspace_url:
            self._sign_in()
        channel = self._channels.get(channel_id)
        if channel is None:
            try:
                raw = self._client.call("conversations.info", channel=channel_id).get("channel")
            except SlackRefused as refused:
                if refused.error == "channel_not_found":
                    raise ItemGone from refused
                raise ItemUnreadable(refused.message) from refused
            raw = raw if isinstance(raw, dict) else {}
            name = str(raw.get("name") or channel_id)
            channel = Channel(channel_id, name, bool(raw.get("is_private")), bool(raw.get("is_member")), None)
            self._channels[channel_id] = channel
            self._names[channel_id] = name
        return self._place_of(channel)

    def _place_of(self, channel: Channel) -> Place:
        return Place(channel.id, channel.name, channel.is_private, self._workspace_url)

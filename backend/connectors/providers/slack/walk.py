"""Lists one channel: recent messages, then a piece of the older ones, then files, page by page.

Slack tells nobody what has changed. Its history lists messages newest first, each with its edit, the number of its
replies and the last of them. So a pass of changes lists again

- everything since `LOOK_BACK` before the newest message known (edits, deletions, new replies show there), and
- one page or so of older messages, another one in each pass, until the beginning of the channel, and then from the
  top again: replies to old threads, and late edits, are found that way, later but without a full pass.

A full pass lists everything. What is listed is read only if its revision is another one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from backend.connectors.providers.contract import Entry, ProviderUnavailable
from backend.connectors.providers.slack import entries
from backend.connectors.providers.slack.channels import next_cursor
from backend.connectors.providers.slack.client import LIMITED, SlackClient, SlackRefused
from backend.connectors.providers.slack.days import Days, days_between
from backend.connectors.providers.slack.listing import Listing, Step, Wanted, by_time
from backend.connectors.providers.slack.messages import (
    Kind,
    Message,
    day_of,
    kind_of,
    midnight,
    moment,
    order,
)
from backend.connectors.providers.slack.position import Known, OpenDay, Spot
from backend.connectors.providers.slack.render import Place

#: What Slack recommends at most. A page of ours is what one request lists.
MESSAGES_PER_REQUEST: Final = 200
FILES_PER_REQUEST: Final = 200
LOOK_BACK: Final = timedelta(days=7)
#: Threads whose last reply is younger are read in every pass that lists them: an edited reply shows nowhere else.
REREAD: Final = timedelta(days=2)


class ChannelWalk:
    """Walks one channel from `spot` on."""

    def __init__(
        self, client: SlackClient, place: Place, wanted: Wanted, known: Known | None, spot: Spot
    ) -> None:
        """`known`: of an earlier pass; None lists all of the channel."""
        self._client = client
        self._place = place
        self._wanted = wanted
        self._known = known
        # A piece of the older messages begins where the last pass left off.
        self._spot = spot if spot.stage != "recent" else replace(spot, older=known.older if known else None)

    def steps(self) -> Iterator[Step]:
        """What is there, request by request. Raises what `SlackClient.call` raises."""
        if self._spot.stage == "recent":
            yield from self._recent()
        if self._spot.stage == "older":
            yield from self._piece()
        if self._wanted.include_files:
            yield from self._files()
        yield self._step(is_last=True)

    @property
    def _since(self) -> date:
        if self._known is None or self._known.newest is None:
            return self._wanted.horizon
        return max(self._wanted.horizon, day_of(self._known.newest) - LOOK_BACK)

    def _recent(self) -> Iterator[Step]:
        """History back to the day of `_since`."""
        if self._spot.expect is None and self._known is not None and self._known.newest:
            self._spot = replace(self._spot, expect=day_of(self._known.newest).isoformat())
        days = Days(self._spot.open_day)
        is_end = False
        while not is_end:
            page, is_end = self._list(self._since, days)
            if is_end:
                self._account(page, self._since - timedelta(days=1))
                has_older = self._known is not None and self._since > self._wanted.horizon
                before = (self._spot.older or midnight(self._since)) if has_older else None
                self._enter("older" if has_older else "files", before)
            yield self._step(page)

    def _piece(self) -> Iterator[Step]:
        """Older history, up to the end of a day after one page."""
        days = Days(self._spot.open_day)
        is_done = False
        while not is_done:
            begun = self._spot.before
            page, is_end = self._list(self._wanted.horizon, days)
            has_moved = self._spot.before != begun
            is_done = is_end or (has_moved and (page.has_closed or days.open is None))
            if is_done:
                # The day that is open is left for the next piece, whole.
                reached = _end_of(days.open) if days.open else self._spot.before
                self._spot = replace(self._spot, older=None if is_end else reached)
                self._enter("files")
            yield self._step(page)

    def _enter(self, stage: str, before: str | None = None) -> None:
        spot = self._spot
        self._spot = Spot(spot.channel, stage, before=before, newest=spot.newest, older=spot.older)

    def _step(self, page: Listing | None = None, *, is_last: bool = False) -> Step:
        page = page or Listing(self._client.now)
        newest = self._spot.newest or (self._known.newest if self._known else None)
        return Step(
            None if is_last else self._spot,
            Known(newest, self._spot.older),
            tuple(page.entries),
            tuple(page.gone),
            tuple(page.failures),
        )

    def _list(self, since: date, days: Days) -> tuple[Listing, bool]:
        """What one request shows of messages back to the beginning of `since`, and whether that was reached."""
        answer = self._history(since)
        shown = by_time(answer.get("messages"))
        if answer.get("has_more") and len(shown) <= min(LIMITED, MESSAGES_PER_REQUEST - 1):
            self._client.is_limited = True
        if self._spot.newest is None and shown:
            self._spot = replace(self._spot, newest=shown[0]["ts"])
        page = Listing(self._client.now)
        before = self._spot.before
        for message in shown:
            if before is not None and order(message["ts"]) >= order(before):
                continue
            if order(message["ts"]) < order(midnight(since)):
                break
            self._take(message, days, page)
            before = message["ts"]
        following = next_cursor(answer)
        is_beyond = bool(shown) and order(shown[-1]["ts"]) < order(midnight(since))
        is_end = is_beyond or not answer.get("has_more")
        if is_end:
            self._close(days, page)
        elif before == self._spot.before and following in (None, self._spot.slack):
            raise ProviderUnavailable("Slack's list of messages does not go on.")
        self._spot = replace(self._spot, before=before, slack=following, open_day=days.open)
        return page, is_end

    def _history(self, since: date) -> Mapping[str, Any]:
        spot = self._spot
        arguments: dict[str, str | int | None] = {
            "channel": spot.channel,
            "limit": MESSAGES_PER_REQUEST,
            "oldest": midnight(since),
        }
        if spot.slack:
            try:
                return self._client.call("conversations.history", cursor=spot.slack, **arguments)
            except SlackRefused as refused:
                if refused.error != "invalid_cursor":
                    raise
        return self._client.call("conversations.history", latest=spot.before, **arguments)

    def _take(self, message: Message, days: Days, page: Listing) -> None:
        if days.open and day_of(message["ts"]).isoformat() < days.open.day:
            self._close(days, page)
        match kind_of(message, include_bots=self._wanted.include_bots):
            case Kind.PLAIN:
                days.add(message)
                if message.get("thread_ts"):
                    # It has lost its last reply, and belongs to its day again.
                    page.gone.append(entries.thread_id(self._spot.channel, message["ts"]))
            case Kind.THREAD:
                page.entries.append(entries.thread(self._place, message, self._mark_of(message, page.now)))
            case Kind.DELETED:
                page.gone.append(entries.thread_id(self._spot.channel, message["ts"]))
            case Kind.REPLY:
                page.entries += self._thread_of(message)
        page.gone += [entries.file_id(file["id"]) for file in entries.deleted_files(message)]

    def _thread_of(self, reply: Message) -> Iterator[Entry]:
        """The thread of a reply that the channel shows, when the thread itself is too old to be listed with it."""
        thread_ts = str(reply["thread_ts"])
        is_listed = day_of(thread_ts) >= self._since
        if self._spot.stage == "recent" and not is_listed and day_of(thread_ts) >= self._wanted.horizon:
            root = reply.get("root")
            parent = root if isinstance(root, dict) and root.get("ts") == thread_ts else {"ts": thread_ts}
            yield entries.thread(self._place, parent, self._wanted.mark)

    def _mark_of(self, parent: Message, now: datetime) -> str:
        last = moment(str(parent.get("latest_reply") or parent["ts"]))
        return "" if now - last > REREAD else self._wanted.mark

    def _close(self, days: Days, page: Listing) -> None:
        day = days.close()
        if day is not None:
            self._account(page, day.day)
            page.entries.append(entries.day(self._place, day))
            page.has_closed = True

    def _account(self, page: Listing, down_to: date) -> None:
        """Days after `down_to` that no message was listed of have nothing left."""
        if self._spot.expect is None:
            return
        expect = date.fromisoformat(self._spot.expect)
        if down_to > expect:
            return
        empty = days_between(down_to + timedelta(days=1), expect)
        page.gone += [entries.day_id(self._spot.channel, day) for day in empty]
        self._spot = replace(self._spot, expect=(down_to - timedelta(days=1)).isoformat())

    def _files(self) -> Iterator[Step]:
        if self._spot.before is None:
            self._spot = replace(self._spot, before=str(int(self._client.now.timestamp())))
        since = midnight(self._since).partition(".")[0]
        while True:
            try:
                answer = self._client.call(
                    "files.list",
                    channel=self._spot.channel,
                    ts_from=since,
                    ts_to=self._spot.before,
                    count=FILES_PER_REQUEST,
                    page=self._spot.page,
                )
            except SlackRefused as refused:
                failed = Listing(self._client.now)
                failed.failures.append(entries.failure(self._place, f"{self._spot.channel}:files", refused))
                yield self._step(failed)
                return
            files = answer.get("files")
            listed = [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
            paging = answer.get("paging")
            pages = paging.get("pages") if isinstance(paging, dict) else None
            self._spot = replace(self._spot, page=self._spot.page + 1)
            page = Listing(self._client.now)
            page.entries += (
                entries.file(self._place, file) for file in listed if entries.is_worth_reading(file)
            )
            yield self._step(page)
            if not listed or not isinstance(pages, int) or self._spot.page > pages:
                return


def _end_of(day: OpenDay) -> str:
    return midnight(date.fromisoformat(day.day) + timedelta(days=1))

"""Follows a run from any instance, as server-sent events; the row is the truth, a notification only a hint.

The feed listens before the first read, so nothing falls in between. Between two reads no connection and
no transaction is held. Every frame carries the run's whole state, so a client that comes back (`Last-Event-ID`)
needs the newest one only; intermediate ones it missed are not repeated.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prometheus_client import Gauge

from backend.sync.feeds import Feed, Feeds, News
from backend.sync.models import SyncRun
from backend.sync.reads import Reading
from backend.tenants.watch.repository import Holder
from backend.tenants.watch.watch import HolderWatch, Watched

OPEN_STREAMS = Gauge("secondbrain_open_streams", "Event streams this process is serving")

#: The browser comes back this long after a lost connection, in milliseconds.
RETRY_MILLISECONDS = 10_000
HEARTBEAT_SECONDS = 15.0
#: After the last event the client closes; whoever does not is closed after this many seconds.
LINGER_SECONDS = 10.0

_GOES_ON = "Nothing is lost: the next sync goes on from there."


@dataclass(frozen=True, slots=True)
class Viewer:
    """Under which name somebody follows a run, and whether titles are shown to them."""

    sync_id: str
    with_note: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """A run as event streams and the progress route show it."""

    seq: int
    is_finished: bool
    event: str
    data: dict[str, Any]


def progress_of(run: SyncRun, *, sync_id: str, with_note: bool = True) -> Progress:
    """What is shown of a run. `with_note` False leaves out titles, for whoever holds only the run's name."""
    status, event = _status(run)
    # A share is shown only of a total that the provider named; 100 only when it is over.
    percent = 0.0
    if run.state in ("completed", "completed_with_errors"):
        percent = 100.0
    elif run.total_count:
        percent = min(99.0, round(100.0 * run.processed_count / run.total_count, 1))
    return Progress(
        seq=run.seq,
        is_finished=run.is_finished,
        event=event,
        data={
            "sync_id": sync_id,
            "run_id": str(run.id),
            "tenant_id": str(run.tenant_id),
            "user_id": None if run.requested_by is None else str(run.requested_by),
            "connector_type": run.connector_type,
            "status": status,
            "state": run.state,
            "stage": _headline(run),
            "total_items": run.total_count or 0,
            "processed_items": run.processed_count,
            "failed_items": run.failed_count,
            "percent_complete": percent,
            "current_item": run.note if with_note else None,
            "error_message": error_of(run),
            "started_at": _iso(run.started_at),
            "completed_at": _iso(run.finished_at),
        },
    )


def error_of(run: SyncRun) -> str | None:
    """Why the run did not end well, for a person."""
    if run.state == "cancelled":
        return "Sync cancelled"
    if run.state == "interrupted":
        return f"{run.error} {_GOES_ON}"
    return run.error


def follow(
    feeds: Feeds,
    tenant_id: UUID,
    run_id: UUID,
    viewer: Viewer,
    *,
    holders: HolderWatch,
    holder: Holder,
    linger: float = LINGER_SECONDS,
) -> Iterator[str]:
    """Frames of a run until it is over: `current_state` first, then each change, then `complete` or `error`.

    Ends without a word when `holder`, on whom the right to follow it rests, counts no more. Raises SyncRunNotFound
    before the first frame.
    """
    with feeds.follow(tenant_id, run_id) as feed, holders.watch(holder, feed.nudge) as watched:
        news = feed.newest
        reading = feeds.reads.read(tenant_id, run_id, since=time.monotonic())
        run = reading.run
        OPEN_STREAMS.inc()
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n" + _frame(reading, viewer, "current_state")
            if not run.is_finished:
                yield from _changes(reading.run.seq, news, feed, viewer, watched)
            else:
                yield _frame(reading, viewer)
            closes_at = time.monotonic() + linger
            while not watched.has_ended and (left := closes_at - time.monotonic()) > 0:
                feed.newest.wait(left)
        finally:
            OPEN_STREAMS.dec()


def _changes(seq: int, news: News, feed: Feed, viewer: Viewer, watched: Watched) -> Iterator[str]:
    spoke_at = time.monotonic()
    while True:
        is_new = news.wait(spoke_at + HEARTBEAT_SECONDS - time.monotonic())
        if watched.has_ended:
            return
        if not is_new:
            yield ": still here\n\n"
            spoke_at = time.monotonic()
            continue
        # Whatever a slow client missed in between: a frame holds the whole state.
        news = feed.newest
        if news.is_outage:
            # The stream outlives an outage of the database; the client sees a heartbeat, then the state.
            yield ": the database does not answer, waiting\n\n"
            spoke_at = time.monotonic()
            continue
        if news.reading is not None and (run := news.reading.run).seq > seq:
            seq = run.seq
            yield _frame(news.reading, viewer)
            spoke_at = time.monotonic()
            if run.is_finished:
                return


def _frame(reading: Reading, viewer: Viewer, event: str = "") -> str:
    """The event of what was read; put into words once for all who see the same."""
    frame = reading.frames.get((viewer, event))
    if frame is None:
        shown = progress_of(reading.run, sync_id=viewer.sync_id, with_note=viewer.with_note)
        data = json.dumps(shown.data, ensure_ascii=False)
        frame = reading.frames[viewer, event] = (
            f"event: {event or shown.event}\nid: {shown.seq}\ndata: {data}\n\n"
        )
    return frame


def _status(run: SyncRun) -> tuple[str, str]:
    """(status, event) in the words existing clients know."""
    match run.state:
        case "completed" | "completed_with_errors":
            return "complete", "complete"
        case "failed" | "interrupted" | "cancelled":
            return "error", "error"
        case "queued":
            return "connecting", "started"
        case _:
            return ("embedding" if run.stage == "indexing" else "syncing"), "progress"


def _headline(run: SyncRun) -> str:
    match run.state:
        case "queued":
            return "Waiting for a worker"
        case "waiting":
            return run.note or "Waiting"
        case "completed":
            return "Sync complete"
        case "completed_with_errors":
            return f"Sync complete; {run.failed_count} items could not be taken"
        case "failed":
            return "Sync failed"
        case "interrupted":
            return "Sync interrupted; the next one goes on from here"
        case "cancelled":
            return "Sync cancelled"
        case _:
            return "Indexing for search" if run.stage == "indexing" else "Fetching from the source"


def _iso(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat())

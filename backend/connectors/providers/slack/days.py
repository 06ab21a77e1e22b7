"""Collects a channel's messages into days, as they are listed from the newest to the oldest."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from backend.connectors.providers.slack.messages import Message, content_hash, day_of
from backend.connectors.providers.slack.position import OpenDay

#: Messages of a day that are kept to save a request; a longer day is asked for again when it is read.
MAX_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Day:
    """A day of which every message has been listed."""

    day: date
    revision: str
    first: str
    """Timestamp of its first message."""
    messages: tuple[Message, ...] | None
    """Newest first; None when not all of them have been kept."""


class Days:
    """The day that is being listed. Goes on from an `OpenDay`, in another process too."""

    def __init__(self, begun: OpenDay | None) -> None:
        self._begun = begun
        self._kept: list[Message] | None = [] if begun is None else None

    @property
    def open(self) -> OpenDay | None:
        """The day so far, or None between days."""
        return self._begun

    def add(self, message: Message) -> None:
        """One more message, earlier than those before it; of the open day, if there is one."""
        begun = self._begun or OpenDay(day_of(message["ts"]).isoformat(), "", 0, "")
        digest = hashlib.sha256(f"{begun.digest}{content_hash(message)}".encode()).hexdigest()[:32]
        self._begun = OpenDay(begun.day, digest, begun.count + 1, message["ts"])
        if self._kept is not None:
            self._kept.append(message)
            if len(self._kept) > MAX_KEPT:
                self._kept = None

    def close(self) -> Day | None:
        """The open day, which has no earlier messages; None if there is none."""
        begun, kept = self._begun, self._kept
        self._begun, self._kept = None, []
        if begun is None:
            return None
        messages = tuple(kept) if kept is not None else None
        return Day(date.fromisoformat(begun.day), f"{begun.digest}-{begun.count}", begun.earliest, messages)


def days_between(first: date, last: date) -> Iterator[date]:
    """The days from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)

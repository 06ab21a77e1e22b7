"""What a walk of a channel is given, and what its requests show."""

from dataclasses import dataclass
from datetime import date, datetime

from backend.connectors.providers.contract import Entry, ItemFailure, ProviderUnavailable
from backend.connectors.providers.slack.messages import Message, order
from backend.connectors.providers.slack.position import Known, Spot


@dataclass(frozen=True, slots=True)
class Step:
    """What one request showed, and where the channel goes on; nowhere when `spot` is None."""

    spot: Spot | None
    known: Known
    entries: tuple[Entry, ...] = ()
    gone: tuple[str, ...] = ()
    failures: tuple[ItemFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a channel is synced."""

    horizon: date
    """Nothing before this day."""
    include_bots: bool
    include_files: bool
    mark: str
    """Of this pass alone; goes into revisions of threads that it must read."""


class Listing:
    """What one request showed."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.entries: list[Entry] = []
        self.gone: list[str] = []
        self.failures: list[ItemFailure] = []
        self.has_closed = False


def by_time(raw: object) -> list[Message]:
    """Messages from the newest to the oldest. Raises ProviderUnavailable when it is no list of such."""
    if not isinstance(raw, list):
        raise ProviderUnavailable
    try:
        return sorted(raw, key=lambda message: order(message["ts"]), reverse=True)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProviderUnavailable from error

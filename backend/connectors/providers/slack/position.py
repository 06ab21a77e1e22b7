"""How far a pass is: the cursor, as values and as JSON."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from backend.connectors.providers.contract import JSON, CursorExpired

VERSION: Final = 1
#: In this order, channel by channel.
STAGES: Final = ("recent", "older", "files")


@dataclass(frozen=True, slots=True)
class OpenDay:
    """A day of which some messages have been listed: the later ones, as Slack lists backwards."""

    day: str
    """ISO date."""
    digest: str
    count: int
    earliest: str
    """Timestamp of the earliest message listed so far."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in one channel."""

    channel: str
    stage: str = STAGES[0]
    before: str | None = None
    """Messages: the last one looked at; earlier ones follow. Files: the end of the time they are listed for."""
    slack: str | None = None
    """Slack's own cursor for what follows."""
    newest: str | None = None
    """The newest message when the channel was begun."""
    older: str | None = None
    """See `Known.older`."""
    open_day: OpenDay | None = None
    expect: str | None = None
    """The last day (ISO date) of which it is not yet known whether anything is left."""
    page: int = 1
    """Files: the page of their list."""


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier pass has seen of a channel."""

    newest: str | None
    """Its newest message then; None for a channel without messages."""
    older: str | None = None
    """Where looking through older messages goes on; None means at the end of the recent ones."""


@dataclass(slots=True)
class Position:
    """A place in a pass over all channels, and what is known of those passed already."""

    is_full: bool
    mark: str
    """Told apart from every other pass by this."""
    known: dict[str, Known] = field(default_factory=dict)
    is_running: bool = True
    """False at the end: the next pass begins here."""
    done: str = ""
    """Channels come in the order of their ids; this one and those before it are done."""
    spot: Spot | None = None
    is_limited: bool = False
    """See `SlackClient.is_limited`."""

    def to_cursor(self) -> Mapping[str, JSON]:
        """This as JSON."""
        return {
            "version": VERSION,
            "full": self.is_full,
            "mark": self.mark,
            "running": self.is_running,
            "done": self.done,
            "limited": self.is_limited,
            "known": {channel: [known.newest, known.older] for channel, known in self.known.items()},
            "spot": _spot_json(self.spot) if self.spot else None,
        }

    @classmethod
    def begin(cls, known: dict[str, Known] | None) -> Self:
        """A new pass: of changes since what is `known`, or over everything."""
        return cls(known is None, f"-{secrets.token_hex(6)}", dict(known or {}))

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any]) -> Self:
        """The position `to_cursor` wrote down. Raises CursorExpired for anything else."""
        try:
            if cursor["version"] != VERSION:
                raise CursorExpired
            known = {
                str(channel): Known(newest, older) for channel, (newest, older) in cursor["known"].items()
            }
            spot = _spot(cursor["spot"]) if cursor["spot"] else None
            return cls(
                is_full=bool(cursor["full"]),
                mark=str(cursor["mark"]),
                known=known,
                is_running=bool(cursor["running"]),
                done=str(cursor["done"]),
                spot=spot,
                is_limited=bool(cursor["limited"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CursorExpired from error


def _spot_json(spot: Spot) -> Mapping[str, JSON]:
    day = spot.open_day
    return {
        **{name: getattr(spot, name) for name in Spot.__slots__ if name != "open_day"},
        "open_day": [day.day, day.digest, day.count, day.earliest] if day else None,
    }


def _spot(raw: Mapping[str, Any]) -> Spot:
    day = OpenDay(*raw["open_day"]) if raw["open_day"] else None
    return Spot(**{name: raw[name] for name in Spot.__slots__ if name != "open_day"}, open_day=day)

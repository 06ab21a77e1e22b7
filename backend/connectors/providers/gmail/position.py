"""Where a pass over a mailbox is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from backend.connectors.providers.contract import JSON, CursorExpired


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a pass: after the thread `after` on the page `token` of a listing."""

    history: str
    """Id in the mailbox's history: what comes after it has not been seen."""
    is_full: bool
    label: str | None = None
    """Full passes: the label whose threads are being listed, if labels are chosen."""
    token: str | None = None
    after: str | None = None
    following: str | None = None
    """Changes: the id to go on from when all of them have been seen."""

    def to_cursor(self) -> Mapping[str, JSON]:
        """This as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any]) -> Self:
        """The place `to_cursor` wrote down. Raises CursorExpired for anything else."""
        try:
            return cls(**{name: cursor[name] for name in cls.__slots__})
        except KeyError as error:
            raise CursorExpired from error

"""Where a pass over a Drive is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from backend.connectors.providers.contract import JSON, CursorExpired

#: The change log, and the listing, of the person's own Drive and of what is shared with them. Every shared drive has
#: a log of its own, named by its id.
OWN: Final = ""

#: Folders still to be looked at that a cursor keeps; a full pass is cheaper than more of them.
MAX_TODO: Final = 2000


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a pass. First what is to be listed, then, unless the pass is a full one, the change logs in order."""

    logs: Mapping[str, str]
    """By log, the token after which its changes have not been seen."""
    is_full: bool
    todo: tuple[str, ...] = ()
    """What is still to be listed, the next one last: `drive:` and a log's name, or `folder:` and an id."""
    token: str | None = None
    """Page token within the last one of `todo`."""
    log: str | None = None
    """The change log that is being read; None: a pass of changes begins, or has ended."""

    def to_cursor(self) -> Mapping[str, JSON]:
        """This as JSON."""
        return {
            "logs": dict(self.logs),
            "is_full": self.is_full,
            "todo": list(self.todo),
            "token": self.token,
            "log": self.log,
        }

    @classmethod
    def from_cursor(cls, cursor: Mapping[str, Any]) -> Self:
        """The place `to_cursor` wrote down. Raises CursorExpired for anything else."""
        try:
            return cls(
                dict(cursor["logs"]), cursor["is_full"], tuple(cursor["todo"]), cursor["token"], cursor["log"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CursorExpired from error

    def after_page(self, token: str | None, folders: tuple[str, ...]) -> "Position":
        """After a page of the last one of `todo`: at its next page, or at the next one. `folders`: those found there,
        which come after the whole of it."""
        *rest, here = self.todo
        found = [f"folder:{folder}" for folder in folders]
        todo = (*rest, *found, here) if token else (*rest, *found)
        # A full pass that has listed all ends; the next one reads the changes.
        return replace(self, todo=todo, token=token, is_full=self.is_full and bool(todo))

    def with_log(self, token: str, *, following: str | None, folders: tuple[str, ...]) -> "Position":
        """After a page of the change log `log`, which goes on after `token`; `following` is the log to read next."""
        found = tuple(f"folder:{folder}" for folder in folders)
        return replace(
            self, logs={**self.logs, str(self.log): token}, log=following, todo=(*self.todo, *found)
        )

"""Walks folders depth first, one page of one folder at a time, so that what is left to do stays small.

What is left is a stack of visits. Listing a page of a folder puts the page after it on the stack, and on top of
that the folders of this page; these are walked before the next page is asked for. So one level of the tree never
adds more than one page of folders, however many it holds: a cursor of a tree with a million folders side by side
has a hundred of them. (Breadth first, it would hold them all.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from backend.connectors.providers.box import items
from backend.connectors.providers.box.client import RequestInvalid, list_folder
from backend.connectors.providers.contract import Entry, ItemFailure, ItemGone, ItemUnreadable
from backend.connectors.providers.conversation import Conversation

#: (folder, marker of the page to list; empty for the first one)
Visit: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Step:
    """What listing one page of a folder showed, and what is left to visit."""

    left: tuple[Visit, ...]
    entries: tuple[Entry, ...] = ()
    failures: tuple[ItemFailure, ...] = ()
    folder_path: str | None = None


def walk(box: Conversation, visits: Sequence[Visit]) -> Iterator[Step]:
    """Every page of the folders in `visits`, the last one first, and of all below them.

    A folder that vanishes meanwhile is passed over: the events that are read after a walk tell of it. Raises what
    `Conversation.request` and `refusal` raise, except for a folder that may not be listed (403), or whose listing
    cannot be gone on with (400): that is a failure of this folder alone.
    """
    stack = list(visits)
    while stack:
        folder, marker = stack.pop()
        try:
            listed, following = list_folder(box, folder, marker)
        except ItemGone:
            yield Step(tuple(stack))
            continue
        except (ItemUnreadable, RequestInvalid) as error:
            yield Step(tuple(stack), failures=(items.folder_failure(folder, error.message),))
            continue
        if following:
            stack.append((folder, following))
        stack += [(str(raw["id"]), "") for raw in reversed(listed) if raw.get("type") == "folder"]
        documents = [raw for raw in listed if items.is_document(raw)]
        yield Step(
            tuple(stack),
            entries=tuple(items.entry_of(raw) for raw in documents),
            folder_path=items.folder_path(documents[0]) if documents else None,
        )


def to_json(visits: Sequence[Visit]) -> list[Any]:
    """Visits as JSON."""
    return [list(visit) for visit in visits]


def from_json(stored: Sequence[Any]) -> tuple[Visit, ...]:
    """The visits `to_json` wrote down."""
    return tuple((str(folder), str(marker)) for folder, marker in stored)

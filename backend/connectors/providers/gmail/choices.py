"""The labels of a mailbox, to choose from."""

from typing import Final

from backend.connectors.providers.contract import Opening
from backend.connectors.providers.google.api import connect, get_object
from backend.connectors.providers.provider import Choice

#: Labels that say nothing about what a thread is, or that are never synced.
_NOT_OFFERED: Final = frozenset({"CHAT", "DRAFT", "SPAM", "TRASH", "UNREAD"})


def list_choices(opening: Opening) -> list[Choice]:
    """Gmail's own labels, then the person's, by name. Raises what a conversation raises."""
    chosen = set(opening.settings.get("include_labels") or ())
    with connect(opening) as gmail:
        labels = get_object(gmail, "/gmail/v1/users/me/labels").get("labels") or ()
    offered = [label for label in labels if label["id"] not in _NOT_OFFERED]
    return [
        Choice(
            id=str(label["id"]),
            name=str(label["name"]),
            is_chosen=label["id"] in chosen,
            details={
                "type": str(label.get("type") or "user"),
                "is_excluded": label["id"] in (opening.settings.get("exclude_labels") or ()),
            },
        )
        for label in sorted(
            offered, key=lambda each: (each.get("type") != "system", str(each["name"]).lower())
        )
    ]

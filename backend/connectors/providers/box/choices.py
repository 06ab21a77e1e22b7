"""Which folders of a Box account there are to choose from."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from backend.connectors.providers.box import items
from backend.connectors.providers.box.client import find_folder, list_folder, open_conversation
from backend.connectors.providers.contract import CredentialsRejected, ItemUnreadable, Opening
from backend.connectors.providers.conversation import Conversation
from backend.connectors.providers.provider import Choice

#: As many as a person looks through; the id of any other folder can be given all the same.
MAX_FOLDERS: Final = 500
#: Files stand between the folders of a listing; this is the end of it all the same.
MAX_PAGES: Final = 20


def list_choices(opening: Opening) -> list[Choice]:
    """The folders at the top, by name, and the chosen ones wherever they are.

    Raises what `Conversation.request` raises.
    """
    if opening.credentials is None:
        raise CredentialsRejected
    chosen = frozenset(opening.settings["folders"])
    with open_conversation(opening.api_base, opening.credentials.access_token) as box:
        found = {str(raw["id"]): raw for raw in islice(_folders_at_top(box), MAX_FOLDERS)}
        others = {folder: _find(box, folder) for folder in sorted(chosen - found.keys() - {items.ROOT})}
    choices = [_choice(raw, id in chosen) for id, raw in found.items()]
    choices += [
        _choice(raw, True) if raw else Choice(folder, folder, True, {"is_missing": True})
        for folder, raw in others.items()
    ]
    return sorted(choices, key=lambda choice: choice.name.casefold())


def _folders_at_top(box: Conversation) -> Iterator[Mapping[str, Any]]:
    marker = ""
    for _ in range(MAX_PAGES):
        listed, marker = list_folder(box, items.ROOT, marker)
        yield from (raw for raw in listed if raw.get("type") == "folder")
        if not marker:
            return


def _find(box: Conversation, folder: str) -> Mapping[str, Any] | None:
    try:
        return find_folder(box, folder)
    except ItemUnreadable:
        return None


def _choice(raw: Mapping[str, Any], is_chosen: bool) -> Choice:
    place = items.folder_path(raw)
    name = f"{place}/{raw['name']}" if place else str(raw["name"])
    return Choice(str(raw["id"]), name, is_chosen, {"owner": items.login(raw.get("owned_by"))})

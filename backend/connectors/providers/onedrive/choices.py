"""Which drives a Microsoft account can choose from: its own, and the document libraries of SharePoint sites."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from backend.connectors.providers.contract import (
    CredentialsRejected,
    ItemGone,
    ItemUnreadable,
    Opening,
    ProviderRefused,
)
from backend.connectors.providers.conversation import Conversation
from backend.connectors.providers.onedrive.graph import VERSION_PATH, open_conversation, own_drive
from backend.connectors.providers.provider import Choice

#: Each site costs one request; more sites than this are found by the id of their drive.
MAX_SITES: Final = 40


def list_choices(opening: Opening) -> list[Choice]:
    """The own drive, then libraries by site and name, then chosen ones that are not among them.

    Sites are listed only for accounts that granted `Sites.Read.All`. Raises what `Conversation.request` raises.
    """
    if opening.credentials is None:
        raise CredentialsRejected
    chosen = frozenset(opening.settings["drives"])
    sees_sites = any(scope.endswith("Sites.Read.All") for scope in opening.credentials.scopes)
    with open_conversation(opening.api_base, opening.credentials.access_token) as graph:
        choices = [*_own(graph, chosen), *(_libraries(graph, chosen) if sees_sites else ())]
    known = {choice.id for choice in choices}
    return [*choices, *(Choice(drive, drive, True, {"is_listed": False}) for drive in sorted(chosen - known))]


def _own(graph: Conversation, chosen: frozenset[str]) -> Iterator[Choice]:
    try:
        drive = own_drive(graph)
    except (ItemGone, ItemUnreadable):
        return
    is_chosen = not chosen or drive["id"] in chosen
    yield Choice(
        str(drive["id"]), "OneDrive", is_chosen, {"drive_type": drive.get("driveType"), "site": None}
    )


def _libraries(graph: Conversation, chosen: frozenset[str]) -> Iterator[Choice]:
    for site in _sites(graph):
        try:
            path = f"{VERSION_PATH}sites/{quote(str(site['id']), safe='')}/drives"
            drives = graph.get_json(path, {"$select": "id,name,driveType"})["value"]
        except (ItemGone, ItemUnreadable, ProviderRefused):
            continue
        site_name = str(site.get("displayName") or site.get("name") or site.get("webUrl") or site["id"])
        for drive in sorted(drives, key=lambda drive: str(drive.get("name"))):
            details = {"drive_type": drive.get("driveType"), "site": site_name, "url": site.get("webUrl")}
            name = f"{site_name} / {drive.get('name')}"
            yield Choice(str(drive["id"]), name, drive["id"] in chosen, details)


def _sites(graph: Conversation) -> list[Mapping[str, Any]]:
    params: dict[str, str | int] = {
        "search": "*",
        "$top": MAX_SITES,
        "$select": "id,name,displayName,webUrl",
    }
    found = graph.get_json(f"{VERSION_PATH}sites", params)["value"][:MAX_SITES]
    return sorted(found, key=lambda site: str(site.get("displayName") or site.get("name")).casefold())

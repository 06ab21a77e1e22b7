"""OneDrive and SharePoint, against drives answered over HTTP (`tests/emulators/graph.py`, written from Microsoft
Graph's published API)."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    CursorExpired,
    Entry,
    ItemGone,
    ItemUnreadable,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.onedrive import PROVIDER
from backend.connectors.providers.onedrive.choices import list_choices
from tests.connectors.mirror import TOKEN, Mirror, opening, read_pages, shown
from tests.emulators.graph import Drive, GraphAccount
from tests.emulators.scripted import Reply, ScriptedServer, json_reply, scripted_server

MINE, TEAM, PLANS = "b!mine", "b!team", "b!plans"


@dataclass
class OneDrive:
    """An account and the servers in front of it."""

    account: GraphAccount
    api: ScriptedServer
    downloads: ScriptedServer

    @property
    def mine(self) -> Drive:
        return self.account.drives[0]

    @property
    def team(self) -> Drive:
        return self.account.drives[1]

    def mirror(self, *drives: str) -> Mirror:
        return Mirror(PROVIDER, self.opening(*drives))

    def opening(self, *drives: str, scopes: tuple[str, ...] = ()) -> Any:
        return opening(PROVIDER, self.api.base_url, {"drives": list(drives)}, scopes=scopes)

    def pages(self, cursor: Any = None, *drives: str) -> Any:
        return read_pages(PROVIDER, self.opening(*drives), cursor)

    def read(self, entry: Entry) -> Any:
        with closing(PROVIDER.open_source(self.opening())) as source:
            return source.read(entry)


@pytest.fixture
def onedrive() -> Iterator[OneDrive]:
    account = GraphAccount(TOKEN, [Drive(MINE), Drive(TEAM, "Shared Documents"), Drive(PLANS, "Plans")])
    with (
        stamina.set_testing(True, attempts=4, cap=True),
        scripted_server(account.download) as downloads,
        scripted_server(account) as api,
    ):
        account.base, account.download_base = api.base_url, downloads.base_url
        yield OneDrive(account, api, downloads)


def old(drive: Drive) -> None:
    """Let everything in a drive have been there for long."""
    for node in drive.nodes.values():
        node.created = "2025-01-02T03:04:05Z"


@pytest.mark.parametrize("is_repetitive", [False, True])
def test_sync_follows_all_that_happens_to_files(onedrive: OneDrive, is_repetitive: bool) -> None:
    onedrive.account.is_repetitive = is_repetitive
    drive, mirror = onedrive.mine, onedrive.mirror()
    drive.put("readme.md", "read me")
    drive.put("Plans/2026/budget & co.txt", "much")
    drive.put("Plans/old.txt", "old")
    drive.put("Plans/photo.jpg", "no document")
    onedrive.team.put("not-chosen.txt", "x")
    assert mirror.sync().titles() == {
        "readme.md": "read me",
        "Plans/2026/budget & co.txt": "much",
        "Plans/old.txt": "old",
    }
    old(drive)

    assert mirror.sync().reads == []
    drive.put("Plans/2026/budget & co.txt", "less")
    drive.put("Plans/new/notes.md", "notes")
    drive.rename("Plans/old.txt", "older.txt")
    drive.move("readme.md", "Plans")
    assert mirror.sync().titles() == {
        "Plans/readme.md": "read me",
        "Plans/2026/budget & co.txt": "less",
        "Plans/older.txt": "old",
        "Plans/new/notes.md": "notes",
    }

    drive.delete("Plans/older.txt")
    drive.rename("Plans/new/notes.md", "notes.exe")
    assert set(mirror.sync().titles()) == {"Plans/readme.md", "Plans/2026/budget & co.txt"}
    assert mirror.full_passes == 1


def test_item_says_who_when_and_where(onedrive: OneDrive) -> None:
    file_id = onedrive.mine.put("Plans/2026/budget.csv", "a,b")
    (item,) = onedrive.mirror().sync().documents.values()
    assert (item.external_id, item.mime_type, item.kind) == (f"{MINE}:{file_id}", "text/csv", "document")
    assert item.url == "https://host/b%21mine/Plans/2026/budget.csv"
    assert item.author == "owner@example.com"
    assert item.updated_at == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert item.metadata == {
        "folder_path": "Plans/2026",
        "file_type": "csv",
        "modified_by": "owner@example.com",
        "byte_size": 3,
        "drive_id": MINE,
    }
    assert [request.headers.get("authorization") for request in onedrive.downloads.requests] == [None]


def test_folder_that_is_renamed_has_everything_listed_and_its_files_read(onedrive: OneDrive) -> None:
    drive, mirror = onedrive.mine, onedrive.mirror()
    drive.put("Plans/2026/budget.txt", "much")
    drive.put("keep.txt", "kept")
    mirror.sync()
    old(drive)
    drive.rename("Plans", "Projects")
    assert mirror.sync().titles() == {"Projects/2026/budget.txt": "much", "keep.txt": "kept"}
    assert mirror.reads == ["budget.txt"]
    assert mirror.full_passes == 2
    assert mirror.sync().full_passes == 2


def test_files_of_a_folder_that_is_gone_go_with_it(onedrive: OneDrive) -> None:
    drive, mirror = onedrive.mine, onedrive.mirror()
    drive.put("Plans/budget.txt", "much")
    drive.put("old.txt", "old")
    drive.put("keep.txt", "kept")
    mirror.sync()
    old(drive)
    drive.delete("Plans")
    drive.delete("old.txt")
    assert set(mirror.sync().titles()) == {"Plans/budget.txt", "keep.txt"}
    mirror.cursor = None
    assert set(mirror.sync().titles()) == {"keep.txt"}


def test_page_before_a_full_pass_is_not_taken_for_the_whole(onedrive: OneDrive) -> None:
    """A worker that ends between that page and the error leaves a cursor that says the same."""
    onedrive.mine.put("Plans/budget.txt", "much")
    onedrive.mine.put("old.txt", "old")
    cursor = onedrive.pages()[-1].cursor
    deleted = onedrive.mine.delete("old.txt")
    onedrive.mine.delete("Plans")
    with closing(PROVIDER.open_source(onedrive.opening())) as source:
        walk = source.pages(cursor)
        page = next(walk)
        with pytest.raises(CursorExpired):
            next(walk)
    assert f"{MINE}:{deleted}" in page.gone
    with pytest.raises(CursorExpired):
        onedrive.pages(page.cursor)


def test_chosen_libraries_are_synced_one_after_the_other(onedrive: OneDrive) -> None:
    onedrive.mine.put("a.txt", "mine")
    onedrive.team.put("a.txt", "team")
    onedrive.account.drives[2].put("a.txt", "plans")
    mirror = onedrive.mirror(TEAM, PLANS).sync()
    assert sorted(item.body for item in mirror.documents.values()) == [b"plans", b"team"]
    onedrive.team.put("b.txt", "b")
    onedrive.mine.put("b.txt", "b")
    assert mirror.sync().reads == ["b.txt"]
    with pytest.raises(CursorExpired):
        onedrive.pages(mirror.cursor, TEAM)


def test_pass_goes_on_from_every_cursor_with_exactly_the_rest(onedrive: OneDrive) -> None:
    onedrive.account.page_size = 4
    for number in range(9):
        onedrive.mine.put(f"docs/{number}.txt", str(number))
        onedrive.team.put(f"{number}.txt", str(number))
    pages = onedrive.pages(None, MINE, TEAM)
    everything = shown(pages)
    assert len(everything) == len(set(everything)) == 18
    assert all(page.is_full for page in pages)
    for number, page in enumerate(pages[:-1], start=1):
        assert shown(onedrive.pages(page.cursor, MINE, TEAM)) == shown(pages[number:])

    for number in range(6):
        onedrive.mine.put(f"docs/{number}.txt", "changed")
        onedrive.team.put(f"{number}.txt", "changed")
    changes = onedrive.pages(pages[-1].cursor, MINE, TEAM)
    assert len(shown(changes)) == 12
    assert not any(page.is_full for page in changes)
    for number, page in enumerate(changes[:-1], start=1):
        assert shown(onedrive.pages(page.cursor, MINE, TEAM)) == shown(changes[number:])
    (last,) = onedrive.pages(changes[-1].cursor, TEAM, MINE)[-1:]
    assert shown([last]) == []
    assert len(json.dumps(last.cursor)) < 1000


def test_what_happens_during_a_full_pass_is_in_the_changes_after_it(onedrive: OneDrive) -> None:
    onedrive.account.page_size = 1
    onedrive.mine.put("one.txt", "1")
    onedrive.team.put("two.txt", "2")
    with closing(PROVIDER.open_source(onedrive.opening(MINE, TEAM))) as source:
        walk = source.pages(None)
        next(walk)
        late = onedrive.mine.put("late.txt", "late")
        *_, last = walk
    assert shown(onedrive.pages(last.cursor, MINE, TEAM)) == [f"{MINE}:{late}"]


def test_links_lead_nowhere_but_to_the_api(onedrive: OneDrive) -> None:
    onedrive.account.page_size = 1
    onedrive.mine.put("one.txt", "1")
    onedrive.mine.put("two.txt", "2")
    with scripted_server(lambda _: Reply(200)) as other:
        onedrive.account.base = other.base_url
        assert len(shown(onedrive.pages())) == 2
        assert other.requests == []
    onedrive.account.base = f"{onedrive.api.base_url}/elsewhere"
    with pytest.raises(ProviderUnavailable):
        onedrive.pages()


@pytest.mark.parametrize("fault", ["forgotten", "unknown", "gone"])
def test_link_that_microsoft_no_longer_knows_expires(onedrive: OneDrive, fault: str) -> None:
    onedrive.mine.put("one.txt", "1")
    onedrive.team.put("two.txt", "2")
    mirror = onedrive.mirror(MINE, TEAM).sync()
    if fault == "forgotten":
        onedrive.team.forgotten = 99
    else:
        status = 400 if fault == "unknown" else 404
        onedrive.account.faults = [(f"/v1.0/drives/{TEAM.replace('!', '%21')}", json_reply({}, status))]
    with pytest.raises(CursorExpired):
        onedrive.pages(mirror.cursor, MINE, TEAM)
    onedrive.team.forgotten = -1
    assert mirror.sync().reads == []


def test_cursor_of_another_making_expires(onedrive: OneDrive) -> None:
    damaged: list[dict[str, Any]] = [{"page": 1}, {"links": []}]
    for wrong in damaged:
        with pytest.raises(CursorExpired):
            onedrive.pages(wrong)


def test_drive_that_is_closed_fails_alone_and_is_listed_once_it_opens(onedrive: OneDrive) -> None:
    onedrive.mine.put("one.txt", "1")
    onedrive.team.put("two.txt", "2")
    onedrive.account.forbidden.add(TEAM)
    mirror = onedrive.mirror(MINE, TEAM).sync()
    assert [failure.external_id for failure in mirror.failures] == [f"drive:{TEAM}"]
    assert mirror.sync().reads == []
    assert len(mirror.failures) == 1
    onedrive.account.forbidden.clear()
    assert mirror.sync().reads == ["two.txt"]
    assert mirror.failures == []


def test_account_without_anything_to_read_is_refused(onedrive: OneDrive) -> None:
    with pytest.raises(ProviderRefused):
        onedrive.pages(None, "b!nowhere")
    with pytest.raises(ProviderRefused):
        onedrive.pages(None, "b!nowhere", "b!neither")
    assert not any(page.failures for page in onedrive.pages(None, "b!nowhere", TEAM))
    onedrive.account.drives.clear()
    with pytest.raises(ProviderRefused, match="has no OneDrive"):
        onedrive.pages()


def test_read_works_from_a_stored_locator_alone(onedrive: OneDrive) -> None:
    onedrive.mine.put("Plans/a.txt", "a")
    (entry,) = onedrive.pages()[-1].entries
    stored = replace(entry, locator=json.loads(json.dumps(entry.locator)), listed=None)
    assert onedrive.read(stored).body == b"a"
    onedrive.mine.delete("Plans")
    with pytest.raises(ItemGone):
        onedrive.read(stored)


def test_files_that_cannot_be_had_say_why(onedrive: OneDrive) -> None:
    onedrive.mine.put("large.txt", "x", size=70 * 1024 * 1024)
    onedrive.mine.put("secret.txt", "x")
    onedrive.mine.put("locked.txt", "x")
    onedrive.mine.put("empty.txt", "")
    entries = {entry.title: entry for entry in onedrive.pages()[-1].entries}
    with pytest.raises(ItemUnreadable, match="70 MiB"):
        onedrive.read(entries["large.txt"])
    assert onedrive.downloads.requests == []
    onedrive.account.forbidden.add(onedrive.mine.id_of("secret.txt"))
    with pytest.raises(ItemUnreadable, match="does not let"):
        onedrive.read(entries["secret.txt"])
    onedrive.account.faults = [("/v1.0/drives", json_reply({"error": {"code": "resourceLocked"}}, 423))]
    with pytest.raises(ItemUnreadable, match="locked"):
        onedrive.read(entries["locked.txt"])
    assert onedrive.read(entries["empty.txt"]).body == b""


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({}, 401), CredentialsRejected),
        (json_reply({}, 429, retry_after="7"), RateLimited),
        (json_reply({}, 503, retry_after="7"), RateLimited),
        (json_reply({}, 509, retry_after="7"), RateLimited),
        (json_reply({}, 410), CursorExpired),
    ],
)
def test_fault_in_mid_pass_leaves_a_cursor_that_goes_on(
    onedrive: OneDrive, reply: Reply, error: type[Exception]
) -> None:
    onedrive.account.page_size = 1
    onedrive.mine.put("one.txt", "1")
    onedrive.mine.put("two.txt", "2")
    everything = shown(onedrive.pages())
    with closing(PROVIDER.open_source(onedrive.opening())) as source:
        walk = source.pages(None)
        page = next(walk)
        onedrive.account.faults = [("/v1.0/drives", reply)]
        with pytest.raises(error) as raised:
            list(walk)
    assert TOKEN not in str(raised.value)
    if isinstance(raised.value, RateLimited):
        assert abs(raised.value.resume_at - datetime.now(UTC) - timedelta(seconds=7)) < timedelta(seconds=5)
    assert shown([page]) + shown(onedrive.pages(page.cursor)) == everything


@pytest.mark.parametrize("path", ["/v1.0/me/drive", "/v1.0/drives"])
def test_a_moments_fault_is_tried_again(onedrive: OneDrive, path: str) -> None:
    onedrive.mine.put("a.txt", "a")
    onedrive.account.faults = [(path, json_reply({}, 502)), (path, Reply(200, b"{", missing_bytes=9))]
    assert len(shown(onedrive.pages())) == 1
    for replies in ([Reply(200, b"<html>")] * 4, [Reply(200, b"[]")], [json_reply({})]):
        onedrive.account.faults = [(path, reply) for reply in replies]
        with pytest.raises(ProviderUnavailable):
            onedrive.pages()


def test_choices_show_sharepoint_only_to_those_who_granted_it(onedrive: OneDrive) -> None:
    found = list_choices(onedrive.opening("b!other", scopes=("User.Read", "Files.Read")))
    assert [(choice.id, choice.name, choice.is_chosen) for choice in found] == [
        (MINE, "OneDrive", False),
        ("b!other", "b!other", True),
    ]
    assert not any("/sites" in path for path in onedrive.api.paths())
    found = list_choices(onedrive.opening(scopes=("https://graph.microsoft.com/Sites.Read.All",)))
    assert [(choice.id, choice.name, choice.is_chosen) for choice in found] == [
        (MINE, "OneDrive", True),
        (PLANS, "Team / Plans", False),
        (TEAM, "Team / Shared Documents", False),
    ]


def test_settings_take_ids_only() -> None:
    for wrong in (["../me"], ["a/b"], ["a?b"], [""], ["a"] * 51):
        with pytest.raises(ValueError):
            PROVIDER.settings_model.model_validate({"drives": wrong})

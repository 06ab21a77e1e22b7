"""Box, against an account answered over HTTP (`tests/emulators/box.py`, written from Box's published API)."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import stamina

from backend.connectors.providers.box import PROVIDER
from backend.connectors.providers.box.choices import list_choices
from backend.connectors.providers.box.client import PAGE_SIZE
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
from tests.connectors.mirror import TOKEN, Mirror, opening, read_pages, shown
from tests.emulators.box import BoxAccount
from tests.emulators.scripted import Reply, ScriptedServer, json_reply, scripted_server


@dataclass
class Box:
    """An account and the servers in front of it."""

    account: BoxAccount
    api: ScriptedServer
    downloads: ScriptedServer

    def mirror(self, *folders: str) -> Mirror:
        return Mirror(PROVIDER, opening(PROVIDER, self.api.base_url, {"folders": list(folders)}))

    def pages(self, cursor: Any = None, *folders: str) -> Any:
        return read_pages(PROVIDER, opening(PROVIDER, self.api.base_url, {"folders": list(folders)}), cursor)

    def read(self, entry: Entry) -> Any:
        with closing(PROVIDER.open_source(opening(PROVIDER, self.api.base_url, {}))) as source:
            return source.read(entry)


@pytest.fixture
def box() -> Iterator[Box]:
    account = BoxAccount(TOKEN)
    with (
        stamina.set_testing(True, attempts=4, cap=True),
        scripted_server(account.download) as downloads,
        scripted_server(account) as api,
    ):
        account.download_base = downloads.base_url
        yield Box(account, api, downloads)


def test_sync_follows_all_that_happens_to_files(box: Box) -> None:
    account, mirror = box.account, box.mirror()
    account.put("readme.md", "read me")
    account.put("Plans/2026/budget.txt", "much")
    account.put("Plans/old.txt", "old")
    account.put("Plans/photo.jpg", "no document")
    assert mirror.sync().titles() == {
        "readme.md": "read me",
        "Plans/2026/budget.txt": "much",
        "Plans/old.txt": "old",
    }

    assert mirror.sync().reads == []
    account.put("Plans/2026/budget.txt", "less")
    account.put("Plans/new/notes.md", "notes")
    account.rename("Plans/old.txt", "older.txt")
    account.move("readme.md", "Plans")
    assert mirror.sync().titles() == {
        "Plans/readme.md": "read me",
        "Plans/2026/budget.txt": "less",
        "Plans/older.txt": "old",
        "Plans/new/notes.md": "notes",
    }

    trashed = account.trash("Plans/older.txt")
    account.rename("Plans/new/notes.md", "notes.exe")
    assert set(mirror.sync().titles()) == {"Plans/readme.md", "Plans/2026/budget.txt"}
    account.restore(trashed)
    assert set(mirror.sync().titles()) == {"Plans/readme.md", "Plans/2026/budget.txt", "Plans/older.txt"}
    assert mirror.full_passes == 1


def test_item_says_who_when_and_where_and_no_link(box: Box) -> None:
    file_id = box.account.put("Plans/2026/budget.csv", "a,b")
    (item,) = box.mirror().sync().documents.values()
    assert (item.external_id, item.mime_type, item.kind) == (file_id, "text/csv", "document")
    assert item.url == f"https://app.box.com/file/{file_id}"
    assert item.author == "owner@example.com"
    assert item.updated_at == datetime(2026, 3, 4, 13, 6, 7, tzinfo=UTC)
    assert item.metadata == {
        "folder_path": "Plans/2026",
        "file_type": "csv",
        "owner": "owner@example.com",
        "modified_by": "owner@example.com",
        "byte_size": 3,
    }
    assert [request.headers.get("authorization") for request in box.downloads.requests] == [None]


@pytest.mark.parametrize("is_repetitive", [False, True])
def test_files_of_a_folder_follow_it(box: Box, is_repetitive: bool) -> None:
    account, mirror = box.account, box.mirror()
    account.is_repetitive = is_repetitive
    account.put("Plans/2026/q1/budget.txt", "much")
    account.put("Archive/old.txt", "old")
    mirror.sync()
    account.rename("Plans", "Projects")
    account.move("Projects/2026", "Archive")
    assert mirror.sync().titles() == {"Archive/2026/q1/budget.txt": "much", "Archive/old.txt": "old"}
    assert mirror.reads == ["budget.txt"]
    assert mirror.full_passes == 1


def test_files_of_a_folder_that_is_gone_go_with_it(box: Box) -> None:
    account, mirror = box.account, box.mirror()
    account.put("Plans/budget.txt", "much")
    account.put("keep.txt", "kept")
    mirror.sync()
    folder = account.trash("Plans")
    account.put("new.txt", "new")
    assert set(mirror.sync().titles()) == {"Plans/budget.txt", "keep.txt", "new.txt"}
    assert mirror.full_passes == 2
    mirror.cursor = None
    assert set(mirror.sync().titles()) == {"keep.txt", "new.txt"}
    account.restore(folder)
    assert set(mirror.sync().titles()) == {"Plans/budget.txt", "keep.txt", "new.txt"}


def test_page_before_a_full_pass_is_not_taken_for_the_whole(box: Box) -> None:
    """A worker that ends between that page and the error leaves a cursor that says the same."""
    box.account.put("Plans/budget.txt", "much")
    cursor = box.pages()[-1].cursor
    file_id = box.account.trash("Plans/budget.txt")
    box.account.trash("Plans")
    with closing(PROVIDER.open_source(opening(PROVIDER, box.api.base_url, {}))) as source:
        page = next(source.pages(cursor))
    assert page.gone == (file_id,)
    with pytest.raises(CursorExpired):
        box.pages(page.cursor)


def test_only_chosen_folders_are_synced(box: Box) -> None:
    account = box.account
    account.put("In/a.txt", "a")
    account.put("Out/b.txt", "b")
    account.put("Out/Deep/c.txt", "c")
    mirror = box.mirror(account.id_of("In"), account.id_of("Out/Deep"))
    assert set(mirror.sync().titles()) == {"In/a.txt", "Out/Deep/c.txt"}
    account.put("Out/d.txt", "d")
    account.put("Out/Deep/e.txt", "e")
    account.move("Out/b.txt", "In")
    account.move("In/a.txt", "Out")
    account.rename("Out/Deep", "Deeper")
    assert set(mirror.sync().titles()) == {"In/b.txt", "Out/Deeper/c.txt", "Out/Deeper/e.txt"}
    assert mirror.full_passes == 1
    account.move("Out/Deeper", "")
    assert set(mirror.sync().titles()) == {"In/b.txt", "Deeper/c.txt", "Deeper/e.txt"}


def test_another_choice_of_folders_begins_anew(box: Box) -> None:
    box.account.put("In/a.txt", "a")
    cursor = box.pages()[-1].cursor
    with pytest.raises(CursorExpired):
        box.pages(cursor, box.account.id_of("In"))


def test_chosen_folder_that_is_gone_is_no_failure_unless_it_is_the_only_one(box: Box) -> None:
    box.account.put("In/a.txt", "a")
    box.account.put("Gone/b.txt", "b")
    kept, gone = box.account.id_of("In"), box.account.trash("Gone")
    pages = box.pages(None, kept, gone)
    assert len(shown(pages)) == 1
    assert not any(page.failures for page in pages)
    with pytest.raises(ProviderRefused, match="None of the chosen folders"):
        box.pages(None, gone)


def test_pass_goes_on_from_every_cursor_with_exactly_the_rest(box: Box) -> None:
    for number in range(2 * PAGE_SIZE + 10):
        box.account.put(f"wide/{number:03}.txt", str(number))
    for number in range(5):
        box.account.put(f"deep/{'x/' * number}file.txt", str(number))
    pages = box.pages()
    everything = shown(pages)
    assert len(everything) == len(set(everything)) == 2 * PAGE_SIZE + 15
    assert all(page.is_full for page in pages)
    for number, page in enumerate(pages[:-1], start=1):
        assert shown(box.pages(page.cursor)) == shown(pages[number:])

    box.account.put("late.txt", "late")
    box.account.rename("wide", "wider")
    end = pages[-1].cursor
    changes = box.pages(end)
    assert len(shown(changes)) == 2 * PAGE_SIZE + 11
    for number, page in enumerate(changes[:-1], start=1):
        assert shown(box.pages(page.cursor)) == shown(changes[number:])
    assert shown(box.pages(changes[-1].cursor)) == []


def test_what_happens_during_a_full_pass_is_in_the_changes_after_it(box: Box) -> None:
    box.account.put("a/one.txt", "1")
    box.account.put("b/two.txt", "2")
    with closing(PROVIDER.open_source(opening(PROVIDER, box.api.base_url, {}))) as source:
        walk = source.pages(None)
        first = next(walk)
        late = box.account.put("a/late.txt", "late")
        *_, last = walk
    assert late not in shown([first, last])
    assert shown(box.pages(last.cursor)) == [late]


def test_cursor_stays_small_however_wide_a_tree_is(box: Box) -> None:
    for number in range(4 * PAGE_SIZE):
        box.account.put(f"wide/{number:04}/file.txt", "x")
    pages = box.pages()
    assert len(set(shown(pages))) == 4 * PAGE_SIZE
    assert max(len(json.dumps(page.cursor)) for page in pages) < 20 * (PAGE_SIZE + 20)


def test_empty_folders_do_not_make_a_page_each(box: Box) -> None:
    for number in range(90):
        box.account.put(f"{number}/photo.jpg", "no document")
    assert len(box.pages()) == 5


def test_position_older_than_box_remembers_expires(box: Box) -> None:
    cursor = dict(box.pages()[-1].cursor)
    box.account.date = format_datetime(datetime.now(UTC) + timedelta(days=13), usegmt=True)
    box.pages(cursor)
    box.account.date = format_datetime(datetime.now(UTC) + timedelta(days=15), usegmt=True)
    with pytest.raises(CursorExpired):
        box.pages(cursor)
    box.account.date = None
    box.account.faults = [("/2.0/events", json_reply({"code": "bad_request"}, 400))]
    with pytest.raises(CursorExpired):
        box.pages(cursor)
    with pytest.raises(CursorExpired):
        box.pages({"page": 3})


def test_read_works_from_a_stored_locator_alone(box: Box) -> None:
    box.account.put("Plans/a.txt", "a")
    (entry,) = box.pages()[-1].entries
    stored = replace(entry, locator=json.loads(json.dumps(entry.locator)), listed=None)
    assert box.read(stored).body == b"a"
    assert box.read(stored).metadata["folder_path"] == "Plans"
    box.account.trash("Plans")
    with pytest.raises(ItemGone):
        box.read(stored)
    with pytest.raises(ItemGone):
        box.read(entry)


def test_files_that_cannot_be_had_say_why(box: Box) -> None:
    box.account.put("large.txt", "x", size=70 * 1024 * 1024)
    box.account.put("secret.txt", "x")
    box.account.put("slow.txt", "x")
    box.account.put("empty.txt", "")
    entries = {entry.title: entry for page in box.pages() for entry in page.entries}
    with pytest.raises(ItemUnreadable, match="70 MiB"):
        box.read(entries["large.txt"])
    assert box.downloads.requests == []
    box.account.forbidden.add(box.account.id_of("secret.txt"))
    with pytest.raises(ItemUnreadable, match="does not let"):
        box.read(entries["secret.txt"])
    box.account.faults = [("/2.0/files", Reply(202, headers={"retry-after": "5"}))]
    with pytest.raises(ItemUnreadable, match="preparing"):
        box.read(entries["slow.txt"])
    assert box.read(entries["empty.txt"]).body == b""


def test_folder_that_may_not_be_listed_fails_alone(box: Box) -> None:
    box.account.put("closed/a.txt", "a")
    box.account.put("open/b.txt", "b")
    closed = box.account.id_of("closed")
    box.account.forbidden.add(closed)
    pages = box.pages()
    assert len(shown(pages)) == 1
    (failure,) = (failure for page in pages for failure in page.failures)
    assert (failure.external_id, failure.stage) == (f"folder:{closed}", "list")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({}, 401), CredentialsRejected),
        (json_reply({}, 429, retry_after="7"), RateLimited),
        (json_reply({"code": "insufficient_scope"}, 403), ProviderRefused),
    ],
)
def test_fault_in_mid_pass_leaves_a_cursor_that_goes_on(
    box: Box, reply: Reply, error: type[Exception]
) -> None:
    box.account.put("a/one.txt", "1")
    box.account.put("b/two.txt", "2")
    everything = shown(box.pages())
    with closing(PROVIDER.open_source(opening(PROVIDER, box.api.base_url, {}))) as source:
        walk = source.pages(None)
        page = next(walk)
        box.account.faults = [("/2.0/folders", reply)]
        with pytest.raises(error) as raised:
            list(walk)
    assert TOKEN not in str(raised.value)
    assert shown([page]) + shown(box.pages(page.cursor)) == everything


@pytest.mark.parametrize("path", ["/2.0/events", "/2.0/folders"])
def test_a_moments_fault_is_tried_again(box: Box, path: str) -> None:
    box.account.put("a.txt", "a")
    box.account.faults = [(path, json_reply({}, 502)), (path, Reply(200, b"{", missing_bytes=9))]
    assert len(shown(box.pages())) == 1
    for replies in ([Reply(200, b"<html>")] * 4, [Reply(200, b"[]")], [json_reply({})]):
        box.account.faults = [(path, reply) for reply in replies]
        with pytest.raises(ProviderUnavailable):
            box.pages()


def test_download_address_that_expired_is_not_taken_for_the_token(box: Box) -> None:
    box.account.put("a.txt", "a")
    (entry,) = box.pages()[-1].entries
    with scripted_server(lambda _: Reply(401)) as other:
        box.account.download_base = other.base_url
        with pytest.raises(ProviderUnavailable):
            box.read(entry)


def test_choices_are_the_folders_at_the_top_and_the_chosen_ones(box: Box) -> None:
    box.account.put("Zebra/a.txt", "a")
    box.account.put("apple/b/c.txt", "a")
    deep, top = box.account.id_of("apple/b"), box.account.id_of("apple")
    given = opening(PROVIDER, box.api.base_url, {"folders": [deep, "99"]})
    found = [(choice.id, choice.name, choice.is_chosen) for choice in list_choices(given)]
    assert found == [
        ("99", "99", True),
        (top, "apple", False),
        (deep, "apple/b", True),
        (box.account.id_of("Zebra"), "Zebra", False),
    ]


def test_settings_take_ids_only() -> None:
    for wrong in (["../users"], ["1?x=1"], [""], ["1"] * 101):
        with pytest.raises(ValueError):
            PROVIDER.settings_model.model_validate({"folders": wrong})

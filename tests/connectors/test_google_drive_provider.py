"""Google Drive against the emulator: some hundred files in folders, renamed and removed.

What the emulator does not have (shared drives, exports, the bin, chosen folders) is in `test_google_drive_api.py`.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    Entry,
    ItemGone,
    Opening,
    Page,
    RateLimited,
    SourceItem,
)
from backend.connectors.providers.google_drive import PROVIDER
from backend.connectors.providers.google_drive.choices import list_choices
from backend.connectors.providers.google_drive.source import FILES_PER_PAGE
from backend.connectors.providers.provider import open_with
from tests.connectors.walking import credentials, entries_of, ids_of
from tests.emulators.google import GoogleEmulator, google_emulator
from tests.emulators.google_seed import USER, drive_seed, file_sentence
from tests.emulators.scripted import Reply, json_reply

FILES = 420


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleEmulator]:
    with google_emulator(drive_seed(FILES)) as emulator, stamina.set_testing(True, attempts=4, cap=True):
        yield emulator


def test_full_pass_shows_every_document_once(google: GoogleEmulator) -> None:
    pages = walk(google)
    assert sorted(ids_of(pages)) == sorted(f"file:file_{n}" for n in range(FILES))
    assert all(page.is_full for page in pages)
    assert len(pages) > 2
    assert max(len(page.entries) for page in pages) <= FILES_PER_PAGE
    for number, page in enumerate(pages[:-1]):
        assert ids_of(walk(google, page.cursor)) == ids_of(pages[number + 1 :])


def test_file_is_read_with_its_folder(google: GoogleEmulator) -> None:
    entry = find(walk(google), "file:file_120")
    item = read(google, entry)
    assert file_sentence(120) in item.body.decode()
    assert (item.title, item.file_name, item.mime_type, item.kind) == (
        "runbook-120.md",
        "runbook-120.md",
        "text/markdown",
        "file",
    )
    assert item.metadata["folder_path"] == "Runbooks/Part 2"
    assert item.metadata["file_type"] == "md"
    assert read(google, Entry(entry.external_id, "", None, None, entry.locator)) == item


def test_choices_are_the_folders_at_the_top(google: GoogleEmulator) -> None:
    choices = list_choices(
        Opening({"folders": ["folder_runbooks"]}, credentials(google.token(USER)), google.base_url)
    )
    assert [(choice.id, choice.name, choice.is_chosen) for choice in choices] == [
        ("folder_runbooks", "Runbooks", True)
    ]


def test_chosen_folder_is_synced_with_all_below_it(google: GoogleEmulator) -> None:
    settings = {"folders": ["folder_100"]}
    pages = walk(google, settings=settings)
    assert sorted(ids_of(pages)) == sorted(f"file:file_{n}" for n in range(100, 150))
    whole = walk(google, settings={"folders": ["folder_runbooks"]})
    assert len(set(ids_of(whole))) == FILES
    for number, page in enumerate(whole[:-1]):
        rest = walk(google, page.cursor, settings={"folders": ["folder_runbooks"]})
        assert ids_of(rest) == ids_of(whole[number + 1 :])


def test_changes_are_what_the_log_names(google: GoogleEmulator) -> None:
    before = walk(google)
    cursor = before[-1].cursor
    new = google.upload(USER, "new.txt", b"A file nobody has seen.")
    picture = google.upload(USER, "new.png", b"no words", mime="image/png")
    google.rename(USER, "file_3", "renamed.md")
    google.remove("file_4")
    pages = walk(google, cursor)
    assert not any(page.is_full for page in pages)
    assert sorted(ids_of(pages)) == sorted([f"file:{new}", "file:file_3"])
    assert [each for page in pages for each in page.gone] == ["file:file_4"]
    assert f"file:{picture}" not in ids_of(pages)
    assert read(google, find(pages, f"file:{new}")).body == b"A file nobody has seen."
    assert find(pages, "file:file_3").revision != find(before, "file:file_3").revision
    assert ids_of(walk(google, pages[-1].cursor)) == []
    with pytest.raises(ItemGone):
        read(google, replace(find(before, "file:file_4"), listed=None))


def test_renamed_folder_shows_its_files_anew(google: GoogleEmulator) -> None:
    cursor = walk(google)[-1].cursor
    google.rename(USER, "folder_200", "Chapter four")
    pages = walk(google, cursor)
    assert set(ids_of(pages)) == {f"file:file_{n}" for n in range(200, 250)}
    assert read(google, find(pages, "file:file_222")).metadata["folder_path"] == "Runbooks/Chapter four"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"error": {"code": 401}}, 401), CredentialsRejected),
        (json_reply({"error": {"code": 429}}, 429, retry_after="90"), RateLimited),
        (json_reply({"error": {"errors": [{"reason": "rateLimitExceeded"}]}}, 403), RateLimited),
    ],
)
def test_pages_before_a_refusal_stay_and_their_cursor_goes_on(
    google: GoogleEmulator, reply: Reply, error: type[Exception]
) -> None:
    whole = walk(google)
    with closing(source(google)) as walker:
        pages = walker.pages(None)
        seen = [next(pages)]
        google.fail("/drive/v3/files?", reply)
        with pytest.raises(error):
            seen += pages
    assert ids_of(seen) + ids_of(walk(google, seen[-1].cursor)) == ids_of(whole)


def walk(
    google: GoogleEmulator, since: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> list[Page]:
    with closing(source(google, settings)) as walker:
        return list(walker.pages(since))


def source(google: GoogleEmulator, settings: Mapping[str, Any] | None = None) -> Any:
    return open_with(PROVIDER, settings or {}, credentials(google.token(USER)), api_base=google.base_url)


def read(google: GoogleEmulator, entry: Entry) -> SourceItem:
    with closing(source(google)) as walker:
        item: SourceItem = walker.read(entry)
        return item


def find(pages: list[Page], external_id: str) -> Entry:
    return next(entry for entry in entries_of(pages) if entry.external_id == external_id)

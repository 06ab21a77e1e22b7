"""Google Drive where the emulator has nothing: exports, the bin, shared drives and their logs, limits and refusals.

The server below answers as Google's published description of the Drive API (v3) says, a few files at a time.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    CursorExpired,
    Entry,
    ItemGone,
    ItemUnreadable,
    Opening,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    SourceItem,
)
from backend.connectors.providers.google_drive import PROVIDER
from backend.connectors.providers.google_drive.choices import list_choices
from backend.connectors.providers.google_drive.webhook import receive
from backend.connectors.providers.provider import Delivery, open_with
from tests.connectors.walking import credentials, entries_of, ids_of
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

GOOGLE = "application/vnd.google-apps"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PER_PAGE = 3


def error(status: int, reason: str) -> Reply:
    """A refusal in the form of Google's."""
    named = [{"domain": "global", "reason": reason, "message": "internal words"}]
    return json_reply({"error": {"code": status, "message": "internal words", "errors": named}}, status)


class FakeDrive:
    """A Drive with files, shared drives, and a log for each of them."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.drives: dict[str, str] = {}
        self.logs: dict[str, list[dict[str, Any]]] = {"": []}
        self.bodies: dict[str, bytes] = {}
        self.replies: dict[str, list[Reply]] = {}

    def share(self, drive_id: str, name: str) -> None:
        """Make the person a member of a shared drive."""
        self.drives[drive_id] = name
        self.logs[drive_id] = []

    def put(self, file_id: str, mime: str = "text/plain", parent: str = "my-root", **more: Any) -> None:
        """Make or change a file; its log says so."""
        file = {"id": file_id, "name": more.pop("name", file_id), "mimeType": mime, "parents": [parent]}
        file |= {
            "md5Checksum": f"md5-{file_id}",
            "modifiedTime": "2026-03-04T05:06:07.000Z",
            "trashed": False,
        }
        self.files[file_id] = {**file, **more}
        self.bodies.setdefault(file_id, f"text of {file_id}".encode())
        self._log(file_id, removed=False)

    def folder(self, folder_id: str, parent: str = "my-root", **more: Any) -> None:
        """Make or change a folder."""
        self.put(folder_id, f"{GOOGLE}.folder", parent, md5Checksum=None, **more)

    def trash(self, file_id: str) -> None:
        """Throw a file or a folder away. What is below a folder is in the bin then, and no log says so."""
        self.files[file_id]["trashed"] = True
        for child in self.files.values():
            if file_id in child["parents"]:
                child["trashed"] = True
        self._log(file_id, removed=False)

    def delete(self, file_id: str) -> None:
        """Delete a file for good."""
        self._log(file_id, removed=True)
        del self.files[file_id]

    def _log(self, file_id: str, *, removed: bool) -> None:
        log = self.logs[self.files[file_id].get("driveId", "")]
        log.append({"changeType": "file", "fileId": file_id, "removed": removed})

    def on(self, path: str, *replies: Reply) -> None:
        """Answer the next requests for `path` with these instead."""
        self.replies[path] = list(replies)

    def __call__(self, request: Request) -> Reply:
        url = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if waiting := self.replies.get(url.path):
            return waiting.pop(0)
        match url.path.removeprefix("/drive/v3").split("/")[1:]:
            case ["drives"]:
                return json_reply({"drives": [{"id": i, "name": n} for i, n in self.drives.items()]})
            case ["drives", drive_id]:
                return json_reply({"id": drive_id, "name": self.drives[drive_id]})
            case ["changes", "startPageToken"]:
                return json_reply({"startPageToken": str(len(self.logs[query.get("driveId", "")]))})
            case ["changes"]:
                return self._changes(self.logs[query.get("driveId", "")], int(query["pageToken"]))
            case ["files"]:
                return self._list(query)
            case ["files", "root"]:
                return json_reply({"id": "my-root"})
            case ["files", file_id, "export"]:
                return Reply(200, b"exported as " + query["mimeType"].encode())
            case ["files", file_id] if file_id in self.files:
                is_body = query.get("alt") == "media"
                return Reply(200, self.bodies[file_id]) if is_body else json_reply(self.files[file_id])
        return error(404, "notFound")

    def _list(self, query: Mapping[str, str]) -> Reply:
        found = list(self.files.values())
        if parent := re.search(r"'([^']+)' in parents", query.get("q", "")):
            wanted = parent[1].replace("root", "my-root") if parent[1] == "root" else parent[1]
            found = [file for file in found if wanted in file["parents"]]
        elif query.get("corpora") == "drive":
            found = [file for file in found if file.get("driveId") == query["driveId"]]
        else:
            found = [file for file in found if not file.get("driveId")]
        if "trashed = false" in query.get("q", ""):
            found = [file for file in found if not file["trashed"]]
        if f"mimeType = '{GOOGLE}.folder'" in query.get("q", ""):
            found = [file for file in found if file["mimeType"] == f"{GOOGLE}.folder"]
        start = int(query.get("pageToken", 0))
        more = {"nextPageToken": str(start + PER_PAGE)} if start + PER_PAGE < len(found) else {}
        return json_reply({"files": found[start : start + PER_PAGE], **more})

    def _changes(self, log: list[dict[str, Any]], start: int) -> Reply:
        changes = [
            change if change["removed"] else {**change, "file": self.files.get(change["fileId"])}
            for change in log[start : start + PER_PAGE]
        ]
        end = start + len(changes)
        return json_reply(
            {"changes": changes, "nextPageToken" if end < len(log) else "newStartPageToken": str(end)}
        )


@pytest.fixture
def drive() -> FakeDrive:
    return FakeDrive()


@pytest.fixture
def server(drive: FakeDrive) -> Iterator[ScriptedServer]:
    with scripted_server(drive) as running, stamina.set_testing(True, attempts=4, cap=True):
        yield running


def test_documents_of_google_are_exported(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.put(
        "plan", f"{GOOGLE}.document", name="The plan", md5Checksum=None, owners=[{"emailAddress": "a@b.org"}]
    )
    drive.put("sums", f"{GOOGLE}.spreadsheet", name="Sums", md5Checksum=None)
    drive.put("talk", f"{GOOGLE}.presentation", name="Talk", md5Checksum=None)
    items = {entry.title: read(server, entry) for entry in entries_of(walk(server))}
    plan = items["The plan"]
    assert (plan.kind, plan.file_name, plan.mime_type, plan.author) == (
        "document",
        "The plan.docx",
        DOCX,
        "a@b.org",
    )
    assert plan.body == b"exported as " + DOCX.encode()
    assert items["Sums"].file_name == "Sums.xlsx"
    assert items["Talk"].file_name == "Talk.pptx"


def test_files_without_words_are_not_listed(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.put("film", "video/mp4")
    drive.put("photo", "image/jpeg")
    drive.put("archive", "application/zip")
    drive.put("form", f"{GOOGLE}.form")
    drive.put("shortcut", f"{GOOGLE}.shortcut", shortcutDetails={"targetId": "notes"})
    drive.put("notes", "application/octet-stream", name="notes.md")
    drive.put("paper", "application/pdf")
    assert ids_of(walk(server)) == ["file:notes", "file:paper"]


def test_shared_drives_are_listed_and_followed(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.share("0AB", "Engineering")
    drive.folder("guides", "0AB", driveId="0AB")
    drive.put("mine")
    drive.put("ours", parent="guides", driveId="0AB", lastModifyingUser={"emailAddress": "b@b.org"})
    pages = walk(server)
    assert ids_of(pages) == ["file:mine", "file:ours"]
    ours = read(server, entries_of(pages)[1])
    assert (ours.metadata["folder_path"], ours.author) == ("Engineering/guides", "b@b.org")

    drive.put("theirs", parent="0AB", driveId="0AB")
    drive.put("another")
    changes = walk(server, pages[-1].cursor)
    assert ids_of(changes) == ["file:another", "file:theirs"]

    drive.share("0CD", "Sales")
    drive.put("offer", parent="0CD", driveId="0CD")
    joined = walk(server, changes[-1].cursor)
    assert ids_of(joined) == ["file:offer"]
    assert not any(page.is_full for page in joined)

    del drive.drives["0AB"]
    with pytest.raises(CursorExpired):
        walk(server, joined[-1].cursor)


def test_pass_goes_on_from_every_cursor(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.share("0AB", "Engineering")
    for number in range(7):
        drive.put(f"mine{number}")
        drive.put(f"ours{number}", parent="0AB", driveId="0AB")
    whole = walk(server)
    assert len(ids_of(whole)) == 14
    for number in range(5):
        drive.put(f"mine{number}", md5Checksum="new")
        drive.put(f"ours{number}", parent="0AB", driveId="0AB", md5Checksum="new")
    changes = walk(server, whole[-1].cursor)
    assert len(ids_of(changes)) == 10
    for pages in (whole, changes):
        for number, page in enumerate(pages[:-1]):
            cursor = json.loads(json.dumps(page.cursor))
            assert ids_of(walk(server, cursor)) == ids_of(pages[number + 1 :])


def test_folder_that_is_thrown_away_takes_its_files_along(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.folder("old")
    for number in range(4):
        drive.put(f"old{number}", parent="old")
    drive.put("kept")
    pages = walk(server)
    drive.trash("old")
    changes = walk(server, pages[-1].cursor)
    assert {each for page in changes for each in page.gone} == {f"file:old{n}" for n in range(4)}
    assert ids_of(changes) == []
    with pytest.raises(ItemGone):
        read(server, Entry("file:old1", "", None, None, {"file": "old1"}))


def test_what_leaves_the_chosen_folders_is_gone(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.folder("chosen")
    drive.folder("inner", "chosen")
    drive.folder("other")
    drive.put("a", parent="chosen")
    drive.put("b", parent="inner")
    drive.put("c", parent="other")
    settings = {"folders": ["chosen"]}
    pages = walk(server, settings=settings)
    assert sorted(ids_of(pages)) == ["file:a", "file:b"]
    drive.put("a", parent="other")
    drive.put("d", parent="inner")
    drive.folder("inner", "other")
    changes = walk(server, pages[-1].cursor, settings=settings)
    assert {each for page in changes for each in page.gone} >= {"file:a", "file:b", "file:d"}
    assert ids_of(changes) == []


def test_chosen_folder_that_is_missing_is_a_failure(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.on("/drive/v3/files", error(404, "notFound"))
    (page,) = walk(server, settings={"folders": ["nowhere"]})
    assert [(each.external_id, each.stage) for each in page.failures] == [("folder:nowhere", "list")]
    assert page.is_full


def test_listing_that_google_calls_incomplete_is_a_failure(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.on("/drive/v3/files", json_reply({"files": [], "incompleteSearch": True}))
    assert walk(server)[0].failures


def test_revision_changes_with_content_name_and_place(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.folder("f")
    seen = set()
    for change in ({}, {"md5Checksum": "other"}, {"name": "other"}, {"parent": "f"}):
        drive.put("a", **change)
        seen.add(entries_of(walk(server))[0].revision)
    drive.put("a", viewedByMeTime="2026-03-05T00:00:00Z", version="77")
    assert len(seen) == 4
    assert entries_of(walk(server))[0].revision in seen


@pytest.mark.parametrize("status", [400, 404, 410])
def test_token_that_google_forgot_asks_for_a_full_pass(
    status: int, drive: FakeDrive, server: ScriptedServer
) -> None:
    drive.put("a")
    drive.put("b")
    pages = walk(server)
    drive.on("/drive/v3/changes", error(status, "invalid"))
    with pytest.raises(CursorExpired):
        walk(server, pages[-1].cursor)
    for number in range(5):
        drive.put(f"c{number}")
    listed = walk(server)
    drive.on("/drive/v3/files", error(status, "invalid"))
    with pytest.raises(CursorExpired):
        walk(server, listed[0].cursor)
    with pytest.raises(CursorExpired):
        walk(server, {"written": "by an earlier version"})


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("exportSizeLimitExceeded", "10 MB"),
        ("cannotDownloadFile", "owner"),
        ("cannotDownloadAbusiveFile", "malware"),
        ("forbidden", "account"),
    ],
)
def test_reasons_why_a_file_is_not_handed_over(
    reason: str, words: str, drive: FakeDrive, server: ScriptedServer
) -> None:
    drive.put("plan", f"{GOOGLE}.document")
    entry = entries_of(walk(server))[0]
    drive.on("/drive/v3/files/plan/export", error(403, reason))
    with pytest.raises(ItemUnreadable, match=words) as raised:
        read(server, entry)
    assert "internal" not in raised.value.message


def test_file_that_is_too_large_is_not_downloaded(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.put("huge", size=str(65 * 1024 * 1024))
    entry = entries_of(walk(server))[0]
    with pytest.raises(ItemUnreadable, match="64 MiB"):
        read(server, entry)
    assert not any("alt=media" in path for path in server.paths())


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (error(403, "insufficientPermissions"), CredentialsRejected),
        (error(403, "accessNotConfigured"), ProviderRefused),
        (error(403, "domainPolicy"), ProviderRefused),
        (error(403, "dailyLimitExceeded"), RateLimited),
        (error(403, "userRateLimitExceeded"), RateLimited),
        (error(401, "authError"), CredentialsRejected),
        (Reply(200, b"<html>"), ProviderUnavailable),
        (json_reply([]), ProviderUnavailable),
        (json_reply({"files": [{"id": "no name"}]}), ProviderUnavailable),
    ],
)
def test_what_google_says_is_told_apart(
    reply: Reply, raised: type[Exception], drive: FakeDrive, server: ScriptedServer
) -> None:
    drive.on("/drive/v3/files", *[reply] * 4)
    with pytest.raises(raised):
        walk(server)


def test_choices_are_shared_drives_and_folders(drive: FakeDrive, server: ScriptedServer) -> None:
    drive.share("0AB", "Engineering")
    drive.folder("b", name="Backups")
    drive.folder("inner", "b")
    drive.put("a")
    opening = Opening({"folders": ["0AB"]}, credentials("token"), server.base_url)
    found = [
        (choice.id, choice.name, choice.is_chosen, choice.details["type"]) for choice in list_choices(opening)
    ]
    assert found == [("0AB", "Engineering", True, "shared_drive"), ("b", "Backups", False, "folder")]


def test_notifications_are_believed_with_their_token_only() -> None:
    headers = {
        "x-goog-channel-id": "channel-1",
        "x-goog-channel-token": "the-secret",
        "x-goog-message-number": "7",
        "x-goog-resource-state": "change",
    }
    notice = receive(Delivery(headers, b"", "the-secret"))
    assert (notice.delivery_id, notice.is_change) == ("channel-1:7", True)
    assert not receive(Delivery({**headers, "x-goog-resource-state": "sync"}, b"", "the-secret")).is_change
    for wrong in (
        {"x-goog-channel-token": "another"},
        {"x-goog-channel-token": ""},
        {"x-goog-message-number": "x"},
    ):
        with pytest.raises(ProviderRefused):
            receive(Delivery({**headers, **wrong}, b"", "the-secret"))
    with pytest.raises(ProviderRefused):
        receive(Delivery({**headers, "x-goog-channel-token": ""}, b"", ""))


def walk(
    server: ScriptedServer, since: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> list[Page]:
    with closing(source(server, settings)) as walker:
        return list(walker.pages(since))


def source(server: ScriptedServer, settings: Mapping[str, Any] | None = None) -> Any:
    return open_with(PROVIDER, settings or {}, credentials("token"), api_base=server.base_url)


def read(server: ScriptedServer, entry: Entry) -> SourceItem:
    with closing(source(server)) as walker:
        item: SourceItem = walker.read(entry)
        return item

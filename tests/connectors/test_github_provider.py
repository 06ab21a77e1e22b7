"""Passes over the emulated GitHub: a whole one, ones that go on elsewhere, and ones of what changed since."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from backend.connectors.providers.contract import CredentialsRejected, CursorExpired, Page
from backend.connectors.providers.github.source import GitHubSource
from tests.connectors.github_pass import Pass, listing, make_source, reading
from tests.emulators.github import BAD_TOKEN, GitHubEmulator, github_emulator
from tests.emulators.github_files import FileSeed, text_file
from tests.emulators.github_seed import HANDBOOK, OWNER, TOOLBOX, Seed, github_seed
from tests.emulators.github_threads import IssueSeed

SEED = github_seed(issues=45, runbooks=30)


@pytest.fixture(scope="module")
def github() -> Iterator[GitHubEmulator]:
    """An emulator that no test of this file changes."""
    with github_emulator(SEED) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def whole(github: GitHubEmulator) -> Pass:
    """A pass over everything there, with everything read."""
    return reading(source(github))


def test_pages_reject_a_token_that_is_not_accepted(github: GitHubEmulator) -> None:
    with pytest.raises(CredentialsRejected):
        listing(make_source(github.base_url, BAD_TOKEN))


def test_pages_cover_every_item_once_and_say_how_many_there_are(whole: Pass) -> None:
    assert len(whole.ids) == len(set(whole.ids))
    assert set(whole.ids) == whole.items.keys() == SEED.external_ids()
    assert whole.failures == []
    assert {page.total for page in whole.pages} == {len(whole.ids)}
    assert all(page.is_full for page in whole.pages)
    # Each stage of the larger repository needs several pages, or this test would not see them joined.
    notes = [page.note for page in whole.pages]
    assert notes.count(f"{HANDBOOK}: files") == 2
    assert notes.count(f"{HANDBOOK}: issues") == 3


def test_items_carry_what_was_written_where(github: GitHubEmulator, whole: Pass) -> None:
    items = whole.items
    for external_id, sentence in SEED.sentences().items():
        assert sentence in items[external_id].body.decode(), external_id
    code = items[f"{TOOLBOX}:file:src/retry.go"]
    assert (code.title, code.kind, code.file_name) == (f"{TOOLBOX} - src/retry.go", "code", "retry.go")
    assert code.url == f"{github.base_url}/{TOOLBOX}/blob/main/src/retry.go"
    assert code.metadata["file_type"] == "code"
    assert (code.metadata["folder_path"], code.metadata["language"]) == ("src", "Go")
    document = items[f"{HANDBOOK}:file:docs/onboarding.rst"]
    assert (document.kind, document.mime_type) == ("document", "text/x-rst")
    assert document.metadata["file_type"] == "rst"


def test_items_carry_the_whole_conversation(github: GitHubEmulator, whole: Pass) -> None:
    issue = whole.items[f"{HANDBOOK}:issue:3"]
    for comment in SEED.repositories[0].issues[2].comments:
        assert comment in issue.body.decode()
    assert issue.body.decode().count("## Comment by hubot on ") == 2
    assert (issue.author, issue.kind, issue.mime_type) == (OWNER, "issue", "text/markdown")
    assert issue.metadata["state"] == "closed"
    assert issue.metadata["labels"] == ["decision"]
    assert issue.created_at is not None
    assert issue.created_at.tzinfo is not None

    pull = whole.items[f"{HANDBOOK}:pull:46"]
    for said in ("They change; the script lists them.", "Review by hubot: approved", "`README.md`, line 1"):
        assert said in pull.body.decode()
    assert pull.metadata["state"] == "merged"
    assert pull.url == f"{github.base_url}/{HANDBOOK}/pull/46"


def test_entries_say_what_their_items_say(whole: Pass) -> None:
    for entry in whole.entries:
        item = whole.items[entry.external_id]
        assert (entry.title, entry.url) == (item.title, item.url)
        assert entry.revision


def test_items_are_read_from_what_was_stored_alone(github: GitHubEmulator, whole: Pass) -> None:
    stored = source(github)
    for external_id in (f"{TOOLBOX}:file:src/retry.go", f"{HANDBOOK}:issue:3", f"{HANDBOOK}:pull:46"):
        entry = next(entry for entry in whole.entries if entry.external_id == external_id)
        locator = json.loads(json.dumps(dict(entry.locator)))
        bare = replace(entry, title="", url=None, revision=None, locator=locator, listed=None)
        assert stored.read(bare) == whole.items[external_id]
    stored.close()


def test_pages_go_on_after_any_cursor_in_another_process(github: GitHubEmulator, whole: Pass) -> None:
    for position, page in enumerate(whole.pages[:-1]):
        rest = listing(source(github), json.loads(json.dumps(page.cursor)))
        assert settled(rest.pages) == settled(whole.pages[position + 1 :]), page.note


def test_pages_are_the_same_each_time(github: GitHubEmulator, whole: Pass) -> None:
    again = settled(listing(source(github)).pages)
    assert [replace(page, cursor={}) for page in again] == [
        replace(page, cursor={}) for page in settled(whole.pages)
    ]


def test_pages_cover_chosen_repositories_only(github: GitHubEmulator) -> None:
    expected = {external_id for external_id in SEED.external_ids() if external_id.startswith(TOOLBOX)}
    chosen = {"repositories": ["Octocat/Toolbox", TOOLBOX]}
    assert set(listing(source(github, chosen)).ids) == expected


@pytest.mark.parametrize("name", ["octocat/absent", "no-slash", "../user", "octocat/..", "octocat/a/b"])
def test_pages_report_a_repository_that_cannot_be_read(github: GitHubEmulator, name: str) -> None:
    chosen = {"repositories": [TOOLBOX, name]}
    found = listing(source(github, chosen))
    (failed,) = [page for page in found.pages if page.failures]
    assert [failure.external_id for failure in failed.failures] == [name]
    assert all(external_id.startswith(TOOLBOX) for external_id in found.ids)
    rest = listing(source(github, chosen), failed.cursor)
    assert settled(rest.pages) == settled(found.pages[found.pages.index(failed) + 1 :])


def test_pass_of_changes_shows_nothing_when_nothing_changed(github: GitHubEmulator, whole: Pass) -> None:
    known = {entry.external_id: entry.revision for page in settled(whole.pages) for entry in page.entries}
    changes = listing(source(github), whole.cursor)
    assert not any(page.is_full for page in changes.pages)
    assert changes.gone == []
    # What changed in the minutes before the last pass is listed again, with the revision it had.
    again = {entry.external_id: entry.revision for page in settled(changes.pages) for entry in page.entries}
    assert again.items() <= known.items()
    assert not any(":file:" in external_id for external_id in changes.ids)


def test_pass_of_changes_shows_what_changed(empty_handbook: GitHubEmulator) -> None:
    github, path = empty_handbook, "docs/ports.md"
    assert listing(source(github)).ids == []
    github.put_file(HANDBOOK, text_file(path, "The gateway listens on port 7443.", "{}"))
    github.put_file(HANDBOOK, text_file("docs/names.md", "The gateway is called north.", "{}"))
    number = github.create_issue(HANDBOOK, IssueSeed("Ports", "Which one?", "Which one?"))
    first = reading(source(github))
    assert first.items.keys() == {
        f"{HANDBOOK}:file:{path}",
        f"{HANDBOOK}:file:docs/names.md",
        f"{HANDBOOK}:issue:{number}",
    }
    revisions = {entry.external_id: entry.revision for entry in first.entries}

    github.put_file(HANDBOOK, text_file(path, "The gateway listens on port 8443.", "{}"))
    github.edit_issue(HANDBOOK, number, body="Which one is it now?")
    second = reading(source(github), first.cursor)
    assert second.ids == [f"{HANDBOOK}:file:{path}", f"{HANDBOOK}:issue:{number}"]
    assert b"8443" in second.items[f"{HANDBOOK}:file:{path}"].body
    assert b"is it now" in second.items[f"{HANDBOOK}:issue:{number}"].body
    assert all(entry.revision != revisions[entry.external_id] for entry in second.entries)

    github.delete_file(HANDBOOK, path)
    github.call("POST", f"/repos/{HANDBOOK}/issues/{number}/comments", {"body": "The old one."})
    third = reading(source(github), second.cursor)
    assert (third.ids, third.gone) == ([f"{HANDBOOK}:issue:{number}"], [f"{HANDBOOK}:file:{path}"])
    assert b"The old one." in third.items[f"{HANDBOOK}:issue:{number}"].body
    assert third.entries[0].revision != second.entries[1].revision


def test_pass_of_changes_goes_on_after_any_cursor(empty_handbook: GitHubEmulator) -> None:
    github = empty_handbook
    for number in range(12):
        github.put_file(HANDBOOK, text_file(f"docs/{number:02}.md", f"Page {number}.", "{}"))
    before = listing(source(github))
    for number in range(0, 12, 2):
        github.delete_file(HANDBOOK, f"docs/{number:02}.md")
        github.put_file(HANDBOOK, text_file(f"docs/{number + 1:02}.md", "Rewritten.", "{}"))
        github.create_issue(HANDBOOK, IssueSeed(f"Why {number}?", "Why?", "Why?"))
    changes = listing(source(github, page_size=5), before.cursor)
    assert changes.gone == [f"{HANDBOOK}:file:docs/{number:02}.md" for number in range(0, 12, 2)]
    assert [external_id for external_id in changes.ids if ":file:" in external_id] == [
        f"{HANDBOOK}:file:docs/{number:02}.md" for number in range(1, 12, 2)
    ]
    assert len(changes.ids) == len(set(changes.ids)) == 12
    for position, page in enumerate(changes.pages[:-1]):
        rest = listing(source(github, page_size=5), json.loads(json.dumps(page.cursor)))
        assert settled(rest.pages) == settled(changes.pages[position + 1 :])


def test_pass_of_changes_lists_a_newly_chosen_repository_whole(github: GitHubEmulator, whole: Pass) -> None:
    before = listing(source(github, {"repositories": [HANDBOOK]}))
    changes = listing(source(github, {"repositories": [HANDBOOK, TOOLBOX]}), before.cursor)
    expected = {external_id for external_id in SEED.external_ids() if external_id.startswith(TOOLBOX)}
    assert {external_id for external_id in changes.ids if external_id.startswith(TOOLBOX)} == expected


def test_cursor_ends_when_a_repository_is_no_longer_chosen(github: GitHubEmulator, whole: Pass) -> None:
    with pytest.raises(CursorExpired):
        listing(source(github, {"repositories": [TOOLBOX]}), whole.cursor)


def test_resumed_pass_lists_files_as_they_were_when_it_began(empty_handbook: GitHubEmulator) -> None:
    github = empty_handbook
    for number in range(25):
        github.put_file(HANDBOOK, text_file(f"docs/{number:02}.md", f"Page {number}.", "{}"))
    first = listing(source(github)).pages[0]
    github.delete_file(HANDBOOK, "docs/00.md")
    github.put_file(HANDBOOK, text_file("docs/23.md", "Rewritten.", "{}"))
    github.put_file(HANDBOOK, text_file("docs/99.md", "New.", "{}"))
    rest = reading(source(github), first.cursor)
    assert rest.ids == [f"{HANDBOOK}:file:docs/{number}.md" for number in range(20, 25)]
    assert rest.items[f"{HANDBOOK}:file:docs/23.md"].body == b"Page 23."
    # What changed while it ran is for the next pass.
    changes = listing(source(github), rest.cursor)
    assert changes.gone == [f"{HANDBOOK}:file:docs/00.md"]
    assert changes.ids == [f"{HANDBOOK}:file:docs/23.md", f"{HANDBOOK}:file:docs/99.md"]


def test_items_carry_all_of_a_long_conversation(empty_handbook: GitHubEmulator) -> None:
    comments = tuple(f"Remark {number}." for number in range(105))
    number = empty_handbook.create_issue(HANDBOOK, IssueSeed("Long", "Start.", "Start.", comments))
    body = reading(source(empty_handbook)).items[f"{HANDBOOK}:issue:{number}"].body.decode()
    assert [line for line in body.splitlines() if line.startswith("Remark")] == list(comments)


def test_pages_pass_over_bytes_named_like_code(empty_handbook: GitHubEmulator) -> None:
    empty_handbook.put_file(HANDBOOK, FileSeed("src/stream.ts", b"G@\0\x11\x10\0", None))
    empty_handbook.put_file(HANDBOOK, FileSeed("src/wide.py", "# größer\n".encode("utf-16"), ""))
    found = reading(source(empty_handbook))
    assert found.items.keys() == {f"{HANDBOOK}:file:src/wide.py"}
    assert found.empty == {f"{HANDBOOK}:file:src/stream.ts"}
    assert found.unreadable == {}


def test_release_notes_are_documents(empty_handbook: GitHubEmulator) -> None:
    github = empty_handbook
    github.put_file(HANDBOOK, text_file("README.md", "Hello.", "{}"))
    path = f"/repos/{HANDBOOK}/releases"
    release = github.call(
        "POST", path, {"tag_name": "v1.2", "name": "Spring", "body": "The pool is drained faster now."}
    )
    github.call("POST", path, {"tag_name": "v1.3", "body": "Not yet.", "draft": True})
    first = reading(source(github))
    external_id = f"{HANDBOOK}:release:{release['id']}"
    assert [one for one in first.ids if ":release:" in one] == [external_id]
    item = first.items[external_id]
    assert (item.title, item.kind, item.author) == (f"{HANDBOOK} - Release Spring", "release", OWNER)
    assert item.metadata["tag"] == "v1.2"
    assert b"The pool is drained faster now." in item.body
    assert {page.total for page in first.pages} == {2}

    github.call("PATCH", f"{path}/{release['id']}", {"body": "The pool is drained at once."})
    second = reading(source(github), first.cursor)
    assert second.ids == [external_id]
    assert b"at once" in second.items[external_id].body
    assert second.entries[0].revision != first.entries[-1].revision


@pytest.fixture
def empty_handbook() -> Iterator[GitHubEmulator]:
    """An emulator of the test's own, with one repository that has no commits yet."""
    handbook = replace(SEED.repositories[0], files=(), issues=(), pulls=())
    with github_emulator(Seed((handbook,))) as emulator:
        yield emulator


def source(
    github: GitHubEmulator, settings: Mapping[str, Any] | None = None, *, page_size: int = 20
) -> GitHubSource:
    """A source of the emulated owner's account."""
    return make_source(github.base_url, github.token(), settings, page_size=page_size)


def settled(pages: Sequence[Page]) -> list[Page]:
    """Pages as they are a few seconds after the last change."""
    return [
        replace(
            page,
            entries=tuple(
                replace(entry, revision=str(entry.revision).removesuffix(" unsettled"))
                for entry in page.entries
            ),
        )
        for page in pages
    ]

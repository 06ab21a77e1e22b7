"""Walks of the emulated GitHub: a whole one, and ones that go on elsewhere or begin again later."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace

import pytest

from backend.connectors.providers.contract import (
    JSON,
    CredentialsRejected,
    Page,
    Source,
    SourceItem,
)
from backend.connectors.providers.github.source import GitHubSource
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


def test_pages_reject_a_token_that_is_not_accepted(github: GitHubEmulator) -> None:
    with pytest.raises(CredentialsRejected):
        read(github, {}, token=BAD_TOKEN)


def test_pages_cover_every_item_once_and_say_how_many_there_are(github: GitHubEmulator) -> None:
    pages = read(github, {})
    ids = [item.external_id for page in pages for item in page.items]
    assert len(ids) == len(set(ids))
    assert set(ids) == SEED.external_ids()
    assert [page.failures for page in pages] == [()] * len(pages)
    assert {page.total for page in pages} == {len(ids)}
    # Each stage of the larger repository needs several pages, or this test would not see them joined.
    notes = [page.note for page in pages]
    assert notes.count(f"{HANDBOOK}: files") == 2
    assert notes.count(f"{HANDBOOK}: issues") == 3


def test_pages_carry_what_was_written_where(github: GitHubEmulator) -> None:
    items = by_id(read(github, {}))
    for external_id, sentence in SEED.sentences().items():
        assert sentence in items[external_id].body.decode(), external_id
    code = items[f"{TOOLBOX}:file:src/retry.go"]
    assert (code.title, code.kind, code.file_name) == (f"{TOOLBOX} - src/retry.go", "code", "retry.go")
    assert code.url == f"{github.base_url}/{TOOLBOX}/blob/main/src/retry.go"
    assert code.metadata["file_type"] == "code"
    assert code.metadata["folder_path"] == "src"
    document = items[f"{HANDBOOK}:file:docs/onboarding.rst"]
    assert (document.kind, document.mime_type) == ("document", "text/x-rst")
    assert document.metadata["file_type"] == "rst"


def test_pages_carry_the_whole_conversation(github: GitHubEmulator) -> None:
    items = by_id(read(github, {}))
    issue = items[f"{HANDBOOK}:issue:3"]
    for comment in SEED.repositories[0].issues[2].comments:
        assert comment in issue.body.decode()
    assert issue.body.decode().count("## Comment by hubot on ") == 2
    assert (issue.author, issue.kind, issue.mime_type) == (OWNER, "issue", "text/markdown")
    assert issue.metadata["state"] == "closed"
    assert issue.metadata["labels"] == ["decision"]
    assert issue.created_at is not None
    assert issue.created_at.tzinfo is not None

    pull = items[f"{HANDBOOK}:pull:46"]
    for said in ("They change; the script lists them.", "Review by hubot: approved", "`README.md`, line 1"):
        assert said in pull.body.decode()
    assert pull.metadata["state"] == "merged"
    assert pull.url == f"{github.base_url}/{HANDBOOK}/pull/46"


def test_pages_go_on_after_any_cursor_in_another_process(github: GitHubEmulator) -> None:
    pages = read(github, {})
    for position, page in enumerate(pages):
        stored = json.loads(json.dumps(page.cursor))
        rest = read(github, {}, cursor=stored)
        assert [ids_of(p) for p in rest] == [ids_of(p) for p in pages[position + 1 :]], page.note
        assert {p.total for p in rest} <= {page.total}


def test_pages_are_the_same_each_time(github: GitHubEmulator) -> None:
    assert read(github, {}) == read(github, {})


def test_pages_cover_chosen_repositories_only(github: GitHubEmulator) -> None:
    expected = {external_id for external_id in SEED.external_ids() if external_id.startswith(TOOLBOX)}
    assert read_ids(github, {"repositories": ["Octocat/Toolbox", TOOLBOX]}) == expected


@pytest.mark.parametrize("name", ["octocat/absent", "no-slash", "../user", "octocat/..", "octocat/a/b"])
def test_pages_report_a_repository_that_cannot_be_read(github: GitHubEmulator, name: str) -> None:
    pages = read(github, {"repositories": [TOOLBOX, name]})
    (failed,) = [page for page in pages if page.failures]
    assert [failure.external_id for failure in failed.failures] == [name]
    assert all(item.external_id.startswith(TOOLBOX) for page in pages for item in page.items)
    rest = read(github, {"repositories": [TOOLBOX, name]}, cursor=failed.cursor)
    assert rest == pages[pages.index(failed) + 1 :]


def test_next_pass_sees_what_changed_since(empty_handbook: GitHubEmulator) -> None:
    github = empty_handbook
    path = "docs/ports.md"
    assert by_id(read(github, {})) == {}
    github.put_file(HANDBOOK, text_file(path, "The gateway listens on port 7443.", "{}"))
    number = github.create_issue(HANDBOOK, IssueSeed("Ports", "Which one?", "Which one?"))
    before = by_id(read(github, {}))

    github.put_file(HANDBOOK, text_file(path, "The gateway listens on port 8443.", "{}"))
    github.edit_issue(HANDBOOK, number, body="Which one is it now?")
    after = by_id(read(github, {}))
    assert before.keys() == after.keys()
    assert b"8443" in after[f"{HANDBOOK}:file:{path}"].body
    assert b"is it now" in after[f"{HANDBOOK}:issue:{number}"].body

    github.delete_file(HANDBOOK, path)
    assert by_id(read(github, {})).keys() == {f"{HANDBOOK}:issue:{number}"}


def test_resumed_pass_reads_files_as_they_were_when_it_began(empty_handbook: GitHubEmulator) -> None:
    github = empty_handbook
    for number in range(25):
        github.put_file(HANDBOOK, text_file(f"docs/{number:02}.md", f"Page {number}.", "{}"))
    first = read(github, {})[0]
    github.delete_file(HANDBOOK, "docs/00.md")
    github.put_file(HANDBOOK, text_file("docs/23.md", "Rewritten.", "{}"))
    github.put_file(HANDBOOK, text_file("docs/99.md", "New.", "{}"))
    rest = by_id(read(github, {}, cursor=first.cursor))
    assert rest.keys() == {f"{HANDBOOK}:file:docs/{number}.md" for number in range(20, 25)}
    assert rest[f"{HANDBOOK}:file:docs/23.md"].body == b"Page 23."


def test_pages_read_all_of_a_long_conversation(empty_handbook: GitHubEmulator) -> None:
    comments = tuple(f"Remark {number}." for number in range(105))
    number = empty_handbook.create_issue(HANDBOOK, IssueSeed("Long", "Start.", "Start.", comments))
    body = by_id(read(empty_handbook, {}))[f"{HANDBOOK}:issue:{number}"].body.decode()
    assert [line for line in body.splitlines() if line.startswith("Remark")] == list(comments)


def test_pages_pass_over_bytes_named_like_code(empty_handbook: GitHubEmulator) -> None:
    empty_handbook.put_file(HANDBOOK, FileSeed("src/stream.ts", b"G@\0\x11\x10\0", None))
    empty_handbook.put_file(HANDBOOK, FileSeed("src/wide.py", "# größer\n".encode("utf-16"), ""))
    (page, *_) = read(empty_handbook, {})
    assert ids_of(page) == [f"{HANDBOOK}:file:src/wide.py"]
    assert page.failures == ()


@pytest.fixture
def empty_handbook() -> Iterator[GitHubEmulator]:
    """An emulator of the test's own, with one repository that has no commits yet."""
    handbook = replace(SEED.repositories[0], files=(), issues=(), pulls=())
    with github_emulator(Seed((handbook,))) as emulator:
        yield emulator


def read(
    github: GitHubEmulator,
    settings: Mapping[str, object],
    *,
    cursor: Mapping[str, JSON] | None = None,
    token: str | None = None,
) -> list[Page]:
    """All pages of a source made for this one reading."""
    source: Source = GitHubSource(token or github.token(), settings, api_base=github.base_url)
    with closing(source):
        return list(source.pages(cursor))


def read_ids(github: GitHubEmulator, settings: Mapping[str, object], token: str | None = None) -> set[str]:
    """External ids of everything read."""
    return set(by_id(read(github, settings, token=token)))


def by_id(pages: list[Page]) -> dict[str, SourceItem]:
    """The items of all pages by external id."""
    return {item.external_id: item for page in pages for item in page.items}


def ids_of(page: Page) -> list[str]:
    """External ids of a page, in order."""
    return [item.external_id for item in page.items]

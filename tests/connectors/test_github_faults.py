"""The GitHub provider against a server that misbehaves in the ways GitHub does and the emulator does not."""

import base64
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    CursorExpired,
    ItemGone,
    ItemUnreadable,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.github.source import GitHubSource
from tests.connectors.github_pass import Pass, listing, make_source, reading
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

TOKEN = "gho_never-to-be-seen"
REPOSITORY = "octocat/handbook"
API = f"/repos/{REPOSITORY}"
ALL = "state=all&sort=created&direction=asc"
CHANGED = "state=all&sort=updated&direction=desc"
WHEN = "2026-03-04T05:06:07Z"
GONE = json_reply({"message": "Not Found"}, 404)


class FakeGitHub:
    """Answers of one repository without content; a test replaces the ones it is about.

    A path leads to one answer, or to several that are given in turn, the last one for ever.
    """

    def __init__(self) -> None:
        repository = {
            "full_name": REPOSITORY,
            "html_url": f"https://github.com/{REPOSITORY}",
            "default_branch": "main",
            "pushed_at": WHEN,
        }
        self.answers: dict[str, list[Reply]] = {}
        self.on("/user/repos", json_reply([repository]))
        self.on(API, json_reply(repository))
        self.repository = repository
        self.on("/search/issues", json_reply({"total_count": 0}))
        self.on(f"{API}/issues", json_reply([]))
        self.on(f"{API}/pulls", json_reply([]))
        self.on(f"{API}/releases", json_reply([]))
        self.on_tree("main", {})

    def on(self, path: str, *replies: Reply) -> None:
        """Answer requests for `path`; with a query in it for just that query."""
        self.answers[path] = list(replies)

    def on_folders(self, sha: str, folders: dict[str, str], entries: dict[str, bytes]) -> None:
        """Answer with a tree of files and of folders, by their shas, which is too large to be listed at once."""
        self.on_tree(sha, entries, sha=sha)
        whole = json.loads(self.answers[f"{API}/git/trees/{sha}"][0].body)
        below = [{**tree_entry(path), "sha": folder} for path, folder in folders.items()]
        self.on(f"{API}/git/trees/{sha}", json_reply({**whole, "tree": whole["tree"] + below}))
        self.on(f"{API}/git/trees/{sha}?recursive=1", json_reply({**whole, "truncated": True}))

    def on_tree(
        self, ref: str, entries: dict[str, bytes], *, sha: str | None = None, truncated: bool = False
    ) -> None:
        """Answer with a tree of files, and with their blobs."""
        tree = []
        for path, content in entries.items():
            blob = blob_sha(content)
            tree.append({"path": path, "type": "blob", "mode": "100644", "sha": blob, "size": len(content)})
            encoded = {"content": base64.encodebytes(content).decode(), "encoding": "base64"}
            self.on(f"{API}/git/blobs/{blob}", json_reply(encoded))
        self.on(
            f"{API}/git/trees/{ref}",
            json_reply({"sha": sha or f"tree-of-{ref}", "tree": tree, "truncated": truncated}),
        )

    def __call__(self, request: Request) -> Reply:
        replies = self.answers.get(request.path) or self.answers.get(request.path.partition("?")[0]) or [GONE]
        return replies.pop(0) if len(replies) > 1 else replies[0]


@pytest.fixture
def github() -> FakeGitHub:
    return FakeGitHub()


@pytest.fixture
def server(github: FakeGitHub) -> Iterator[ScriptedServer]:
    with scripted_server(github) as running, stamina.set_testing(True, attempts=4, cap=True):
        yield running


def test_pages_say_when_to_come_back_after_a_limit(github: FakeGitHub, server: ScriptedServer) -> None:
    in_ten_minutes = int(time.time()) + 600
    spent = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(in_ten_minutes)}
    cases = (
        (json_reply({"message": "API rate limit exceeded"}, 403, **spent), 601),
        (json_reply({}, 429, retry_after="90"), 90),
        (json_reply({"message": "You have exceeded a secondary rate limit."}, 403), 60),
        (json_reply({}, 429, retry_after="Fri, 31 Dec 9999 23:59:59 GMT"), 2 * 3600),
        (json_reply({}, 429, retry_after="soon"), 60),
    )
    for reply, seconds in cases:
        github.on(f"{API}/issues", reply)
        with pytest.raises(RateLimited) as raised:
            read(server)
        expected = datetime.now(UTC) + timedelta(seconds=seconds)
        assert abs(raised.value.resume_at - expected) < timedelta(seconds=5), seconds


def test_pages_before_a_limit_stay_and_their_cursor_goes_on(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_tree("main", {"a.md": b"A"})
    github.on(f"{API}/issues", json_reply({}, 429, retry_after="1"), json_reply([issue(1)]))
    with closing(source(server)) as walk:
        pages = walk.pages(None)
        first = next(pages)
        with pytest.raises(RateLimited):
            next(pages)
    assert read(server, first.cursor).ids == [f"{REPOSITORY}:issue:1"]


@pytest.mark.parametrize(
    "fault",
    [
        json_reply({}, 502),
        Reply(200, b"<html>", {"content-type": "text/html"}),
        Reply(200, b'[{"number": 1', {"content-type": "application/json"}, missing_bytes=500),
    ],
    ids=["502", "not-json", "cut-body"],
)
def test_pages_survive_a_passing_fault(fault: Reply, github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/issues", fault, fault, json_reply([issue(1)]))
    assert read(server).ids == [f"{REPOSITORY}:issue:1"]


def test_pages_give_up_after_a_few_attempts(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/issues", json_reply({}, 503))
    with pytest.raises(ProviderUnavailable):
        read(server)
    assert sum(path.startswith(f"{API}/issues") for path in server.paths()) == 4


def test_pages_reject_credentials_that_end_during_a_walk(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/pulls", json_reply({"message": "Bad credentials"}, 401))
    with pytest.raises(CredentialsRejected):
        read(server)


def test_files_that_cannot_be_read_say_why(github: FakeGitHub, server: ScriptedServer) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    large = bytes(10 * 1024 * 1024 + 1)
    github.on_tree("main", {"a.md": b"A", "b.md": b"B", "c.pdf": pointer, "d.pdf": large, "e.md": b"E"})
    github.on(f"{API}/git/blobs/{blob_sha(b'B')}", GONE)
    github.on(f"{API}/git/blobs/{blob_sha(b'E')}", json_reply({"content": "?", "encoding": "none"}))
    found = read(server)
    assert [item.body for item in found.items.values()] == [b"A"]
    assert found.vanished == {f"{REPOSITORY}:file:b.md"}
    reasons = {external_id.rpartition(":")[2]: reason for external_id, reason in found.unreadable.items()}
    assert reasons.keys() == {"c.pdf", "d.pdf", "e.md"}
    assert "Git LFS" in reasons["c.pdf"]
    assert "10 MiB" in reasons["d.pdf"]
    assert not any(path.endswith(blob_sha(large)) for path in server.paths())


def test_threads_that_are_hidden_or_have_vanished_say_so(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/issues", json_reply([issue(1, comments=2), issue(2), issue(3, comments=1)]))
    github.on(f"{API}/issues/1/comments", json_reply({"message": "Forbidden"}, 403))
    github.on(f"{API}/issues/3/comments", json_reply({"message": "This issue was deleted"}, 410))
    found = read(server)
    assert found.items.keys() == {f"{REPOSITORY}:issue:2"}
    assert found.unreadable.keys() == {f"{REPOSITORY}:issue:1"}
    assert found.vanished == {f"{REPOSITORY}:issue:3"}


def test_issue_that_was_transferred_is_gone(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/issues", json_reply([issue(1)]))
    (entry,) = read(server).entries
    github.on(
        f"{API}/issues/1", Reply(301, b"{}", {"location": f"{server.base_url}/repositories/8/issues/4"})
    )
    moved = {**issue(4), "repository_url": "https://api.github.com/repos/octocat/elsewhere"}
    github.on("/repositories/8/issues/4", json_reply(moved))
    with closing(source(server)) as opened, pytest.raises(ItemGone):
        opened.read(replace(entry, listed=None))


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({}, 401), CredentialsRejected),
        (json_reply({}, 429, retry_after="9"), RateLimited),
        (json_reply({}, 502), ProviderUnavailable),
        (json_reply({}, 403), ItemUnreadable),
        (json_reply({}, 451), ItemUnreadable),
        (json_reply({}, 422), ItemUnreadable),
        (json_reply({}, 404), ItemGone),
        (json_reply({}, 410), ItemGone),
    ],
)
def test_reading_a_file_fails_as_github_refuses(
    reply: Reply, error: type[Exception], github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_tree("main", {"a.md": b"A"})
    (entry,) = read(server).entries
    github.on(f"{API}/git/blobs/{blob_sha(b'A')}", reply)
    with closing(source(server)) as opened, pytest.raises(error):
        opened.read(entry)


def test_account_that_may_not_list_repositories_is_refused(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on("/user/repos", json_reply({"message": "Resource not accessible by integration"}, 403))
    with pytest.raises(ProviderRefused, match="list its repositories"):
        read(server)


def test_pages_report_a_stage_that_is_hidden_and_go_on(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/git/trees/main", json_reply({}, 403, x_github_sso="required; url=https://example.com"))
    github.on(f"{API}/issues", json_reply([issue(1)]))
    found = read(server)
    assert found.ids == [f"{REPOSITORY}:issue:1"]
    (failure,) = found.failures
    assert (failure.stage, "single sign-on" in failure.reason) == ("list", True)


def test_pages_find_no_files_in_an_empty_repository(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/git/trees/main", json_reply({"message": "Git Repository is empty."}, 409))
    found = read(server)
    assert (found.ids, found.failures) == ([], [])


def test_pages_walk_the_folders_of_a_tree_too_large_for_one_answer(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_tree("main", {"a.md": b"A"}, truncated=True)
    github.on(f"{API}/git/trees/tree-of-main?recursive=1", *github.answers[f"{API}/git/trees/main"])
    folders = [tree_entry("docs"), tree_entry("many"), tree_entry("node_modules")]
    github.on_tree("tree-of-main", {"a.md": b"A"})
    whole = json.loads(github.answers[f"{API}/git/trees/tree-of-main"][0].body)
    github.on(f"{API}/git/trees/tree-of-main", json_reply({**whole, "tree": whole["tree"] + folders}))
    github.on_tree("docs", {f"{number:02}.md": b"%d" % number for number in range(20)})
    github.on_tree("many", {"c.md": b"C"}, truncated=True)
    found = read(server)
    names = ["a.md", *(f"docs/{number:02}.md" for number in range(20)), "many/c.md"]
    assert found.ids == [f"{REPOSITORY}:file:{name}" for name in names]
    assert [failure.external_id for failure in found.pages[0].failures] == [f"{REPOSITORY}:folder:many"]
    assert read(server, found.pages[0].cursor).pages == found.pages[1:]
    assert not any("node_modules" in path for path in server.paths())


def test_resumed_pass_reads_the_branch_when_its_tree_is_gone(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_tree("main", {f"{number:02}.md": b"%d" % number for number in range(30)})
    first = first_page(server)
    rest = listing(source(server), first.cursor)
    assert f"{API}/git/trees/tree-of-main?recursive=1" in server.paths()
    assert Pass([first, *rest.pages]).ids == [f"{REPOSITORY}:file:{number:02}.md" for number in range(30)]


def test_pass_of_changes_finds_what_was_moved_and_deleted_by_trees(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_tree("main", {"a.md": b"A", "b.md": b"B", "old/c.md": b"C", "d.png": b"D"})
    first = read(server)
    github.on_tree("tree-of-main", {"a.md": b"A", "b.md": b"B", "old/c.md": b"C", "d.png": b"D"})
    after = {"a.md": b"A", "b.md": b"changed", "new/c.md": b"C"}
    github.on_tree("main", after, sha="later")
    github.on_tree("later", after)
    second = read(server, first.cursor)
    assert second.ids == [f"{REPOSITORY}:file:b.md", f"{REPOSITORY}:file:new/c.md"]
    assert second.gone == [f"{REPOSITORY}:file:old/c.md"]
    # A pass without changes lists the folder at the top and nothing else.
    server.requests.clear()
    third = read(server, second.cursor)
    assert (third.ids, third.gone) == ([], [])
    assert [path for path in server.paths() if "/trees/" in path] == [f"{API}/git/trees/main"]


def test_cursor_ends_when_github_no_longer_has_the_tree(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on_tree("main", {"a.md": b"A"})
    first = read(server)
    github.on_tree("main", {"a.md": b"rewritten"}, sha="later")
    github.on_tree("later", {"a.md": b"rewritten"})
    with pytest.raises(CursorExpired):
        read(server, first.cursor)


def test_pass_of_changes_follows_a_repository_that_is_emptied_and_filled(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_tree("main", {"a.md": b"A"})
    github.on_tree("tree-of-main", {"a.md": b"A"})
    first = read(server)
    github.on(f"{API}/git/trees/main", json_reply({"message": "Git Repository is empty."}, 409))
    second = read(server, first.cursor)
    assert (second.ids, second.gone) == ([], [f"{REPOSITORY}:file:a.md"])
    github.on_tree("main", {"a.md": b"A"})
    third = read(server, second.cursor)
    assert (third.ids, third.gone) == ([f"{REPOSITORY}:file:a.md"], [])


def test_pass_of_changes_goes_down_into_changed_folders_of_a_large_tree(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_folders("base", {"same": "same", "docs": "docs-1", "gone": "gone-1"}, {"a.md": b"A"})
    github.on_folders("docs-1", {}, {"x.md": b"X", "y.md": b"Y"})
    github.on_folders("gone-1", {}, {"z.md": b"Z"})
    github.on_folders("same", {}, {"s.md": b"S"})
    github.on(f"{API}/git/trees/main", *github.answers[f"{API}/git/trees/base"])
    github.on(f"{API}/git/trees/main?recursive=1", *github.answers[f"{API}/git/trees/base?recursive=1"])
    first = read(server)
    assert len(first.ids) == 5

    github.on_folders("head", {"same": "same", "docs": "docs-2", "new": "gone-1"}, {"a.md": b"A"})
    github.on_folders("docs-2", {}, {"x.md": b"X", "y.md": b"Y, changed"})
    github.on(f"{API}/git/trees/main", *github.answers[f"{API}/git/trees/head"])
    server.requests.clear()
    second = read(server, first.cursor)
    assert second.ids == [f"{REPOSITORY}:file:docs/y.md", f"{REPOSITORY}:file:new/z.md"]
    assert second.gone == [f"{REPOSITORY}:file:gone/z.md"]
    assert f"{API}/git/trees/same" not in server.paths()


def test_pass_of_changes_asks_for_threads_since_the_last_pass_began(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    began = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
    repositories = [github.repository]
    github.on("/user/repos", json_reply(repositories, date=format_datetime(began, usegmt=True)))
    github.on(f"{API}/issues", json_reply([issue(1)]))
    github.on(f"{API}/pulls", json_reply([pull(2)]))
    first = read(server)
    server.requests.clear()

    old = pull(2)
    new = {**pull(3), "updated_at": "2026-03-04T11:55:00Z"}
    github.on(f"{API}/pulls", json_reply([new, old], link=f'<{server.base_url}/next>; rel="next"'))
    github.on(f"{API}/issues", json_reply([]))
    second = read(server, first.cursor)
    assert second.ids == [f"{REPOSITORY}:pull:3"]
    threads = [path for path in server.paths() if path.startswith((f"{API}/issues?", f"{API}/pulls?"))]
    assert threads == [
        f"{API}/issues?per_page=20&{CHANGED}&since=2026-03-04T11:55:00Z",
        f"{API}/pulls?per_page=20&{CHANGED}",
    ]
    assert "/next" not in server.paths()


def test_stage_that_failed_is_listed_from_where_it_was(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on_tree("main", {"a.md": b"A"})
    github.on(f"{API}/issues", json_reply([issue(1)]))
    github.on(f"{API}/git/trees/main", json_reply({}, 403))
    github.on(f"{API}/pulls", json_reply({}, 403), json_reply([pull(2)]))
    first = read(server)
    assert {failure.external_id for failure in first.failures} == {
        f"{REPOSITORY}:files",
        f"{REPOSITORY}:pulls",
    }
    github.on_tree("main", {"a.md": b"A"})
    second = read(server, first.cursor)
    assert second.ids == [f"{REPOSITORY}:file:a.md", f"{REPOSITORY}:issue:1", f"{REPOSITORY}:pull:2"]
    assert second.failures == []
    assert f"{API}/pulls?per_page=20&{ALL}" in server.paths()


@pytest.mark.parametrize("change", ["hidden", "renamed"])
def test_cursor_ends_when_a_repository_is_no_longer_there(
    change: str, github: FakeGitHub, server: ScriptedServer
) -> None:
    first = read(server)
    listed = [{**github.repository, "full_name": "octocat/guide"}] if change == "renamed" else []
    github.on("/user/repos", json_reply(listed))
    with pytest.raises(CursorExpired):
        read(server, first.cursor)


def test_revision_of_a_thread_changed_just_now_is_not_the_last_one(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    changed_at = datetime.fromisoformat(WHEN)
    revisions = []
    for seconds in (1, 3, 300):
        sent = format_datetime(changed_at + timedelta(seconds=seconds), usegmt=True)
        github.on(f"{API}/issues", json_reply([issue(1)], date=sent))
        revisions.append(read(server).entries[0].revision)
    assert revisions[0] != revisions[1] == revisions[2]


def test_many_chosen_repositories_are_looked_up_in_the_list(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    names = [f"octocat/repository-{number:02}" for number in range(30)]
    listed = [{**github.repository, "full_name": name, "pushed_at": None} for name in names[:29]]
    github.on("/user/repos", json_reply(listed))
    with closing(source(server, {"repositories": names})) as opened:
        pages = list(opened.pages(None))
    assert [
        failure.external_id for page in pages for failure in page.failures if failure.stage == "repository"
    ] == [names[29]]
    assert [path for path in server.paths() if path.count("/") == 3 and path.startswith("/repos/")] == [
        f"/repos/{names[29]}"
    ]


def test_pages_leave_pull_requests_out_of_the_issues(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/issues", json_reply([issue(1), {**issue(2), "pull_request": {}}]))
    assert read(server).ids == [f"{REPOSITORY}:issue:1"]


def test_next_page_is_asked_of_the_configured_host_only(github: FakeGitHub, server: ScriptedServer) -> None:
    link = '<https://elsewhere.invalid/repositories/7/issues?page=2&after=xyz>; rel="next"'
    github.on(f"{API}/issues", json_reply([issue(1)], link=link))
    github.on("/repositories/7/issues", json_reply([issue(2)]))
    assert read(server).ids == [f"{REPOSITORY}:issue:1", f"{REPOSITORY}:issue:2"]
    assert "/repositories/7/issues?page=2&after=xyz" in server.paths()


def test_resumed_pass_starts_the_stage_again_when_its_link_has_expired(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    link = '<https://api.github.com/repositories/7/issues?after=old>; rel="next"'
    github.on(f"{API}/issues", json_reply([issue(1)], link=link), json_reply([issue(1), issue(2)]))
    github.on("/repositories/7/issues", json_reply({"message": "Validation Failed"}, 422))
    first = first_page(server)
    assert read(server, first.cursor).ids == [f"{REPOSITORY}:issue:1", f"{REPOSITORY}:issue:2"]


def test_walk_logs_no_token(
    github: FakeGitHub, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    github.on(f"{API}/issues", json_reply({}, 500))
    with pytest.raises(ProviderUnavailable) as raised:
        read(server)
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert caplog.text
    assert TOKEN not in caplog.text + repr([vars(record) for record in caplog.records]) + repr(raised.value)


def source(server: ScriptedServer, settings: Mapping[str, Any] | None = None) -> GitHubSource:
    """A source reading from `server`."""
    return make_source(server.base_url, TOKEN, settings)


def read(server: ScriptedServer, cursor: Any = None) -> Pass:
    """A pass from the beginning or after a cursor, with everything it lists read."""
    return reading(source(server), cursor)


def first_page(server: ScriptedServer) -> Page:
    """The first page of a pass that goes no further."""
    with closing(source(server)) as walk:
        return next(walk.pages(None))


def issue(number: int, comments: int = 0) -> dict[str, Any]:
    """An issue as the API lists it."""
    return {
        "number": number,
        "title": f"Title {number}",
        "body": None,
        "state": "open",
        "comments": comments,
        "user": None,
        "labels": [],
        "created_at": WHEN,
        "updated_at": WHEN,
    }


def pull(number: int) -> dict[str, Any]:
    """A pull request as the API lists it."""
    return {**issue(number), "head": {"ref": "topic"}, "base": {"ref": "main"}, "merged_at": None}


def blob_sha(content: bytes) -> str:
    """A name for bytes."""
    return hashlib.sha256(content).hexdigest()[:40]


def tree_entry(path: str) -> dict[str, str]:
    """A folder in a git tree, its sha being its name."""
    return {"path": path, "type": "tree", "mode": "040000", "sha": path}

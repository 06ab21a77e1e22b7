"""The GitHub provider against a server that misbehaves in the ways GitHub does and the emulator does not."""

import base64
import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    Page,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.github.source import GitHubSource
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

TOKEN = "gho_never-to-be-seen"
REPOSITORY = "octocat/handbook"
API = f"/repos/{REPOSITORY}"
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
        self.on("/search/issues", json_reply({"total_count": 0}))
        self.on(f"{API}/issues", json_reply([]))
        self.on(f"{API}/pulls", json_reply([]))
        self.on_tree("main", {})

    def on(self, path: str, *replies: Reply) -> None:
        """Answer requests for `path`; with a query in it for just that query."""
        self.answers[path] = list(replies)

    def on_tree(self, ref: str, entries: dict[str, bytes], *, truncated: bool = False) -> None:
        """Answer with a tree of files, and with their blobs."""
        tree = []
        for path, content in entries.items():
            sha = blob_sha(content)
            tree.append({"path": path, "type": "blob", "mode": "100644", "sha": sha, "size": len(content)})
            blob = {"content": base64.encodebytes(content).decode(), "encoding": "base64"}
            self.on(f"{API}/git/blobs/{sha}", json_reply(blob))
        self.on(
            f"{API}/git/trees/{ref}",
            json_reply({"sha": f"tree-of-{ref}", "tree": tree, "truncated": truncated}),
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
    assert ids(read(server, first.cursor)) == [f"{REPOSITORY}:issue:1"]


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
    assert ids(read(server)) == [f"{REPOSITORY}:issue:1"]


def test_pages_give_up_after_a_few_attempts(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/issues", json_reply({}, 503))
    with pytest.raises(ProviderUnavailable):
        read(server)
    assert sum(path.startswith(f"{API}/issues") for path in server.paths()) == 4


def test_pages_reject_credentials_that_end_during_a_walk(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/pulls", json_reply({"message": "Bad credentials"}, 401))
    with pytest.raises(CredentialsRejected):
        read(server)


def test_pages_report_files_that_cannot_be_read_and_go_on(github: FakeGitHub, server: ScriptedServer) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    large = bytes(10 * 1024 * 1024 + 1)
    github.on_tree("main", {"a.md": b"A", "b.md": b"B", "c.pdf": pointer, "d.pdf": large})
    github.on(f"{API}/git/blobs/{blob_sha(b'B')}", GONE)
    (page, *_) = read(server)
    assert [item.body for item in page.items] == [b"A"]
    reasons = {failure.external_id.rpartition(":")[2]: failure.reason for failure in page.failures}
    assert reasons.keys() == {"b.md", "c.pdf", "d.pdf"}
    assert "Git LFS" in reasons["c.pdf"]
    assert "10 MiB" in reasons["d.pdf"]
    assert not any(path.endswith(blob_sha(large)) for path in server.paths())


def test_pages_report_an_issue_whose_comments_are_hidden(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/issues", json_reply([issue(1, comments=2), issue(2)]))
    github.on(f"{API}/issues/1/comments", json_reply({"message": "Forbidden"}, 403))
    pages = read(server)
    assert ids(pages) == [f"{REPOSITORY}:issue:2"]
    assert [failure.external_id for page in pages for failure in page.failures] == [f"{REPOSITORY}:issue:1"]


def test_pages_report_a_stage_that_is_hidden_and_go_on(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/git/trees/main", json_reply({}, 403, x_github_sso="required; url=https://example.com"))
    github.on(f"{API}/issues", json_reply([issue(1)]))
    pages = read(server)
    assert ids(pages) == [f"{REPOSITORY}:issue:1"]
    (failure,) = pages[0].failures
    assert (failure.stage, "single sign-on" in failure.reason) == ("list", True)


def test_pages_find_no_files_in_an_empty_repository(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/git/trees/main", json_reply({"message": "Git Repository is empty."}, 409))
    pages = read(server)
    assert (ids(pages), [failure for page in pages for failure in page.failures]) == ([], [])


def test_pages_walk_the_folders_of_a_tree_too_large_for_one_answer(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_tree("main", {"a.md": b"A"}, truncated=True)
    github.on(f"{API}/git/trees/tree-of-main?recursive=1", *github.answers[f"{API}/git/trees/main"])
    folders = [tree_entry("docs"), tree_entry("many"), tree_entry("node_modules")]
    github.on_tree("tree-of-main", {"a.md": b"A"})
    whole = json.loads(github.answers[f"{API}/git/trees/tree-of-main"][0].body)
    github.on(f"{API}/git/trees/tree-of-main", json_reply({**whole, "tree": whole["tree"] + folders}))
    github.on_tree("docs", {f"{number:02}.md": bytes([number]) for number in range(20)})
    github.on_tree("many", {"c.md": b"C"}, truncated=True)
    pages = read(server)
    names = ["a.md", *(f"docs/{number:02}.md" for number in range(20)), "many/c.md"]
    assert ids(pages) == [f"{REPOSITORY}:file:{name}" for name in names]
    assert [failure.external_id for failure in pages[0].failures] == [f"{REPOSITORY}:folder:many"]
    assert read(server, pages[0].cursor) == pages[1:]
    assert not any("node_modules" in path for path in server.paths())


def test_resumed_pass_reads_the_branch_when_its_tree_is_gone(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    github.on_tree("main", {f"{number:02}.md": bytes([number]) for number in range(30)})
    first = first_page(server)
    rest = read(server, first.cursor)
    assert f"{API}/git/trees/tree-of-main?recursive=1" in server.paths()
    assert ids([first, *rest]) == [f"{REPOSITORY}:file:{number:02}.md" for number in range(30)]


def test_pages_leave_pull_requests_out_of_the_issues(github: FakeGitHub, server: ScriptedServer) -> None:
    github.on(f"{API}/issues", json_reply([issue(1), {**issue(2), "pull_request": {}}]))
    assert ids(read(server)) == [f"{REPOSITORY}:issue:1"]


def test_next_page_is_asked_of_the_configured_host_only(github: FakeGitHub, server: ScriptedServer) -> None:
    link = '<https://elsewhere.invalid/repositories/7/issues?page=2&after=xyz>; rel="next"'
    github.on(f"{API}/issues", json_reply([issue(1)], link=link))
    github.on("/repositories/7/issues", json_reply([issue(2)]))
    assert ids(read(server)) == [f"{REPOSITORY}:issue:1", f"{REPOSITORY}:issue:2"]
    assert "/repositories/7/issues?page=2&after=xyz" in server.paths()


def test_resumed_pass_starts_the_stage_again_when_its_link_has_expired(
    github: FakeGitHub, server: ScriptedServer
) -> None:
    link = '<https://api.github.com/repositories/7/issues?after=old>; rel="next"'
    github.on(f"{API}/issues", json_reply([issue(1)], link=link), json_reply([issue(1), issue(2)]))
    github.on("/repositories/7/issues", json_reply({"message": "Validation Failed"}, 422))
    first = first_page(server)
    assert ids(read(server, first.cursor)) == [f"{REPOSITORY}:issue:1", f"{REPOSITORY}:issue:2"]


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


def source(server: ScriptedServer) -> GitHubSource:
    """A source reading from `server`."""
    return GitHubSource(TOKEN, {}, api_base=server.base_url)


def read(server: ScriptedServer, cursor: Any = None) -> list[Page]:
    """All pages, from the beginning or after a cursor."""
    with closing(source(server)) as walk:
        return list(walk.pages(cursor))


def first_page(server: ScriptedServer) -> Page:
    """The first page of a walk that goes no further."""
    with closing(source(server)) as walk:
        return next(walk.pages(None))


def ids(pages: list[Page]) -> list[str]:
    """External ids of everything on these pages."""
    return [item.external_id for page in pages for item in page.items]


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


def blob_sha(content: bytes) -> str:
    """A name for bytes."""
    return hashlib.sha256(content).hexdigest()[:40]


def tree_entry(path: str) -> dict[str, str]:
    """A folder in a git tree, its sha being its name."""
    return {"path": path, "type": "tree", "mode": "040000", "sha": path}

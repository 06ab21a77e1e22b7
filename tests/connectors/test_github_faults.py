"""The GitHub provider against a server that misbehaves in the ways GitHub does and the emulator does not."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    ItemGone,
    ItemUnreadable,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.github.source import GitHubSource
from tests.connectors.github_fake import (
    API,
    GONE,
    REPOSITORY,
    TOKEN,
    FakeGitHub,
    blob_sha,
    issue,
    tree_entry,
)
from tests.connectors.github_pass import Pass, listing, make_source, reading
from tests.emulators.scripted import Reply, ScriptedServer, json_reply, scripted_server


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

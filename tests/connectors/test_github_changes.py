"""Passes of changes in ways the emulator cannot show: large trees, history that is gone, times, what failed before."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import CursorExpired
from tests.connectors.github_fake import API, REPOSITORY, TOKEN, WHEN, FakeGitHub, issue, pull
from tests.connectors.github_pass import Pass, make_source, reading
from tests.emulators.scripted import ScriptedServer, json_reply, scripted_server

ALL = "state=all&sort=created&direction=asc"
CHANGED = "state=all&sort=updated&direction=desc"


@pytest.fixture
def github() -> FakeGitHub:
    return FakeGitHub()


@pytest.fixture
def server(github: FakeGitHub) -> Iterator[ScriptedServer]:
    with scripted_server(github) as running, stamina.set_testing(True, attempts=4, cap=True):
        yield running


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


def read(server: ScriptedServer, cursor: Mapping[str, Any] | None = None) -> Pass:
    """A pass from the beginning or after a cursor, with everything it lists read."""
    return reading(make_source(server.base_url, TOKEN), cursor)

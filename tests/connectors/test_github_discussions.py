"""Discussions, against a server that answers the queries as GitHub's description of its GraphQL API has it.

https://docs.github.com/graphql/guides/using-the-graphql-api-for-discussions; the emulator has no GraphQL.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import stamina

from backend.connectors.providers.contract import (
    CredentialsRejected,
    ItemGone,
    ItemUnreadable,
    ProviderUnavailable,
    RateLimited,
)
from backend.connectors.providers.github.source import GitHubSource
from tests.connectors.github_pass import listing, make_source, reading
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

REPOSITORY = "octocat/handbook"
GONE = json_reply({"message": "Not Found"}, 404)
FORBIDDEN = {"type": "FORBIDDEN", "message": "Resource not accessible by integration"}


@dataclass(slots=True)
class FakeGitHub:
    """Repositories with nothing but discussions in them. `fault` answers the queries instead, when it is set."""

    discussions: list[dict[str, Any]] = field(default_factory=list)
    repositories: tuple[str, ...] = (REPOSITORY,)
    fault: Reply | None = None
    base_path: str = ""
    queries: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        path = request.path.partition("?")[0]
        if path == "/api/graphql" or path == "/graphql":
            body = json.loads(request.body)
            self.queries.append(body["variables"])
            return self.fault or json_reply({"data": self._data(body["query"], body["variables"])})
        path = path.removeprefix(self.base_path)
        if path == "/user/repos":
            return json_reply([self._repository(name) for name in self.repositories])
        if path == "/search/issues":
            return json_reply({"total_count": 0})
        return json_reply([]) if path.startswith("/repos/") else GONE

    def _repository(self, name: str) -> dict[str, Any]:
        return {
            "full_name": name,
            "html_url": f"https://github.com/{name}",
            "default_branch": "main",
            "pushed_at": None,
            "has_discussions": True,
        }

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "node(" in query:
            (comment,) = [
                comment
                for discussion in self.discussions
                for comment in discussion["comments"]
                if comment["id"] == variables["id"]
            ]
            return {"node": {"replies": connection(comment["replies"], 100, variables["after"])}}
        assert variables["owner"] == "octocat"
        if "number" in variables:
            found = [one for one in self.discussions if one["number"] == variables["number"]]
            return {"repository": {"discussion": self._whole(found[0], variables) if found else None}}
        if "first" not in variables:
            return {"repository": {"discussions": {"totalCount": len(self.discussions)}}}
        field_name = {"CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt"}[variables["order"]["field"]]
        ordered = sorted(
            self.discussions,
            key=lambda one: str(one[field_name]),
            reverse=variables["order"]["direction"] == "DESC",
        )
        listed = [{**one, "comments": {"totalCount": len(one["comments"])}} for one in ordered]
        return {"repository": {"discussions": connection(listed, variables["first"], variables["after"])}}

    def _whole(self, discussion: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        comments = [
            {**comment, "replies": connection(comment["replies"], 50, None)}
            for comment in discussion["comments"]
        ]
        return {**discussion, "comments": connection(comments, 50, variables["after"])}


@pytest.fixture
def github() -> FakeGitHub:
    return FakeGitHub()


@pytest.fixture
def server(github: FakeGitHub) -> Iterator[ScriptedServer]:
    with scripted_server(github) as running, stamina.set_testing(True, attempts=4, cap=True):
        yield running


def test_discussions_are_documents_with_their_answers(github: FakeGitHub, server: ScriptedServer) -> None:
    replies = [said("octocat", "And on Sundays?"), said(None, "Also on Sundays.")]
    answer = {**said("hubot", "At 02:40."), "id": "C_1", "isAnswer": True, "replies": replies}
    github.discussions = [
        discussion(5, comments=[answer], labels={"nodes": [{"name": "backup"}]}, closed=True)
    ]
    found = reading(source(server))
    (item,) = found.items.values()
    assert (item.external_id, item.title) == (
        f"{REPOSITORY}:discussion:5",
        f"{REPOSITORY} - #5 When is the backup?",
    )
    assert (item.kind, item.author) == ("discussion", "octocat")
    assert item.url == f"https://github.com/{REPOSITORY}/discussions/5"
    assert item.created_at is not None
    assert (item.metadata["category"], item.metadata["state"], item.metadata["labels"]) == (
        "Q&A",
        "closed",
        ["backup"],
    )
    assert item.body.decode() == (
        "# When is the backup?\n\n"
        "Discussion #5 in octocat/handbook, started by octocat on 2026-03-05 in the category Q&A. "
        "State: closed. Labels: backup.\n\n"
        "Who knows?\n\n"
        "## Answer by hubot on 2026-03-06\n\nAt 02:40.\n\n"
        "### Reply by octocat on 2026-03-06\n\nAnd on Sundays?\n\n"
        "### Reply by ghost on 2026-03-06\n\nAlso on Sundays.\n"
    )
    assert {page.total for page in found.pages} == {1}


def test_long_discussions_are_read_to_their_end(github: FakeGitHub, server: ScriptedServer) -> None:
    replies = [said("hubot", f"Reply {number}.") for number in range(170)]
    comments = [comment(f"Comment {number}.", f"C_{number}") for number in range(60)]
    comments[55]["replies"] = replies
    github.discussions = [discussion(5, comments=comments)]
    (item,) = reading(source(server)).items.values()
    lines = item.body.decode().splitlines()
    assert [line for line in lines if line.startswith("Comment")] == [one["body"] for one in comments]
    assert [line for line in lines if line.startswith("Reply")] == [one["body"] for one in replies]


def test_pass_of_changes_shows_discussions_that_changed(github: FakeGitHub, server: ScriptedServer) -> None:
    github.discussions = [discussion(number) for number in range(1, 51)]
    first = listing(source(server))
    assert first.ids == [f"{REPOSITORY}:discussion:{number}" for number in range(1, 51)]
    for position, page in enumerate(first.pages[:-1]):
        rest = listing(source(server), json.loads(json.dumps(page.cursor)))
        assert rest.pages == first.pages[position + 1 :]

    github.discussions[6] |= {"updatedAt": "2999-01-01T00:00:00Z", "comments": [comment("New.", "C_1")]}
    github.queries.clear()
    second = listing(source(server), first.cursor)
    assert second.ids == [f"{REPOSITORY}:discussion:7"]
    assert len(github.queries) == 1


def test_discussion_is_read_from_what_was_stored_alone(github: FakeGitHub, server: ScriptedServer) -> None:
    github.discussions = [discussion(5)]
    found = reading(source(server))
    (entry,) = found.entries
    bare = replace(entry, title="", url=None, revision=None, listed=None)
    with closing(source(server)) as opened:
        assert opened.read(bare) == found.items[entry.external_id]
        github.discussions.clear()
        with pytest.raises(ItemGone):
            opened.read(bare)
        github.fault = json_reply({"data": {"repository": None}, "errors": [{"type": "NOT_FOUND"}]})
        with pytest.raises(ItemGone):
            opened.read(bare)
        github.fault = json_reply({"data": None, "errors": [FORBIDDEN]})
        with pytest.raises(ItemUnreadable, match="may not read"):
            opened.read(bare)


@pytest.mark.parametrize(
    "fault",
    [
        GONE,
        json_reply({"message": "Resource not accessible"}, 403),
        json_reply({"data": {"repository": None}, "errors": [FORBIDDEN]}),
        json_reply(
            {"errors": [{"extensions": {"code": "undefinedField"}, "message": "Field 'discussions' …"}]}
        ),
    ],
    ids=["no-graphql", "403", "forbidden", "old-server"],
)
def test_pages_say_once_that_there_are_no_discussions_to_read(
    fault: Reply, github: FakeGitHub, server: ScriptedServer
) -> None:
    github.fault, github.repositories = fault, (REPOSITORY, "octocat/toolbox")
    found = listing(source(server))
    assert (found.ids, found.failures) == ([], [])
    notes = [page.note for page in found.pages if page.note]
    assert [note for note in notes if note.startswith(f"{REPOSITORY}: discussions: ")] == notes


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (json_reply({}, 401), CredentialsRejected),
        (json_reply({}, 502), ProviderUnavailable),
        (json_reply({"data": None, "errors": [{"type": "RATE_LIMITED"}]}), RateLimited),
        (json_reply({"message": "You have exceeded a secondary rate limit."}), RateLimited),
        (json_reply({"data": None, "errors": [{"message": "Something went wrong"}]}), ProviderUnavailable),
        (json_reply([]), ProviderUnavailable),
    ],
)
def test_pages_end_as_for_any_other_list_when_github_fails(
    fault: Reply, error: type[Exception], github: FakeGitHub, server: ScriptedServer
) -> None:
    github.fault = fault
    with pytest.raises(error):
        listing(source(server))


def test_enterprise_servers_are_queried_beside_their_rest_api(github: FakeGitHub) -> None:
    github.base_path, github.discussions = "/api/v3", [discussion(5)]
    with scripted_server(github) as server:
        found = listing(make_source(f"{server.base_url}/api/v3", "token"))
        assert found.ids == [f"{REPOSITORY}:discussion:5"]
        assert "/api/graphql" in server.paths()


def source(server: ScriptedServer) -> GitHubSource:
    """A source reading from `server`."""
    return make_source(server.base_url, "gho_token")


def discussion(number: int, **fields: Any) -> dict[str, Any]:
    """A discussion, its comments as a plain list."""
    return {
        "number": number,
        "title": "When is the backup?",
        "url": f"https://github.com/{REPOSITORY}/discussions/{number}",
        "body": "Who knows?",
        "createdAt": f"2026-03-05T00:00:{number:02}Z",
        "updatedAt": f"2026-03-05T00:00:{number:02}Z",
        "closed": False,
        "author": {"login": "octocat"},
        "category": {"name": "Q&A"},
        "labels": None,
        "comments": [],
        **fields,
    }


def comment(body: str, node_id: str) -> dict[str, Any]:
    """A comment nobody has replied to."""
    return {**said("hubot", body), "id": node_id, "isAnswer": False, "replies": []}


def said(login: str | None, body: str) -> dict[str, Any]:
    """What somebody said; None is somebody whose account is gone."""
    return {"author": {"login": login} if login else None, "body": body, "createdAt": "2026-03-06T00:00:00Z"}


def connection(nodes: list[dict[str, Any]], first: int, after: str | None) -> dict[str, Any]:
    """A page of a list, as GraphQL has it."""
    start = int(after or 0)
    end = start + first
    return {
        "pageInfo": {"hasNextPage": end < len(nodes), "endCursor": str(end)},
        "nodes": nodes[start:end],
    }

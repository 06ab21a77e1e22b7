"""Discussions, which only GitHub's GraphQL API has: how they are listed and read.

Fields are those of https://docs.github.com/graphql/guides/using-the-graphql-api-for-discussions.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from backend.connectors.providers.contract import JSON, ItemGone, SourceItem
from backend.connectors.providers.github import items, render
from backend.connectors.providers.github.client import GitHubClient
from backend.connectors.providers.github.repositories import Repository
from backend.connectors.providers.github.threads import ThreadPage, is_before

_COUNT: Final = """
query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { discussions { totalCount } } }
"""

_LIST: Final = """
query($owner: String!, $name: String!, $first: Int!, $after: String, $order: DiscussionOrder!) {
  repository(owner: $owner, name: $name) {
    discussions(first: $first, after: $after, orderBy: $order) {
      pageInfo { hasNextPage endCursor }
      nodes { number title url updatedAt comments { totalCount } }
    }
  }
}
"""

_READ: Final = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    discussion(number: $number) {
      number title url body createdAt updatedAt closed
      author { login }
      category { name }
      labels(first: 100) { nodes { name } }
      comments(first: 50, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes {
          id body createdAt isAnswer
          author { login }
          replies(first: 50) {
            pageInfo { hasNextPage endCursor }
            nodes { body createdAt author { login } }
          }
        }
      }
    }
  }
}
"""

_REPLIES: Final = """
query($id: ID!, $after: String) {
  node(id: $id) {
    ... on DiscussionComment {
      replies(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes { body createdAt author { login } }
      }
    }
  }
}
"""


def count_discussions(client: GitHubClient, repository: Repository) -> int:
    """How many there are. Raises what `GitHubClient.query` raises."""
    return int(_repository(client, _COUNT, repository.full_name)["discussions"]["totalCount"])


def list_discussions(
    client: GitHubClient, repository: Repository, *, since: str | None, after: str | None, page_size: int
) -> Iterator[ThreadPage]:
    """The pages of the list, all of it oldest first, or (`since`) what has changed, latest first.

    Raises what `GitHubClient.query` raises.
    """
    order = {"field": "CREATED_AT", "direction": "ASC"}
    if since is not None:
        order = {"field": "UPDATED_AT", "direction": "DESC"}
    is_over = False
    while not is_over:
        answer = _repository(client, _LIST, repository.full_name, first=page_size, after=after, order=order)[
            "discussions"
        ]
        listed = [_listed(node) for node in answer["nodes"]]
        wanted = [raw for raw in listed if since is None or not is_before(raw, since)]
        is_over = len(wanted) < len(listed) or not answer["pageInfo"]["hasNextPage"]
        after = None if is_over else str(answer["pageInfo"]["endCursor"])
        entries = (
            items.thread_entry(repository.full_name, "discussion", raw, client.sent_at) for raw in wanted
        )
        yield ThreadPage(tuple(entries), after)


def read_discussion(client: GitHubClient, locator: Mapping[str, JSON]) -> SourceItem:
    """A discussion with its comments and their replies. Raises what `GitHubClient.query` raises, and ItemGone."""
    name = str(locator["repository"])
    comments: list[Mapping[str, Any]] = []
    after: str | None = None
    while True:
        node = _repository(client, _READ, name, number=locator["number"], after=after)["discussion"]
        if node is None:
            raise ItemGone
        comments += (_comment(client, comment) for comment in node["comments"]["nodes"])
        if not node["comments"]["pageInfo"]["hasNextPage"]:
            break
        after = str(node["comments"]["pageInfo"]["endCursor"])
    raw = {
        "number": node["number"],
        "title": node["title"],
        "html_url": node["url"],
        "body": node["body"],
        "user": node["author"],
        "created_at": node["createdAt"],
        "updated_at": node["updatedAt"],
        "state": "closed" if node.get("closed") else "open",
        "labels": (node.get("labels") or {}).get("nodes") or (),
        "category": node["category"]["name"],
    }
    return items.thread_item(name, "discussion", raw, render.discussion(name, raw, comments))


def _repository(client: GitHubClient, query: str, full_name: str, **variables: Any) -> Any:
    owner, _, name = full_name.partition("/")
    repository = client.query(query, {"owner": owner, "name": name, **variables})["repository"]
    if repository is None:
        raise ItemGone
    return repository


def _listed(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """A discussion in the words of the REST API, which issues and pull requests come in."""
    return {
        "number": node["number"],
        "title": node["title"],
        "html_url": node["url"],
        "updated_at": node["updatedAt"],
        "comments": node["comments"]["totalCount"],
    }


def _comment(client: GitHubClient, node: Mapping[str, Any]) -> Mapping[str, Any]:
    replies = [_said(reply) for reply in node["replies"]["nodes"]]
    page = node["replies"]["pageInfo"]
    while page["hasNextPage"]:
        more = client.query(_REPLIES, {"id": node["id"], "after": page["endCursor"]})["node"]
        if more is None:
            break
        replies += (_said(reply) for reply in more["replies"]["nodes"])
        page = more["replies"]["pageInfo"]
    return {**_said(node), "is_answer": bool(node.get("isAnswer")), "replies": replies}


def _said(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"body": node["body"], "user": node["author"], "created_at": node["createdAt"]}

"""Issues, pull requests and releases: how they are listed, and how one is read with all that was said about it.

Over everything, lists come oldest first: what is created meanwhile comes at the end, and what is edited keeps its
place. Changes come latest change first, until one is older than asked for: what changes meanwhile jumps to the front
and pushes others onto a later page, so it may hide itself, but no other; and the next pass asks from before this one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, cast

from backend.connectors.providers.contract import JSON, Entry, ItemGone, SourceItem
from backend.connectors.providers.github import items, render
from backend.connectors.providers.github.client import GitHubClient, NotUnderstood
from backend.connectors.providers.github.repositories import Repository

ListedStage: TypeAlias = Literal["issues", "pulls", "releases"]

_KIND_OF: Final[Mapping[ListedStage, items.ThreadKind]] = MappingProxyType(
    {"issues": "issue", "pulls": "pull", "releases": "release"}
)


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """One page of a list."""

    entries: tuple[Entry, ...]
    next_path: str | None
    """Where the next page is; None after the last one."""


def list_threads(
    client: GitHubClient,
    repository: Repository,
    stage: ListedStage,
    *,
    since: str | None,
    after: str | None,
    page_size: int,
) -> Iterator[ThreadPage]:
    """The pages of a list, all of it or (`since`) what has changed, from the beginning or `after` a page's `next_path`.

    Raises what `GitHubClient.get` raises.
    """
    first = _first_path(repository, stage, since, page_size)
    path: str | None = after or first
    while path:
        try:
            answer = client.get_list(path)
        except NotUnderstood:
            if path == first:
                raise
            # The link in an old cursor has expired. Listing the stage again is safe, skipping it is not.
            path = first
            continue
        listed = [raw for raw in answer.data if _belongs(stage, raw)]
        wanted = [raw for raw in listed if since is None or stage == "releases" or not is_before(raw, since)]
        is_last = stage == "releases" and since is not None
        path = answer.next_path if len(wanted) == len(listed) and not is_last else None
        entries = (
            items.thread_entry(repository.full_name, _KIND_OF[stage], raw, client.sent_at) for raw in wanted
        )
        yield ThreadPage(tuple(entries), path)


def _first_path(repository: Repository, stage: ListedStage, since: str | None, page_size: int) -> str:
    path = f"{repository.path}/{stage}?per_page={page_size}"
    if stage == "releases":
        # Newest first, whatever is asked; of changes the first page is looked at.
        return path
    if since is None:
        return f"{path}&state=all&sort=created&direction=asc"
    changed = f"{path}&state=all&sort=updated&direction=desc"
    # The list of pull requests does not know `since`.
    return f"{changed}&since={since}" if stage == "issues" else changed


def _belongs(stage: ListedStage, raw: Mapping[str, Any]) -> bool:
    # GitHub lists pull requests among the issues as well, and drafts of releases to those who may write.
    return not (stage == "issues" and "pull_request" in raw) and not (
        stage == "releases" and raw.get("draft")
    )


def is_before(raw: Mapping[str, Any], since: str) -> bool:
    """Whether its last change was before `since`."""
    updated_at, named = render.moment(raw["updated_at"]), render.moment(since)
    return updated_at is not None and named is not None and updated_at < named


def count_threads(client: GitHubClient, repository: Repository) -> int:
    """How many issues, pull requests and releases there are. Raises what `GitHubClient.get` raises."""
    query = f"/search/issues?per_page=1&q=repo:{repository.full_name}+is:"
    total = sum(int(client.get(query + word).data["total_count"]) for word in ("issue", "pr"))
    releases = client.each(f"{repository.path}/releases?per_page=100")
    return total + sum(_belongs("releases", raw) for raw in releases)


def read_issue(client: GitHubClient, locator: Mapping[str, JSON], listed: Any) -> SourceItem:
    """An issue with its comments. Raises what `GitHubClient.get` raises, and ItemGone if it has moved elsewhere."""
    name, path = _address(locator, "issues")
    raw = _checked(name, listed or client.get(path).data)
    if "pull_request" in raw:
        # A number is an issue's or a pull request's, for ever.
        raise ItemGone
    said = client.each(f"{path}/comments?per_page=100") if raw.get("comments", 1) else ()
    return items.thread_item(name, "issue", raw, render.issue(name, raw, said))


def read_pull(client: GitHubClient, locator: Mapping[str, JSON], listed: Any) -> SourceItem:
    """A pull request with comments, reviews and comments on lines. Raises the same."""
    name, path = _address(locator, "pulls")
    raw = listed or client.get(path).data
    comments = client.each(f"{_address(locator, 'issues')[1]}/comments?per_page=100")
    reviews = client.each(f"{path}/reviews?per_page=100")
    on_lines = client.each(f"{path}/comments?per_page=100")
    return items.thread_item(name, "pull", raw, render.pull(name, raw, comments, reviews, on_lines))


def read_release(client: GitHubClient, locator: Mapping[str, JSON], listed: Any) -> SourceItem:
    """A release with its notes. Raises what `GitHubClient.get` raises."""
    name, path = _address(locator, "releases")
    raw = listed or client.get(path).data
    return items.thread_item(name, "release", raw, render.release(name, raw))


def _address(locator: Mapping[str, JSON], stage: ListedStage) -> tuple[str, str]:
    name = str(locator["repository"])
    return name, f"/repos/{name}/{stage}/{locator['number']}"


def _checked(name: str, raw: Any) -> Mapping[str, Any]:
    # GitHub redirects from an issue that was transferred to where it is now.
    home = raw.get("repository_url")
    if home and not str(home).casefold().endswith(f"/repos/{name}".casefold()):
        raise ItemGone
    return cast("Mapping[str, Any]", raw)

"""Which repositories a pass covers, and what git tree each of them has."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from backend.connectors.providers.contract import ItemFailure, ProviderRefused
from backend.connectors.providers.github.client import GitHubClient, Missing
from backend.connectors.providers.github.files import is_vendored

#: An account that sees more than this has to choose; the rest is reported, not dropped.
MAX_REPOSITORIES: Final = 500
#: Requests spent on one repository whose tree is too large for a single answer.
MAX_FOLDERS: Final = 2000

_FULL_NAME: Final = re.compile(r"(?!\.{1,2}/)[\w.-]+/(?!\.{1,2}$)[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Repository:
    """What the walk needs to know about one repository."""

    full_name: str
    """`owner/name`, as GitHub spells it."""
    html_url: str
    branch: str
    """The default branch, the only one read."""
    has_commits: bool
    has_issues: bool

    @property
    def path(self) -> str:
        """Its path in the REST API."""
        return f"/repos/{self.full_name}"

    def file_url(self, path: str) -> str:
        """Where a person sees the file at `path`."""
        return f"{self.html_url}/blob/{quote(self.branch)}/{quote(path)}"


@dataclass(frozen=True, slots=True)
class Tree:
    """The entries of a git tree at one moment, and the folders that could not be listed."""

    sha: str
    """Names this very state: asking for it later gives the same entries."""
    entries: list[Mapping[str, Any]]
    unread: tuple[str, ...]


def walk_key(full_name: str) -> str:
    """Sort key of repositories: the same order in every pass, whatever order GitHub lists them in."""
    return full_name.casefold()


def find_repositories(client: GitHubClient, chosen: Iterable[str]) -> list[Repository | ItemFailure]:
    """The chosen repositories, or all the account can see when none is chosen, in the order of `walk_key`.

    One that cannot be read stands as a failure in its place, so a resumed walk passes it at the same point.
    """
    names = {walk_key(name): name for name in chosen}
    found = [_find(client, name) for name in names.values()] if names else list(_visible(client))
    return sorted(found, key=lambda entry: walk_key(name_of(entry)))


def name_of(entry: Repository | ItemFailure) -> str:
    """`owner/name` of an entry of `find_repositories`."""
    return entry.full_name if isinstance(entry, Repository) else entry.external_id


def _find(client: GitHubClient, name: str) -> Repository | ItemFailure:
    if not _FULL_NAME.fullmatch(name):
        return ItemFailure(name, None, "repository", "This is not a repository name of the form owner/name.")
    try:
        return _repository(client.get(f"/repos/{name}").data)
    except (Missing, ProviderRefused) as error:
        return ItemFailure(name, None, "repository", error.message)


def _visible(client: GitHubClient) -> Iterator[Repository | ItemFailure]:
    listed = client.each("/user/repos?per_page=100&sort=full_name&direction=asc")
    for count, raw in enumerate(listed):
        if count == MAX_REPOSITORIES:
            reason = f"Only the first {MAX_REPOSITORIES} repositories are read; choose the ones you need."
            yield ItemFailure(str(raw["full_name"]), None, "repository", reason)
            return
        yield _repository(raw)


def _repository(raw: Mapping[str, Any]) -> Repository:
    return Repository(
        full_name=str(raw["full_name"]),
        html_url=str(raw["html_url"]),
        branch=str(raw["default_branch"]),
        has_commits=raw.get("pushed_at") is not None,
        has_issues=bool(raw.get("has_issues", True)),
    )


def read_tree(client: GitHubClient, repository: Repository, tree_ish: str) -> Tree:
    """All entries below a branch or the sha of an earlier `Tree`, paths from the root.

    Raises `Missing` or `RepositoryEmpty` when there is no such tree, and what `GitHubClient.get` raises.
    """
    data = client.get(f"{repository.path}/git/trees/{quote(tree_ish, safe='')}?recursive=1").data
    if not data.get("truncated"):
        return Tree(str(data["sha"]), data["tree"], ())
    return _read_folders(client, repository, str(data["sha"]))


def _read_folders(client: GitHubClient, repository: Repository, root_sha: str) -> Tree:
    """The same, folder by folder: GitHub cuts a recursive answer off at 100 000 entries or 7 MB."""
    entries: list[Mapping[str, Any]] = []
    unread: list[str] = []
    waiting = [("", root_sha)]
    listed = 0
    while waiting and listed < MAX_FOLDERS:
        listed += 1
        folder, sha = waiting.pop()
        data = client.get(f"{repository.path}/git/trees/{sha}").data
        if data.get("truncated"):
            unread.append(folder)
        for entry in data["tree"]:
            path = f"{folder}/{entry['path']}" if folder else str(entry["path"])
            if entry["type"] != "tree":
                entries.append({**entry, "path": path})
            elif not is_vendored(path):
                waiting.append((path, str(entry["sha"])))
    unread += (folder for folder, _ in waiting)
    return Tree(root_sha, entries, tuple(unread))

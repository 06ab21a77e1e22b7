"""Which repositories a pass covers."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from backend.connectors.providers.contract import ItemFailure, ProviderRefused
from backend.connectors.providers.github.client import UNREADABLE, GitHubClient

#: An account that sees more than this has to choose; the rest is reported, not dropped.
MAX_REPOSITORIES: Final = 1000
#: From so many on, chosen repositories are looked up in the list of all, a hundred a request, not one by one.
LIST_FROM: Final = 20

_FULL_NAME: Final = re.compile(r"(?!\.{1,2}/)[\w.-]+/(?!\.{1,2}$)[\w.-]+", re.ASCII)
_ALL: Final = "/user/repos?per_page=100&sort=full_name&direction=asc"


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
    has_discussions: bool
    is_private: bool
    is_archived: bool
    description: str | None

    @property
    def path(self) -> str:
        """Its path in the REST API."""
        return f"/repos/{self.full_name}"

    def file_url(self, path: str) -> str:
        """Where a person sees the file at `path`."""
        return f"{self.html_url}/blob/{quote(self.branch)}/{quote(path)}"


def walk_key(full_name: str) -> str:
    """Sort key of repositories: the same order in every pass, whatever order GitHub lists them in."""
    return full_name.casefold()


def find_repositories(client: GitHubClient, chosen: Iterable[str]) -> list[Repository | ItemFailure]:
    """The chosen repositories, or all the account can see when none is chosen, in the order of `walk_key`.

    One that cannot be read stands as a failure in its place, so a resumed walk passes it at the same point.
    Raises `ProviderRefused` when GitHub does not list any.
    """
    names = {walk_key(name): name for name in chosen}
    if names:
        listed: dict[str, Repository] = {}
        if len(names) >= LIST_FROM:
            listed = {walk_key(repository.full_name): repository for repository in all_repositories(client)}
        found = [listed.get(key) or _find(client, name) for key, name in names.items()]
    else:
        found = list(_visible(client))
    # A repository chosen by an old name and by its new one is one repository.
    by_name = {walk_key(name_of(entry)): entry for entry in found}
    return [by_name[key] for key in sorted(by_name)]


def all_repositories(client: GitHubClient) -> Iterator[Repository]:
    """Every repository the account can see, by name. Raises `ProviderRefused` when GitHub does not list any."""
    try:
        for raw in client.each(_ALL):
            yield _repository(raw)
    except UNREADABLE as error:
        raise ProviderRefused("GitHub does not let this account list its repositories.") from error


def name_of(entry: Repository | ItemFailure) -> str:
    """`owner/name` of an entry of `find_repositories`."""
    return entry.full_name if isinstance(entry, Repository) else entry.external_id


def _find(client: GitHubClient, name: str) -> Repository | ItemFailure:
    if not _FULL_NAME.fullmatch(name):
        reason = "This is not a repository name of the form owner/name."
        return ItemFailure(name, None, "repository", reason, hides=(f"{name}:",))
    try:
        return _repository(client.get(f"/repos/{name}").data)
    except UNREADABLE as error:
        return ItemFailure(name, None, "repository", error.message, hides=(f"{name}:",))


def _visible(client: GitHubClient) -> Iterator[Repository | ItemFailure]:
    for count, repository in enumerate(all_repositories(client)):
        if count == MAX_REPOSITORIES:
            reason = f"Only the first {MAX_REPOSITORIES} repositories are read; choose the ones you need."
            yield ItemFailure(repository.full_name, None, "repository", reason)
            return
        yield repository


def _repository(raw: Mapping[str, Any]) -> Repository:
    return Repository(
        full_name=str(raw["full_name"]),
        html_url=str(raw["html_url"]),
        branch=str(raw["default_branch"]),
        has_commits=raw.get("pushed_at") is not None,
        has_issues=bool(raw.get("has_issues", True)),
        has_discussions=bool(raw.get("has_discussions")),
        is_private=bool(raw.get("private")),
        is_archived=bool(raw.get("archived")),
        description=raw.get("description"),
    )

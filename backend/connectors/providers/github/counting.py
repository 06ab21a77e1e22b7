"""How many items a pass over everything will show, where GitHub says so cheaply."""

from collections.abc import Iterable
from typing import Final

from backend.connectors.providers.contract import ItemFailure, ProviderUnavailable, RateLimited
from backend.connectors.providers.github import discussions, threads, trees
from backend.connectors.providers.github.client import UNREADABLE, GitHubClient, NoDiscussions
from backend.connectors.providers.github.repositories import Repository

#: Counting takes two searches a repository, and GitHub allows thirty a minute.
MAX_COUNTED_REPOSITORIES: Final = 10


def count_items(client: GitHubClient, found: Iterable[Repository | ItemFailure]) -> int | None:
    """Items of the whole pass, or None where it would not be cheap, or GitHub does not say."""
    repositories = [entry for entry in found if isinstance(entry, Repository)]
    if len(repositories) > MAX_COUNTED_REPOSITORIES:
        return None
    total = 0
    try:
        for repository in repositories:
            if repository.has_commits:
                total += len(trees.list_files(client, repository, repository.branch).files)
            total += threads.count_threads(client, repository) + _count_discussions(client, repository)
    except (*UNREADABLE, RateLimited, ProviderUnavailable):
        # A bar without an end is no reason to fail; what is really wrong shows at the next request.
        return None
    return total


def _count_discussions(client: GitHubClient, repository: Repository) -> int:
    try:
        return discussions.count_discussions(client, repository) if repository.has_discussions else 0
    except NoDiscussions:
        return 0

"""The repositories to choose from."""

from collections.abc import Set as AbstractSet
from itertools import islice

from backend.connectors.providers.contract import CredentialsRejected, Opening
from backend.connectors.providers.github.client import GitHubClient
from backend.connectors.providers.github.repositories import (
    MAX_REPOSITORIES,
    Repository,
    all_repositories,
    walk_key,
)
from backend.connectors.providers.provider import Choice


def list_repositories(opening: Opening) -> list[Choice]:
    """Every repository the account can see, up to `MAX_REPOSITORIES`, and before them the chosen ones it cannot see.

    Nothing chosen means everything is synced. Raises `CredentialsRejected`, `RateLimited`, `ProviderUnavailable` or
    `ProviderRefused`.
    """
    if opening.credentials is None:
        raise CredentialsRejected
    chosen = {walk_key(name): str(name) for name in opening.settings.get("repositories") or ()}
    with GitHubClient(opening.api_base, opening.credentials.access_token) as client:
        visible = list(islice(all_repositories(client), MAX_REPOSITORIES))
    seen = {walk_key(repository.full_name) for repository in visible}
    hidden = [
        Choice(name, name, is_chosen=True, details={"is_visible": False})
        for key, name in chosen.items()
        if key not in seen
    ]
    return hidden + [_choice(repository, chosen.keys()) for repository in visible]


def _choice(repository: Repository, chosen: AbstractSet[str]) -> Choice:
    return Choice(
        id=repository.full_name,
        name=repository.full_name,
        is_chosen=not chosen or walk_key(repository.full_name) in chosen,
        details={
            "is_private": repository.is_private,
            "is_archived": repository.is_archived,
            "description": repository.description,
            "html_url": repository.html_url,
        },
    )

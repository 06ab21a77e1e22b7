"""The repositories people choose from, at the emulator and, where there are many, at a scripted server."""

from dataclasses import asdict

import pytest

from backend.connectors.providers.contract import Credentials, CredentialsRejected, Opening, ProviderRefused
from backend.connectors.providers.github import PROVIDER
from backend.connectors.providers.github.repositories import MAX_REPOSITORIES
from backend.connectors.providers.provider import Choice, load
from tests.emulators.github import BAD_TOKEN, github_emulator
from tests.emulators.github_seed import HANDBOOK, TOOLBOX, RepositorySeed, Seed
from tests.emulators.scripted import Reply, Request, json_reply, scripted_server


def test_choices_are_what_the_account_sees() -> None:
    seed = Seed(
        (RepositorySeed("handbook", "How it is run"), RepositorySeed("toolbox", "Scripts", private=True))
    )
    with github_emulator(seed) as github:
        handbook, toolbox = choices(github.base_url, github.token())
        assert (handbook.id, handbook.name, handbook.is_chosen) == (HANDBOOK, HANDBOOK, True)
        assert asdict(toolbox)["details"] == {
            "is_private": True,
            "is_archived": False,
            "description": "Scripts",
            "html_url": f"{github.base_url}/{TOOLBOX}",
        }
        chosen = choices(github.base_url, github.token(), "Octocat/Toolbox", "octocat/hidden")
        assert [(one.id, one.is_chosen) for one in chosen] == [
            ("octocat/hidden", True),
            (HANDBOOK, False),
            (TOOLBOX, True),
        ]
        with pytest.raises(CredentialsRejected):
            choices(github.base_url, BAD_TOKEN)


def test_choices_end_somewhere() -> None:
    def github(request: Request) -> Reply:
        page = int(request.path.rpartition("page=")[2]) if "&page=" in request.path else 1
        listed = [
            {"full_name": f"octocat/{page}-{n}", "html_url": "https://a", "default_branch": "main"}
            for n in range(100)
        ]
        following = f"http://api.invalid/user/repos?per_page=100&page={page + 1}"
        return json_reply(listed, link=f'<{following}>; rel="next"')

    with scripted_server(github) as server:
        assert len(choices(server.base_url, "token")) == MAX_REPOSITORIES
        assert len(server.requests) == MAX_REPOSITORIES // 100


def test_account_that_may_not_list_is_refused() -> None:
    with scripted_server(lambda _: json_reply({}, 403)) as server, pytest.raises(ProviderRefused):
        choices(server.base_url, "token")


def choices(api_base: str, token: str, *chosen: str) -> list[Choice]:
    """What the provider offers an account that has chosen some already."""
    assert PROVIDER.choices is not None
    opening = Opening({"repositories": list(chosen)}, Credentials(token, None, None, (), "bearer"), api_base)
    found: list[Choice] = load(PROVIDER.choices)(opening)
    return found

"""GitHub: files, issues, pull requests, discussions and releases of repositories, from github.com or GitHub Enterprise.

__init__.py      what the product knows of it
oauth.py         connects an account
choices.py       the repositories to choose from
webhook.py       what GitHub's calls say
source.py        lists and reads, page by page (loaded by workers only)
position.py      its cursor
repositories.py  which repositories
trees.py         their files, and which of them changed
files.py         which files are worth reading
threads.py       issues, pull requests, releases
discussions.py   discussions, by GraphQL
items.py         all of it in the contract's values
render.py        threads as Markdown
client.py        requests and refusals
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from backend.connectors.providers.contract import OAuthProvider
from backend.connectors.providers.provider import OAuthApp, Provider, SourceSettings

#: Not `..`: the name becomes part of a path at the provider.
RepositoryName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}/\.{0,2}[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$"
    ),
]


class GitHubSettings(SourceSettings):
    """Which repositories to sync."""

    repositories: list[RepositoryName] = Field(
        default_factory=list, max_length=1000, description="owner/name; empty means all the account can see"
    )


def make_oauth(app: OAuthApp) -> OAuthProvider:
    """Connects accounts of github.com, or of the server the app names."""
    from backend.connectors.providers.github.oauth import GitHubOAuth

    return GitHubOAuth(
        client_id=app.client_id,
        client_secret=app.client_secret,
        authorize_base=app.authorize_base or "https://github.com",
        api_base=app.api_base or PROVIDER.api_base,
    )


PROVIDER: Final = Provider(
    type="github",
    name="GitHub",
    description="README, documentation, code, issues, pull requests, discussions and releases",
    icon="github",
    auth_type="oauth",
    settings_model=GitHubSettings,
    source="backend.connectors.providers.github.source:open_source",
    api_base="https://api.github.com",
    app="github",
    make_oauth=make_oauth,
    choices="backend.connectors.providers.github.choices:list_repositories",
    webhook="backend.connectors.providers.github.webhook:receive",
)

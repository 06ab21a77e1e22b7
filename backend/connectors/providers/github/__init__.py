"""GitHub: files, issues, pull requests and discussions of the chosen repositories, from github.com or GitHub Enterprise.

`oauth.py` connects an account; `source.py` lists and reads it, with `client.py` for requests, `files.py` for which
files are worth reading and `render.py` for threads as Markdown. No module imports `source.py` on the way to
`oauth.py`, so a web process never loads it.
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
    description="README, documentation, code, issues, pull requests and discussions",
    icon="github",
    auth_type="oauth",
    settings_model=GitHubSettings,
    source="backend.connectors.providers.github.source:open_source",
    api_base="https://api.github.com",
    app="github",
    make_oauth=make_oauth,
)

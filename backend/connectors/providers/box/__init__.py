"""Box: the documents in the chosen folders, or in all folders the account can see.

`oauth.py` connects an account, `choices.py` lists its folders; `source.py` lists and reads its files, with
`walk.py` for folders and `changes.py` for what happened since. `client.py` talks to the API, `items.py` turns its
answers into the contract's values. No module imports `source.py` on the way to `oauth.py` or `choices.py`, so a
web process never loads it.

Plain httpx2 and not box-sdk-gen, Box's own client: that one sleeps inside a request for as long as a `Retry-After`
says, where a job should rather be put off, and carries some five hundred classes into the process to read five
kinds of answers.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from backend.connectors.providers.contract import OAuthProvider
from backend.connectors.providers.provider import OAuthApp, Provider, SourceSettings

FolderId = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]


class BoxSettings(SourceSettings):
    """Which folders to sync."""

    folders: list[FolderId] = Field(
        default_factory=list,
        max_length=100,
        description="ids of folders, each with all below it; empty means all folders the account can see",
    )


def make_oauth(app: OAuthApp) -> OAuthProvider:
    """Connects accounts of Box."""
    from backend.connectors.providers.box.oauth import BoxOAuth

    return BoxOAuth(
        client_id=app.client_id,
        client_secret=app.client_secret,
        authorize_base=app.authorize_base or "https://account.box.com",
        api_base=app.api_base or PROVIDER.api_base,
    )


PROVIDER: Final = Provider(
    type="box",
    name="Box",
    description="Documents in the folders you choose",
    icon="box",
    auth_type="oauth",
    settings_model=BoxSettings,
    source="backend.connectors.providers.box.source:open_source",
    api_base="https://api.box.com",
    app="box",
    make_oauth=make_oauth,
    choices="backend.connectors.providers.box.choices:list_choices",
)

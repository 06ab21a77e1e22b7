"""OneDrive and SharePoint: the documents of a person's OneDrive, or of chosen document libraries.

`oauth.py` connects an account, `choices.py` lists its drives; `source.py` lists and reads them. `graph.py` talks to
Microsoft Graph, `items.py` turns its answers into the contract's values. No module imports `source.py` on the way to
`oauth.py` or `choices.py`, so a web process never loads it.

Plain httpx2 and Authlib, not msal and msgraph-sdk, Microsoft's own: msal keeps tokens in a cache of its own beside
the row that holds ours, and finds the addresses of its authority by asking Microsoft, so that they cannot be
replaced; msgraph-sdk is asynchronous, generated from all of Graph, and sleeps inside a request when it is limited.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from backend.connectors.providers.contract import OAuthProvider
from backend.connectors.providers.provider import OAuthApp, Provider, SourceSettings

#: `b!…` at work or school, hexadecimal digits for a personal account.
DriveId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!_-][A-Za-z0-9!_.-]{0,199}$")]


class OneDriveSettings(SourceSettings):
    """Which drives to sync."""

    drives: list[DriveId] = Field(
        default_factory=list,
        max_length=50,
        description="ids of drives (a SharePoint document library is one); empty means the account's own OneDrive",
    )


def make_oauth(app: OAuthApp) -> OAuthProvider:
    """Connects accounts of Microsoft."""
    from backend.connectors.providers.onedrive.oauth import MicrosoftOAuth

    return MicrosoftOAuth(
        client_id=app.client_id,
        client_secret=app.client_secret,
        authorize_base=app.authorize_base or "https://login.microsoftonline.com",
        api_base=app.api_base or PROVIDER.api_base,
        directory=app.directory,
        with_sites=app.with_sites,
    )


PROVIDER: Final = Provider(
    type="onedrive",
    name="OneDrive and SharePoint",
    description="Documents of your OneDrive or of SharePoint document libraries",
    icon="onedrive",
    auth_type="oauth",
    settings_model=OneDriveSettings,
    source="backend.connectors.providers.onedrive.source:open_source",
    api_base="https://graph.microsoft.com",
    app="microsoft",
    make_oauth=make_oauth,
    choices="backend.connectors.providers.onedrive.choices:list_choices",
    where_to_end_access="Microsoft lets nobody but you end the access: at https://myapps.microsoft.com, for a personal"
    " account at https://account.live.com/consent/Manage.",
)

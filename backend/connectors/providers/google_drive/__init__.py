"""Google Drive: files, and Google's own documents by export, of a person's Drive and of shared drives.

`source.py` lists and reads them, with `position.py` for where a pass is, `files.py` for which files are worth
reading and in which form, `folders.py` for where they are, and `items.py` for what becomes of them. `channels.py` has
Drive call, and `webhook.py` understands its calls.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from backend.connectors.providers.contract import OAuthProvider
from backend.connectors.providers.provider import OAuthApp, Provider, SourceSettings

FolderId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class GoogleDriveSettings(SourceSettings):
    """Which files to sync."""

    folders: list[FolderId] = Field(
        default_factory=list,
        max_length=200,
        description="Ids of folders or shared drives, synced with all that is below them. Empty means everything the"
        " account can see",
    )


def make_oauth(app: OAuthApp) -> OAuthProvider:
    """Connects Google accounts to read their files."""
    from backend.connectors.providers.google.oauth import connect_with

    return connect_with(app, name=PROVIDER.type, scope="https://www.googleapis.com/auth/drive.readonly")


PROVIDER: Final = Provider(
    type="google_drive",
    name="Google Drive",
    description="Documents, spreadsheets, presentations and other files, of shared drives too",
    icon="google_drive",
    auth_type="oauth",
    settings_model=GoogleDriveSettings,
    source="backend.connectors.providers.google_drive.source:open_source",
    api_base="https://www.googleapis.com",
    app="google",
    make_oauth=make_oauth,
    choices="backend.connectors.providers.google_drive.choices:list_choices",
    webhook="backend.connectors.providers.google_drive.webhook:receive",
    open_channel="backend.connectors.providers.google_drive.channels:open_channel",
    close_channel="backend.connectors.providers.google_drive.channels:close_channel",
)

"""Gmail: every thread is one document, and every attachment one of its own.

`source.py` lists and reads them, with `position.py` for where a pass is, `scope.py` for what is synced, `mailbox.py`
for requests, `threads.py` for what they yield, and `items.py` for what becomes of it; `render.py`, `quotes.py` and
`html.py` make Markdown of a thread.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from backend.connectors.providers.contract import OAuthProvider
from backend.connectors.providers.provider import OAuthApp, Provider, SourceSettings

LabelId = Annotated[str, StringConstraints(pattern=r"^[\w.-]+$", max_length=225)]


class GmailSettings(SourceSettings):
    """Which mail to sync. Spam, what is in the bin, and drafts are never synced."""

    include_labels: list[LabelId] = Field(
        default_factory=list,
        max_length=100,
        description="Ids of labels; a thread with any of them is synced. Empty means all mail",
    )
    exclude_labels: list[LabelId] = Field(
        default_factory=list,
        max_length=100,
        description="Ids of labels; a thread in which any message has one of them is left out",
    )
    skip_categories: list[Literal["promotions", "social", "forums", "updates"]] = Field(
        default_factory=list,
        max_length=4,
        description="Tabs of the inbox; a thread whose messages are all in one of them is left out",
    )
    query: str = Field(default="", max_length=500, description="Gmail search that threads must match as well")
    max_age_days: int | None = Field(
        default=None, ge=1, le=36_500, description="Threads without a message for so long are left out"
    )
    attachments: bool = Field(default=True, description="Whether attachments are synced")


def make_oauth(app: OAuthApp) -> OAuthProvider:
    """Connects Google accounts to read their mail."""
    from backend.connectors.providers.google.oauth import connect_with

    return connect_with(app, name=PROVIDER.type, scope="https://www.googleapis.com/auth/gmail.readonly")


PROVIDER: Final = Provider(
    type="gmail",
    name="Gmail",
    description="E-mail threads and their attachments",
    icon="gmail",
    auth_type="oauth",
    settings_model=GmailSettings,
    source="backend.connectors.providers.gmail.source:open_source",
    api_base="https://gmail.googleapis.com",
    source_type="email",
    app="google",
    make_oauth=make_oauth,
    choices="backend.connectors.providers.gmail.choices:list_choices",
)

"""Slack: threads, days of conversation and files of the channels the app is a member of.

A thread is one document, with its replies. What is said outside threads is one document per channel and day: single
messages rarely say enough to be found, and "what did we say in #release on Tuesday" is how people look for the rest.
Days are those of UTC, so that every process draws the same line.

`oauth.py` connects a workspace, `tokens.py` one by a pasted token, `events.py` reads Slack's calls, `channels.py` lists
what can be chosen. `source.py` lists and reads, by workers only: with `walk.py` for messages page by page,
`position.py` for the cursor, `messages.py` for what a message is, `documents.py`, `render.py` and `text.py` for it as
Markdown, and `people.py` for names. `client.py` makes the requests of all of them.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from backend.connectors.providers.contract import OAuthProvider
from backend.connectors.providers.provider import OAuthApp, Provider, SourceSettings

ChannelId = Annotated[str, StringConstraints(pattern=r"^[CGD][A-Z0-9]{2,40}$")]


class SlackSettings(SourceSettings):
    """What to sync from a workspace."""

    channels: list[ChannelId] | None = Field(
        default=None,
        max_length=5000,
        description="ids of channels; null means all the app is a member of, an empty list none",
    )
    history_days: int = Field(
        default=0, ge=0, le=36500, description="how far back, in days; 0 means everything Slack has"
    )
    include_files: bool = Field(default=True, description="whether shared files become documents as well")
    include_bots: bool = Field(
        default=False,
        description="whether messages of apps outside threads are synced; in threads they always are",
    )
    include_group_messages: bool = Field(
        default=False,
        description="whether group messages the app takes part in are synced; needs mpim scopes",
    )


def make_oauth(app: OAuthApp) -> OAuthProvider:
    """Connects workspaces of Slack."""
    from backend.connectors.providers.slack.oauth import SlackOAuth

    return SlackOAuth(
        client_id=app.client_id,
        client_secret=app.client_secret,
        authorize_base=app.authorize_base or PROVIDER.api_base,
        api_base=app.api_base or PROVIDER.api_base,
    )


PROVIDER: Final = Provider(
    type="slack",
    name="Slack",
    description="Threads, conversations by day and files of the channels the app is in",
    icon="slack",
    auth_type="oauth",
    settings_model=SlackSettings,
    source="backend.connectors.providers.slack.source:open_source",
    api_base="https://slack.com",
    app="slack",
    make_oauth=make_oauth,
    choices="backend.connectors.providers.slack.channels:list_choices",
    accepts_token="backend.connectors.providers.slack.tokens:accept_token",  # noqa: S106 - the name of a function
    webhook="backend.connectors.providers.slack.events:read_event",
    webhook_is_apps=True,
)

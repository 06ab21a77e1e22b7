"""Connects a workspace by a bot token that a person has copied from the Slack app's settings."""

import re
from typing import Final

from backend.connectors.providers.contract import Account, Credentials, CredentialsRejected, ProviderRefused
from backend.connectors.providers.slack.client import SlackClient
from backend.connectors.providers.slack.oauth import account_of

_BOT_TOKEN: Final = re.compile(r"xoxb-[A-Za-z0-9_-]{10,500}")
_OTHERS: Final = (
    ("xoxe.", "This token expires within hours. Switch token rotation off for the app, or connect with Slack's sign-in."),
    ("xoxe-", "This is a refresh token; the bot token, which begins with xoxb-, is needed."),
    ("xoxp-", "This is a person's token; the app's bot token, which begins with xoxb-, is needed."),
    ("xapp-", "This is an app-level token; the bot token, which begins with xoxb-, is needed."),
)  # fmt: skip


def accept_token(token: str, api_base: str) -> tuple[Credentials, Account]:
    """Credentials and workspace of a pasted token, checked at Slack.

    Raises ProviderRefused with the reason, RateLimited or ProviderUnavailable.
    """
    token = token.strip()
    for beginning, reason in _OTHERS:
        if token.startswith(beginning):
            raise ProviderRefused(reason)
    if not _BOT_TOKEN.fullmatch(token):
        raise ProviderRefused("This is no bot token of Slack; those begin with xoxb-.")
    client = SlackClient(api_base, token)
    try:
        answer = client.call("auth.test")
        scopes = client.scopes
    except CredentialsRejected as error:
        raise ProviderRefused("Slack does not accept this token: it is wrong, or was revoked.") from error
    finally:
        client.close()
    return Credentials(token, None, None, scopes, "bot"), account_of(answer)

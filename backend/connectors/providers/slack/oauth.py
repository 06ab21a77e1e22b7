"""Connects a Slack workspace: OAuth v2 for a bot token.

Without PKCE: Slack has it for public clients only, and switching it on makes an app one for good. What proves that a
code is ours is the client secret, with the one-time state. Tokens do not expire, unless token rotation is switched on
for the app; then they come with `expires_in` and a refresh token that is spent when it is used.
https://docs.slack.dev/authentication/installing-with-oauth, …/using-token-rotation
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from backend.connectors.providers.contract import (
    Account,
    Credentials,
    CredentialsRejected,
    ProviderRefused,
    ProviderUnavailable,
)
from backend.connectors.providers.conversation import TIMEOUT
from backend.connectors.providers.slack.client import SlackClient

#: What reading channels, their history, names of people and files takes, and nothing that writes.
DEFAULT_SCOPES: Final = (
    "channels:history",
    "channels:read",
    "files:read",
    "groups:history",
    "groups:read",
    "users:read",
)

_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "invalid_code": "Slack says the sign-in was used already or took too long; start again.",
        "code_expired": "Slack says the sign-in took too long; start again.",
        "code_already_used": "Slack says the sign-in was used already; start again.",
        "bad_redirect_uri": "Slack does not know this installation's callback address.",
        "invalid_client_id": "Slack does not accept this installation's client id and secret.",
        "bad_client_secret": "Slack does not accept this installation's client id and secret.",
        "invalid_client": "Slack does not accept this installation's client id and secret.",
        "org_login_required": "The workspace is being moved into an organisation; try again afterwards.",
    }
)
_SPENT: Final = frozenset(
    {"invalid_grant", "invalid_refresh_token", "token_expired", "token_revoked", "account_inactive", "invalid_auth"}
)  # fmt: skip
_PASSING: Final = frozenset(
    {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)


@dataclass(frozen=True, slots=True)
class SlackOAuth:
    """An `OAuthProvider` for one Slack app."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_base: str = "https://slack.com"
    api_base: str = "https://slack.com"
    scopes: tuple[str, ...] = DEFAULT_SCOPES

    @property
    def name(self) -> str:
        """See `OAuthProvider.name`."""
        return "slack"

    def authorization_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:  # noqa: ARG002
        """See `OAuthProvider.authorization_url`. The verifier is not used."""
        with self._client() as client:
            # Slack separates scopes by commas.
            url, _ = client.create_authorization_url(
                f"{self.authorize_base.rstrip('/')}/oauth/v2/authorize",
                state=state,
                redirect_uri=redirect_uri,
                scope=",".join(self.scopes),
            )
        return str(url)

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> Credentials:  # noqa: ARG002
        """See `OAuthProvider.exchange`. Never tried twice: the code may be used up without an answer."""
        try:
            with self._client() as client:
                token = client.fetch_token(
                    self._token_url, grant_type="authorization_code", code=code, redirect_uri=redirect_uri
                )
            if token.get("is_enterprise_install"):
                raise ProviderRefused(
                    "Install the Slack app in one workspace, not in the whole organisation."
                )
            return _credentials(token)
        except OAuthError as error:
            if error.error in _PASSING:
                raise ProviderUnavailable from error
            raise ProviderRefused(_REASONS.get(error.error)) from error
        except (httpx2.HTTPError, KeyError, ValueError, TypeError, AttributeError) as error:
            # Including answers that are no JSON, or JSON that is neither a token nor an error.
            raise ProviderUnavailable from error

    def account(self, credentials: Credentials) -> Account:
        """See `OAuthProvider.account`: the workspace, not the person who connected it."""
        client = SlackClient(self.api_base, credentials.access_token)
        try:
            return account_of(client.call("auth.test"))
        finally:
            client.close()

    def refresh(self, credentials: Credentials) -> Credentials:
        """See `OAuthProvider.refresh`. Raises CredentialsRejected for tokens that do not expire as well."""
        if credentials.refresh_token is None:
            raise CredentialsRejected
        try:
            with self._client() as client:
                token = client.refresh_token(self._token_url, refresh_token=credentials.refresh_token)
            return _credentials(token)
        except OAuthError as error:
            if error.error in _SPENT:
                raise CredentialsRejected from error
            if error.error in _PASSING:
                raise ProviderUnavailable from error
            raise ProviderRefused(_REASONS.get(error.error)) from error
        except (httpx2.HTTPError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise ProviderUnavailable from error

    def revoke(self, credentials: Credentials) -> None:
        """See `OAuthProvider.revoke`.

        Without token rotation Slack gives an app one bot token per workspace, however often it is connected: ending it
        ends the other connections to that workspace too.
        """
        client = SlackClient(self.api_base, credentials.access_token)
        try:
            client.call("auth.revoke")
        except CredentialsRejected:
            pass
        finally:
            client.close()

    @property
    def _token_url(self) -> str:
        return f"{self.api_base.rstrip('/')}/api/oauth.v2.access"

    def _client(self) -> OAuth2Client:
        return OAuth2Client(
            self.client_id,
            self.client_secret,
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the name of a method
            timeout=TIMEOUT,
        )


def account_of(answer: Mapping[str, Any]) -> Account:
    """The workspace in an answer of `auth.test`. Raises ProviderUnavailable when it names none."""
    team_id = answer.get("team_id")
    if not team_id:
        raise ProviderUnavailable
    return Account(external_id=str(team_id), label=str(answer.get("team") or team_id))


def _credentials(token: Mapping[str, Any]) -> Credentials:
    expires_in = token.get("expires_in")
    return Credentials(
        access_token=str(token["access_token"]),
        refresh_token=token.get("refresh_token"),
        expires_at=datetime.now(UTC) + timedelta(seconds=int(expires_in)) if expires_in else None,
        scopes=tuple(str(token.get("scope") or "").replace(",", " ").split()),
        # Slack's word, "bot", says whose token it is; it is sent as a bearer token.
        token_type=str(token.get("token_type") or "bot"),
    )

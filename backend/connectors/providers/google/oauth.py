"""Connects a Google account: OAuth 2.0 for web server applications, authorization code grant with PKCE (S256).

https://developers.google.com/identity/protocols/oauth2/web-server

Each source asks for its own scope only, when it is connected (what Google calls incremental authorization), and not
for earlier grants to be merged into its token (`include_granted_scopes`): a token that reads mail would then read
files as well, and disconnecting one source would end the other one's access.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Self

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
from backend.connectors.providers.conversation import TIMEOUT, Conversation
from backend.connectors.providers.google.api import refusal
from backend.connectors.providers.provider import OAuthApp

#: Google's error codes that tell a user something. Others are not repeated: the text is not ours.
_REASONS: Final = (
    ("invalid_grant", "Google says the sign-in was used already or took too long; start again."),
    ("redirect_uri_mismatch", "Google does not know this installation's callback address."),
    ("invalid_client", "Google does not accept this installation's client id and secret."),
    ("unauthorized_client", "Google does not accept this installation's client id and secret."),
    ("org_internal", "The app of this installation is for accounts of another organisation only."),
    ("admin_policy_enforced", "The administrators of this Google Workspace do not allow this app."),
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Google's OAuth pages are."""

    authorize: str
    token: str
    revoke: str
    userinfo: str

    @classmethod
    def of(cls, app: OAuthApp) -> Self:
        """Google's own, or at the one origin the app names in their place, which keeps OAuth below `/oauth2` so that
        it can serve the APIs as well."""
        base = (app.authorize_base or app.api_base or "").rstrip("/")
        if not base:
            return cls(
                authorize="https://accounts.google.com/o/oauth2/v2/auth",
                token="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
                revoke="https://oauth2.googleapis.com/revoke",
                userinfo="https://openidconnect.googleapis.com/v1/userinfo",
            )
        return cls(
            authorize=f"{base}/o/oauth2/v2/auth",
            token=f"{base}/oauth2/token",
            revoke=f"{base}/oauth2/revoke",
            userinfo=f"{base}/oauth2/v2/userinfo",
        )


@dataclass(frozen=True, slots=True)
class GoogleOAuth:
    """An `OAuthProvider` for one client registered in a Google Cloud project, and one of the sources."""

    name: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str
    """The one scope the source needs; who connects may untick it on Google's page."""
    endpoints: Endpoints

    def authorization_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        """See `OAuthProvider.authorization_url`."""
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                self.endpoints.authorize,
                state=state,
                code_verifier=code_verifier,
                access_type="offline",
                # Without it, Google gives a refresh token at the very first consent only.
                prompt="consent",
            )
        return str(url)

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> Credentials:
        """See `OAuthProvider.exchange`. Never tried twice: the code may be used up without an answer."""
        try:
            with self._client(redirect_uri) as client:
                token = client.fetch_token(
                    self.endpoints.token,
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=redirect_uri,
                    code_verifier=code_verifier,
                )
            credentials = _credentials(token, asked=self._scopes)
        except OAuthError as error:
            raise ProviderRefused(dict(_REASONS).get(error.error)) from error
        except (httpx2.HTTPError, KeyError, ValueError, TypeError) as error:
            # Including answers that are no JSON, or JSON that is neither a token nor an error.
            raise ProviderUnavailable from error
        if self.scope not in credentials.scopes:
            raise ProviderRefused(
                "Reading was not allowed on Google's page; start again and leave it ticked."
            )
        return credentials

    def account(self, credentials: Credentials) -> Account:
        """See `OAuthProvider.account`."""
        token = f"Bearer {credentials.access_token}"
        with Conversation(self.endpoints.userinfo, headers={"Authorization": token}, refusal=refusal) as talk:
            user = talk.get_json("")
        try:
            return Account(external_id=str(user["sub"]), label=str(user.get("email") or user["sub"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ProviderUnavailable from error

    def refresh(self, credentials: Credentials) -> Credentials:
        """See `OAuthProvider.refresh`. Google keeps the refresh token as a rule; a new one replaces it."""
        if not credentials.refresh_token:
            raise CredentialsRejected
        try:
            with self._client() as client:
                token = client.refresh_token(self.endpoints.token, refresh_token=credentials.refresh_token)
            return _credentials(token, asked=credentials.scopes, refresh_token=credentials.refresh_token)
        except OAuthError as error:
            if error.error == "invalid_grant":
                raise CredentialsRejected from error
            raise ProviderRefused(dict(_REASONS).get(error.error)) from error
        except (httpx2.HTTPError, KeyError, ValueError, TypeError) as error:
            raise ProviderUnavailable from error

    def revoke(self, credentials: Credentials) -> None:
        """See `OAuthProvider.revoke`. A refresh token takes its access tokens along."""
        form = {"token": credentials.refresh_token or credentials.access_token}
        try:
            with httpx2.Client(timeout=TIMEOUT) as client:
                status = client.post(self.endpoints.revoke, data=form).status_code
        except httpx2.HTTPError as error:
            raise ProviderUnavailable from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ProviderUnavailable
        # 400 is `invalid_token`: it has ended already.
        if status not in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST):
            raise ProviderRefused(f"Google answered with status {status}.")

    @property
    def _scopes(self) -> tuple[str, ...]:
        # `openid email` name the account.
        return ("openid", "email", self.scope)

    def _client(self, redirect_uri: str | None = None) -> OAuth2Client:
        return OAuth2Client(
            self.client_id,
            self.client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            scope=" ".join(self._scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT,
        )


def connect_with(app: OAuthApp, *, name: str, scope: str) -> GoogleOAuth:
    """What connects accounts for the source `name`."""
    return GoogleOAuth(
        name=name,
        client_id=app.client_id,
        client_secret=app.client_secret,
        scope=scope,
        endpoints=Endpoints.of(app),
    )


def _credentials(
    token: Mapping[str, Any], *, asked: tuple[str, ...], refresh_token: str | None = None
) -> Credentials:
    expires_in = token.get("expires_in")
    return Credentials(
        access_token=str(token["access_token"]),
        refresh_token=token.get("refresh_token") or refresh_token,
        expires_at=datetime.now(UTC) + timedelta(seconds=int(expires_in)) if expires_in else None,
        # An answer without scopes grants what was asked for (RFC 6749, 5.1).
        scopes=tuple(str(token.get("scope") or "").split()) or asked,
        token_type=str(token.get("token_type") or "Bearer"),
    )

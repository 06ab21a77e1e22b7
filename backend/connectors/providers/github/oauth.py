"""Connects a GitHub account: OAuth app or GitHub App, authorization code grant with PKCE (S256).

GitHub knows no scope that only reads private repositories: `repo` is the least that shows them, and it would
also allow writing, which nothing here does. A GitHub App ignores scopes: it has the permissions it was registered
with, in the repositories it was installed for; its tokens end after some hours and are refreshed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
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
from backend.connectors.providers.github.client import UNREADABLE, GitHubClient

#: `read:user` names the account, `repo` opens private repositories.
DEFAULT_SCOPES: Final = ("read:user", "repo")

#: GitHub's error codes that tell a user something. Others are not repeated: the text is not ours.
_REASONS: Final = (
    ("bad_verification_code", "GitHub says the sign-in was used already or took too long; start again."),
    ("redirect_uri_mismatch", "GitHub does not know this installation's callback address."),
    ("incorrect_client_credentials", "GitHub does not accept this installation's client id and secret."),
    ("unverified_user_email", "GitHub wants a verified e-mail address for this account first."),
)

#: What GitHub says of a refresh token that has been used, has ended, or was revoked.
_SPENT: Final = ("bad_refresh_token", "invalid_grant")


@dataclass(frozen=True, slots=True)
class GitHubOAuth:
    """An `OAuthProvider` for one OAuth app, or one GitHub App, of github.com or a GitHub Enterprise server."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_base: str = "https://github.com"
    api_base: str = "https://api.github.com"
    scopes: tuple[str, ...] = DEFAULT_SCOPES

    @property
    def name(self) -> str:
        """See `OAuthProvider.name`."""
        return "github"

    def authorization_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        """See `OAuthProvider.authorization_url`."""
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                f"{self.authorize_base.rstrip('/')}/login/oauth/authorize",
                state=state,
                code_verifier=code_verifier,
            )
        return str(url)

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> Credentials:
        """See `OAuthProvider.exchange`. Never tried twice: the code may be used up without an answer."""
        try:
            with self._client(redirect_uri) as client:
                token = client.fetch_token(
                    self._token_url,
                    grant_type="authorization_code",
                    code=code,
                    redirect_uri=redirect_uri,
                    code_verifier=code_verifier,
                )
            return _credentials(token)
        except OAuthError as error:
            raise ProviderRefused(dict(_REASONS).get(error.error)) from error
        except (httpx2.HTTPError, KeyError, ValueError) as error:
            # Including answers that are no JSON, or JSON that is neither a token nor an error.
            raise ProviderUnavailable from error

    def refresh(self, credentials: Credentials) -> Credentials:
        """See `OAuthProvider.refresh`. Only tokens of a GitHub App end, and those can be refreshed once."""
        if credentials.refresh_token is None:
            raise CredentialsRejected
        try:
            with self._client() as client:
                token = client.refresh_token(self._token_url, refresh_token=credentials.refresh_token)
            return _credentials(token, before=credentials)
        except OAuthError as error:
            if error.error in _SPENT:
                raise CredentialsRejected from error
            raise ProviderRefused(dict(_REASONS).get(error.error)) from error
        except (httpx2.HTTPError, KeyError, ValueError) as error:
            raise ProviderUnavailable from error

    def account(self, credentials: Credentials) -> Account:
        """See `OAuthProvider.account`."""
        try:
            with GitHubClient(self.api_base, credentials.access_token) as client:
                user = client.get("/user").data
        except UNREADABLE as error:
            raise ProviderRefused(error.message) from error
        return Account(external_id=str(user["id"]), label=str(user["login"]))

    def revoke(self, credentials: Credentials) -> None:
        """See `OAuthProvider.revoke`.

        Ends this one token. Deleting the whole grant would also disconnect the same person's other
        connectors.
        """
        url = f"{self.api_base.rstrip('/')}/applications/{self.client_id}/token"
        try:
            with httpx2.Client(timeout=TIMEOUT, auth=(self.client_id, self.client_secret)) as client:
                body = {"access_token": credentials.access_token}
                status = client.request("DELETE", url, json=body).status_code
        except httpx2.HTTPError as error:
            raise ProviderUnavailable from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise ProviderUnavailable
        # 404 and 422 are GitHub's ways to say that the token is no longer one of this app's.
        if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise ProviderRefused(f"GitHub answered with status {status}.")

    @property
    def _token_url(self) -> str:
        return f"{self.authorize_base.rstrip('/')}/login/oauth/access_token"

    def _client(self, redirect_uri: str | None = None) -> OAuth2Client:
        return OAuth2Client(
            self.client_id,
            self.client_secret,
            # GitHub reads the client from the form, not from an Authorization header.
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            scope=" ".join(self.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT,
        )


def _credentials(token: Mapping[str, Any], before: Credentials | None = None) -> Credentials:
    # GitHub Apps with expiring tokens get `expires_in` and a refresh token; others get neither.
    expires_in = token.get("expires_in")
    # GitHub separates scopes by commas, the standard by spaces; a GitHub App has permissions instead.
    scopes = tuple(str(token.get("scope") or "").replace(",", " ").split())
    return Credentials(
        access_token=str(token["access_token"]),
        refresh_token=token.get("refresh_token") or (before.refresh_token if before else None),
        expires_at=datetime.now(UTC) + timedelta(seconds=int(expires_in)) if expires_in else None,
        scopes=scopes or (before.scopes if before else ()),
        token_type=str(token.get("token_type") or "bearer"),
    )

"""Connects a Box account: authorization code grant of a "custom app with user authentication (OAuth 2.0)".

Box documents no PKCE for such apps (its description of `GET /authorize` and of the token request has no parameter
for it), so none is sent: the client secret and the one-time `state` protect the exchange. Refresh tokens work once
and for 60 days; each refresh gives a new one.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import httpx2

from backend.connectors.providers.box.client import open_conversation
from backend.connectors.providers.code_grant import CodeGrant
from backend.connectors.providers.contract import Account, Credentials, ProviderRefused, ProviderUnavailable
from backend.connectors.providers.conversation import TIMEOUT

#: Reads all files of the account and writes none, whatever else the app is allowed.
SCOPES: Final = ("root_readonly",)


@dataclass(frozen=True, slots=True)
class BoxOAuth:
    """An `OAuthProvider` for one app registered at Box."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_base: str = "https://account.box.com"
    api_base: str = "https://api.box.com"

    @property
    def name(self) -> str:
        """See `OAuthProvider.name`."""
        return "box"

    def authorization_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        """See `OAuthProvider.authorization_url`. The verifier is not used."""
        return self._grant.authorization_url(
            redirect_uri=redirect_uri, state=state, code_verifier=code_verifier
        )

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> Credentials:
        """See `OAuthProvider.exchange`. Box accepts a code for 30 seconds."""
        return self._grant.exchange(code=code, redirect_uri=redirect_uri, code_verifier=code_verifier)

    def account(self, credentials: Credentials) -> Account:
        """See `OAuthProvider.account`."""
        with open_conversation(self.api_base, credentials.access_token) as box:
            user = box.get_object("/2.0/users/me", {"fields": "id,login,name"})
        return Account(
            external_id=str(user["id"]), label=str(user.get("login") or user.get("name") or user["id"])
        )

    def refresh(self, credentials: Credentials) -> Credentials:
        """See `OAuthProvider.refresh`."""
        return self._grant.refresh(credentials)

    def revoke(self, credentials: Credentials) -> None:
        """See `OAuthProvider.revoke`.

        By the refresh token: the access token may have expired, and either of the two ends both.
        """
        form = {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "token": credentials.refresh_token or credentials.access_token,
        }
        try:
            with httpx2.Client(timeout=TIMEOUT) as client:
                answer = client.post(f"{self.api_base.rstrip('/')}/oauth2/revoke", data=form)
        except httpx2.HTTPError as error:
            raise ProviderUnavailable from error
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or (
            answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
        ):
            raise ProviderUnavailable
        if not answer.is_success and b"invalid_client" in answer.content:
            raise ProviderRefused("Box does not accept this installation's client id and secret.")
        # What remains is 400 with `invalid_token` or `invalid_grant`: it has ended already.
        if not answer.is_success and answer.status_code != HTTPStatus.BAD_REQUEST:
            raise ProviderRefused(f"Box answered with status {answer.status_code}.")

    @property
    def _grant(self) -> CodeGrant:
        return CodeGrant(
            provider="Box",
            client_id=self.client_id,
            client_secret=self.client_secret,
            authorize_url=f"{self.authorize_base.rstrip('/')}/api/oauth2/authorize",
            token_url=f"{self.api_base.rstrip('/')}/oauth2/token",
            scopes=SCOPES,
            uses_pkce=False,
        )

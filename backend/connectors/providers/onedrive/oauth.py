"""Connects a Microsoft account: Microsoft identity platform v2.0, authorization code grant with PKCE (S256).

Refresh tokens are replaced at each refresh, the one before stays valid for a while. Microsoft has no way to end the
tokens of one app: `revoke` does nothing, an access token ends by itself within about an hour, and people remove the
app's access at https://myapps.microsoft.com (work or school) or https://account.live.com/consent/Manage (personal).
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from backend.connectors.providers.code_grant import CodeGrant
from backend.connectors.providers.contract import Account, Credentials
from backend.connectors.providers.onedrive.graph import open_conversation

#: Name the account, read its own files, and stay connected; nothing is ever written.
SCOPES: Final = ("offline_access", "User.Read", "Files.Read")
#: Besides, the document libraries of SharePoint sites the account can open. Work or school accounts only.
SITE_SCOPES: Final = (*SCOPES, "Sites.Read.All")


@dataclass(frozen=True, slots=True)
class MicrosoftOAuth:
    """An `OAuthProvider` for one app registered in Microsoft Entra."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_base: str = "https://login.microsoftonline.com"
    api_base: str = "https://graph.microsoft.com"
    directory: str = "common"
    """Whose accounts may connect: a directory's id or domain, `common`, `organizations` or `consumers`."""
    with_sites: bool = False
    """Whether people are asked for SharePoint as well."""

    @property
    def name(self) -> str:
        """See `OAuthProvider.name`."""
        return "onedrive"

    def authorization_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        """See `OAuthProvider.authorization_url`."""
        return self._grant.authorization_url(
            redirect_uri=redirect_uri, state=state, code_verifier=code_verifier
        )

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> Credentials:
        """See `OAuthProvider.exchange`."""
        return self._grant.exchange(code=code, redirect_uri=redirect_uri, code_verifier=code_verifier)

    def account(self, credentials: Credentials) -> Account:
        """See `OAuthProvider.account`."""
        with open_conversation(self.api_base, credentials.access_token) as graph:
            user = graph.get_object("/v1.0/me", {"$select": "id,displayName,mail,userPrincipalName"})
        label = user.get("userPrincipalName") or user.get("mail") or user.get("displayName") or user["id"]
        return Account(external_id=str(user["id"]), label=str(label))

    def refresh(self, credentials: Credentials) -> Credentials:
        """See `OAuthProvider.refresh`.

        Asks for what was granted, not for what a new consent would ask for: more would be refused.
        """
        granted = {scope.rpartition("/")[2] or scope for scope in credentials.scopes}
        scopes = [scope for scope in SITE_SCOPES if scope in granted and scope != "offline_access"]
        return self._grant.refresh(credentials, scope=" ".join(("offline_access", *(scopes or SCOPES[1:]))))

    def revoke(self, credentials: Credentials) -> None:
        """See `OAuthProvider.revoke`: Microsoft has no such thing for one app, so this does nothing.

        (`/me/revokeSignInSessions` would sign the person out of everything, everywhere.)
        """

    @property
    def _grant(self) -> CodeGrant:
        base = f"{self.authorize_base.rstrip('/')}/{quote(self.directory, safe='')}/oauth2/v2.0"
        return CodeGrant(
            provider="Microsoft",
            client_id=self.client_id,
            client_secret=self.client_secret,
            authorize_url=f"{base}/authorize",
            token_url=f"{base}/token",
            scopes=SITE_SCOPES if self.with_sites else SCOPES,
            uses_pkce=True,
            # Browsers are often signed in to an account at work and a personal one at once.
            extra=(("prompt", "select_account"),),
        )

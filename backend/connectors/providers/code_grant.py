"""The authorization code grant (RFC 6749) as providers speak it: consent address, exchange, refresh.

Authlib's client does the protocol; here is what it leaves to its callers: which error means what to the engine,
and that nothing is sent twice that works once.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    ProviderRefused,
    ProviderUnavailable,
)
from backend.connectors.providers.conversation import TIMEOUT

#: Errors of a token endpoint that only a new consent mends.
_NEEDS_CONSENT: Final = frozenset(
    {"invalid_grant", "interaction_required", "consent_required", "login_required"}
)
#: Errors that are no answer to the request.
_NOT_NOW: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """One app registered at one provider. The client id and secret go into the form of each request."""

    provider: str
    """The provider's name, for people."""
    client_id: str
    client_secret: str = field(repr=False)
    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    uses_pkce: bool
    """Whether the provider knows PKCE (RFC 7636, S256)."""
    extra: tuple[tuple[str, str], ...] = ()
    """More parameters of the consent address."""

    def authorization_url(self, *, redirect_uri: str, state: str, code_verifier: str) -> str:
        """Where to send the browser."""
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                self.authorize_url,
                state=state,
                code_verifier=code_verifier if self.uses_pkce else None,
                **dict(self.extra),
            )
        return str(url)

    def exchange(self, *, code: str, redirect_uri: str, code_verifier: str) -> Credentials:
        """See `OAuthProvider.exchange`. Never tried twice: the code may be used up without an answer."""
        proof = {"code_verifier": code_verifier} if self.uses_pkce else {}
        with self._answered(), self._client(redirect_uri) as client:
            token = client.fetch_token(
                self.token_url,
                grant_type="authorization_code",
                code=code,
                redirect_uri=redirect_uri,
                **proof,
            )
            return _credentials(token, self.scopes, None)

    def refresh(self, credentials: Credentials, *, scope: str | None = None) -> Credentials:
        """See `OAuthProvider.refresh`. Never tried twice: the refresh token may be used up without an answer."""
        if not credentials.refresh_token:
            raise CredentialsRejected
        named = {"scope": scope} if scope else {}
        with self._answered(CredentialsRejected), self._client(None) as client:
            # Without a scope of its own the client would ask for all that a new consent would ask for.
            client.scope = None
            token = client.refresh_token(self.token_url, refresh_token=credentials.refresh_token, **named)
            return _credentials(token, credentials.scopes, credentials.refresh_token)

    @contextmanager
    def _answered(self, when_refused: type[CredentialsRejected] | None = None) -> Iterator[None]:
        """What a token endpoint's answers mean; the text of an error is not repeated, it is not ours."""
        try:
            yield
        except OAuthError as error:
            if error.error in _NOT_NOW:
                raise ProviderUnavailable from error
            if error.error in _NEEDS_CONSENT:
                raise (when_refused or self._code_refused)() from error
            if error.error in ("invalid_client", "unauthorized_client"):
                raise ProviderRefused(
                    f"{self.provider} does not accept this installation's client id and secret."
                ) from error
            raise ProviderRefused from error
        except (httpx2.HTTPError, KeyError, ValueError, TypeError) as error:
            # Including answers that are no JSON, or JSON that is neither a token nor an error.
            raise ProviderUnavailable from error

    def _code_refused(self) -> ProviderRefused:
        return ProviderRefused(
            f"{self.provider} says the sign-in was used already or took too long; start again."
        )

    def _client(self, redirect_uri: str | None) -> OAuth2Client:
        return OAuth2Client(
            self.client_id,
            self.client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            scope=" ".join(self.scopes),
            redirect_uri=redirect_uri,
            code_challenge_method="S256" if self.uses_pkce else None,
            timeout=TIMEOUT,
        )


def _credentials(token: Mapping[str, Any], scopes: tuple[str, ...], refresh_token: str | None) -> Credentials:
    """`scopes` and `refresh_token` stand for what the answer leaves out: as before (RFC 6749, 5.1 and 6)."""
    expires_in = token.get("expires_in")
    return Credentials(
        access_token=str(token["access_token"]),
        refresh_token=token.get("refresh_token") or refresh_token,
        expires_at=datetime.now(UTC) + timedelta(seconds=int(expires_in)) if expires_in else None,
        scopes=tuple(str(token["scope"]).replace(",", " ").split()) if token.get("scope") else scopes,
        token_type=str(token.get("token_type") or "bearer"),
    )

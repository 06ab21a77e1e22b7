"""Tickets, states, and what a callback does; knows no Flask."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.models import Connector
from backend.connectors.providers.contract import Account, Credentials, OAuthProvider
from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Database, Session
from backend.errors import Invalid
from backend.flows.schedule_sync.flow import plan
from backend.flows.watch_source.flow import watch
from backend.keyring import Keyring, TokenExpired, TokenInvalid
from backend.oauth.repository import NonceExpired, OAuthNonceRepository
from backend.sync.positions.repository import SyncPositionRepository

_TICKET = "oauth-begin"
_STATE = "oauth-state"
_PKCE = "oauth-pkce"
_CONFIRM = "oauth-confirm"


class StateInvalid(Invalid):
    """This connection attempt is not one of ours; start again."""


class NotConfigured(Invalid):
    """This source is not set up on this server."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One person's attempt to connect one source, as its signed token says."""

    tenant_id: UUID
    user_id: UUID
    connector_type: str
    nonce: str
    pkce_kid: str
    expires_at: int

    def token(self, keyring: Keyring, purpose: str) -> str:
        """This attempt as a signed token for one purpose."""
        return keyring.sign(
            purpose,
            {
                "tid": str(self.tenant_id),
                "sub": str(self.user_id),
                "con": self.connector_type,
                "jti": self.nonce,
                "pke": self.pkce_kid,
                "exp": self.expires_at,
            },
        )


@dataclass(frozen=True, slots=True)
class ConnectAccount:
    """The steps of connecting; holds nothing but how to reach the database, the keys and the providers."""

    db: Database
    keyring: Keyring
    providers: Mapping[str, OAuthProvider]
    redirect_uris: Mapping[str, str]
    lifetime: timedelta
    #: Types of sources whose providers are asked to call.
    watched: frozenset[str] = frozenset()

    def provider(self, connector_type: str) -> OAuthProvider:
        """The provider of that name. Raises NotConfigured."""
        provider = self.providers.get(connector_type)
        if provider is None:
            raise NotConfigured(f"The connector {connector_type} is not set up on this server.")
        return provider

    def issue(self, tenant_id: UUID, user_id: UUID, connector_type: str) -> tuple[str, str]:
        """(ticket for the begin address, state for the provider) of a new attempt. Raises NotConfigured."""
        self.provider(connector_type)
        kid, _ = self.keyring.derive_text(_PKCE, "")
        attempt = Attempt(
            tenant_id=tenant_id,
            user_id=user_id,
            connector_type=connector_type,
            nonce=secrets.token_urlsafe(24),
            pkce_kid=kid,
            expires_at=int(time.time() + self.lifetime.total_seconds()),
        )
        # Lost in a crash, an attempt is unknown: the person is asked to start again.
        with self.db.statement(tenant_id, durable=False) as session:
            OAuthNonceRepository(session).issue(
                tenant_id,
                attempt.nonce,
                user_id=user_id,
                connector_type=connector_type,
                lifetime=self.lifetime,
            )
        return attempt.token(self.keyring, _TICKET), attempt.token(self.keyring, _STATE)

    def read_ticket(self, ticket: str, connector_type: str) -> Attempt:
        """The attempt a begin address stands for. Raises StateInvalid, NonceExpired."""
        return self._read(_TICKET, ticket, connector_type)

    def read_state(self, state: str, connector_type: str) -> Attempt:
        """The attempt a callback's state stands for. Raises StateInvalid, NonceExpired."""
        return self._read(_STATE, state, connector_type)

    def confirmation(self, ticket: str, browser: str) -> str:
        """What the confirmation page's form carries: only this browser, for this ticket, has it."""
        return self.keyring.mac(_CONFIRM, f"{ticket}\n{browser}".encode()).hex()

    def is_confirmed(self, ticket: str, browser: str, confirmation: str) -> bool:
        """Whether the form was rendered for this browser and this ticket."""
        try:
            mac = bytes.fromhex(confirmation)
        except ValueError:
            return False
        return self.keyring.mac_matches(_CONFIRM, f"{ticket}\n{browser}".encode(), mac)

    def begin(self, attempt: Attempt, browser: str) -> str:
        """Binds the attempt to the browser, once; returns the provider's address.

        Raises what `OAuthNonceRepository.begin` raises.
        """
        # Lost in a crash, no browser has begun it: the callback is refused.
        with self.db.statement(attempt.tenant_id, durable=False) as session:
            OAuthNonceRepository(session).begin(
                attempt.tenant_id,
                attempt.nonce,
                user_id=attempt.user_id,
                connector_type=attempt.connector_type,
                browser=browser,
            )
        return self.provider(attempt.connector_type).authorization_url(
            redirect_uri=self.redirect_uris[attempt.connector_type],
            state=attempt.token(self.keyring, _STATE),
            code_verifier=self._verifier(attempt),
        )

    def consume(self, attempt: Attempt, browser: str) -> None:
        """Takes the attempt's nonce, once. Raises what `OAuthNonceRepository.consume` raises."""
        # Once means once, also after a crash.
        with self.db.statement(attempt.tenant_id) as session:
            OAuthNonceRepository(session).consume(
                attempt.tenant_id,
                attempt.nonce,
                user_id=attempt.user_id,
                connector_type=attempt.connector_type,
                browser=browser,
            )

    def connect(self, attempt: Attempt, code: str) -> Connector:
        """Exchanges the code and stores the connection. Raises ProviderRefused, ProviderUnavailable."""
        provider = self.provider(attempt.connector_type)
        credentials = provider.exchange(
            code=code,
            redirect_uri=self.redirect_uris[attempt.connector_type],
            code_verifier=self._verifier(attempt),
        )
        account = provider.account(credentials)
        with self.db.transaction(attempt.tenant_id) as session:
            return store_connection(
                session,
                self.keyring,
                attempt.tenant_id,
                attempt.connector_type,
                connected_by=attempt.user_id,
                account=account,
                credentials=credentials,
                watched=self.watched,
            )

    def _verifier(self, attempt: Attempt) -> str:
        # Derived, not stored: the same on every instance, and nowhere to be read (RFC 7636, 43 characters).
        return self.keyring.derive_text(_PKCE, attempt.nonce, kid=attempt.pkce_kid)[1]

    def _read(self, purpose: str, token: str, connector_type: str) -> Attempt:
        try:
            claims = self.keyring.verify(purpose, token)
            attempt = Attempt(
                tenant_id=UUID(str(claims["tid"])),
                user_id=UUID(str(claims["sub"])),
                connector_type=str(claims["con"]),
                nonce=str(claims["jti"]),
                pkce_kid=str(claims["pke"]),
                expires_at=int(claims["exp"]),
            )
        except TokenExpired as error:
            raise NonceExpired from error
        except (TokenInvalid, KeyError, ValueError) as error:
            raise StateInvalid from error
        if attempt.connector_type != connector_type:
            raise StateInvalid("This connection attempt is for another source; start again.")
        return attempt


def store_connection(
    session: Session,
    keyring: Keyring,
    tenant_id: UUID,
    connector_type: str,
    *,
    connected_by: UUID,
    account: Account,
    credentials: Credentials,
    watched: frozenset[str] = frozenset(),
) -> Connector:
    """The connector, connected, with sealed credentials and a schedule. Another account than before is read from its
    beginning; the same one goes on where it was, with the documents that were kept."""
    connectors = ConnectorRepository(session)
    before = connectors.find(tenant_id, connector_type)
    was = before.account_id if before else None
    connector = connectors.connect(
        tenant_id,
        connector_type,
        connected_by=connected_by,
        account_id=account.external_id,
        account_label=account.label,
    )
    CredentialRepository(session, keyring).store(
        tenant_id, connector.id, credentials.to_json(), expires_at=credentials.expires_at
    )
    if was is not None and was != account.external_id:
        SyncPositionRepository(session).begin_anew(tenant_id, connector.id)
    plan(session, connector)
    watch(session, connector, watched, anew=True)
    return connector

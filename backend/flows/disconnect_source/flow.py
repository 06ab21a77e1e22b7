"""Ends a connection here and at the provider, and asks for its documents to be deleted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

import structlog

from backend.connectors.channels.repository import ChannelRepository
from backend.connectors.credentials.repository import CredentialRepository, CredentialsNotFound
from backend.connectors.models import Connector, WatchChannel
from backend.connectors.providers.contract import Credentials, OAuthProvider, Opening
from backend.connectors.providers.provider import Provider
from backend.connectors.removals.repository import RemovalRepository
from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Database, Session
from backend.documents.sources.repository import SourceDocumentRepository
from backend.errors import StateError
from backend.flows.schedule_sync.flow import end
from backend.flows.sync_connector.flow import cancel_sync
from backend.flows.watch_source.flow import end_channel, unwatch
from backend.jobs.repository import JobRepository
from backend.keyring import Keyring, SealBroken
from backend.sync.repository import SyncRunRepository

_log = structlog.get_logger(__name__)

#: Jobs of this kind have `connector_id`.
FORGET_KIND: Final = "forget_source"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of disconnecting."""

    is_revoked: bool
    """Whether the access has ended at the provider too, or there was none."""
    is_removing: bool
    """Whether documents are being deleted."""


@dataclass(frozen=True, slots=True)
class DisconnectSource:
    """Holds nothing but how to reach the database, the keys and the providers."""

    db: Database
    keyring: Keyring
    oauth_providers: Mapping[str, OAuthProvider]
    api_bases: Mapping[str, str]

    def disconnect(
        self,
        tenant_id: UUID,
        provider: Provider,
        *,
        requested_by: UUID,
        documents: Literal["keep", "delete"] = "keep",
    ) -> Outcome:
        """Ends the connection here in one transaction, then at the provider. Again, and nothing more happens."""
        opened: bytes | None = None
        was_stored, is_removing = True, False
        with self.db.transaction(tenant_id) as session:
            connectors = ConnectorRepository(session)
            found = connectors.find(tenant_id, provider.type)
            connector = found and connectors.lock(tenant_id, found.id)
            if connector is None:
                return Outcome(is_revoked=True, is_removing=False)
            run = SyncRunRepository(session).find_latest(tenant_id, connector.id)
            if run is not None and not run.is_finished:
                cancel_sync(session, run, cancelled_by=requested_by)
            try:
                opened = CredentialRepository(session, self.keyring).open(tenant_id, connector.id).secret
            except CredentialsNotFound:
                was_stored = False
            except SealBroken:
                # Its key is gone: it can be forgotten, but not shown to the provider to be ended there.
                pass
            connectors.disconnect(tenant_id, connector.id)
            end(session, connector)
            unwatch(session, connector)
            channel = ChannelRepository(session).find(tenant_id, connector.id)
            ChannelRepository(session).forget(tenant_id, connector.id)
            if documents == "delete":
                _ask_for_removal(session, connector, requested_by)
                is_removing = True
        if not was_stored or provider.auth_type == "config":
            return Outcome(is_revoked=True, is_removing=is_removing)
        credentials = None if opened is None else _understood(opened)
        if credentials is not None and channel is not None:
            credentials = self._stop_calls(provider, channel, credentials)
        return Outcome(is_revoked=self._revoke(provider, credentials), is_removing=is_removing)

    def _stop_calls(self, provider: Provider, channel: WatchChannel, credentials: Credentials) -> Credentials:
        """Ends the channel over which the provider calls, if it can be; the credentials that are to be ended then."""
        oauth = self.oauth_providers.get(provider.type)
        ends_at = credentials.expires_at
        if oauth and credentials.refresh_token and ends_at and ends_at < datetime.now(UTC):
            try:
                fresh = oauth.refresh(credentials)
                credentials = replace(fresh, refresh_token=fresh.refresh_token or credentials.refresh_token)
            except StateError as error:
                _log.info("a channel is left to end by itself", type=provider.type, error=error.error_code)
                return credentials
        base = (self.api_bases.get(provider.type) or provider.api_base).rstrip("/")
        end_channel(provider, Opening({}, credentials, base), channel)
        return credentials

    def _revoke(self, provider: Provider, credentials: Credentials | None) -> bool:
        oauth = self.oauth_providers.get(provider.type)
        if credentials is None or oauth is None:
            return False
        try:
            oauth.revoke(credentials)
        except StateError as error:
            _log.warning("access not ended at the provider", type=provider.type, error=error.error_code)
            return False
        return not provider.where_to_end_access


def _ask_for_removal(session: Session, connector: Connector, requested_by: UUID) -> None:
    total = SourceDocumentRepository(session).count_of(connector.tenant_id, connector.id)
    removals = RemovalRepository(session)
    removal = removals.request(connector.tenant_id, connector.id, requested_by=requested_by, total=total)
    if removal is not None:
        job_id = JobRepository(session).enqueue(
            connector.tenant_id, FORGET_KIND, {"connector_id": str(connector.id)}
        )
        removals.attach_job(connector.tenant_id, connector.id, job_id)


def _understood(secret: bytes) -> Credentials | None:
    """The credentials, or None for what no version of this product can use: that can only be forgotten."""
    try:
        return Credentials.from_json(secret)
    except (ValueError, KeyError):
        return None

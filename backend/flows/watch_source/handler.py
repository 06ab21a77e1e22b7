"""What the worker does so that a provider calls: opens the channel of a source, renews it, and opens it anew."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import structlog

from backend.connectors.channels.repository import ChannelRepository
from backend.connectors.models import Connector, WatchChannel
from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    ItemGone,
    ItemUnreadable,
    Opening,
    ProviderRefused,
)
from backend.connectors.providers.provider import OpenChannel, Provider, load
from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Database, Session
from backend.flows.receive_webhook.flow import ReceiveWebhook
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.flows.watch_source.flow import RENEWED_BEFORE, end_channel, unwatch
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.keyring import Keyring

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WatchSourceHandler:
    """Carries out `watch_source` jobs. `keyring` is the one of SECRET_KEYS; `watched` are the types that get a channel
    on this installation."""

    db: Database
    keyring: Keyring
    keeper: CredentialKeeper
    providers: Mapping[str, Provider]
    api_bases: Mapping[str, str]
    public_url: str
    watched: frozenset[str]

    def run(self, claim: Claim, _should_stop: Callable[[], bool]) -> None:
        """Does nothing for a source that is not connected, or whose channel lasts.

        What passes (the provider does not answer) fails this try. What a person must see to is written down; the next
        turn tries again.
        """
        connector_id = UUID(str(claim.args["connector_id"]))
        with self.db.transaction(claim.tenant_id) as session:
            jobs = JobRepository(session)
            jobs.hold(claim)
            connector = ConnectorRepository(session).lock(claim.tenant_id, connector_id)
            before = ChannelRepository(session).find(claim.tenant_id, connector_id)
            if connector is not None and (
                connector.type not in self.watched or connector.status == "disconnected"
            ):
                # As when the installation has another address by now; what was opened ends by itself.
                unwatch(session, connector)
                ChannelRepository(session).forget(claim.tenant_id, connector_id)
                connector = None
            if connector is None or connector.status != "connected" or self._lasts(connector, before):
                jobs.complete(claim)
                return
        channel_id = str(uuid4())
        try:
            credentials, opened = self._open(connector, channel_id)
        except (CredentialsRejected, ProviderRefused, ItemGone, ItemUnreadable) as error:
            _log.warning("no channel could be opened", type=connector.type, reason=error.message)
            with self.db.transaction(claim.tenant_id) as session:
                JobRepository(session).complete(claim)
                ChannelRepository(session).note_refusal(claim.tenant_id, connector_id, error.message)
            return
        superfluous = self._store(claim, connector, channel_id, opened, before)
        if superfluous is not None:
            provider = self.providers[connector.type]
            end_channel(provider, self._opening(connector, credentials), superfluous)

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """The schedule's next turn tries again."""
        connector_id = UUID(str(args["connector_id"]))
        if ConnectorRepository(session).lock(tenant_id, connector_id) is not None:
            ChannelRepository(session).note_refusal(tenant_id, connector_id, reason)

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """Nothing was opened."""

    def _lasts(self, connector: Connector, channel: WatchChannel | None) -> bool:
        """Whether the channel is this account's, at this address, and does not end soon."""
        return (
            channel is not None
            and channel.expires_at is not None
            and channel.expires_at - datetime.now(UTC) > RENEWED_BEFORE
            and channel.account_id == connector.account_id
            and channel.address_sha256 == self._fingerprint(connector)
        )

    def _open(self, connector: Connector, channel_id: str) -> tuple[Credentials, OpenChannel]:
        """(credentials it was opened with, the channel); refused ones are renewed once."""
        address, token = self._place(connector)
        open_channel = load(str(self.providers[connector.type].open_channel))
        held = self.keeper.current(connector)
        try:
            opened = open_channel(self._opening(connector, held.credentials), channel_id, address, token)
        except CredentialsRejected:
            held = self.keeper.renew(connector, held.version)
            opened = open_channel(self._opening(connector, held.credentials), channel_id, address, token)
        return held.credentials, opened

    def _store(
        self,
        claim: Claim,
        connector: Connector,
        channel_id: str,
        opened: OpenChannel,
        before: WatchChannel | None,
    ) -> WatchChannel | None:
        """Keeps the channel; which one is of no use any more: the one before, or itself if the source was disconnected
        or connected anew meanwhile."""
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).complete(claim)
            now = ConnectorRepository(session).lock(claim.tenant_id, connector.id)
            if now is None or now.status != "connected" or now.account_id != connector.account_id:
                return WatchChannel(channel_id=channel_id, resource=opened.resource)
            ChannelRepository(session).put(
                claim.tenant_id,
                connector.id,
                channel_id=channel_id,
                resource=opened.resource,
                account_id=connector.account_id,
                address_sha256=self._fingerprint(connector),
                expires_at=opened.expires_at,
            )
        _log.info("a channel was opened", type=connector.type, until=opened.expires_at.isoformat())
        return before

    def _place(self, connector: Connector) -> tuple[str, str]:
        """(address, token) of the connector's calls."""
        webhook = ReceiveWebhook(self.db, self.keyring, {}).webhook_of(connector)
        return f"{self.public_url}/api/webhooks/{connector.type}/{webhook.name}", webhook.secret

    def _fingerprint(self, connector: Connector) -> bytes:
        return hashlib.sha256("\n".join(self._place(connector)).encode()).digest()

    def _opening(self, connector: Connector, credentials: Credentials) -> Opening:
        provider = self.providers[connector.type]
        base = self.api_bases.get(connector.type) or provider.api_base
        return Opening(connector.settings, credentials, base.rstrip("/"))

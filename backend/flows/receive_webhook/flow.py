"""Addresses and secrets, and what a genuine call leads to."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from backend.connectors.deliveries.repository import DeliveryRepository
from backend.connectors.models import Connector
from backend.connectors.providers.provider import Delivery, Notice, Provider, load
from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Database
from backend.errors import Forbidden, NotFound, Unauthenticated
from backend.flows.sync_connector.begin import ask_for_sync
from backend.keyring import Keyring

_log = structlog.get_logger(__name__)

CALLS = Counter(
    "secondbrain_webhook_calls_total", "Calls of providers, by what came of them", ["type", "outcome"]
)

_ADDRESS: Final = "webhook-address"
_SECRET: Final = "webhook-secret"  # noqa: S105 - the name of a purpose
_MAC_CHARACTERS: Final = 22


class NoSuchWebhook(NotFound):
    """No calls are accepted at this address."""


class CallRefused(Unauthenticated):
    """This call is not signed as it must be."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One connector's address, and what calls to it are signed with."""

    name: str
    """The last part of the address: 66 URL-safe characters, 132 bits of which cannot be guessed."""
    secret: str


@dataclass(frozen=True, slots=True)
class ReceiveWebhook:
    """Holds nothing but how to reach the database, the keys and the providers.

    `keyring` is the one of SECRET_KEYS: what is written down at a provider outlives keys that are rotated.
    """

    db: Database
    keyring: Keyring
    app_secrets: Mapping[str, str]
    """By connector type, of apps whose calls are accepted."""

    def webhook_of(self, connector: Connector) -> Webhook:
        """The connector's own address and secret, the same on every instance for as long as the key is the first."""
        name = connector.tenant_id.bytes + connector.id.bytes
        return self._made(name, self.keyring.current_kid)

    def receive(
        self, provider: Provider, address: str | None, headers: Mapping[str, str], body: bytes
    ) -> Notice:
        """What a call says, after what it asks for was done. `headers` are named in lower case.

        Raises NoSuchWebhook, CallRefused (and then nothing was done), or an Invalid when it is not understood.
        """
        if provider.webhook is None or (address is None) != provider.webhook_is_apps:
            raise NoSuchWebhook
        if address is None:
            owner, secret = None, self.app_secrets.get(provider.type, "")
            if not secret:
                raise NoSuchWebhook
        else:
            owner, secret = self._read(address)
        try:
            notice: Notice = load(provider.webhook)(Delivery(headers, body, secret))
        except Forbidden as error:
            CALLS.labels(provider.type, "refused").inc()
            raise CallRefused from error
        if not notice.is_change:
            CALLS.labels(provider.type, "ignored").inc()
            return notice
        if owner is not None:
            concerned = [owner]
        elif notice.account_ids:
            with self.db.operator_transaction() as session:
                concerned = ConnectorRepository(session).list_by_account(provider.type, notice.account_ids)
        else:
            concerned = []
        for tenant_id, connector_id in concerned:
            # A transaction each: what is left over when one fails is done when the provider calls again.
            outcome = self._tell(provider, tenant_id, connector_id, notice)
            CALLS.labels(provider.type, outcome).inc()
        if not concerned:
            CALLS.labels(provider.type, "nobody's").inc()
        return notice

    def _tell(self, provider: Provider, tenant_id: UUID, connector_id: UUID, notice: Notice) -> str:
        with self.db.transaction(tenant_id) as session:
            connector = ConnectorRepository(session).lock(tenant_id, connector_id)
            if connector is None or connector.type != provider.type or connector.status != "connected":
                return "nobody's"
            deliveries = DeliveryRepository(session)
            if not deliveries.record(tenant_id, connector_id, notice.delivery_id):
                return "repeated"
            effect = "sync" if ask_for_sync(session, connector) else "joined"
            deliveries.settle(tenant_id, connector_id, notice.delivery_id, effect=effect)
        _log.info("a provider called", connector=str(connector_id), type=provider.type, effect=effect)
        return effect

    def _made(self, name: bytes, kid: str) -> Webhook:
        text = base64.urlsafe_b64encode(name).rstrip(b"=").decode()
        mac = self.keyring.derive_text(_ADDRESS, text, kid=kid)[1][:_MAC_CHARACTERS]
        return Webhook(f"{text}.{mac}", self.keyring.derive_text(_SECRET, text, kid=kid)[1])

    def _read(self, address: str) -> tuple[tuple[UUID, UUID], str]:
        """((tenant id, connector id), secret) of an address made with any of the keys. Raises NoSuchWebhook."""
        text, _, _ = address.partition(".")
        try:
            name = base64.b64decode(f"{text}=".encode(), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise NoSuchWebhook from error
        if len(name) != 32:
            raise NoSuchWebhook
        for kid, _key in self.keyring.pairs:
            made = self._made(name, kid)
            if hmac.compare_digest(made.name.encode(), address.encode()):
                return (UUID(bytes=name[:16]), UUID(bytes=name[16:])), made.secret
        raise NoSuchWebhook

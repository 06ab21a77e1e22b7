"""Changes settings, connects what is configured rather than signed in to, and lists what can be chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.models import Connector
from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    Opening,
    ProviderRefused,
)
from backend.connectors.providers.provider import Choice, Provider, load
from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Database, Session
from backend.errors import Invalid, NotFound
from backend.flows.schedule_sync.flow import plan
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.keyring import Keyring
from backend.sync.positions.repository import SyncPositionRepository


class NothingToChoose(NotFound):
    """This source has nothing to choose from."""


class SignInNeeded(Invalid):
    """This source is connected by signing in at the provider; only then it is configured."""


def change_settings(
    session: Session, tenant_id: UUID, provider: Provider, settings: Mapping[str, Any]
) -> Connector:
    """The connected source with other settings, which count from the next page on.

    Raises NotConnected, and pydantic's ValidationError.
    """
    chosen = provider.settings_model.model_validate(settings).model_dump(mode="json")
    return _store(session, ConnectorRepository(session).get(tenant_id, provider.type), chosen)


def change_setting(session: Session, tenant_id: UUID, provider: Provider, name: str, value: Any) -> Connector:
    """The same for one of the settings; the others stay."""
    connector = ConnectorRepository(session).get(tenant_id, provider.type)
    chosen = provider.settings_model.model_validate({**connector.settings, name: value})
    return _store(session, connector, chosen.model_dump(mode="json"))


def configure(
    session: Session,
    keyring: Keyring,
    tenant_id: UUID,
    provider: Provider,
    body: Mapping[str, Any],
    *,
    configured_by: UUID,
) -> Connector:
    """The source, connected, of a provider that needs no account.

    The provider's secret, if it has one, is sealed: one that is not mentioned stays, an empty one is forgotten.
    Raises SignInNeeded, and pydantic's ValidationError.
    """
    if provider.auth_type != "config":
        raise SignInNeeded
    settings = {name: value for name, value in body.items() if name != provider.secret}
    chosen = provider.settings_model.model_validate(settings).model_dump(mode="json")
    secret = body.get(provider.secret) if provider.secret else None
    if secret is not None and (not isinstance(secret, str) or len(secret) > 4096):
        raise Invalid(f"{provider.secret}: not a text of at most 4096 characters")
    connector = ConnectorRepository(session).connect(
        tenant_id, provider.type, connected_by=configured_by, account_id=None, account_label=None
    )
    credentials = CredentialRepository(session, keyring)
    if secret and secret.strip():
        key = Credentials(secret.strip(), None, None, (), "key")
        credentials.store(tenant_id, connector.id, key.to_json(), expires_at=None)
    elif provider.secret and provider.secret in body:
        credentials.forget(tenant_id, connector.id)
    plan(session, connector)
    return _store(session, connector, chosen)


@dataclass(frozen=True, slots=True)
class Chooser:
    """Asks providers what there is to choose from; no transaction is open meanwhile."""

    db: Database
    keeper: CredentialKeeper
    api_bases: Mapping[str, str]
    allow_private_addresses: bool = False

    def list_choices(self, tenant_id: UUID, provider: Provider) -> list[Choice]:
        """What the connected account has, and what of it is chosen. Credentials that have ended are renewed.

        Raises NothingToChoose, NotConnected, CredentialsRejected (and then the source needs to be reconnected),
        RateLimited, ProviderUnavailable or ProviderRefused.
        """
        if provider.choices is None:
            raise NothingToChoose
        with self.db.transaction(tenant_id) as session:
            connector = ConnectorRepository(session).get(tenant_id, provider.type)
        try:
            settings = provider.settings_model.model_validate(connector.settings).model_dump()
        except ValueError as error:
            raise ProviderRefused(
                "The settings of this source are no longer complete; set them again."
            ) from error
        try:
            if provider.auth_type == "config":
                found = self.keeper.find(connector)
                return self._ask(provider, settings, found.credentials if found else None)
            held = self.keeper.current(connector)
            try:
                return self._ask(provider, settings, held.credentials)
            except CredentialsRejected:
                held = self.keeper.renew(connector, held.version)
                return self._ask(provider, settings, held.credentials)
        except CredentialsRejected as error:
            with self.db.transaction(tenant_id) as session:
                ConnectorRepository(session).need_reconnect(tenant_id, connector.id, error.message)
            raise

    def _ask(
        self, provider: Provider, settings: Mapping[str, Any], credentials: Credentials | None
    ) -> list[Choice]:
        base = (self.api_bases.get(provider.type) or provider.api_base).rstrip("/")
        found: list[Choice] = load(str(provider.choices))(
            Opening(settings, credentials, base, self.allow_private_addresses)
        )
        return found


def _store(session: Session, connector: Connector, chosen: Mapping[str, Any]) -> Connector:
    if chosen != connector.settings:
        ConnectorRepository(session).configure(connector.tenant_id, connector.id, chosen)
        # What is new must be listed from its beginning; what is the same is not read again.
        SyncPositionRepository(session).begin_anew(connector.tenant_id, connector.id)
        session.refresh(connector)
    return connector

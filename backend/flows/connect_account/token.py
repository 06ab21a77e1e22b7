"""Connects a source by a pasted token, where the provider has such tokens."""

from uuid import UUID

from backend.connectors.models import Connector
from backend.connectors.providers.contract import ProviderRefused
from backend.connectors.providers.provider import Provider, load
from backend.db.transaction import Database
from backend.errors import Invalid, NotFound
from backend.flows.connect_account.flow import store_connection
from backend.keyring import Keyring


class NoTokens(NotFound):
    """This source is not connected by a token."""


class TokenRefused(Invalid):
    """The provider does not accept this token."""


def connect_by_token(
    db: Database,
    keyring: Keyring,
    provider: Provider,
    tenant_id: UUID,
    *,
    token: str,
    api_base: str | None,
    connected_by: UUID,
) -> Connector:
    """The connector, once the provider has said whose token it is. Nothing changes when it refuses.

    Raises NoTokens, TokenRefused with the reason, RateLimited or ProviderUnavailable.
    """
    if provider.accepts_token is None:
        raise NoTokens
    try:
        credentials, account = load(provider.accepts_token)(
            token, (api_base or provider.api_base).rstrip("/")
        )
    except ProviderRefused as error:
        raise TokenRefused(error.message) from error
    with db.transaction(tenant_id) as session:
        return store_connection(
            session,
            keyring,
            tenant_id,
            provider.type,
            connected_by=connected_by,
            account=account,
            credentials=credentials,
        )

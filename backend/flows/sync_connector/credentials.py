"""The credentials of a connector, renewed when they have ended: by one process at a time, for all of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from prometheus_client import Counter

from backend.connectors.credentials.repository import CredentialRepository, CredentialsNotFound, Opened
from backend.connectors.models import Connector
from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    OAuthProvider,
    ProviderUnavailable,
)
from backend.db.transaction import Database, DatabaseUnavailable
from backend.errors import StateError
from backend.keyring import Keyring, SealBroken

_log = structlog.get_logger(__name__)

RENEWALS = Counter(
    "secondbrain_credential_renewals_total", "Credentials this process has renewed", ["connector", "outcome"]
)

#: A provider that has not answered by then is given up, and another process may ask.
_TERM = timedelta(seconds=60)
_POLL_SECONDS = 0.2
#: New credentials are offered to a database that is away for so long: the old ones may be spent, so they exist nowhere
#: else.
_STORE_SECONDS = 600.0
#: Whoever spent a refresh token stores what it got for it within so long, if it lives and the database answers.
_SECOND_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Held:
    """Credentials, and the version they are: after a refusal, a newer one may be there already."""

    credentials: Credentials
    version: int


@dataclass(frozen=True, slots=True)
class CredentialKeeper:
    """Opens and renews. No transaction is open while the provider is asked; a lease in the row keeps others out."""

    db: Database
    keyring: Keyring
    oauth_providers: Mapping[str, OAuthProvider]

    def current(self, connector: Connector) -> Held:
        """Credentials that last for some minutes at least, renewed if need be.

        Raises CredentialsRejected when only connecting again helps, ProviderUnavailable.
        """
        opened = self._open(connector)
        if opened.is_stale:
            return self.renew(connector, opened.version)
        return _held(opened)

    def find(self, connector: Connector) -> Held | None:
        """What is stored for a source that can do without, such as a key for more requests. Raises
        CredentialsRejected when it cannot be opened."""
        with self.db.transaction(connector.tenant_id) as session:
            try:
                opened = CredentialRepository(session, self.keyring).open(connector.tenant_id, connector.id)
            except CredentialsNotFound:
                return None
            except SealBroken as error:
                raise CredentialsRejected(
                    "The stored key cannot be opened; configure the source again."
                ) from error
        return _held(opened)

    def renew(self, connector: Connector, version: int) -> Held:
        """Newer credentials than those of `version`, which the provider refuses or soon will: this process's, or
        another's that was faster.

        Raises CredentialsRejected when there are none, ProviderUnavailable.
        """
        renewer = uuid4()
        deadline = time.monotonic() + 2 * _TERM.total_seconds()
        while time.monotonic() < deadline:
            with self.db.transaction(connector.tenant_id) as session:
                opened = self._opened(CredentialRepository(session, self.keyring), connector)
                held = _held(opened)
                if opened.version != version:
                    return held
                if held.credentials.refresh_token is None or connector.type not in self.oauth_providers:
                    raise CredentialsRejected
                is_ours = CredentialRepository(session, self.keyring).claim_renewal(
                    connector.tenant_id, connector.id, version=version, renewer=renewer, term=_TERM
                )
            if is_ours:
                return self._renew(connector, held, renewer)
            # Another process asks the provider right now; its answer is ours too.
            time.sleep(_POLL_SECONDS)
        raise ProviderUnavailable

    def _renew(self, connector: Connector, held: Held, renewer: UUID) -> Held:
        outcome = "failed"
        try:
            fresh = self.oauth_providers[connector.type].refresh(held.credentials)
            if fresh.refresh_token is None:
                fresh = replace(fresh, refresh_token=held.credentials.refresh_token)
            is_stored = self._store(connector, held.version, fresh)
            outcome = "renewed"
        except CredentialsRejected:
            outcome = "rejected"
            newer = self._find_newer(connector, held.version)
            if newer is None:
                raise
            return newer
        except StateError:
            with self.db.transaction(connector.tenant_id) as session:
                CredentialRepository(session, self.keyring).give_up_renewal(
                    connector.tenant_id, connector.id, renewer=renewer
                )
            raise
        finally:
            RENEWALS.labels(connector.type, outcome).inc()
        _log.info("credentials renewed", connector=str(connector.id), stored=is_stored)
        return _held(self._open(connector))

    def _store(self, connector: Connector, version: int, fresh: Credentials) -> bool:
        deadline = time.monotonic() + _STORE_SECONDS
        while True:
            try:
                with self.db.transaction(connector.tenant_id) as session:
                    return CredentialRepository(session, self.keyring).store_renewed(
                        connector.tenant_id,
                        connector.id,
                        fresh.to_json(),
                        expires_at=fresh.expires_at,
                        version=version,
                    )
            except DatabaseUnavailable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_SECONDS)

    def _find_newer(self, connector: Connector, version: int) -> Held | None:
        """Newer credentials than those of `version`, if somebody has connected again, or has renewed them so slowly
        that we were let in as well and is about to store them."""
        deadline = time.monotonic() + _SECOND_LOOK_SECONDS
        while True:
            opened = self._open(connector)
            if opened.version != version:
                return _held(opened)
            if time.monotonic() > deadline:
                return None
            time.sleep(_POLL_SECONDS)

    def _open(self, connector: Connector) -> Opened:
        with self.db.transaction(connector.tenant_id) as session:
            return self._opened(CredentialRepository(session, self.keyring), connector)

    def _opened(self, repository: CredentialRepository, connector: Connector) -> Opened:
        try:
            return repository.open(connector.tenant_id, connector.id)
        except (CredentialsNotFound, SealBroken) as error:
            raise CredentialsRejected(
                "The stored credentials cannot be used; connect the source again."
            ) from error


def _held(opened: Opened) -> Held:
    return Held(Credentials.from_json(opened.secret), opened.version)

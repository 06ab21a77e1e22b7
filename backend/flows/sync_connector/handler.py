"""What the worker does with a sync job: takes up the run, reads pass by pass, and says how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from backend.configs.follower import ConfigFollower
from backend.connectors.models import Connector
from backend.connectors.providers.contract import (
    CredentialsRejected,
    CursorExpired,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    Source,
)
from backend.connectors.providers.provider import Provider, open_with
from backend.connectors.removals.repository import RemovalRepository
from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Database, Session
from backend.documents.parsing.reader import DocumentReader
from backend.embeddings.providers.contract import Embedder, EmbeddingFailed
from backend.errors import StateError
from backend.flows.sync_connector.credentials import CredentialKeeper, Held
from backend.flows.sync_connector.turn import Turn, TurnOver
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.sync.items.repository import SyncItemRepository
from backend.sync.models import SyncPosition
from backend.sync.positions.repository import SyncPositionRepository
from backend.sync.repository import SyncRunRepository

_log = structlog.get_logger(__name__)

#: Even where a source tells what was deleted, everything is listed again this often: who relies on being told every
#: time drifts apart from the source, a little with every message that is lost.
FULL_EVERY: Final = timedelta(days=7)

_AFTER_REMOVAL: Final = timedelta(seconds=2)
_REMOVING: Final = "Waiting until the documents of the connection before are deleted"


class SyncGivenUp(StateError):
    """The run cannot go on until a person does something."""


@dataclass(frozen=True, slots=True)
class SyncHandler:
    """Carries out `sync` jobs. `embedder_for` maps a tenant to its embedder."""

    db: Database
    keeper: CredentialKeeper
    embedder_for: Callable[[UUID], Embedder]
    configs: ConfigFollower
    reader: DocumentReader
    providers: Mapping[str, Provider]
    api_bases: Mapping[str, str]
    allow_private_addresses: bool = False
    #: What else is seen to when a run begins, in the transaction that takes it up.
    on_begin: Callable[[Session, Connector], None] = lambda _session, _connector: None

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        """Goes on from the connector's position to the end of the pass, or until told to stop."""
        tenant_id, run_id = claim.tenant_id, UUID(str(claim.args["run_id"]))
        with self.db.transaction(tenant_id) as session:
            jobs, runs = JobRepository(session), SyncRunRepository(session, actor=_actor(claim))
            jobs.hold(claim)
            run = runs.get(tenant_id, run_id)
            connector = ConnectorRepository(session).get_by_id(tenant_id, run.connector_id)
            removal = RemovalRepository(session).find(tenant_id, connector.id)
            if removal is not None and removal.finished_at is None and run.created_at > removal.requested_at:
                # Connected again meanwhile: what is read before all is gone would go as well.
                runs.wait(tenant_id, run_id, until=jobs.postpone(claim, _AFTER_REMOVAL), note=_REMOVING)
                return
            position = _position(session, connector)
            if runs.take_up(tenant_id, run_id, cursor=position.cursor, is_full=position.is_full) is None:
                jobs.complete(claim)
                return
            self.on_begin(session, connector)
        provider = self.providers.get(connector.type)
        turn = Turn(
            self.db,
            claim,
            connector,
            run_id,
            source_type=(provider.source_type if provider else "") or connector.type,
            embedder=self.embedder_for(tenant_id),
            configs=self.configs,
            reader=self.reader,
            should_stop=should_stop,
        )
        try:
            try:
                self._read(claim, connector, provider, turn)
            except (RateLimited, ProviderUnavailable, EmbeddingFailed, CredentialsRejected, ProviderRefused):
                turn.write()
                raise
            self._finish(claim, run_id, connector, turn)
        except TurnOver:
            return
        except RateLimited as limit:
            with self.db.transaction(tenant_id) as session:
                JobRepository(session).postpone(claim, limit.resume_at)
                SyncRunRepository(session, actor=_actor(claim)).wait(
                    tenant_id, run_id, until=limit.resume_at, note="Waiting for the provider's rate limit"
                )
        except (ProviderUnavailable, EmbeddingFailed) as error:
            self._try_again(claim, run_id, error.message)
        except CredentialsRejected as error:
            self._end_badly(claim, run_id, error.message, unconnected=connector.id)
        except (ProviderRefused, SyncGivenUp) as error:
            self._end_badly(claim, run_id, error.message)

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """The job is dead, and so is the run; the next one goes on where it was."""
        SyncRunRepository(session).interrupt(tenant_id, UUID(str(args["run_id"])), reason)

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """The job was cancelled between two workers: so is the run."""
        SyncRunRepository(session).cancel(tenant_id, UUID(str(args["run_id"])))

    def _read(self, claim: Claim, connector: Connector, provider: Provider | None, turn: Turn) -> None:
        """Reads to the end of the pass. Credentials that are refused are renewed; again, only after progress."""
        if provider is None:
            raise SyncGivenUp(f"This installation has no connector for {connector.type}.")
        if connector.status == "disconnected":
            raise SyncGivenUp("The source was disconnected.")
        keeper = self.keeper
        held = keeper.find(connector) if provider.auth_type == "config" else keeper.current(connector)
        renewed_at: object = None
        anew = False
        turn.sweep()
        while True:
            pass_number, is_full, cursor = self._place(connector)
            turn.follow(pass_number, is_full=is_full)
            source = self._open(connector, provider, held)
            try:
                turn.try_failed_again(source)
                for page in source.pages(cursor):
                    turn.deal_with(source, page)
                turn.write()
                return
            except CredentialsRejected:
                turn.write()
                # Two tokens may end within one page: whoever gets on with a new one may have another.
                here = self._place(connector), turn.read_count
                if held is None or here == renewed_at:
                    raise
                held = self.keeper.renew(connector, held.version)
                renewed_at = here
            except CursorExpired as error:
                turn.write()
                if anew or cursor is None:
                    raise ProviderRefused(
                        "The provider does not let a listing be finished; it says that it is too old."
                    ) from error
                anew = True
                with self.db.transaction(connector.tenant_id) as session:
                    JobRepository(session).hold(claim)
                    SyncPositionRepository(session).begin_anew(connector.tenant_id, connector.id)
                _log.info("everything is listed again: the cursor has expired", connector=str(connector.id))
            finally:
                source.close()

    def _place(self, connector: Connector) -> tuple[int, bool, Mapping[str, Any] | None]:
        """(number of the pass, whether it is over everything, cursor) from which reading goes on."""
        with self.db.transaction(connector.tenant_id) as session:
            position = SyncPositionRepository(session).get(connector.tenant_id, connector.id)
            return position.pass_number, position.is_full, position.cursor

    def _open(self, connector: Connector, provider: Provider, held: Held | None) -> Source:
        try:
            return open_with(
                provider,
                connector.settings,
                held.credentials if held else None,
                api_base=self.api_bases.get(connector.type),
                allow_private_addresses=self.allow_private_addresses,
            )
        except ValueError as error:
            # Settings of an older version that do not fit any more.
            raise SyncGivenUp(
                "The settings of this source are no longer complete; set them again."
            ) from error

    def _finish(self, claim: Claim, run_id: UUID, connector: Connector, turn: Turn) -> None:
        tenant_id = claim.tenant_id
        with self.db.transaction(tenant_id) as session:
            JobRepository(session).hold(claim)
            SyncPositionRepository(session).end_pass(tenant_id, connector.id)
        turn.sweep()
        with self.db.transaction(tenant_id) as session:
            JobRepository(session).complete(claim)
            if SyncItemRepository(session).has_missed(tenant_id, connector.id):
                # Something may have been deleted: the next run finds out, rather than one in a week.
                SyncPositionRepository(session).begin_anew(tenant_id, connector.id)
            SyncRunRepository(session, actor=_actor(claim)).finish(tenant_id, run_id)

    def _try_again(self, claim: Claim, run_id: UUID, reason: str) -> None:
        with self.db.transaction(claim.tenant_id) as session:
            runs = SyncRunRepository(session, actor=_actor(claim))
            resume_at = JobRepository(session).fail(claim, reason)
            if resume_at is None:
                runs.interrupt(claim.tenant_id, run_id, reason)
            else:
                runs.wait(claim.tenant_id, run_id, until=resume_at, note=f"{reason} Trying again.")

    def _end_badly(self, claim: Claim, run_id: UUID, reason: str, *, unconnected: UUID | None = None) -> None:
        """`unconnected`: the connector that only a person can connect again."""
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).fail(claim, reason, retry=False)
            if unconnected is not None:
                ConnectorRepository(session).need_reconnect(claim.tenant_id, unconnected, reason)
            SyncRunRepository(session, actor=_actor(claim)).fail(claim.tenant_id, run_id, reason)
        _log.warning("sync ended badly", run=str(run_id), reason=reason)


def _actor(claim: Claim) -> str:
    return f"worker {claim.worker_id}"


def _position(session: Session, connector: Connector) -> SyncPosition:
    """Where the run goes on: at the beginning, when everything was last listed too long ago."""
    positions = SyncPositionRepository(session)
    if positions.is_full_due(connector.tenant_id, connector.id, every=FULL_EVERY):
        positions.begin_anew(connector.tenant_id, connector.id)
    return positions.get(connector.tenant_id, connector.id)

"""What the worker does with a sync job: read a page, prepare its items, store it with its checkpoint; again."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from prometheus_client import Counter

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.models import Connector
from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    Source,
    SourceItem,
)
from backend.connectors.repository import ConnectorRepository, CredentialRepository
from backend.db.transaction import Database, Session
from backend.documents.repository import DocumentRepository, NewDocument
from backend.embeddings.providers.contract import Embedder, EmbeddingFailed
from backend.errors import NotFound, StateError, Unavailable
from backend.flows.ingest_document.flow import fingerprint, prepare
from backend.flows.ingest_document.store import store_all
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository
from backend.keyring import Keyring, SealBroken
from backend.sync.repository import Failure, Holder, PageResult, SyncProgressRepository, SyncRunRepository

_log = structlog.get_logger(__name__)

ITEMS = Counter("secondbrain_sync_items_total", "Items dealt with by this process", ["connector", "outcome"])

#: Seconds between two progress notes of one run.
_NOTE_EVERY = 0.25

MakeSource = Callable[[Connector, Credentials], Source]


class SyncGivenUp(Exception):
    """The run cannot go on until a person does something; the message says what."""


@dataclass(frozen=True, slots=True)
class SyncHandler:
    """Carries out `sync` jobs. `make_source` maps a connector type to what reads it, `embedder_for` a tenant to
    its embedder."""

    db: Database
    keyring: Keyring
    embedder_for: Callable[[UUID], Embedder]
    configs: ConfigFollower
    make_source: Mapping[str, MakeSource]

    def run(self, claim: Claim, should_stop: Callable[[], bool]) -> None:
        """Goes on from the run's checkpoint to its end, or until told to stop."""
        tenant_id, run_id = claim.tenant_id, UUID(str(claim.args["run_id"]))
        with self.db.transaction(tenant_id) as session:
            JobRepository(session).hold(claim)
            run = SyncRunRepository(session).take_up(tenant_id, run_id)
            if run is None:
                JobRepository(session).complete(claim)
                return
            connector = ConnectorRepository(session).get_by_id(tenant_id, run.connector_id)
        try:
            source = self._open(connector)
        except SyncGivenUp as error:
            self._end_badly(claim, run_id, str(error))
            return
        try:
            self._read(claim, connector, run_id, source.pages(run.cursor), should_stop)
        except RateLimited as limit:
            with self.db.transaction(tenant_id) as session:
                JobRepository(session).postpone(claim, limit.resume_at)
                SyncRunRepository(session).wait(
                    tenant_id, run_id, until=limit.resume_at, note="Waiting for the provider's rate limit"
                )
        except (ProviderUnavailable, EmbeddingFailed) as error:
            self._try_again(claim, run_id, error.message)
        except (CredentialsRejected, ProviderRefused) as error:
            if isinstance(error, CredentialsRejected):
                with self.db.transaction(tenant_id) as session:
                    ConnectorRepository(session).need_reconnect(tenant_id, connector.id, error.message)
            self._end_badly(claim, run_id, error.message)
        finally:
            source.close()

    def on_given_up(self, session: Session, tenant_id: UUID, args: Mapping[str, object], reason: str) -> None:
        """The job is dead: so is the run, with the reason."""
        SyncRunRepository(session).fail(tenant_id, UUID(str(args["run_id"])), reason)

    def on_cancelled(self, session: Session, tenant_id: UUID, args: Mapping[str, object]) -> None:
        """The job was cancelled between two workers: so is the run."""
        SyncRunRepository(session).cancel(tenant_id, UUID(str(args["run_id"])))

    def _open(self, connector: Connector) -> Source:
        make = self.make_source.get(connector.type)
        if make is None:
            raise SyncGivenUp(f"This installation has no connector for {connector.type}.")
        if connector.status == "disconnected":
            raise SyncGivenUp("The source was disconnected.")
        try:
            with self.db.transaction(connector.tenant_id) as session:
                sealed = CredentialRepository(session, self.keyring).open(connector.tenant_id, connector.id)
        except (NotFound, SealBroken) as error:
            raise SyncGivenUp("The stored credentials cannot be used; connect the source again.") from error
        return make(connector, Credentials.from_json(sealed))

    def _read(
        self,
        claim: Claim,
        connector: Connector,
        run_id: UUID,
        pages: Iterable[Page],
        should_stop: Callable[[], bool],
    ) -> None:
        for page in pages:
            prepared, unchanged, failures = self._prepare(claim, connector, run_id, page)
            with self.db.transaction(claim.tenant_id) as session:
                jobs, runs = JobRepository(session), SyncRunRepository(session)
                goes_on = jobs.hold(claim, progressed=True)
                stored = store_all(session, claim.tenant_id, connector.id, prepared)
                result = PageResult(
                    cursor=page.cursor,
                    found=len(page.items),
                    stored=stored,
                    unchanged=unchanged + len(prepared) - stored,
                    chunks=sum(len(document.chunks) for document in prepared),
                    total=page.total,
                    note=page.note,
                    failures=failures,
                )
                runs.advance(claim.tenant_id, run_id, result)
                if not goes_on:
                    runs.cancel(claim.tenant_id, run_id)
                    jobs.end_cancelled(claim)
            ITEMS.labels(connector.type, "stored").inc(stored)
            ITEMS.labels(connector.type, "unchanged").inc(result.unchanged)
            ITEMS.labels(connector.type, "failed").inc(len(failures))
            if not goes_on:
                return
            if should_stop():
                with self.db.transaction(claim.tenant_id) as session:
                    JobRepository(session).give_back(claim)
                return
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).complete(claim)
            SyncRunRepository(session).finish(claim.tenant_id, run_id)

    def _prepare(
        self, claim: Claim, connector: Connector, run_id: UUID, page: Page
    ) -> tuple[list[NewDocument], int, list[Failure]]:
        """(documents to store, how many need nothing, failures); no transaction is open meanwhile."""
        failures = [Failure(f.external_id, f.url, f.stage, f.reason) for f in page.failures]
        config = self.configs.current(claim.tenant_id, ParserConfig)
        hashes = {item.external_id: fingerprint(item) for item in page.items}
        with self.db.transaction(claim.tenant_id) as session:
            unchanged = DocumentRepository(session).list_unchanged(claim.tenant_id, connector.id, hashes)
        embedder = self.embedder_for(claim.tenant_id)
        prepared: dict[str, NewDocument] = {}
        noted_at = 0.0
        for item in page.items:
            if item.external_id in unchanged:
                continue
            if time.monotonic() - noted_at >= _NOTE_EVERY:
                noted_at = time.monotonic()
                self._note(claim, run_id, item)
            try:
                prepared[item.external_id] = prepare(
                    item, source_type=connector.type, embedder=embedder, config=config
                )
            except Unavailable:
                raise
            except StateError as error:
                failures.append(Failure(item.external_id, item.url, "parse", error.message))
            except Exception as error:  # noqa: BLE001 - one item that breaks a parser must not stop all others
                _log.exception("item failed", item=item.external_id)
                reason = f"Internal error ({type(error).__name__})."
                failures.append(Failure(item.external_id, item.url, "parse", reason))
        return list(prepared.values()), len(page.items) - len(hashes.keys() - unchanged), failures

    def _note(self, claim: Claim, run_id: UUID, item: SourceItem) -> None:
        # The next one comes in a moment: none of them is worth waiting for the disk.
        with self.db.statement(claim.tenant_id, durable=False) as unit:
            is_noted = SyncProgressRepository(unit).describe(
                claim.tenant_id,
                run_id,
                stage="indexing",
                note=item.title[:200].replace("\x00", ""),
                holder=Holder(claim.id, claim.lease, claim.worker_id),
            )
        if not is_noted:
            with self.db.transaction(claim.tenant_id) as session:
                JobRepository(session).hold(claim)

    def _try_again(self, claim: Claim, run_id: UUID, reason: str) -> None:
        with self.db.transaction(claim.tenant_id) as session:
            runs = SyncRunRepository(session)
            resume_at = JobRepository(session).fail(claim, reason)
            if resume_at is None:
                runs.fail(claim.tenant_id, run_id, reason)
            else:
                runs.wait(claim.tenant_id, run_id, until=resume_at, note=f"{reason} Trying again.")

    def _end_badly(self, claim: Claim, run_id: UUID, reason: str) -> None:
        with self.db.transaction(claim.tenant_id) as session:
            JobRepository(session).fail(claim, reason, retry=False)
            SyncRunRepository(session).fail(claim.tenant_id, run_id, reason)
        _log.warning("sync ended badly", run=str(run_id), reason=reason)

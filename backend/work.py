"""Runs one worker process."""

import os
import signal
from datetime import timedelta

import prometheus_client
import structlog

from backend import __version__
from backend.chats.repository import purge_empty as purge_empty_chats
from backend.components.repository import ComponentRepository
from backend.connectors.deliveries.repository import DeliveryRepository
from backend.documents.uploads.repository import UploadRepository
from backend.embeddings.repository import EmbeddingCacheRepository
from backend.flows.classify_documents.flow import CLASSIFY_KIND, begin_due_judgements
from backend.flows.classify_documents.handler import ClassifyHandler
from backend.flows.disconnect_source.flow import FORGET_KIND
from backend.flows.disconnect_source.handler import ForgetSourceHandler
from backend.flows.ingest_document.reading import open_reader
from backend.flows.ingest_document.store import REEMBED_KIND
from backend.flows.recut_documents.flow import RECUT_KIND
from backend.flows.recut_documents.handler import RecutHandler
from backend.flows.reembed.flow import begin_due_changes
from backend.flows.reembed.handler import ReembedHandler
from backend.flows.rotate_keys.flow import maintain_keys
from backend.flows.sync_connector.begin import BEGIN_KIND, BeginSyncHandler
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.flows.sync_connector.flow import JOB_KIND
from backend.flows.sync_connector.handler import SyncHandler
from backend.flows.upload_documents.flow import JOB_KIND as UPLOAD_KIND
from backend.flows.upload_documents.flow import OLD_JOB_KIND as OLD_UPLOAD_KIND
from backend.flows.upload_documents.handler import UploadHandler
from backend.flows.watch_source.flow import WATCH_KIND, watch, watched_types
from backend.flows.watch_source.handler import WatchSourceHandler
from backend.jobs.repository import JobRepository
from backend.jobs.upkeep import Chore
from backend.jobs.worker import Worker
from backend.jobs.workers.repository import WorkerRepository
from backend.knowledge.repository import AliasRepository
from backend.lifeline import heard_signals
from backend.limits.repository import RateLimitRepository
from backend.limits.repository import purge_expired as purge_idempotency_keys
from backend.logs import configure_logging
from backend.oauth.repository import OAuthNonceRepository
from backend.ops.repository import InstanceRepository
from backend.searches.repository import purge_old as purge_old_searches
from backend.settings import Settings
from backend.sync.repository import SyncRunRepository
from backend.tenants.repository import SessionRepository
from backend.wiring import Services, instance_name, take_part, wire

_log = structlog.get_logger(__name__)

_CHORES = (
    Chore(
        "purge sessions",
        timedelta(minutes=10),
        lambda session: SessionRepository(session).purge_expired(older_than=timedelta(days=7)),
    ),
    Chore(
        "purge oauth_nonces",
        timedelta(minutes=10),
        lambda session: OAuthNonceRepository(session).purge_expired(older_than=timedelta(days=7)),
    ),
    Chore(
        "purge entity_aliases",
        timedelta(minutes=10),
        lambda session: AliasRepository(session).purge_expired(older_than=timedelta(hours=1)),
    ),
    Chore(
        "purge jobs",
        timedelta(minutes=10),
        lambda session: JobRepository(session).purge_finished(older_than=timedelta(days=30)),
    ),
    Chore(
        "purge workers",
        timedelta(minutes=10),
        lambda session: WorkerRepository(session).purge_gone(older_than=timedelta(days=7)),
    ),
    Chore(
        "purge instances",
        timedelta(minutes=10),
        lambda session: InstanceRepository(session).purge_gone(older_than=timedelta(days=1)),
    ),
    Chore(
        "purge sync_runs",
        timedelta(minutes=10),
        lambda session: SyncRunRepository(session).purge_finished(older_than=timedelta(days=90)),
    ),
    Chore(
        "purge rate_limits",
        timedelta(minutes=10),
        lambda session: RateLimitRepository(session).purge_full(refused_for=timedelta(days=1)),
    ),
    Chore(
        "purge webhook_deliveries",
        timedelta(minutes=10),
        lambda session: DeliveryRepository(session).purge(older_than=timedelta(days=3)),
    ),
    Chore(
        "purge uploads",
        timedelta(minutes=10),
        lambda session: UploadRepository(session).purge_failed(older_than=timedelta(days=30)),
    ),
    Chore(
        "purge chats",
        timedelta(minutes=10),
        lambda session: purge_empty_chats(session, older_than=timedelta(days=1)),
    ),
    Chore(
        "purge searches",
        timedelta(minutes=10),
        lambda session: purge_old_searches(session, older_than=timedelta(days=90)),
    ),
    Chore("purge idempotency_keys", timedelta(minutes=10), purge_idempotency_keys),
    Chore(
        "purge embedding_cache",
        timedelta(minutes=10),
        lambda session: EmbeddingCacheRepository(session).purge_expired(),
    ),
    Chore(
        "purge tenant_components",
        timedelta(minutes=10),
        lambda session: ComponentRepository(session).purge(
            unused=timedelta(days=30), older_than=timedelta(hours=1)
        ),
    ),
)


def key_chore(services: Services) -> Chore:
    """Rotates the signing keys by their age."""
    settings = services.settings
    keep = timedelta(seconds=settings.signed_lives_seconds)
    return Chore(
        "rotate signing_keys",
        timedelta(minutes=10),
        lambda session: maintain_keys(session, services.keyring, days=settings.signing_key_days, keep=keep),
    )


def model_chore(services: Services) -> Chore:
    """Begins to change workspaces that another embedding model serves than the configured one."""
    return Chore(
        "change embedding models",
        timedelta(seconds=30),
        lambda session: begin_due_changes(session, services.db, services.embedder.model),
    )


def classification_chore(services: Services) -> Chore:
    """Has the language model asked about documents that the rules are not sure of."""
    return Chore(
        "classify documents",
        timedelta(seconds=30),
        lambda session: begin_due_judgements(session, services.db),
    )


def work(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT; jobs in hand are given back after their current page."""
    instance = instance_name(settings)
    configure_logging(level=settings.log_level, fmt=settings.log_format, instance=instance)
    services = wire(settings)
    presence = take_part(services, kind="worker")
    watched = watched_types(services.providers, settings.public_url)
    keeper = CredentialKeeper(services.db, services.keyring, services.oauth_providers)
    reader = open_reader(services.embedder, settings.parser_processes or settings.worker_threads)
    handler = SyncHandler(
        db=services.db,
        keeper=keeper,
        embedder_for=services.storing_embedder,
        configs=services.configs,
        reader=reader,
        providers=services.providers,
        api_bases=services.api_bases,
        allow_private_addresses=settings.allow_private_addresses,
        # A source connected before the installation could be called.
        on_begin=lambda session, connector: watch(session, connector, watched),
    )
    upload_handler = UploadHandler(services.db, services.storing_embedder, services.configs, reader)
    judge = services.chat_model if settings.llm_classification else None
    worker = Worker(
        services.db,
        services.listener,
        {
            JOB_KIND: handler,
            BEGIN_KIND: BeginSyncHandler(services.db),
            FORGET_KIND: ForgetSourceHandler(services.db),
            UPLOAD_KIND: upload_handler,
            OLD_UPLOAD_KIND: upload_handler,
            RECUT_KIND: RecutHandler(services.db, services.storing_embedder, services.configs, reader),
            CLASSIFY_KIND: ClassifyHandler(services.db, judge),
            REEMBED_KIND: ReembedHandler(services.db, services.known_embedders.find),
            WATCH_KIND: WatchSourceHandler(
                services.db,
                services.keyring.master,
                keeper,
                services.providers,
                services.api_bases,
                settings.public_url,
                watched,
            ),
        },
        name=instance,
        version=__version__,
        threads=settings.worker_threads,
        lease=timedelta(seconds=settings.lease_seconds),
        chores=(
            *_CHORES,
            key_chore(services),
            model_chore(services),
            *([classification_chore(services)] if judge is not None else []),
        ),
    )
    if settings.worker_metrics_port is not None:
        prometheus_client.start_http_server(settings.worker_metrics_port, addr=settings.host)
    with heard_signals() as signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)
        worker.start()
        _log.info("worker started", threads=settings.worker_threads, pid=os.getpid())
        os.read(signals, 1)
    _log.info("worker stopping")
    worker.stop()
    reader.close()
    presence.stop()
    services.close()

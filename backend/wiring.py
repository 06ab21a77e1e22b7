"""Builds what a process needs from its settings and hands it down; there are no singletons.

Web, worker and command line share it, so it knows no Flask. Heavy things (the parser, provider clients) are
made by the worker itself.
"""

import base64
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

import httpx2

from backend import __version__
from backend.components.cache import READS, ComponentCache
from backend.components.lexicon import Lexicon
from backend.components.vocabulary import Vocabulary
from backend.configs.follower import ConfigFollower
from backend.connectors.catalogue import load_providers
from backend.connectors.providers.contract import OAuthProvider
from backend.connectors.providers.provider import OAuthApp, Provider
from backend.db.engine import create_engine
from backend.db.listen import Listener
from backend.db.notify import Notifier
from backend.db.transaction import Database
from backend.embeddings.cached import LOOKUPS, EmbeddingCache
from backend.embeddings.known import EmbedderPair, KnownEmbedders
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.serving.follower import ServingModels
from backend.inference import (
    make_chat_model,
    make_embedder,
    make_embedding_cache,
    make_previous_embedder,
    make_reranker,
)
from backend.keyring import Keyring
from backend.keys.follower import SigningKeyring
from backend.ops.presence import Presence
from backend.search.llm import ChatModel
from backend.search.rerank import Reranker
from backend.settings import Settings
from backend.sync.feeds import Feeds
from backend.tenants.passwords import Passwords
from backend.tenants.watch.watch import HolderWatch


@dataclass(frozen=True, slots=True)
class Services:
    """One process's engine, keys and clients; all of it safe to share between threads."""

    settings: Settings
    instance: str
    db: Database
    listener: Listener
    configs: ConfigFollower
    keyring: SigningKeyring
    passwords: Passwords
    embedder: Embedder
    embedding_cache: EmbeddingCache | None
    known_embedders: KnownEmbedders
    serving_models: ServingModels
    components: ComponentCache
    lexicon: Lexicon
    vocabulary: Vocabulary
    chat_model: ChatModel | None
    reranker: Reranker | None
    providers: Mapping[str, Provider]
    oauth_providers: Mapping[str, OAuthProvider]
    #: Origins of providers' APIs by connector type, where other ones than the providers' own are set.
    api_bases: Mapping[str, str]
    #: Secrets that providers sign calls for a whole app with, by connector type.
    webhook_secrets: Mapping[str, str]
    http: httpx2.Client
    feeds: Feeds
    holders: HolderWatch

    def embedder_for(self, tenant_id: UUID) -> Embedder:
        """The configured embedder, with the tenant's vectors remembered where computing them costs something."""
        return self.embedder if self.embedding_cache is None else self.embedding_cache.for_tenant(tenant_id)

    def asking_embedder(self, tenant_id: UUID) -> Embedder | None:
        """The embedder of the model that serves the tenant: for its questions. None when this process is not
        configured for that model; passages are then found by their words alone. Raises DatabaseUnavailable."""
        serving = self.serving_models.find(tenant_id)
        return self.embedder_for(tenant_id) if serving is None else self._find(tenant_id, serving[0])

    def storing_embedder(self, tenant_id: UUID) -> Embedder:
        """The embedder for what is stored: of the model that serves, and of the next one while it is changed; of the
        configured one where neither is known. Raises DatabaseUnavailable."""
        wanted = [
            self._find(tenant_id, model) for model in self.serving_models.find(tenant_id) or () if model
        ]
        known = [embedder for embedder in wanted if embedder is not None]
        if not known:
            return self.embedder_for(tenant_id)
        return EmbedderPair(known[0], known[1]) if len(known) > 1 else known[0]

    def _find(self, tenant_id: UUID, model: str) -> Embedder | None:
        if model == self.embedder.model:
            return self.embedder_for(tenant_id)
        return self.known_embedders.find(model)

    def close(self) -> None:
        """Sends the last hints and closes every connection."""
        self.holders.close()
        self.configs.close()
        self.keyring.close()
        self.components.close()
        self.listener.close()
        self.http.close()
        if self.chat_model is not None:
            self.chat_model.client.close()
        self.db.close()


def instance_name(settings: Settings) -> str:
    """How this process is called in logs, metrics and `ops` views."""
    return settings.instance_name or f"{socket.gethostname()}-{os.getpid()}"


def make_keyring(settings: Settings) -> Keyring:
    """The master keys, those of SECRET_KEYS. Raises ValueError when there are none."""
    settings.require_keys()
    return Keyring([(kid, base64.b64decode(key.get_secret_value())) for kid, key in settings.secret_keys])


def wire(settings: Settings, *, run_blocking: Callable[[Callable[[], Any]], Any] | None = None) -> Services:
    """Services for one process; nothing connects before it is used (the listener: before it is started).

    `run_blocking` carries out what only computes, where that would hold up everybody else.
    """
    url = settings.database_url.get_secret_value()
    instance = instance_name(settings)
    direct = settings.database_direct_url.get_secret_value() or url
    http = httpx2.Client(timeout=httpx2.Timeout(60, connect=5))
    engine = create_engine(url, pool_size=settings.database_pool_size, application_name=instance)
    db = Database(engine, Notifier(url, application_name=f"{instance} notifier"))
    embedder = make_embedder(settings, http)
    listener = Listener(direct, application_name=f"{instance} listener")
    components = ComponentCache(db, listener, capacity=settings.component_memory_bytes)
    providers = load_providers()
    addresses = {"github": settings.github_api_base, **dict(settings.provider_addresses)}
    return Services(
        settings=settings,
        instance=instance,
        db=db,
        listener=listener,
        configs=ConfigFollower(db, listener),
        keyring=SigningKeyring(db, listener, make_keyring(settings)),
        passwords=Passwords(run=run_blocking) if run_blocking else Passwords(),
        embedder=embedder,
        embedding_cache=make_embedding_cache(settings, db, embedder),
        known_embedders=KnownEmbedders(embedder, *make_previous_embedder(settings, http)),
        serving_models=ServingModels(db),
        components=components,
        lexicon=Lexicon(db, components),
        vocabulary=Vocabulary(db, components),
        chat_model=make_chat_model(settings),
        reranker=make_reranker(settings, http),
        providers=providers,
        oauth_providers=_oauth_providers(providers, oauth_apps(settings)),
        api_bases=MappingProxyType(
            {p.type: addresses[p.app or p.type] for p in providers.values() if (p.app or p.type) in addresses}
        ),
        webhook_secrets=_webhook_secrets(settings),
        http=http,
        feeds=Feeds(db, listener),
        holders=HolderWatch(db, listener),
    )


def take_part(services: Services, *, kind: str) -> Presence:
    """Starts what a `kind` of process (web, worker) does besides its work, after any fork: it receives hints,
    follows configs and signing keys, and says that it is there. Stop what is returned, then close the services."""
    presence = Presence(
        services.db,
        name=services.instance,
        kind=kind,
        version=__version__,
        config_revision=lambda: services.configs.revision,
        cache_lookups=count_cache_lookups,
    )
    services.listener.start()
    services.configs.start(on_change=presence.wake)
    services.keyring.start()
    return presence.start()


def count_cache_lookups() -> Mapping[str, Mapping[str, int]]:
    """Of each cache of this process: how a look-up ended -> how often, as `/metrics` shows it."""
    return {
        cache: {
            sample.labels["outcome"]: int(sample.value)
            for metric in counter.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }
        for cache, counter in (("embeddings", LOOKUPS), ("components", READS))
    }


def _webhook_secrets(settings: Settings) -> Mapping[str, str]:
    given = {"slack": settings.slack_signing_secret.get_secret_value()}
    return MappingProxyType({connector_type: secret for connector_type, secret in given.items() if secret})


def oauth_apps(settings: Settings) -> dict[str, OAuthApp]:
    """The apps this installation has registered, by name."""
    addresses = dict(settings.provider_addresses)
    apps = {
        "github": OAuthApp(
            settings.github_client_id,
            settings.github_client_secret.get_secret_value(),
            authorize_base=settings.github_authorize_base,
            api_base=settings.github_api_base,
        ),
        **{
            name: OAuthApp(
                client_id,
                client_secret.get_secret_value(),
                authorize_base=addresses.get(name),
                api_base=addresses.get(name),
                directory=settings.microsoft_tenant_id,
                with_sites=settings.microsoft_sharepoint,
            )
            for name, client_id, client_secret in (
                ("google", settings.google_client_id, settings.google_client_secret),
                ("slack", settings.slack_client_id, settings.slack_client_secret),
                ("box", settings.box_client_id, settings.box_client_secret),
                ("microsoft", settings.microsoft_client_id, settings.microsoft_client_secret),
            )
        },
    }
    return {name: app for name, app in apps.items() if app.client_id}


def _oauth_providers(
    providers: Mapping[str, Provider], apps: Mapping[str, OAuthApp]
) -> Mapping[str, OAuthProvider]:
    return MappingProxyType(
        {
            p.type: p.make_oauth(apps[p.app])
            for p in providers.values()
            if p.make_oauth is not None and p.app is not None and p.app in apps
        }
    )

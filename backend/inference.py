"""The models a process asks, as the settings name them: for vectors, for written answers, for the order of passages."""

from datetime import timedelta

import httpx2

from backend.db.transaction import Database
from backend.embeddings.cached import EmbeddingCache
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LocalEmbedder
from backend.embeddings.providers.openai import OpenAIEmbedder
from backend.lru import ByteLRU
from backend.search.llm import ChatModel
from backend.search.rerank import Reranker
from backend.settings import Settings


def make_embedder(settings: Settings, client: httpx2.Client) -> Embedder:
    """The local model, or the configured OpenAI-compatible server's."""
    if not settings.embedding_base_url:
        return LocalEmbedder()
    return OpenAIEmbedder(
        base_url=settings.embedding_base_url,
        model=settings.embedding_model,
        dimensions=settings.embedding_dimensions,
        api_key=settings.embedding_api_key.get_secret_value(),
        client=client,
    )


def make_previous_embedder(settings: Settings, client: httpx2.Client) -> tuple[Embedder, ...]:
    """The server's that was configured before, if it is still there for those whom its model serves."""
    if not settings.embedding_previous_base_url:
        return ()
    return (
        OpenAIEmbedder(
            base_url=settings.embedding_previous_base_url,
            model=settings.embedding_previous_model,
            dimensions=settings.embedding_previous_dimensions,
            api_key=settings.embedding_previous_api_key.get_secret_value(),
            client=client,
        ),
    )


def make_embedding_cache(settings: Settings, db: Database, embedder: Embedder) -> EmbeddingCache | None:
    """A cache in front of a remote embedder; the local model answers a question before a row is read."""
    if isinstance(embedder, LocalEmbedder):
        return None
    return EmbeddingCache(
        db,
        embedder,
        # Minutes, so that a vector outlives its row by little.
        ByteLRU(settings.embedding_memory_bytes, seconds=600),
        lifetime=timedelta(seconds=settings.embedding_cache_seconds),
        tenant_bytes=settings.embedding_cache_tenant_bytes,
    )


def make_chat_model(settings: Settings) -> ChatModel | None:
    """What writes answers, if it is configured."""
    if not settings.llm_base_url:
        return None
    # A connection for every reply: who is no longer waited for is hung up on, wherever it is in its work.
    client = httpx2.Client(limits=httpx2.Limits(max_keepalive_connections=0))
    return ChatModel(
        base_url=settings.llm_base_url,
        model=settings.llm_model,
        api_key=settings.llm_api_key.get_secret_value(),
        client=client,
    )


def make_reranker(settings: Settings, client: httpx2.Client) -> Reranker | None:
    """What ranks found passages again, if it is configured."""
    if not settings.rerank_base_url:
        return None
    return Reranker(
        base_url=settings.rerank_base_url,
        model=settings.rerank_model,
        api_key=settings.rerank_api_key.get_secret_value(),
        client=client,
    )

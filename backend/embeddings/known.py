"""The models this process can embed with: the configured one, the one configured before it, and the one in the package."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LOCAL_MODEL, LocalEmbedder


class KnownEmbedders:
    """Embedders by the name of their model; the one in the package is opened when it is first asked for."""

    def __init__(self, *embedders: Embedder) -> None:
        self._by_model = {embedder.model: embedder for embedder in embedders}
        self._lock = threading.Lock()

    def find(self, model: str) -> Embedder | None:
        """The model's embedder; None when this process is not configured for it."""
        with self._lock:
            if model == LOCAL_MODEL and model not in self._by_model:
                self._by_model[model] = LocalEmbedder()
            return self._by_model.get(model)


@dataclass(frozen=True, slots=True)
class EmbedderPair:
    """Of a tenant whose model is being changed: what is stored gets a vector of `serving`, whose name and vectors are
    this embedder's, and one of `following`."""

    serving: Embedder
    following: Embedder

    @property
    def model(self) -> str:
        return self.serving.model

    @property
    def dimensions(self) -> int:
        return self.serving.dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As the serving one. Raises what it raises."""
        return self.serving.embed(texts)

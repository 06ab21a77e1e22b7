"""A provider that says what it was asked, and can be held up or fail."""

import threading
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from backend.embeddings.providers.contract import EmbeddingFailed, to_unit_rows


class CountingProvider:
    """Vectors that follow from the text; `asked` holds every text it was sent."""

    def __init__(self, dimensions: int = 8) -> None:
        self.model = "counting"
        self.dimensions = dimensions
        self.asked: list[str] = []
        self.calls = 0
        self.failing = False
        self.entered = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, once `may_answer` is set."""
        self.asked += texts
        self.calls += 1
        self.entered.set()
        assert self.may_answer.wait(30)
        if self.failing:
            raise EmbeddingFailed
        return np.stack([self.vector(text) for text in texts])

    def vector(self, text: str) -> NDArray[np.float32]:
        """What it answers to `text`, no more exact than what the cache keeps."""
        seed = int.from_bytes(sha256(text.encode()).digest()[:8], "big")
        row = np.random.default_rng(seed).standard_normal((1, self.dimensions)).astype(np.float32)
        unit: NDArray[np.float32] = to_unit_rows(row)[0].astype(np.float16).astype(np.float32)
        return unit

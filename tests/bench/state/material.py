"""What all three sides store: made once, the same for each."""

import random
from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from backend.configs.schemas import ParserConfig

#: What nobody has published anything else for: ours serves the schema's own.
CHUNK_CHARACTERS: Final = ParserConfig().chunk_characters
DIMENSIONS: Final = 1536
TEXTS: Final = 300
BATCH: Final = 100

Vectors = NDArray[np.float32]


class Side(Protocol):
    """One way of keeping the same state. Each method is one operation of a row, the `n`-th; what it returns is
    the same for every side."""

    def oauth_begin_consume(self, n: int) -> str: ...
    def progress_write(self, n: int) -> bool: ...
    def progress_read(self, n: int) -> dict[str, Any]: ...
    def config_read(self, n: int) -> int: ...
    def embedding_get_1(self, n: int) -> Vectors: ...
    def embedding_get_1_warm(self, n: int) -> Vectors: ...
    def embedding_get_100(self, n: int) -> Vectors: ...
    def embedding_put_100(self, n: int) -> int: ...
    def component_cold(self, n: int) -> dict[str, Any]: ...
    def component_warm(self, n: int) -> dict[str, Any]: ...
    def queue_push_pop(self, n: int) -> set[str]: ...


class Material:
    """Texts, their vectors, and a component of about a megabyte of JSON."""

    def __init__(self) -> None:
        chance = random.Random(5003)
        self.texts = [f"What does paragraph {number} of the manual say?" for number in range(TEXTS)]
        numbers = np.random.default_rng(5003).standard_normal((TEXTS, DIMENSIONS)).astype(np.float32)
        numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
        #: As exact as passages keep theirs, so that all sides give back the same.
        self.vectors: Vectors = numbers.astype(np.float16).astype(np.float32)

        def word() -> str:
            return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(4, 12)))

        self.component: dict[str, Any] = {
            "terms": {word(): chance.randint(1, 5000) for _ in range(44_000)},
            "acronyms": {word().upper(): f"{word()} {word()}" for _ in range(10_000)},
        }

    def batch(self, n: int) -> Sequence[int]:
        """Numbers of the texts of the `n`-th batch."""
        return [(n * 37 + place) % TEXTS for place in range(BATCH)]


def progress_of(n: int) -> dict[str, Any]:
    """What the `n`-th report of a sync says."""
    return {"status": "syncing", "stage": "indexing", "current_item": f"document {n}"}

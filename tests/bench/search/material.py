"""Generated documents: words as frequent as words are, passages about topics, vectors as the local model makes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.embeddings.providers.local import LocalEmbedder

#: Passages of one document.
PER_DOCUMENT: Final = 10
_WORDS: Final = 30_000
_FEWEST_WORDS: Final = 2_000
#: Words that are about nothing in particular.
_COMMON: Final = 300
_TOPICS: Final = 1_000
_WORDS_OF_TOPIC: Final = 40
_SHORTEST, _LONGEST = 40, 120
_BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Passages:
    """Some passages in a row: their texts, and their unit vectors as half floats (len(texts), dimensions)."""

    texts: Sequence[str]
    vectors: NDArray[np.float16]


def sizes(chunks: int, tenants: int) -> list[int]:
    """How many passages each tenant has: the first has half of all, the others share the rest as 1/n."""
    if tenants == 1:
        return [chunks]
    shares = 1 / np.arange(1, tenants)
    rest = np.maximum(1, (chunks // 2) * shares / shares.sum()).astype(int).tolist()
    return [chunks - sum(rest), *rest]


class Material:
    """The same for the same seed. Word frequencies follow Zipf and Mandelbrot; each passage has a topic of its tenant,
    which two of five of its words belong to; its vector is the mean of its words' vectors, as the local model has it.
    """

    def __init__(self, embedder: LocalEmbedder, *, passages: int, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self.words = _vocabulary(self._random, min(_WORDS, max(_FEWEST_WORDS, passages)))
        vectors = embedder.embed(self.words)
        self._vectors = vectors.astype(np.float32)
        self._general = _cumulated(1 / (np.arange(len(self.words)) + 2.7))
        self._own = _cumulated(1 / (np.arange(_WORDS_OF_TOPIC) + 2.7))
        self._topics = self._random.integers(_COMMON, len(self.words), (_TOPICS, _WORDS_OF_TOPIC))

    def topics(self, passages: int) -> NDArray[np.int64]:
        """Some topics for a tenant of so many passages: about one for every hundred of them."""
        return self._random.choice(_TOPICS, min(_TOPICS, 5 + passages // 100), replace=False)

    def passages(self, topics: NDArray[np.int64], count: int) -> Iterator[Passages]:
        """`count` passages about `topics`, some thousands at a time."""
        while count > 0:
            size = min(count, _BATCH)
            # All passages of a document are about the same.
            documents = self._random.choice(topics, -(-size // PER_DOCUMENT))
            yield self._batch(np.repeat(documents, PER_DOCUMENT)[:size])
            count -= size

    def questions(self, topics: NDArray[np.int64], count: int) -> list[str]:
        """What people could ask: three words of a topic, two that are everywhere, one of any kind."""
        asked = []
        for topic in self._random.choice(topics, count):
            own = self._topics[topic][self._drawn(self._own, 3)]
            common = self._random.integers(0, _COMMON, 2)
            rare = self._drawn(self._general, 1)
            asked.append(" ".join(self.words[i] for i in (*common, *own, *rare)))
        return asked

    def _batch(self, topics: NDArray[np.int64]) -> Passages:
        count = len(topics)
        lengths = self._random.integers(_SHORTEST, _LONGEST, count)
        ids = self._drawn(self._general, (count, _LONGEST))
        own = self._topics[topics[:, None], self._drawn(self._own, (count, _LONGEST))]
        ids = np.where(self._random.random((count, _LONGEST)) < 0.4, own, ids)
        sums = np.zeros((count, self._vectors.shape[1]), dtype=np.float32)
        for place in range(_LONGEST):
            there = lengths > place
            sums[there] += self._vectors[ids[there, place]]
        sums /= np.linalg.norm(sums, axis=1, keepdims=True)
        texts = [
            " ".join([self.words[i] for i in row[:length]])
            for row, length in zip(ids.tolist(), lengths.tolist(), strict=True)
        ]
        return Passages(texts, sums.astype(np.float16))

    def _drawn(self, cumulated: NDArray[np.float64], shape: int | tuple[int, ...]) -> NDArray[np.int64]:
        return np.searchsorted(cumulated, self._random.random(shape)).astype(np.int64)


def _cumulated(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cumsum(weights / weights.sum())


def _vocabulary(random: np.random.Generator, count: int) -> list[str]:
    """Words no language has, of two or three syllables."""
    syllables = ["".join(s) for s in product("bdfgklmnprstvz", "aeiou", ("", "k", "l", "m", "n", "r"))]
    random.shuffle(syllables)
    made = ("".join(parts) for size in (2, 3) for parts in product(syllables[:160], repeat=size))
    words = list(islice(made, 4 * _WORDS))
    random.shuffle(words)
    return words[:count]

"""Other ways of ranking the same passages; for comparison only, nothing of it is in the product."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_K1: Final = 1.2
_B: Final = 0.75
_RRF_K: Final = 60


@dataclass(frozen=True, slots=True)
class Passage:
    """`terms`: lexeme -> how often it stands in the passage, its title and its headings."""

    document: str
    terms: Mapping[str, int]
    vector: NDArray[np.float32]


class BM25:
    """BM25 (Robertson and Zaragoza, 2009) with the non-negative weight of rarity that Lucene uses."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._lengths = [sum(passage.terms.values()) for passage in passages]
        self._mean_length = sum(self._lengths) / max(1, len(passages))
        self._found_in = Counter(term for passage in passages for term in passage.terms)

    def rank(self, terms: Iterable[str]) -> list[str]:
        """Documents that have one of `terms`, by their best passage."""
        asked = {term: self._rarity(term) for term in terms if term in self._found_in}
        scores = [self._score(index, asked) for index in range(len(self._passages))]
        return _by_best_passage(self._passages, scores, above=0.0)

    def _rarity(self, term: str) -> float:
        found = self._found_in[term]
        return math.log(1 + (len(self._passages) - found + 0.5) / (found + 0.5))

    def _score(self, index: int, asked: Mapping[str, float]) -> float:
        terms = self._passages[index].terms
        saturated = _K1 * (1 - _B + _B * self._lengths[index] / self._mean_length)
        return sum(
            weight * times * (_K1 + 1) / (times + saturated)
            for term, weight in asked.items()
            if (times := terms.get(term, 0))
        )


def rank_by_meaning(passages: Sequence[Passage], vector: NDArray[np.float32]) -> list[str]:
    """All documents, by the cosine of their best passage."""
    scores = np.array([passage.vector for passage in passages]) @ vector
    return _by_best_passage(passages, scores.tolist(), above=-2.0)


def fuse(*rankings: Sequence[str]) -> list[str]:
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking in rankings:
        for place, name in enumerate(ranking, 1):
            scores[name] += 1 / (_RRF_K + place)
    return sorted(scores, key=lambda name: (-scores[name], name))


def _by_best_passage(passages: Sequence[Passage], scores: Sequence[float], *, above: float) -> list[str]:
    best: dict[str, float] = {}
    for passage, score in zip(passages, scores, strict=True):
        if score > max(above, best.get(passage.document, above)):
            best[passage.document] = score
    return sorted(best, key=lambda name: (-best[name], name))

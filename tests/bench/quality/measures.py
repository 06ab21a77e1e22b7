"""How good a ranking is, of ten documents at most. Rankings are document ids, the best first, none twice."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

DEPTH: Final = 10


def ndcg(ranking: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Discounted cumulative gain of the first ten, as a share of what the best order would have (grade / log2(rank + 1);
    Järvelin and Kekäläinen, 2002)."""
    best = sorted(relevant.values(), reverse=True)
    return _gain([relevant.get(name, 0) for name in ranking]) / _gain(best)


def recall(ranking: Sequence[str], relevant: Mapping[str, int]) -> float:
    """Share of the relevant documents that are among the first ten."""
    return len(relevant.keys() & set(ranking[:DEPTH])) / len(relevant)


def hit(ranking: Sequence[str], relevant: Mapping[str, int]) -> float:
    """1 if the first document is relevant, else 0."""
    return float(bool(ranking) and ranking[0] in relevant)


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean. Raises ZeroDivisionError when there are no values."""
    listed = list(values)
    return sum(listed) / len(listed)


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 2) for rank, grade in enumerate(grades[:DEPTH]))

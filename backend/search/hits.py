"""Passages that were found, and the order they are shown in."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

#: So many passages of one document may come before all other documents' passages have.
PER_DOCUMENT: Final = 5

#: A document changed today has this share more than an old one, and one without a date half of it; it decides among
#: near equals only.
FRESH_SHARE: Final = 0.03
_HALF_LIFE: Final = timedelta(days=365)

#: As in search_chunks(): blanks and the marks of quoted lines do not make another text.
_BLANKS: Final = " \n\r\t>"


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that may answer, with its document.

    `score` 0 to 1; `lexical_score` 0 to 1, the best passage by words having 1, None if no word matched;
    `similarity`: cosine, None for a passage embedded by another model.
    """

    chunk_id: UUID
    document_id: UUID
    score: float
    lexical_score: float | None
    similarity: float | None
    text: str
    heading_path: Sequence[str]
    start_offset: int
    end_offset: int
    title: str
    source_type: str
    kind: str
    url: str | None
    author: str | None
    metadata: Mapping[str, Any]
    source_updated_at: datetime | None
    created_at: datetime
    #: On which page its first character stands, how many the document has, and where the next ones begin within it.
    first_page: int | None = None
    page_count: int | None = None
    page_turns: Sequence[int] | None = None
    #: What a reranker thinks of it, on a scale of its own; None if none was asked.
    rerank_score: float | None = None

    def page_at(self, offset: int) -> int | None:
        """The page, counted from 1, on which the character at `offset` of the document's text stands, for an offset within
        the passage; None for a document without pages, and behind the last one."""
        if self.first_page is None or self.page_count is None:
            return None
        page = self.first_page + bisect_right(self.page_turns or (), offset)
        return page if page <= self.page_count else None


def arrange(hits: Sequence[Hit], limit: int, now: datetime) -> list[Hit]:
    """Up to `limit` of `hits`, the best first, with `score` raised or lowered a little by when the document changed at its
    source. Further passages of a document that has its places come after all others, and copies of a passage after those.
    """
    rated = sorted(
        ((hit.score * (1 + freshness(hit.source_updated_at, now)), hit) for hit in hits),
        key=lambda pair: (-pair[0], str(pair[1].chunk_id)),
    )
    seen: set[str] = set()
    places: Counter[UUID] = Counter()
    ordered = []
    for score, hit in rated:
        text = _packed(hit.text)
        is_copy = text in seen
        if not is_copy:
            seen.add(text)
            places[hit.document_id] += 1
        later = 2 if is_copy else int(places[hit.document_id] > PER_DOCUMENT)
        ordered.append((later, score, hit))
    ordered.sort(key=lambda placed: placed[0])
    return [replace(hit, score=min(1.0, score)) for _, score, hit in ordered[:limit]]


def _packed(text: str) -> str:
    for blank in _BLANKS:
        text = text.replace(blank, "")
    return text.lower()


def freshness(changed_at: datetime | None, now: datetime) -> float:
    """What share of its score a passage gains: from half of `FRESH_SHARE` for today to minus half of it for long ago; 0
    where nobody knows."""
    if changed_at is None:
        return 0.0
    age = max(timedelta(), now - changed_at)
    return float(FRESH_SHARE * (0.5 ** (age / _HALF_LIFE) - 0.5))

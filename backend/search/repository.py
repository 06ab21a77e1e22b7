"""The hybrid query."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import text

from backend.db.transaction import Unit
from backend.search.hits import PER_DOCUMENT as PER_DOCUMENT
from backend.search.hits import Hit as Hit
from backend.search.hits import arrange
from backend.search.question import says

#: Passages each of the two rankings puts forward.
CANDIDATES = 100

#: Weight of the score by meaning; the rest is the weight of the score by words. Chosen together with the weights in
#: search_chunks(); what others gain and lose is in docs/benchmarks.md.
DENSE_WEIGHT = 0.4

#: … where words must stand together: whether they do exactly is looked at after the ranking.
PHRASE_CANDIDATES = 300

#: Two words of a question belong together if no more than this many places apart: "cost of travel".
_LONGEST_GAP = 3
#: A longer question is a text; what its first words say is enough.
_MOST_PAIRS = 24
#: A lexeme begins as its words do, at least so far.
_STEM = 3

# All that is to be known of a question's words, in one statement: place 0 is the question, the others are its words. What
# is known already is not counted again.
_WEIGH = text(
    """
    WITH asked AS MATERIALIZED (
        SELECT w.place, l.lexeme, l.positions
        FROM unnest(CAST(:question AS text) || CAST(:words AS text[])) WITH ORDINALITY AS w (word, place),
             unnest(words_of(w.word)) AS l
    )
    SELECT size.passages, a.place - 1, a.lexeme, a.positions, counted.frequency
    FROM (
        SELECT coalesce(CAST(:passages AS bigint), (
            SELECT count(*) FROM chunks WHERE tenant_id = :tenant_id
        )) AS passages
    ) AS size
    LEFT JOIN asked AS a ON true
    LEFT JOIN count_lexemes(ARRAY(
        SELECT lexeme FROM asked WHERE lexeme <> ALL (CAST(:known AS text[]))
    )) AS counted USING (lexeme)
    ORDER BY a.place, a.positions[1], a.lexeme
    """
)

_ALLOWED = """
    CASE WHEN :is_filtered THEN ARRAY(
        SELECT d.id FROM documents AS d
        WHERE d.tenant_id = :tenant_id AND d.deleted_at IS NULL
          AND (CAST(:source_types AS text[]) = '{}' OR d.source_type = ANY (:source_types))
          AND (CAST(:kinds AS text[]) = '{}' OR d.kind = ANY (:kinds))
          AND (CAST(:authors AS text[]) = '{}' OR lower(d.author) = ANY (:authors))
          AND (CAST(:labels AS text[]) = '{}' OR jsonb_exists_any(d.metadata -> 'labels', :labels))
          AND (CAST(:since AS timestamptz) IS NULL OR coalesce(d.source_updated_at, d.created_at) >= :since)
          AND (CAST(:until AS timestamptz) IS NULL OR coalesce(d.source_updated_at, d.created_at) < :until)
    ) END
"""
_PHRASES = """
    (
        SELECT string_agg('(' || phrase_of(phrase)::text || ')', ' {operator} ')::tsquery
        FROM unnest(CAST(:{phrases} AS text[])) AS phrase
    )
"""

# A question's lexemes count each on its own: people ask in sentences, and no passage has all their words. What nobody
# may find is left out before the best are chosen, and looked for once more in what comes back. Both tables are read by
# the keys of what was found: a plan that was made for any tenant would read all of a large one's.
_RANKED = """
    SELECT s.chunk_id, s.document_id, s.score, s.lexical_score, s.similarity,
           c.text, c.heading_path, c.start_offset, c.end_offset,
           d.title, d.source_type, d.kind, d.url, d.author, d.metadata, d.source_updated_at, d.created_at,
           width_bucket(c.start_offset, d.page_bounds), cardinality(d.page_bounds) - 1,
           d.page_bounds[width_bucket(c.start_offset, d.page_bounds) + 1 : width_bucket(c.end_offset - 1, d.page_bounds)]
    FROM search_chunks(
        :lexemes, CAST(:embedding AS halfvec), :model, :candidates, :results, :dense_weight,
        :counted_lexemes, CAST(:frequencies AS int[]), CAST(:passages AS bigint),
        :pair_firsts, :pair_seconds, CAST(:pair_gaps AS int[]), {allowed}, ARRAY(
            SELECT d.id FROM documents AS d
            WHERE d.tenant_id = :tenant_id AND d.deleted_at IS NULL
              AND (d.classification IN ('personal', 'spam') OR d.status = 'rejected')
        ), :per_document, :softened, :factors, {required}, {refused}
    ) WITH ORDINALITY AS s (chunk_id, document_id, score, lexical_score, similarity, place)
    CROSS JOIN LATERAL (
        SELECT * FROM chunks AS one WHERE one.tenant_id = :tenant_id AND one.id = s.chunk_id OFFSET 0
    ) AS c
    CROSS JOIN LATERAL (
        SELECT * FROM documents AS one WHERE one.tenant_id = :tenant_id AND one.id = s.document_id OFFSET 0
    ) AS d
    WHERE d.deleted_at IS NULL AND d.classification IN ('work', 'unknown') AND d.status <> 'rejected'
    ORDER BY s.place
"""

# Most questions have neither filters nor phrases, and what is not there need not be planned or carried out.
_SEARCH = text(_RANKED.format(allowed="NULL", required="NULL", refused="NULL"))
_SEARCH_WITHIN = text(
    _RANKED.format(
        allowed=_ALLOWED,
        required=_PHRASES.format(operator="&", phrases="phrases"),
        refused=_PHRASES.format(operator="|", phrases="excluded"),
    )
)

_HAS_DOCUMENTS = text("SELECT EXISTS (SELECT FROM chunks WHERE tenant_id = :tenant_id)")

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents may answer; what is empty or None lets all of them. `authors` whatever their case; `labels`: any of
    them; `since` up to but not including `until`, by when the document last changed at its source, or came here.
    """

    source_types: Sequence[str] = ()
    kinds: Sequence[str] = ()
    authors: Sequence[str] = ()
    labels: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Weighed:
    """A question whose words are counted, which is what `search` takes: `words` as there; `spans` are the places of its
    words (first character, one past the last) with how much each says: the logarithm of how rare it is, 0 for a word
    that all questions have."""

    words: tuple[int, Mapping[str, int]]
    spans: Sequence[tuple[int, int, float]]
    #: those of them (first character, one past the last) that no passage has
    unknown: Sequence[tuple[int, int]]
    #: (lexeme, its places) of the question, in the order of its words
    asked: Sequence[tuple[str, Sequence[int]]]
    #: lexeme -> the share of its weight that it has, where that is not all
    factors: Mapping[str, float]


class SearchRepository:
    """Ranked passages of one tenant, within the caller's transaction or as statements by themselves."""

    def __init__(self, session: Unit) -> None:
        self._session = session

    def weigh(
        self,
        tenant_id: UUID,
        question: str,
        *,
        words: tuple[int, Mapping[str, int]] | None = None,
        softened: Mapping[str, float] | None = None,
    ) -> Weighed:
        """How much each word of `question` says among the tenant's passages.

        `words` is what is known already: how many passages there are, and in about how many of them frequent lexemes
        stand; the others are counted. `softened`: words that are asked for too, each with the share of its weight that
        it has (also if it stands in the question).
        """
        softer = softened or {}
        spans = [match.span() for match in _WORD.finditer(question)]
        passages, known = words or (None, {})
        # Of thousands only those that the question may have; what is missed here is counted in vain.
        written = " ".join((question, *softer)).lower()
        rows = self._session.execute(
            _WEIGH,
            {
                "tenant_id": tenant_id,
                "question": question,
                "words": [*(question[start:end] for start, end in spans), *softer],
                "known": [lexeme for lexeme in known if lexeme[:_STEM] in written],
                "passages": None if passages is None else str(passages),
            },
        ).all()
        found: list[list[tuple[str, Sequence[int]]]] = [[] for _ in range(1 + len(spans) + len(softer))]
        frequencies: dict[str, int] = {}
        for total, place, lexeme, positions, frequency in rows:
            passages = total
            if lexeme is not None:
                found[place].append((lexeme, positions))
                frequencies[lexeme] = known.get(lexeme, frequency)
        asked, rest = found[0], [[lexeme for lexeme, _ in one] for one in found[1:]]
        factors: dict[str, float] = {}
        for factor, lexemes in zip(softer.values(), rest[len(spans) :], strict=True):
            factors |= dict.fromkeys(lexemes, factor)
        each = list(zip(spans, rest, strict=False))
        return Weighed(
            (passages or 0, frequencies),
            [
                (*span, max((_rarity(frequencies[one], passages or 0) for one in lexemes), default=0.0))
                for span, lexemes in each
            ],
            [span for span, lexemes in each if lexemes and not any(frequencies[one] for one in lexemes)],
            asked,
            factors,
        )

    def search(
        self,
        tenant_id: UUID,
        question: str,
        embedding: Sequence[float],
        *,
        model: str,
        limit: int,
        dense_weight: float = DENSE_WEIGHT,
        words: tuple[int, Mapping[str, int]] | None = None,
        filters: Filters | None = None,
        phrases: Sequence[str] = (),
        excluded: Sequence[str] = (),
        softened: Mapping[str, float] | None = None,
        weighed: Weighed | None = None,
    ) -> list[Hit]:
        """Up to `limit` passages, the best first; beyond five of one document, its others come after all others, and
        copies of a passage after those.

        `embedding` is the question's unit vector made by `model`; passages embedded by another model are ranked
        by their words alone. Each of `phrases` must stand in the passage, its headings or its title word for word, none
        of `excluded` may. `weighed` is what `weigh` made of the same question, `words` and `softened`, which then need
        not be given; without it this is a second statement.
        """
        weighed = weighed or self.weigh(tenant_id, question, words=words, softened=softened)
        lexemes = [*dict.fromkeys((*(lexeme for lexeme, _ in weighed.asked), *weighed.factors))]
        passages, known = weighed.words
        pairs = _pairs(weighed.asked)
        chosen = filters or Filters()
        values: dict[str, Any] = {
            "tenant_id": tenant_id,
            "lexemes": lexemes,
            "counted_lexemes": lexemes,
            # As texts: the driver gives whole numbers a type by their size, and each would be planned for.
            "frequencies": _array(known[lexeme] for lexeme in lexemes),
            "passages": str(passages),
            "pair_firsts": [first for first, _, _ in pairs],
            "pair_seconds": [second for _, second, _ in pairs],
            "pair_gaps": _array(gap for _, _, gap in pairs),
            "embedding": "[" + ",".join(f"{x:.6g}" for x in embedding) + "]",
            "model": model,
            "candidates": max(PHRASE_CANDIDATES if phrases else CANDIDATES, limit),
            # Enough to choose from: what is newer and what is a copy is told here.
            "results": PHRASE_CANDIDATES if phrases else 2 * limit + 10,
            "dense_weight": dense_weight,
            "per_document": PER_DOCUMENT,
            "softened": list(weighed.factors),
            "factors": list(weighed.factors.values()),
        }
        statement = _SEARCH
        if phrases or excluded or chosen != Filters():
            statement = _SEARCH_WITHIN
            values |= {
                "phrases": list(phrases),
                "excluded": list(excluded),
                "is_filtered": chosen != Filters(),
                "source_types": list(chosen.source_types),
                "kinds": list(chosen.kinds),
                "authors": [author.lower() for author in chosen.authors],
                "labels": list(chosen.labels),
                "since": chosen.since,
                "until": chosen.until,
            }
        hits = [Hit(*row) for row in self._session.execute(statement, values).all()]
        if phrases:
            hits = [hit for hit in hits if says(phrases, hit.title, hit.text, *hit.heading_path)]
        return arrange(hits, limit, datetime.now(UTC))

    def has_documents(self, tenant_id: UUID) -> bool:
        """Whether there is anything to search."""
        return bool(self._session.execute(_HAS_DOCUMENTS, {"tenant_id": tenant_id}).scalar_one())


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _rarity(frequency: int, passages: int) -> float:
    """Inverse document frequency, as BM25 and the search function have it."""
    return math.log(1 + (max(passages - frequency, 0) + 0.5) / (frequency + 0.5))


def _pairs(lexemes: Sequence[tuple[str, Sequence[int]]]) -> list[tuple[str, str, int]]:
    """(lexeme, the one that follows it, how many places later), each once."""
    placed = sorted((place, lexeme) for lexeme, places in lexemes for place in places)
    near = {
        (first, second, later - place): None
        for (place, first), (later, second) in pairwise(placed)
        if first != second and 0 < later - place <= _LONGEST_GAP
    }
    return list(near)[:_MOST_PAIRS]

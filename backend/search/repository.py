"""The hybrid query."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

from sqlalchemy import text

from backend.db.transaction import Unit
from backend.search.hits import PER_DOCUMENT as PER_DOCUMENT
from backend.search.hits import Hit as Hit
from backend.search.hits import arrange
from backend.search.question import says

#: Passages each of the two rankings puts forward.
CANDIDATES = 100

#: Weight of the score by meaning; the rest is the weight of the score by words. Of a few tried, the largest with which
#: company documents lost nothing against smaller ones; what other weights gain and lose is in docs/benchmarks.md.
DENSE_WEIGHT = 0.4

#: … where words must stand together: whether they do exactly is looked at after the ranking.
PHRASE_CANDIDATES = 300

#: Two words of a question belong together if no more than this many places apart: "cost of travel".
_LONGEST_GAP = 3
#: A longer question is a text; what its first words say is enough.
_MOST_PAIRS = 24

_LEXEMES = text("SELECT lexeme, positions FROM unnest(words_of(:question)) ORDER BY positions[1], lexeme")

_WORDS = text(
    "SELECT tsvector_to_array(words_of(word)) FROM unnest(CAST(:words AS text[])) WITH ORDINALITY"
    " AS w (word, place) ORDER BY place"
)

# The lexemes of the whole question and of each of its words, how many passages have those that are not known, and how many
# passages there are, if that is not known either: one round trip for what a question needs before it can be embedded.
_WEIGH = text(
    """
    WITH asked AS MATERIALIZED (
        SELECT lexeme, positions FROM unnest(words_of(:question))
    ), separate AS MATERIALIZED (
        SELECT place, tsvector_to_array(words_of(word)) AS lexemes
        FROM unnest(CAST(:words AS text[])) WITH ORDINALITY AS w (word, place)
    ), wanted AS MATERIALIZED (
        SELECT lexeme FROM asked UNION SELECT unnest(lexemes) FROM separate
    )
    SELECT (SELECT jsonb_agg(jsonb_build_array(lexeme, positions) ORDER BY positions[1], lexeme) FROM asked),
           (SELECT jsonb_agg(lexemes ORDER BY place) FROM separate),
           (SELECT jsonb_object_agg(c.lexeme, c.frequency) FROM count_lexemes(ARRAY(
                SELECT lexeme FROM wanted WHERE lexeme <> ALL (CAST(:counted AS text[])))) AS c),
           coalesce(CAST(:passages AS bigint), (SELECT count(*) FROM chunks WHERE tenant_id = :tenant_id))
    """
)

# A question's lexemes count each on its own: people ask in sentences, and no passage has all their words. What nobody
# may find is left out before the best are chosen, and looked for once more in what comes back.
_SEARCH = text(
    """
    SELECT s.chunk_id, s.document_id, s.score, s.lexical_score, s.similarity,
           c.text, c.heading_path, c.start_offset, c.end_offset,
           d.title, d.source_type, d.kind, d.url, d.author, d.metadata, d.source_updated_at, d.created_at,
           width_bucket(c.start_offset, d.page_bounds),
           d.page_bounds[width_bucket(c.start_offset, d.page_bounds) + 1 : width_bucket(c.end_offset - 1, d.page_bounds)],
           cardinality(d.page_bounds) - 1
    FROM search_chunks(
        :lexemes, CAST(:embedding AS halfvec), :model, :candidates, :results, :dense_weight,
        :counted_lexemes, :frequencies, :passages, :pair_firsts, :pair_seconds, :pair_gaps,
        CASE WHEN :is_filtered THEN ARRAY(
            SELECT d.id FROM documents AS d
            WHERE d.tenant_id = :tenant_id AND d.deleted_at IS NULL
              AND (CAST(:source_types AS text[]) = '{}' OR d.source_type = ANY (:source_types))
              AND (CAST(:kinds AS text[]) = '{}' OR d.kind = ANY (:kinds))
              AND (CAST(:authors AS text[]) = '{}' OR lower(d.author) = ANY (:authors))
              AND (CAST(:labels AS text[]) = '{}' OR jsonb_exists_any(d.metadata -> 'labels', :labels))
              AND (CAST(:since AS timestamptz) IS NULL OR coalesce(d.source_updated_at, d.created_at) >= :since)
              AND (CAST(:until AS timestamptz) IS NULL OR coalesce(d.source_updated_at, d.created_at) < :until)
        ) END, ARRAY(
            SELECT d.id FROM documents AS d
            WHERE d.tenant_id = :tenant_id AND d.deleted_at IS NULL
              AND (d.classification IN ('personal', 'spam') OR d.status = 'rejected')
        ), :per_document, :softened, :factors, (
            SELECT string_agg('(' || phrase_of(phrase)::text || ')', ' & ')::tsquery
            FROM unnest(CAST(:phrases AS text[])) AS phrase
        ), (
            SELECT string_agg('(' || phrase_of(phrase)::text || ')', ' | ')::tsquery
            FROM unnest(CAST(:excluded AS text[])) AS phrase
        )) WITH ORDINALITY AS s (chunk_id, document_id, score, lexical_score, similarity, place)
    JOIN chunks AS c ON c.tenant_id = :tenant_id AND c.id = s.chunk_id
    JOIN documents AS d ON d.tenant_id = :tenant_id AND d.id = s.document_id
    WHERE d.deleted_at IS NULL AND d.classification IN ('work', 'unknown') AND d.status <> 'rejected'
    ORDER BY s.place
    """
)

_ANYTHING = text("SELECT EXISTS (SELECT FROM chunks WHERE tenant_id = :tenant_id)")

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents may answer; what is empty or None lets all of them.

    `authors` whatever their case; `labels`: any of them; `since` up to but not including `until`, by when the document
    last changed at its source, or came here.
    """

    source_types: Sequence[str] = ()
    kinds: Sequence[str] = ()
    authors: Sequence[str] = ()
    labels: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Weighed:
    """A question whose words are counted: `words` is what `search` takes; `spans` are the places of its words
    (first character, one past the last) with how much each says: the logarithm of how rare it is, 0 for a word that
    all questions have."""

    words: tuple[int, Mapping[str, int]]
    spans: Sequence[tuple[int, int, float]]
    #: those of them (first character, one past the last) that no passage has
    unknown: Sequence[tuple[int, int]]
    #: (lexeme, its places) of the question, in the order of its words
    lexemes: Sequence[tuple[str, Sequence[int]]]


class SearchRepository:
    """Ranked passages of one tenant, within the caller's unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def weigh(
        self, tenant_id: UUID, question: str, *, words: tuple[int, Mapping[str, int]] | None = None
    ) -> Weighed:
        """How much each word of `question` says among the tenant's passages.

        `words` is what is known already, as for `search`; the others are counted.
        """
        places = [match.span() for match in _WORD.finditer(question)]
        passages, known = words or (None, {})
        asked, separate, counted, passages = self._unit.execute(
            _WEIGH,
            {
                "tenant_id": tenant_id,
                "question": question,
                "words": [question[start:end] for start, end in places],
                "counted": list(known),
                "passages": passages,
            },
        ).one()
        lexemes = [tuple(one) for one in asked or ()]
        found = [set(one) for one in separate or ()]
        wanted = {lexeme for lexeme, _ in lexemes}.union(*found)
        known = {**known, **(counted or {})}
        frequencies = {lexeme: known[lexeme] for lexeme in wanted}
        spans = [
            (start, end, max((_rarity(frequencies[lexeme], passages) for lexeme in each), default=0.0))
            for (start, end), each in zip(places, found, strict=True)
        ]
        unknown = [
            place
            for place, each in zip(places, found, strict=True)
            if each and not any(frequencies[lexeme] for lexeme in each)
        ]
        return Weighed((passages, frequencies), spans, unknown, lexemes)

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
        lexemes: Sequence[tuple[str, Sequence[int]]] | None = None,
    ) -> list[Hit]:
        """Up to `limit` passages, the best first; beyond five of one document, its others come after all others, and
        copies of a passage after those.

        `embedding` is the question's unit vector made by `model`; passages embedded by another model are ranked
        by their words alone. `words` is what is known already: how many passages there are, and in about how many of
        them frequent lexemes stand; what it does not say is counted. Each of `phrases` must stand in the passage, its
        headings or its title word for word, none of `excluded` may. `softened`: words that are asked for too, each with
        the share of its weight that it has (also if it stands in the question). `lexemes` are the question's, if `weigh`
        has found them.
        """
        softer = softened or {}
        factors: dict[str, float] = {}
        if softer:
            rows = self._unit.execute(_WORDS, {"words": list(softer)}).all()
            for word, (found,) in zip(softer, rows, strict=True):
                factors |= dict.fromkeys(found, softer[word])
        asked = self._lexemes(question) if lexemes is None else lexemes
        wanted = [*dict.fromkeys((*(lexeme for lexeme, _ in asked), *factors))]
        passages, known = words or (None, {})
        counted = [lexeme for lexeme in wanted if lexeme in known]
        pairs = _pairs(asked)
        chosen = filters or Filters()
        found_rows = self._unit.execute(
            _SEARCH,
            {
                "tenant_id": tenant_id,
                "lexemes": wanted,
                "counted_lexemes": counted,
                "frequencies": [known[lexeme] for lexeme in counted],
                "passages": passages,
                "pair_firsts": [first for first, _, _ in pairs],
                "pair_seconds": [second for _, second, _ in pairs],
                "pair_gaps": [gap for _, _, gap in pairs],
                "embedding": "[" + ",".join(f"{x:.6g}" for x in embedding) + "]",
                "model": model,
                "candidates": max(PHRASE_CANDIDATES if phrases else CANDIDATES, limit),
                # Enough to choose from: what is newer and what is a copy is told here.
                "results": PHRASE_CANDIDATES if phrases else 2 * limit + 10,
                "dense_weight": dense_weight,
                "per_document": PER_DOCUMENT,
                "softened": list(factors),
                "factors": list(factors.values()),
                "phrases": list(phrases),
                "excluded": list(excluded),
                "is_filtered": chosen != Filters(),
                "source_types": list(chosen.source_types),
                "kinds": list(chosen.kinds),
                "authors": [author.lower() for author in chosen.authors],
                "labels": list(chosen.labels),
                "since": chosen.since,
                "until": chosen.until,
            },
        )
        hits = [Hit(*row) for row in found_rows.all()]
        if phrases:
            hits = [hit for hit in hits if says(phrases, hit.title, hit.text, *hit.heading_path)]
        return arrange(hits, limit, datetime.now(UTC))

    def _lexemes(self, question: str) -> list[tuple[str, Sequence[int]]]:
        """(lexeme, its places) of the question, in the order of its words."""
        return [
            (lexeme, places) for lexeme, places in self._unit.execute(_LEXEMES, {"question": question}).all()
        ]

    def has_documents(self, tenant_id: UUID) -> bool:
        """Whether there is anything to search."""
        return bool(self._unit.execute(_ANYTHING, {"tenant_id": tenant_id}).scalar_one())


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

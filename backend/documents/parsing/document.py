"""What reading a document gives: its text, what it says about itself, and its passages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Who reads documents without embedding them has no use for it, and does not pay for it.
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document's text, never empty: Markdown if `is_markdown`, else as it was.

    `mime_type` is what the bytes turned out to be, which may differ from the name. `language` is what the
    file claims (BCP 47), `metadata` what else it says about itself (authors, dates, page_count, …); with
    `truncated` among it, `text` is the beginning only, and its value says of what.
    """

    text: str
    mime_type: str
    title: str | None
    is_markdown: bool
    language: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    page_bounds: Sequence[int] = ()
    """Offsets in `text` at which each of its pages or slides begins, and at which the last one ends, in order; empty where
    the format has none."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: `text` is the document's text from character `start` up to `end`.

    `heading_path` names the headings it begins under, outermost first; empty in plain text.
    """

    ordinal: int
    text: str
    start: int
    end: int
    heading_path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A parsed document and its passages in order, with their unit vectors (passages × dimensions) if it was embedded
    where it was read."""

    document: ParsedDocument
    passages: Sequence[Chunk]
    vectors: "NDArray[np.float32] | None" = None

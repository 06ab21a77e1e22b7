"""What every source of embeddings promises."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backend.errors import Invalid, Unavailable


class EmbeddingFailed(Unavailable):
    """The embedding could not be computed right now; try again."""


class EmbeddingRefused(EmbeddingFailed):
    """The embedding server does not take these texts."""


class NotEmbeddable(Invalid):
    """This text has no embedding: it is empty or is no text."""


class Embedder(Protocol):
    """Turns texts into points of a space in which similar meanings are near each other.

    Safe to use from several threads at once.
    """

    @property
    def model(self) -> str:
        """Names the space: vectors of different models must never be compared."""

    @property
    def dimensions(self) -> int:
        """Length of every vector."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row per text, in order: shape (len(texts), dimensions), every row of length 1.

        Raises `NotEmbeddable` if a text is blank or not Unicode, and `EmbeddingFailed` if a vector cannot
        be had; a row of zeros is never returned.
        """


def require_texts(texts: Sequence[str]) -> None:
    """Raise `NotEmbeddable` if one of `texts` is blank or holds half a character (a lone surrogate)."""
    for index, text in enumerate(texts):
        if not text.strip():
            raise NotEmbeddable(f"Text {index} is empty; an empty text has no embedding.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise NotEmbeddable(f"Text {index} is not valid Unicode.") from error


def to_unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """`vectors` (n × dimensions) with every row scaled to length 1.

    Raises `EmbeddingFailed` if a row has no direction (all zeros) or holds something that is not a number.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not bool(np.all(np.isfinite(lengths) & (lengths > 0))):
        raise EmbeddingFailed("The model gave a vector without a direction.")
    unit: NDArray[np.float32] = (vectors / lengths).astype(np.float32, copy=False)
    return unit

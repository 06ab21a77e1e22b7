"""Embeddings from any server with the OpenAI interface (`POST {base_url}/embeddings`)."""

from collections.abc import Sequence
from typing import Any, Final

import httpx2
import numpy as np
import stamina
from numpy.typing import NDArray

from backend.embeddings.providers.contract import (
    EmbeddingFailed,
    EmbeddingRefused,
    require_texts,
    to_unit_rows,
)

MAX_BATCH: Final = 128
ATTEMPTS: Final = 4
_TIMEOUT: Final = httpx2.Timeout(60, connect=5)
_MAX_WAIT_SECONDS: Final = 20.0
#: What servers answer to texts that are too long or otherwise not to their taste.
_ABOUT_TEXTS: Final = (400, 413, 422)


class _TryAgain(Exception):
    """The server asked for patience or failed itself."""

    def __init__(self, status: int, wait_seconds: float | None) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(f"status {status}")


class OpenAIEmbedder:
    """Asks `model` at `base_url` for vectors of `dimensions`; `api_key` may be missing.

    `client` must be thread-safe, as httpx2's is, and is closed by its owner; without one the embedder makes its
    own. Texts travel in batches of at most 128. A busy or unreachable server is asked up to 4 times, as
    patiently as it asks for within 20 seconds a time and a minute in all.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        dimensions: int,
        api_key: str | None = None,
        client: httpx2.Client | None = None,
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._model = model
        self._dimensions = dimensions
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = client or httpx2.Client()

    def __repr__(self) -> str:
        # Nothing of the key or of a password in the address.
        return f"OpenAIEmbedder({self._model!r}, {self._dimensions})"

    @property
    def model(self) -> str:
        """The model's name at the server."""
        return self._model

    @property
    def dimensions(self) -> int:
        """Length of the vectors the model gives."""
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of `texts`, shape (len(texts), dimensions).

        Raises `NotEmbeddable` for a blank text, `EmbeddingRefused` when the server does not take the texts, and
        `EmbeddingFailed` when it cannot be reached, refuses everybody, or answers with anything but one vector of the
        right length per text.
        """
        require_texts(texts)
        batches = [list(texts[first : first + MAX_BATCH]) for first in range(0, len(texts), MAX_BATCH)]
        rows = [self._embed_batch(batch) for batch in batches]
        return np.concatenate(rows) if rows else np.empty((0, self._dimensions), dtype=np.float32)

    def _embed_batch(self, texts: list[str]) -> NDArray[np.float32]:
        try:
            for attempt in stamina.retry_context(
                _patience, attempts=ATTEMPTS, timeout=60, wait_initial=0.5, wait_max=_MAX_WAIT_SECONDS
            ):
                with attempt:
                    answer = self._post(texts)
        except (httpx2.HTTPError, _TryAgain) as error:
            raise EmbeddingFailed("The embedding server does not answer right now.") from error
        return to_unit_rows(_read_vectors(answer, len(texts), self._dimensions))

    def _post(self, texts: list[str]) -> httpx2.Response:
        response = self._client.post(
            self._url,
            json={"model": self._model, "input": texts, "encoding_format": "float"},
            headers=self._headers,
            timeout=_TIMEOUT,
        )
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise _TryAgain(response.status_code, _asked_wait(response))
        if response.status_code != httpx2.codes.OK:
            # What the server says may repeat the texts or the key; its number says enough.
            refused = EmbeddingRefused if response.status_code in _ABOUT_TEXTS else EmbeddingFailed
            raise refused(f"The embedding server refused the request (status {response.status_code}).")
        return response


def _patience(error: Exception) -> bool | float:
    """Whether to try again, or in how many seconds if the server named them."""
    if isinstance(error, _TryAgain):
        return True if error.wait_seconds is None else error.wait_seconds
    # A server that took the request and then stayed silent would only be given the same work twice.
    return isinstance(error, httpx2.TransportError) and not isinstance(error, httpx2.ReadTimeout)


def _asked_wait(response: httpx2.Response) -> float | None:
    try:
        return min(max(float(response.headers["Retry-After"]), 0.0), _MAX_WAIT_SECONDS)
    except (KeyError, ValueError):
        return None


def _read_vectors(response: httpx2.Response, count: int, dimensions: int) -> NDArray[np.float32]:
    """The vectors in the order of the texts, which servers need not keep: each names its `index`."""
    try:
        items: list[dict[str, Any]] = response.json()["data"]
        if sorted(int(item["index"]) for item in items) != list(range(count)):
            raise ValueError("not one vector per text")
        ordered = sorted(items, key=lambda item: int(item["index"]))
        vectors = np.array([item["embedding"] for item in ordered], dtype=np.float32)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EmbeddingFailed("The embedding server's answer is malformed.") from error
    if vectors.shape != (count, dimensions):
        raise EmbeddingFailed(
            f"The embedding server gave vectors of shape {vectors.shape}, not ({count}, {dimensions})."
        )
    return vectors

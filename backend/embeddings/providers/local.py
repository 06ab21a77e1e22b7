"""Embeddings computed in this process from the static word vectors that the `wordllama` package carries.

The package itself is never imported: that costs 31 MB per process, and loading its model another 47 MB of
private memory for a float32 copy of the table. Here the float16 table is mapped from the file, so all
processes of a machine share one copy, and only the rows in use are read at all.
"""

import importlib.util
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from backend.embeddings.providers.contract import EmbeddingFailed, require_texts, to_unit_rows

LOCAL_MODEL: Final = "wordllama/l2_supercat_256"

_PACKAGE: Final = "wordllama"
_WEIGHTS: Final = Path("weights", "l2_supercat_256.safetensors")
_TOKENIZER: Final = Path("tokenizers", "l2_supercat_tokenizer_config.json")
_TENSOR: Final = "embedding.weight"
_DIMENSIONS: Final = 256
#: What is known of a text's tokens takes a hundred times the memory of its vector.
_AT_ONCE: Final = 32


class LocalEmbedder:
    """The mean of a text's word vectors, as `wordllama` computes it; needs no network and no graphics card.

    Word order plays no part. Weak alone, useful beside lexical search. About 2,000 passages a second.
    """

    def __init__(self) -> None:
        """Find the bundled model. Raises `EmbeddingFailed` when the package or its files are missing."""
        folder = _package_folder()
        self._paths = folder / _WEIGHTS, folder / _TOKENIZER
        self._lock = threading.Lock()
        self._model: _Model | None = None
        try:
            for path in self._paths:
                path.stat()
        except OSError as error:
            raise EmbeddingFailed("The local embedding model is incomplete.") from error

    def open(self) -> "_Model":
        """Opens the model now instead of when it is first used: 16 MB and 70 ms, which most workers and commands never
        need. Raises `EmbeddingFailed`."""
        with self._lock:
            if self._model is None:
                self._model = _open(*self._paths)
            return self._model

    @property
    def model(self) -> str:
        """`wordllama/l2_supercat_256`."""
        return LOCAL_MODEL

    @property
    def dimensions(self) -> int:
        """256."""
        return _DIMENSIONS

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of `texts`, shape (len(texts), 256). Raises `NotEmbeddable`."""
        require_texts(texts)
        table, tokenizer = self.open()
        means = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _AT_ONCE):
            # In a batch the tokenizer lets other threads run meanwhile.
            batch = tokenizer.encode_batch_fast(
                list(texts[start : start + _AT_ONCE]), add_special_tokens=False
            )
            for row, encoded in enumerate(batch, start):
                # Bytes stand in for characters the vocabulary lacks, so there is no text without tokens; row 0
                # is the tokenizer's own "unknown", should a later vocabulary leave one without.
                means[row] = table.take(encoded.ids or [0], axis=0).mean(axis=0, dtype=np.float32)
        return to_unit_rows(means)

    def knows(self, word: str) -> bool:
        """Whether `word` is one of the model's own 32,000, which rare and misspelt words are put together from."""
        return len(self.open().tokenizer.encode(word.lower(), add_special_tokens=False).ids) == 1

    def embed_weighted(self, text: str, spans: Sequence[tuple[int, int, float]]) -> NDArray[np.float32]:
        """Unit vector of `text`, shape (256,), in which each of `spans` (first character, one past the last, weight)
        counts as much as it weighs, and what is in none of them not at all.

        The plain mean is led by the words every question has; weighed by how rare they are (Arora, Liang and Ma, ICLR
        2017), the question is found better among vectors that stay as they are. Where nothing weighs anything: the
        plain mean. Raises `NotEmbeddable`.
        """
        require_texts((text,))
        table, tokenizer = self.open()
        encoded = tokenizer.encode(text, add_special_tokens=False)
        weights = [
            max((weight for start, end, weight in spans if start < last and first < end), default=0.0)
            for first, last in encoded.offsets
        ]
        if not any(weight > 0 for weight in weights):
            plain: NDArray[np.float32] = self.embed((text,))[0]
            return plain
        rows = table[encoded.ids].astype(np.float32)
        weighted: NDArray[np.float32] = to_unit_rows(np.asarray(weights, dtype=np.float32)[None, :] @ rows)[0]
        return weighted


class _Model(NamedTuple):
    table: NDArray[np.float16]
    tokenizer: Tokenizer


def _open(weights: Path, words: Path) -> _Model:
    # Else batches start a thread pool, which does not survive a fork; the library looks nowhere else.
    os.putenv("TOKENIZERS_PARALLELISM", "false")
    try:
        table = _map_table(weights)
        tokenizer = Tokenizer.from_file(str(words))
    except (OSError, KeyError, ValueError) as error:
        raise EmbeddingFailed("The local embedding model is incomplete.") from error
    if table.shape[1] != _DIMENSIONS:
        raise EmbeddingFailed("The local embedding model is another one.")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # It would remember how it cut each "word", and to this model a short text as a whole is one: some
    # kilobytes for each that was ever embedded, and no question is embedded faster for it.
    tokenizer.model._resize_cache(0)
    return _Model(table, tokenizer)


def _package_folder() -> Path:
    # find_spec locates the package without running it.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddingFailed("The package that carries the local embedding model is not installed.")
    return Path(spec.origin).parent


def _map_table(path: Path) -> NDArray[np.float16]:
    """The table of a safetensors file: 8 bytes header length, JSON header, then the numbers as they are.

    The `safetensors` library reads whole tensors or slices into private memory; it cannot map them.
    """
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        tensor = json.loads(file.read(header_length))[_TENSOR]
    if tensor["dtype"] != "F16" or len(tensor["shape"]) != 2:
        raise ValueError("not a table of float16")
    offset = 8 + header_length + tensor["data_offsets"][0]
    mapped = np.memmap(path, dtype="<f2", mode="r", offset=offset, shape=tuple(tensor["shape"]))
    # As a plain array, because indexing the subclass costs more than the arithmetic.
    return np.asarray(mapped)

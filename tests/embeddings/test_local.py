"""The local model: the same vectors as the package it borrows from, for a fraction of the memory."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from backend.embeddings.providers.contract import Embedder, EmbeddingFailed, NotEmbeddable, to_unit_rows
from backend.embeddings.providers.local import LocalEmbedder

TEXTS = (
    "How much baggage may I take?",
    "Zoë ordered 3 chargers for ₹1,500 🙂",
    "漢字かな交じり文",
    "a",
    "\u200b",
    "line one\n\n  line two\t",
    "<s> </s> <unk>",
    "word " * 3000,
)


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder()


def test_embed_equals_the_published_model(embedder: LocalEmbedder) -> None:
    import wordllama  # type: ignore[import-untyped]

    folder = Path(wordllama.__file__).parent
    published = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)

    expected = published.embed(list(TEXTS), norm=True)

    np.testing.assert_allclose(embedder.embed(TEXTS), expected, atol=1e-3)


def test_embed_gives_unit_rows_in_order(embedder: LocalEmbedder) -> None:
    promised: Embedder = embedder
    vectors = promised.embed(TEXTS)

    assert vectors.shape == (len(TEXTS), promised.dimensions) == (len(TEXTS), 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors[2], promised.embed([TEXTS[2]])[0])


def test_embed_puts_similar_meanings_near(embedder: LocalEmbedder) -> None:
    question, near, far = embedder.embed(["luggage on a flight", "bags in an aircraft", "tax law reform"])

    assert question @ near > question @ far + 0.2


def test_embed_weighted_counts_words_as_they_weigh(embedder: LocalEmbedder) -> None:
    text = "the luggage of Zoë"
    luggage, zoe = (4, 11, 1.0), (15, 18, 1.0)
    (both, alone, luggage_alone) = embedder.embed([text, "luggage Zoë", "luggage"])

    assert embedder.embed_weighted(text, [luggage]) @ luggage_alone > 0.99
    assert embedder.embed_weighted(text, [luggage, zoe]) @ alone > 0.95
    np.testing.assert_allclose(embedder.embed_weighted(text, [(0, len(text), 3.0)]), both, atol=1e-3)
    np.testing.assert_allclose(embedder.embed_weighted(text, [(0, 3, 0.0)]), both, atol=1e-6)
    with pytest.raises(NotEmbeddable):
        embedder.embed_weighted(" ", [])


def test_embed_of_nothing_has_no_rows(embedder: LocalEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 256)


@pytest.mark.parametrize("text", ["", " \n", "\ud800"])
def test_embed_refuses_what_is_no_text(embedder: LocalEmbedder, text: str) -> None:
    with pytest.raises(NotEmbeddable, match="Text 1"):
        embedder.embed(["fine", text])


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_to_unit_rows_never_gives_a_vector_without_direction(bad: float) -> None:
    with pytest.raises(EmbeddingFailed):
        to_unit_rows(np.array([[1.0, 2.0], [bad, 0.0]], dtype=np.float32))


def test_embed_serves_many_threads(embedder: LocalEmbedder) -> None:
    expected = embedder.embed(TEXTS)

    with ThreadPoolExecutor(8) as pool:
        for vectors in pool.map(lambda _: embedder.embed(TEXTS), range(64)):
            np.testing.assert_array_equal(vectors, expected)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_model_costs_little_private_memory() -> None:
    script = """
import re, sys, numpy
def private_mb():
    return sum(map(int, re.findall(r"Private_Dirty: +(\\d+)", open("/proc/self/smaps_rollup").read()))) / 1024
before = private_mb()
from backend.embeddings.providers.local import LocalEmbedder
LocalEmbedder().embed([f"word number {n} of many" for n in range(500)])
assert "wordllama" not in sys.modules
print(private_mb() - before)
"""
    grown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    # 12 MB when written; the published way takes 60 before it has embedded anything.
    assert float(grown.stdout) < 25


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_model_remembers_no_text() -> None:
    script = """
import re
from backend.embeddings.providers.local import LocalEmbedder
def private_mb():
    return sum(map(int, re.findall(r"Private_Dirty: +(\\d+)", open("/proc/self/smaps_rollup").read()))) / 1024
embedder = LocalEmbedder()
def embed(numbers):
    embedder.embed([f"Text {n} of many, each with a number of its own and words enough to be remembered. " * 2 for n in numbers])
embed(range(200))
before = private_mb()
for n in range(200, 6_000, 50):
    embed(range(n, n + 50))
print(private_mb() - before)
"""
    grown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    # 0.0 MB when written; 40 with what the tokenizer remembers if it may.
    assert float(grown.stdout) < 2

"""Passages are embedded in the process that reads the document: with the same vectors, or else by the worker."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.documents.parsing import child
from backend.documents.parsing.framing import EmbeddingWanted
from backend.documents.parsing.limits import Limits
from backend.documents.parsing.reader import DocumentReader
from backend.documents.rows import NewDocument
from backend.embeddings.known import EmbedderPair
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ingest_document.context import in_context
from backend.flows.ingest_document.flow import prepare
from backend.flows.ingest_document.reading import open_reader
from tests.documents import samples

GUIDE = b"# Handbook\n\n## Hangars\n\nDoors open inwards.\n\n## Masts\n\nThey are painted green.\n"


class Counting:
    """`name`'s vectors are the local model's; counts the texts it was asked for."""

    dimensions = 256

    def __init__(self, name: str, local: LocalEmbedder) -> None:
        self.model = name
        self.asked = 0
        self._local = local

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += len(texts)
        return self._local.embed(texts)


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    return LocalEmbedder()


@pytest.fixture(scope="module")
def reader(local: LocalEmbedder) -> Iterator[DocumentReader]:
    with open_reader(local) as made:
        yield made


def item(body: bytes, *, title: str = "", file_name: str = "guide.md") -> SourceItem:
    return SourceItem(
        external_id="1",
        title=title,
        body=body,
        mime_type="",
        file_name=file_name,
        kind="file",
        url=None,
        author=None,
        created_at=None,
        updated_at=datetime.now(UTC),
        metadata={},
    )


def vectors(document: NewDocument) -> NDArray[np.float32]:
    return np.stack([chunk.embedding for chunk in document.chunks])


@pytest.mark.parametrize(
    ("title", "body", "file_name"),
    [
        ("", GUIDE, "guide.md"),
        ("How we build", GUIDE, "guide.md"),
        ("", b"No title in here.", "notes.txt"),
        ("Half a \ud83d sign, and a \0", GUIDE, "half \udc00.md"),
        ("", samples.make_pdf(["Bags may weigh 23 kg each."]), "bags.pdf"),
    ],
)
def test_vectors_are_those_the_worker_would_make(
    reader: DocumentReader, local: LocalEmbedder, title: str, body: bytes, file_name: str
) -> None:
    same = Counting(local.model, local)
    given = item(body, title=title, file_name=file_name)
    document = prepare(given, source_type="file", embedder=same, config=ParserConfig(), reader=reader)
    assert same.asked == 0
    texts = [in_context(document.title, chunk.heading_path, chunk.text) for chunk in document.chunks]
    np.testing.assert_allclose(vectors(document), local.embed(texts), atol=1e-6)
    # Fit for Postgres and for whoever reads it.
    assert "\0" not in document.title + document.file_name
    assert (document.title + document.file_name).encode()


def test_other_models_are_asked_by_the_worker(reader: DocumentReader, local: LocalEmbedder) -> None:
    other = Counting("tests/other", local)
    document = prepare(item(GUIDE), source_type="file", embedder=other, config=ParserConfig(), reader=reader)
    assert (other.asked, document.embedding_model) == (len(document.chunks), "tests/other")


def test_next_model_is_asked_besides(reader: DocumentReader, local: LocalEmbedder) -> None:
    serving, following = Counting(local.model, local), Counting("tests/next", local)
    document = prepare(
        item(GUIDE),
        source_type="file",
        embedder=EmbedderPair(serving, following),
        config=ParserConfig(),
        reader=reader,
    )
    assert (serving.asked, following.asked) == (0, len(document.chunks))
    assert all("tests/next" in chunk.more_embeddings for chunk in document.chunks)


def test_reader_of_another_model_carries_none(local: LocalEmbedder) -> None:
    with open_reader(Counting("tests/other", local)) as plain:
        assert plain.model is None
        document = prepare(
            item(GUIDE), source_type="file", embedder=local, config=ParserConfig(), reader=plain
        )
    assert len(vectors(document)) == len(document.chunks)


def test_very_many_passages_are_left_to_the_worker(reader: DocumentReader) -> None:
    def read(sentences: int) -> tuple[int, bool]:
        found = reader.read(
            b"Words without end. " * sentences,
            file_name="a.txt",
            mime_type=None,
            limits=Limits(),
            max_characters=100,
            overlap=0,
            embedding=EmbeddingWanted("Title", "", 256),
        )
        return len(found.passages), found.vectors is not None

    few, were_embedded = read(1000)
    assert (few < child._MOST_EMBEDDED, were_embedded) == (True, True)
    many, were_embedded = read(20_000)
    assert (many > child._MOST_EMBEDDED, were_embedded) == (True, False)

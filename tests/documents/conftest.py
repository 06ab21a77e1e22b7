"""Documents ready to be stored, made by the real pipeline."""

from collections.abc import Callable

import pytest

from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.documents.rows import NewDocument
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ingest_document.flow import prepare
from tests.readers import shared_reader

MakeDocument = Callable[..., NewDocument]


@pytest.fixture(scope="session")
def embedder() -> LocalEmbedder:
    """The default model."""
    return LocalEmbedder()


@pytest.fixture(scope="session")
def make_document(embedder: LocalEmbedder) -> MakeDocument:
    """A prepared document: `make_document(external_id, text, title=…)`."""

    def make(external_id: str, text: str, *, title: str = "", **metadata: str) -> NewDocument:
        item = SourceItem(
            external_id=external_id,
            title=title or external_id,
            body=text.encode(),
            mime_type="text/markdown",
            file_name="note.md",
            kind="doc",
            url=None,
            author=None,
            created_at=None,
            updated_at=None,
            metadata=metadata,
        )
        return prepare(
            item, source_type="file", embedder=embedder, config=ParserConfig(), reader=shared_reader()
        )

    return make

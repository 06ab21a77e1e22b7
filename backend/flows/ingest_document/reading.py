"""Opens what reads documents for the other modules of this flow."""

from typing import Final

from backend.documents.parsing.reader import DocumentReader
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.providers.local import LOCAL_MODEL

_PROGRAM: Final = "backend.flows.ingest_document.child"


def open_reader(embedder: Embedder, processes: int = 1) -> DocumentReader:
    """Reading processes that embed passages as well, if `embedder` is the model in the package."""
    if embedder.model != LOCAL_MODEL:
        return DocumentReader(processes)
    return DocumentReader(processes, program=_PROGRAM, model=LOCAL_MODEL)

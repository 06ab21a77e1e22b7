"""One reader for all tests: starting a process for each would take them minutes."""

import atexit
from functools import cache

from backend.documents.parsing.reader import DocumentReader
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ingest_document.reading import open_reader


@cache
def shared_reader() -> DocumentReader:
    """Two processes, started when they are needed, ended with the tests."""
    reader = open_reader(LocalEmbedder(), 2)
    atexit.register(reader.close)
    return reader

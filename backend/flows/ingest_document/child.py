"""The process that reads documents and embeds their passages: `python -m backend.flows.ingest_document.child PARENT`.

The same as `backend.documents.parsing.child` with the model in the package, so that passages are embedded on as many
processors as documents are read.
"""

from collections.abc import Sequence

from backend.documents.parsing.child import Embed, main
from backend.documents.parsing.document import Chunk
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ingest_document.context import in_context


def open_model() -> Embed:
    """Opens the model. Raises EmbeddingFailed when it is incomplete."""
    embedder = LocalEmbedder()
    embedder.open()

    def embed(title: str, passages: Sequence[Chunk]) -> bytes:
        texts = [in_context(title, passage.heading_path, passage.text) for passage in passages]
        return embedder.embed(texts).astype("<f4").tobytes()

    return embed


if __name__ == "__main__":
    main(open_model)

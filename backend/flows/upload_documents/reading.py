"""Makes a document of a file that was handed in; knows no transaction."""

from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.documents.models import Upload
from backend.documents.parsing.reader import DocumentReader
from backend.documents.rows import NewDocument
from backend.embeddings.providers.contract import Embedder
from backend.flows.ingest_document.flow import try_to_prepare


def read_upload(
    upload: Upload, *, embedder: Embedder, config: ParserConfig, reader: DocumentReader
) -> NewDocument | str:
    """The document, or why there is none, for a person. Raises EmbeddingFailed and other kinds of Unavailable."""
    item = SourceItem(
        external_id=f"upload:{upload.id}",
        title=upload.title or "",
        body=upload.body or b"",
        mime_type=upload.mime_type,
        file_name=upload.file_name,
        kind="upload",
        url=upload.url,
        author=None,
        created_at=None,
        updated_at=upload.created_at,
        metadata={"uploaded_by": str(upload.uploaded_by) if upload.uploaded_by else None},
    )
    return try_to_prepare(item, source_type="file", embedder=embedder, config=config, reader=reader)

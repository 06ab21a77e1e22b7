"""Walks a folder and ingests its files one by one, each in a transaction of its own."""

import mimetypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.db.transaction import Database
from backend.documents.parsing.failures import ParseFailed
from backend.documents.parsing.reader import DocumentReader
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.contract import Embedder
from backend.flows.ingest_document.flow import fingerprint, prepare
from backend.flows.ingest_document.store import store_all

_SKIPPED_FOLDERS = frozenset(("node_modules", "__pycache__", "venv"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: stored, unchanged or failed (with the reason)."""

    path: Path
    state: str
    reason: str = ""
    chunks: int = 0


def find_files(folder: Path) -> list[Path]:
    """The folder's files in a stable order; hidden ones, links and package folders are left out.

    A single file stands for itself.
    """
    if folder.is_file():
        return [folder]
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _SKIPPED_FOLDERS)
        found += [
            Path(parent, name)
            for name in sorted(names)
            if not name.startswith(".") and not Path(parent, name).is_symlink()
        ]
    return found


def import_files(
    db: Database,
    configs: ConfigFollower,
    embedder: Embedder,
    reader: DocumentReader,
    tenant_id: UUID,
    folder: Path,
    files: list[Path],
) -> Iterator[Outcome]:
    """Ingests `files` of `folder`; a file that cannot be read is an outcome, not an end.

    Raises DatabaseUnavailable, EmbeddingFailed; what was imported until then stays.
    """
    for path in files:
        config = configs.current(tenant_id, ParserConfig)
        try:
            item = _read(path, folder if folder.is_dir() else folder.parent, config.max_bytes)
        except OSError as error:
            yield Outcome(path, "failed", error.strerror or type(error).__name__)
            continue
        except ValueError as error:
            yield Outcome(path, "failed", str(error))
            continue
        with db.transaction(tenant_id) as session:
            known = DocumentRepository(session).list_unchanged(
                tenant_id, None, {item.external_id: fingerprint(item)}
            )
        if known:
            yield Outcome(path, "unchanged")
            continue
        try:
            document = prepare(item, source_type="file", embedder=embedder, config=config, reader=reader)
        except ParseFailed as error:
            yield Outcome(path, "failed", error.message)
            continue
        with db.transaction(tenant_id) as session:
            stored = store_all(session, tenant_id, None, [document])
        yield Outcome(path, "stored" if stored else "unchanged", chunks=len(document.chunks))


def _read(path: Path, root: Path, max_bytes: int) -> SourceItem:
    status = path.stat()
    if status.st_size > max_bytes:
        raise ValueError(f"The file has {status.st_size} bytes; at most {max_bytes} are read.")
    relative = path.relative_to(root)
    return SourceItem(
        # The whole path: two folders may each have a README.
        external_id=path.resolve().as_uri(),
        title="",
        body=path.read_bytes(),
        mime_type=mimetypes.guess_type(path.name)[0] or "",
        file_name=path.name,
        kind="file",
        url=None,
        author=None,
        created_at=None,
        updated_at=datetime.fromtimestamp(status.st_mtime, UTC),
        metadata={"path": relative.as_posix(), "folder_path": relative.parent.as_posix()},
    )

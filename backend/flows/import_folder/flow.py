"""Walks a folder and ingests its files, a few in each transaction."""

import mimetypes
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.db.transaction import Database
from backend.documents.parsing.reader import DocumentReader
from backend.documents.repository import DocumentRepository, Hashes
from backend.documents.rows import NewDocument
from backend.embeddings.providers.contract import Embedder
from backend.errors import Unavailable
from backend.flows.ingest_document.flow import fingerprint, try_to_prepare
from backend.flows.ingest_document.store import store_all

#: So many files are looked up together; they are stored together unless they are large or take long.
_BATCH_FILES: Final = 20
_BATCH_CHARACTERS: Final = 4 * 1024 * 1024
_BATCH_SECONDS: Final = 2.0

_SKIPPED_FOLDERS = frozenset(("node_modules", "__pycache__", "venv"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: stored, unchanged or failed (with the reason)."""

    path: Path
    state: str
    reason: str = ""
    chunks: int = 0

    @property
    def name(self) -> str:
        """The path as a text that can be printed."""
        return _shown(str(self.path))


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
    root = folder if folder.is_dir() else folder.parent
    for start in range(0, len(files), _BATCH_FILES):
        batch = files[start : start + _BATCH_FILES]
        with db.transaction(tenant_id) as session:
            hashes = DocumentRepository(session).find_hashes(tenant_id, None, [*map(_external_id, batch)])
        made: list[tuple[Path, NewDocument | Outcome]] = []
        began_at = time.monotonic()
        for path in batch:
            try:
                made.append((path, _prepare(configs, embedder, reader, tenant_id, path, root, hashes)))
            except Unavailable:
                yield from _store(db, tenant_id, made)
                raise
            characters = sum(len(each.content) for _, each in made if isinstance(each, NewDocument))
            if characters > _BATCH_CHARACTERS or time.monotonic() - began_at > _BATCH_SECONDS:
                yield from _store(db, tenant_id, made)
                made, began_at = [], time.monotonic()
        yield from _store(db, tenant_id, made)


def _prepare(
    configs: ConfigFollower,
    embedder: Embedder,
    reader: DocumentReader,
    tenant_id: UUID,
    path: Path,
    root: Path,
    hashes: Hashes,
) -> NewDocument | Outcome:
    """The file as a document, or what became of it if it is none or is here already."""
    config = configs.current(tenant_id, ParserConfig)
    try:
        item = _read(path, root, config.max_bytes)
    except OSError as error:
        return Outcome(path, "failed", error.strerror or type(error).__name__)
    except ValueError as error:
        return Outcome(path, "failed", str(error))
    if item.external_id in hashes and hashes[item.external_id] in (None, fingerprint(item)):
        return Outcome(path, "unchanged")
    made = try_to_prepare(item, source_type="file", embedder=embedder, config=config, reader=reader)
    return Outcome(path, "failed", made) if isinstance(made, str) else made


def _store(
    db: Database, tenant_id: UUID, made: Sequence[tuple[Path, NewDocument | Outcome]]
) -> Iterator[Outcome]:
    """Stores the documents of `made`, all or none; the outcomes, in order."""
    documents = [each for _, each in made if isinstance(each, NewDocument)]
    stored: frozenset[str] = frozenset()
    if documents:
        with db.transaction(tenant_id) as session:
            stored = store_all(session, tenant_id, None, documents)
    for path, each in made:
        if isinstance(each, Outcome):
            yield each
        else:
            state = "stored" if each.external_id in stored else "unchanged"
            yield Outcome(path, state, chunks=len(each.chunks))


def _external_id(path: Path) -> str:
    # The whole path: two folders may each have a README.
    return path.resolve().as_uri()


def _read(path: Path, root: Path, max_bytes: int) -> SourceItem:
    status = path.stat()
    if status.st_size > max_bytes:
        raise ValueError(f"The file has {status.st_size} bytes; at most {max_bytes} are read.")
    relative = path.relative_to(root)
    return SourceItem(
        external_id=_external_id(path),
        title="",
        body=path.read_bytes(),
        mime_type=mimetypes.guess_type(path.name)[0] or "",
        file_name=_shown(path.name),
        kind="file",
        url=None,
        author=None,
        created_at=None,
        updated_at=datetime.fromtimestamp(status.st_mtime, UTC),
        metadata={"path": _shown(relative.as_posix()), "folder_path": _shown(relative.parent.as_posix())},
    )


def _shown(path: str) -> str:
    """`path` as a text: a name may be any bytes, and those that are no UTF-8 are shown as a replacement character."""
    return os.fsencode(path).decode("utf-8", "replace")

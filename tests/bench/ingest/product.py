"""The product's ways in, with a worker of this process: the same threads, handlers and reading processes it has alone."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

from backend.configs.follower import ConfigFollower
from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.providers.contract import Credentials, Entry, Opening, Page, Source, SourceItem
from backend.connectors.providers.provider import Provider, SourceSettings
from backend.connectors.repository import ConnectorRepository
from backend.db.listen import Listener
from backend.documents.parsing.limits import Limits
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.import_folder.flow import find_files, import_files
from backend.flows.ingest_document.reading import open_reader
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.flows.sync_connector.flow import JOB_KIND as SYNC_KIND
from backend.flows.sync_connector.flow import start_sync
from backend.flows.sync_connector.handler import SyncHandler
from backend.flows.upload_documents.flow import JOB_KIND as UPLOAD_KIND
from backend.flows.upload_documents.flow import new_upload, take_in
from backend.flows.upload_documents.handler import UploadHandler
from backend.jobs.worker import Worker
from backend.keyring import Keyring
from tests.bench.ingest.documents import File
from tests.conftest import TestDatabase

_PAGE = 50
_QUOTA = 10**12
_LOOK_SECONDS = 0.05


class Product:
    """A worker of `threads` threads over `database`, everything it needs loaded. A context manager."""

    def __init__(self, database: TestDatabase, threads: int) -> None:
        self._database = database
        self._threads = threads
        self._keyring = Keyring([("bench", b"k" * 32)])
        self._shares: dict[str, Sequence[File]] = {}
        self._embedder = LocalEmbedder()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        db = self._database.db
        listener = Listener(self._database.url).start()
        self._stack.callback(listener.close)
        self._configs = ConfigFollower(db, listener).start()
        self._stack.callback(self._configs.close)
        self._reader = self._stack.enter_context(open_reader(self._embedder, self._threads))
        self._warm_up()
        provider = SimpleNamespace(
            type="github",
            auth_type="oauth",
            source_type="file",
            settings_model=SourceSettings,
            api_base="",
            open_source=self._open_source,
        )
        worker = Worker(
            db,
            listener,
            {
                UPLOAD_KIND: UploadHandler(db, lambda _: self._embedder, self._configs, self._reader),
                SYNC_KIND: SyncHandler(
                    db=db,
                    keeper=CredentialKeeper(db, self._keyring, {}),
                    embedder_for=lambda _: self._embedder,
                    configs=self._configs,
                    reader=self._reader,
                    providers={"github": cast(Provider, provider)},
                    api_bases={},
                ),
            },
            name="bench",
            version="0",
            threads=self._threads,
        )
        worker.start()
        self._stack.callback(worker.stop)
        _wait(lambda: worker.is_connected)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def upload(self, files: Sequence[File]) -> None:
        """Hands `files` in, twenty at a time, and waits until none is waiting."""
        account = self._database.make_tenant()
        for start in range(0, len(files), 20):
            take_in(
                self._database.db,
                account.tenant_id,
                [new_upload(file.body, file_name=file.name) for file in files[start : start + 20]],
                by=account.user_id,
                quota_bytes=_QUOTA,
            )
        self._wait_for_jobs()

    def sync(self, files: Sequence[File]) -> None:
        """As many workspaces as there are threads, each with a source of its share of `files`."""
        db = self._database.db
        for place in range(self._threads):
            account = self._database.make_tenant()
            token = f"share {place}"
            self._shares[token] = files[place :: self._threads]
            with db.transaction(account.tenant_id) as session:
                connector = ConnectorRepository(session).connect(
                    account.tenant_id,
                    "github",
                    connected_by=account.user_id,
                    account_id="1",
                    account_label="bench",
                )
                CredentialRepository(session, self._keyring).store(
                    account.tenant_id,
                    connector.id,
                    Credentials(token, None, None, (), "bearer").to_json(),
                    expires_at=None,
                )
                start_sync(session, connector, requested_by=account.user_id)
        self._wait_for_jobs()

    def import_folder(self, files: Sequence[File]) -> None:
        """A folder with `files` in it, imported as the command does."""
        account = self._database.make_tenant()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for place, file in enumerate(files):
                (folder / f"{place}-{file.name}").write_bytes(file.body)
            for _ in import_files(
                self._database.db,
                self._configs,
                self._embedder,
                self._reader,
                account.tenant_id,
                folder,
                find_files(folder),
            ):
                pass

    def _open_source(self, opening: Opening) -> Source:
        assert opening.credentials is not None
        return _Files(self._shares[opening.credentials.access_token])

    def _warm_up(self) -> None:
        def read(_: int) -> None:
            self._reader.read(
                b"# Warm\n\nwords",
                file_name="a.md",
                mime_type=None,
                limits=Limits(),
                max_characters=1200,
                overlap=0,
            )

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(read, range(self._threads)))

    def _wait_for_jobs(self) -> None:
        with self._database.admin() as connection:

            def is_done() -> bool:
                row = connection.execute(
                    "SELECT FROM jobs WHERE state IN ('queued', 'running') LIMIT 1"
                ).fetchone()
                return row is None

            _wait(is_done)


class _Files:
    """A source of files, `_PAGE` to a page."""

    def __init__(self, files: Sequence[File]) -> None:
        self._files = files

    def pages(self, since: Mapping[str, Any] | None) -> Iterator[Page]:
        """What comes after `since`."""
        first = int(since["next"]) if since else 0
        for start in range(first, len(self._files), _PAGE):
            page = self._files[start : start + _PAGE]
            yield Page(
                {"next": start + len(page)},
                tuple(
                    Entry(f"{start + place}", file.name, None, hashlib.sha1(file.body).hexdigest(), {}, file)  # noqa: S324
                    for place, file in enumerate(page)
                ),
                is_full=True,
                total=len(self._files),
            )

    def read(self, entry: Entry) -> SourceItem:
        """The file the listing showed."""
        file = cast(File, entry.listed)
        return SourceItem(
            external_id=entry.external_id,
            title="",
            body=file.body,
            mime_type="",
            file_name=file.name,
            kind="file",
            url=None,
            author="octocat",
            created_at=None,
            updated_at=None,
            metadata={"repository": "octocat/handbook", "labels": ["manual"]},
        )

    def close(self) -> None:
        """Nothing is open."""


def _wait(is_done: Callable[[], bool]) -> None:
    while not is_done():
        time.sleep(_LOOK_SECONDS)

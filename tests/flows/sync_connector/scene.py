"""A connected workspace, a worker's row, and the handler over a source that does as a test tells it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.configs.follower import ConfigFollower
from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.models import Connector
from backend.connectors.providers.contract import (
    Credentials,
    Entry,
    ItemFailure,
    ItemGone,
    OAuthProvider,
    Opening,
    Page,
    SourceItem,
)
from backend.connectors.providers.provider import Provider, SourceSettings
from backend.connectors.repository import ConnectorRepository
from backend.db.listen import Listener
from backend.embeddings.providers.contract import Embedder, EmbeddingFailed
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.flows.sync_connector.flow import JOB_KIND, start_sync
from backend.flows.sync_connector.handler import SyncHandler
from backend.jobs.claim import Claim
from backend.jobs.models import Job
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from backend.keyring import Keyring
from backend.sync.failures.repository import SyncErrorRepository
from backend.sync.models import SyncError, SyncPosition, SyncRun
from backend.sync.positions.repository import SyncPositionRepository
from backend.sync.repository import SyncRunRepository
from tests.conftest import Account, TestDatabase
from tests.readers import shared_reader

TOKEN = Credentials("the-token", "refresh-1", None, ("repo",), "bearer")


def item(number: int, text: str = "", **metadata: Any) -> SourceItem:
    return SourceItem(
        external_id=f"item-{number}",
        title=f"Item {number}",
        body=(text or f"This is the text of item {number}.").encode(),
        mime_type="text/plain",
        file_name="item.txt",
        kind="doc",
        url=f"https://example.org/{number}",
        author="octocat",
        created_at=None,
        updated_at=None,
        metadata=metadata,
    )


#: What listing one item shows: the item itself, or what reading it raises or does first.
Shown = SourceItem | tuple[str, Exception]
Step = list[Shown] | Page | Exception | Callable[[], None]


@dataclass
class ScriptedSource:
    """A source that goes through `steps`: a page, something that happens, or an error.

    Its items have their body's hash as revision, unless `tells_revisions` is False.
    """

    steps: list[Step] = field(default_factory=list)
    is_full: bool = True
    tells_revisions: bool = True
    opened_with: list[str | None] = field(default_factory=list)
    cursors: list[Mapping[str, Any] | None] = field(default_factory=list)
    read_ids: list[str] = field(default_factory=list)
    before_read: Callable[[Entry], None] = lambda _entry: None
    #: What items can be read by their locator alone, as after days.
    stored: dict[str, SourceItem] = field(default_factory=dict)
    closed: int = 0

    def open_source(self, opening: Opening) -> "ScriptedSource":
        self.opened_with.append(opening.credentials.access_token if opening.credentials else None)
        return self

    def pages(self, since: Mapping[str, Any] | None) -> Iterator[Page]:
        self.cursors.append(since)
        for place in range(int(since["next"]) if since else 0, len(self.steps)):
            step = self.steps[place]
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
                continue
            if isinstance(step, Page):
                yield step
                continue
            yield Page(
                {"next": place + 1},
                tuple(self.entry(shown) for shown in step),
                is_full=self.is_full,
                note=f"page {place}",
            )

    def entry(self, shown: Shown) -> Entry:
        if isinstance(shown, tuple):
            return Entry(shown[0], shown[0], None, "r", {"id": shown[0]}, listed=shown[1])
        revision = str(hash((shown.body, shown.title))) if self.tells_revisions else None
        return Entry(
            shown.external_id,
            shown.title,
            shown.url,
            revision,
            {"id": shown.external_id},
            listed=shown,
        )

    def read(self, entry: Entry) -> SourceItem:
        self.read_ids.append(entry.external_id)
        self.before_read(entry)
        found = entry.listed or self.stored.get(str(entry.locator["id"]))
        if isinstance(found, Exception):
            raise found
        if found is None:
            raise ItemGone
        return cast(SourceItem, found)

    def close(self) -> None:
        self.closed += 1


class CountingEmbedder:
    """The default model under another name, so that the worker asks it, and how often; it can be told to fail."""

    model = "tests/counting"

    def __init__(self) -> None:
        self._model = LocalEmbedder()
        self.calls = 0
        self.failing = False

    @property
    def dimensions(self) -> int:
        return self._model.dimensions

    def embed(self, texts: Any) -> NDArray[np.float32]:
        self.calls += 1
        if self.failing:
            raise EmbeddingFailed
        return self._model.embed(texts)


class Scene:
    """A connected workspace, a worker's row, and a handler over a scripted source."""

    def __init__(self, database: TestDatabase, keyring: Keyring, embedder: Embedder) -> None:
        self.database = database
        self.db = database.db
        self.keyring = keyring
        self.account: Account = database.make_tenant()
        self.source = ScriptedSource()
        self.oauth_providers: dict[str, OAuthProvider] = {}
        provider = SimpleNamespace(
            type="github",
            auth_type="oauth",
            source_type="",
            settings_model=SourceSettings,
            api_base="",
            open_source=self.source.open_source,
        )
        self.handler = SyncHandler(
            db=self.db,
            keeper=CredentialKeeper(self.db, keyring, self.oauth_providers),
            embedder_for=lambda _: embedder,
            configs=ConfigFollower(self.db, Listener(database.url)),
            reader=shared_reader(),
            providers={"github": cast(Provider, provider)},
            api_bases={},
        )
        self.connector = self.connect(self.account)
        with self.db.operator_transaction() as session:
            self.worker_id = WorkerRepository(session).register(name="test", version="0")

    @property
    def tenant_id(self) -> UUID:
        return self.account.tenant_id

    def connect(self, account: Account) -> Connector:
        with self.db.transaction(account.tenant_id) as session:
            connector = ConnectorRepository(session).connect(
                account.tenant_id,
                "github",
                connected_by=account.user_id,
                account_id="1",
                account_label="octocat",
            )
            CredentialRepository(session, self.keyring).store(
                account.tenant_id, connector.id, TOKEN.to_json(), expires_at=None
            )
        return connector

    def start(self, *, is_full: bool = False) -> SyncRun:
        with self.db.transaction(self.tenant_id) as session:
            return start_sync(session, self.connector, requested_by=self.account.user_id, is_full=is_full)[0]

    def claim(self) -> Claim:
        with self.database.admin() as connection:
            connection.execute("UPDATE jobs SET run_at = now() WHERE state = 'queued'")
        with self.db.operator_transaction() as session:
            (claim,) = JobRepository(session).claim(self.worker_id, (JOB_KIND,))
        return claim

    def work(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        self.handler.run(self.claim(), should_stop)

    def sync(self, *steps: Step, is_full: bool = False) -> SyncRun:
        """A whole run over `steps`, which begin where the last run's ended."""
        self.source.steps[:] = steps
        run = self.start(is_full=is_full)
        with self.db.transaction(self.tenant_id) as session:
            # The script of a run starts at its beginning.
            position = SyncPositionRepository(session).get(self.tenant_id, self.connector.id)
            if position.cursor is not None:
                SyncPositionRepository(session).move(self.tenant_id, self.connector.id, {"next": 0})
        self.work()
        return self.now(run)

    def now(self, run: SyncRun) -> SyncRun:
        with self.db.transaction(self.tenant_id) as session:
            return SyncRunRepository(session).get(self.tenant_id, run.id)

    def position(self) -> SyncPosition:
        with self.db.transaction(self.tenant_id) as session:
            return SyncPositionRepository(session).get(self.tenant_id, self.connector.id)

    def connector_now(self) -> Connector:
        with self.db.transaction(self.tenant_id) as session:
            return ConnectorRepository(session).get(self.tenant_id, "github")

    def failures(self, run: SyncRun) -> list[SyncError]:
        with self.db.transaction(self.tenant_id) as session:
            return list(SyncErrorRepository(session).list_of(self.tenant_id, run.id))

    def job_of(self, run: SyncRun) -> Job:
        with self.db.transaction(self.tenant_id) as session:
            job_id = SyncRunRepository(session).get(self.tenant_id, run.id).job_id
            assert job_id is not None
            job = JobRepository(session).find(self.tenant_id, job_id)
        assert job is not None
        return job

    def stored(self) -> list[str]:
        with self.database.admin() as connection:
            rows = connection.execute(
                "SELECT external_id FROM documents WHERE tenant_id = %s AND deleted_at IS NULL ORDER BY 1",
                (self.tenant_id,),
            ).fetchall()
        return [str(row[0]) for row in rows]

    def text_of(self, external_id: str) -> str:
        with self.database.admin() as connection:
            row = connection.execute(
                "SELECT content FROM documents WHERE tenant_id = %s AND external_id = %s",
                (self.tenant_id, external_id),
            ).fetchone()
        assert row is not None
        return str(row[0])

    def make_retries_due(self) -> None:
        with self.database.admin() as connection:
            connection.execute("UPDATE sync_items SET retry_at = now() WHERE retry_at IS NOT NULL")


def failure(external_id: str, reason: str = "It was deleted meanwhile.") -> ItemFailure:
    return ItemFailure(external_id, f"https://example.org/{external_id}", "list", reason)

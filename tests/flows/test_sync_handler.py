"""What the worker does with a sync job, with sources that fail in every way a provider can."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.configs.follower import ConfigFollower
from backend.configs.repository import ConfigRepository
from backend.configs.schemas import ParserConfig
from backend.connectors.models import Connector
from backend.connectors.providers.contract import (
    Credentials,
    CredentialsRejected,
    ItemFailure,
    Page,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
    SourceItem,
)
from backend.connectors.repository import ConnectorRepository, CredentialRepository
from backend.db.listen import Listener
from backend.embeddings.providers.contract import Embedder, EmbeddingFailed
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.sync_connector.flow import JOB_KIND, cancel_sync, start_sync
from backend.flows.sync_connector.handler import SyncHandler
from backend.jobs.claim import Claim, LeaseLost
from backend.jobs.models import Job
from backend.jobs.repository import JobRepository, WorkerRepository
from backend.keyring import Keyring
from backend.sync.models import SyncRun
from backend.sync.repository import SyncRunRepository
from tests.conftest import Account, TestDatabase

TOKEN = Credentials("the-token", None, None, ("repo",), "bearer")


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


Step = list[SourceItem] | Exception | Callable[[], None]


@dataclass
class ScriptedSource:
    """A source that goes through `steps`: a page of items, something that happens, or an error."""

    steps: list[Step]
    opened_with: list[str] = field(default_factory=list)
    cursors: list[Mapping[str, Any] | None] = field(default_factory=list)
    closed: int = 0

    def make(self, _connector: Connector, credentials: Credentials) -> "ScriptedSource":
        self.opened_with.append(credentials.access_token)
        return self

    def pages(self, cursor: Mapping[str, Any] | None) -> Iterator[Page]:
        self.cursors.append(cursor)
        for place in range(int(cursor["next"]) if cursor else 0, len(self.steps)):
            step = self.steps[place]
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
                continue
            yield Page(tuple(step), (), {"next": place + 1}, None, f"page {place}")

    def close(self) -> None:
        self.closed += 1


class CountingEmbedder:
    """The default model, and how often it was asked; it can be told to fail."""

    def __init__(self) -> None:
        self._model = LocalEmbedder()
        self.calls = 0
        self.failing = False

    @property
    def model(self) -> str:
        return self._model.model

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
        self.source = ScriptedSource([])
        configs = ConfigFollower(self.db, Listener(database.url))
        self.handler = SyncHandler(
            self.db, keyring, lambda _: embedder, configs, {"github": self.source.make}
        )
        with self.db.transaction(self.tenant_id) as session:
            self.connector = ConnectorRepository(session).connect(
                self.tenant_id,
                "github",
                connected_by=self.account.user_id,
                account_id="1",
                account_label="octocat",
            )
            CredentialRepository(session, keyring).store(
                self.tenant_id, self.connector.id, TOKEN.to_json(), expires_at=None
            )
        with self.db.operator_transaction() as session:
            self.worker_id = WorkerRepository(session).register(name="test", version="0")

    @property
    def tenant_id(self) -> UUID:
        return self.account.tenant_id

    def start(self) -> SyncRun:
        with self.db.transaction(self.tenant_id) as session:
            return start_sync(session, self.connector, requested_by=self.account.user_id)[0]

    def claim(self) -> Claim:
        with self.database.admin() as connection:
            connection.execute("UPDATE jobs SET run_at = now() WHERE state = 'queued'")
        with self.db.operator_transaction() as session:
            (claim,) = JobRepository(session).claim(self.worker_id, (JOB_KIND,))
        return claim

    def work(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        self.handler.run(self.claim(), should_stop)

    def run_now(self, run: SyncRun) -> SyncRun:
        with self.db.transaction(self.tenant_id) as session:
            return SyncRunRepository(session).get(self.tenant_id, run.id)

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
                "SELECT external_id FROM documents WHERE tenant_id = %s ORDER BY 1", (self.tenant_id,)
            ).fetchall()
        return [str(row[0]) for row in rows]


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


@pytest.fixture
def scene(own_database: TestDatabase, keyring: Keyring, embedder: CountingEmbedder) -> Scene:
    return Scene(own_database, keyring, embedder)


def test_run_reads_each_page_as_configured_then(scene: Scene) -> None:
    """What is published between two pages counts for the second one."""
    text = "This is a sentence of some length. " * 100

    def publish() -> None:
        with scene.db.transaction(scene.tenant_id) as session:
            config = ParserConfig(chunk_characters=300, max_bytes=2 * len(text))
            ConfigRepository(session).publish(scene.tenant_id, config, expected=0)

    scene.source.steps[:] = [[item(1, text)], publish, [item(2, text + "And more."), item(3, 3 * text)]]
    run = scene.start()
    scene.work()
    with scene.database.admin() as connection:
        rows = connection.execute(
            "SELECT d.external_id, max(length(c.text)) FROM documents AS d JOIN chunks AS c"
            " ON c.document_id = d.id GROUP BY 1"
        ).fetchall()
    longest = {str(external_id): int(str(characters)) for external_id, characters in rows}
    assert set(longest) == {"item-1", "item-2"}
    assert longest["item-1"] > 300 >= longest["item-2"]
    with scene.db.transaction(scene.tenant_id) as session:
        (failure,) = SyncRunRepository(session).list_failures(scene.tenant_id, run.id)
    assert (failure.external_id, failure.stage) == ("item-3", "parse")


def test_run_stores_every_page_and_finishes(scene: Scene) -> None:
    scene.source.steps[:] = [[item(1), item(2)], [], [item(3)]]
    run = scene.start()
    scene.work()
    now = scene.run_now(run)
    assert (now.state, now.stored_count, now.found_count, now.cursor) == ("completed", 3, 3, {"next": 3})
    assert scene.job_of(run).state == "succeeded"
    assert scene.stored() == ["item-1", "item-2", "item-3"]
    assert scene.source.opened_with == ["the-token"]
    assert scene.source.closed == 1


def test_run_again_parses_and_embeds_only_what_changed(scene: Scene, embedder: CountingEmbedder) -> None:
    scene.source.steps[:] = [[item(1), item(2)]]
    scene.start()
    scene.work()
    before = embedder.calls
    scene.source.steps[:] = [[item(1), item(2, "Something else now.")]]
    run = scene.start()
    scene.work()
    now = scene.run_now(run)
    assert (now.stored_count, now.unchanged_count, embedder.calls - before) == (1, 1, 1)


def test_item_that_cannot_be_read_is_recorded_and_passed_over(scene: Scene) -> None:
    broken = SourceItem(
        "broken", "Broken", b"%PDF-1.7 nothing", "application/pdf", "b.pdf", "doc", None, None, None, None, {}
    )
    scene.source.steps[:] = [[item(1), broken, item(2)]]
    run = scene.start()
    scene.work()
    now = scene.run_now(run)
    assert (now.state, now.stored_count, now.failed_count) == ("completed_with_errors", 2, 1)
    with scene.db.transaction(scene.tenant_id) as session:
        (failure,) = SyncRunRepository(session).list_failures(scene.tenant_id, run.id)
    assert (failure.external_id, failure.stage) == ("broken", "parse")
    assert failure.reason.endswith(".")


def test_failures_of_the_provider_are_recorded(scene: Scene) -> None:
    gone = ItemFailure("gone", "https://example.org/gone", "download", "It was deleted meanwhile.")
    scene.source.steps[:] = [[item(1)]]
    pages = scene.source.pages

    def with_failure(cursor: Mapping[str, Any] | None) -> Iterator[Page]:
        for page in pages(cursor):
            yield Page(page.items, (gone,), page.cursor, 2, page.note)

    scene.source.pages = with_failure  # type: ignore[method-assign]
    run = scene.start()
    scene.work()
    now = scene.run_now(run)
    assert (now.state, now.failed_count, now.processed_count, now.total_count) == (
        "completed_with_errors",
        1,
        2,
        2,
    )


def test_text_with_nul_characters_is_stored_without_them(scene: Scene) -> None:
    odd = item(1, "Before\x00after.", label="a\x00b")
    scene.source.steps[:] = [[replace(odd, title="A\x00title")]]
    run = scene.start()
    scene.work()
    assert scene.run_now(run).state == "completed"


def test_rate_limit_waits_without_a_worker_and_goes_on(scene: Scene) -> None:
    resume_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=7)
    scene.source.steps[:] = [[item(1)], RateLimited(resume_at), [item(2)]]
    run = scene.start()
    scene.work()
    waiting = scene.run_now(run)
    assert (waiting.state, waiting.resume_at, waiting.cursor) == ("waiting", resume_at, {"next": 1})
    job = scene.job_of(run)
    assert (job.state, job.run_at, job.worker_id) == ("queued", resume_at, None)
    scene.source.steps[1] = []
    scene.work()
    assert scene.run_now(run).state == "completed"
    assert scene.source.cursors == [None, {"next": 1}]
    assert scene.stored() == ["item-1", "item-2"]


def test_provider_away_is_tried_again_and_given_up_in_the_end(scene: Scene) -> None:
    scene.source.steps[:] = [ProviderUnavailable()]
    run = scene.start()
    scene.work()
    waiting = scene.run_now(run)
    assert waiting.state == "waiting"
    assert waiting.note is not None
    assert "again" in waiting.note
    for _ in range(scene.job_of(run).max_attempts - 1):
        scene.work()
    ended = scene.run_now(run)
    assert (ended.state, ended.error) == ("failed", ProviderUnavailable().message)
    assert scene.job_of(run).state == "dead"


def test_tries_are_counted_anew_after_progress(scene: Scene) -> None:
    run = scene.start()
    for place in range(14):
        scene.source.steps[:] = [*[[item(n)] for n in range(place + 1)], ProviderUnavailable()]
        scene.work()
    scene.source.steps[-1] = []
    scene.work()
    assert scene.run_now(run).state == "completed"


def test_embedding_away_stores_nothing_of_the_page(scene: Scene, embedder: CountingEmbedder) -> None:
    scene.source.steps[:] = [[item(1)]]
    run = scene.start()
    embedder.failing = True
    scene.work()
    assert scene.stored() == []
    assert scene.run_now(run).state == "waiting"
    embedder.failing = False
    scene.work()
    assert scene.stored() == ["item-1"]
    assert scene.run_now(run).state == "completed"


def test_rejected_credentials_need_a_reconnect_and_keep_documents(scene: Scene) -> None:
    scene.source.steps[:] = [[item(1)], CredentialsRejected()]
    run = scene.start()
    scene.work()
    now = scene.run_now(run)
    assert (now.state, now.error) == ("failed", CredentialsRejected().message)
    with scene.db.transaction(scene.tenant_id) as session:
        connector = ConnectorRepository(session).get(scene.tenant_id, "github")
    assert (connector.status, connector.status_reason) == ("needs_reconnect", CredentialsRejected().message)
    assert scene.stored() == ["item-1"]
    # Another sync can be asked for at once.
    assert scene.start().id != run.id


def test_refusal_fails_the_run_and_stays_connected(scene: Scene) -> None:
    scene.source.steps[:] = [ProviderRefused("The account may not read this.")]
    run = scene.start()
    scene.work()
    assert (scene.run_now(run).state, scene.run_now(run).error) == (
        "failed",
        "The account may not read this.",
    )
    with scene.db.transaction(scene.tenant_id) as session:
        assert ConnectorRepository(session).get(scene.tenant_id, "github").status == "connected"


def test_lost_lease_discards_the_page(scene: Scene) -> None:
    def fall_silent() -> None:
        with scene.database.admin() as connection:
            connection.execute("UPDATE workers SET heartbeat_at = now() - interval '1 hour'")
        with scene.db.operator_transaction() as session:
            assert len(JobRepository(session).release_stalled()) == 1

    scene.source.steps[:] = [[item(1)], fall_silent, [item(2)]]
    run = scene.start()
    with pytest.raises(LeaseLost):
        scene.work()
    assert scene.stored() == ["item-1"]
    assert scene.run_now(run).cursor == {"next": 1}
    scene.source.steps[1] = []
    with scene.database.admin() as connection:
        connection.execute("UPDATE workers SET heartbeat_at = now()")
    scene.work()
    assert scene.run_now(run).state == "completed"
    assert scene.stored() == ["item-1", "item-2"]


def test_cancel_stops_after_the_page(scene: Scene) -> None:
    def cancel() -> None:
        with scene.db.transaction(scene.tenant_id) as session:
            cancel_sync(session, SyncRunRepository(session).get(scene.tenant_id, run.id))

    scene.source.steps[:] = [[item(1)], cancel, [item(2)], [item(3)]]
    run = scene.start()
    scene.work()
    assert scene.run_now(run).state == "cancelled"
    assert scene.job_of(run).state == "cancelled"
    assert scene.stored() == ["item-1", "item-2"]


def test_cancel_before_a_worker_took_it_ends_at_once(scene: Scene) -> None:
    run = scene.start()
    with scene.db.transaction(scene.tenant_id) as session:
        cancel_sync(session, run)
    assert scene.run_now(run).state == "cancelled"
    with scene.db.operator_transaction() as session:
        assert JobRepository(session).claim(scene.worker_id, (JOB_KIND,)) == []


def test_told_to_stop_gives_back_and_another_goes_on(scene: Scene) -> None:
    scene.source.steps[:] = [[item(1)], [item(2)], [item(3)]]
    run = scene.start()
    scene.work(should_stop=lambda: True)
    assert scene.stored() == ["item-1"]
    assert scene.job_of(run).state == "queued"
    scene.work()
    assert scene.run_now(run).state == "completed"
    assert scene.stored() == ["item-1", "item-2", "item-3"]
    assert scene.source.cursors == [None, {"next": 1}]


def test_disconnected_meanwhile_fails_with_the_reason(scene: Scene) -> None:
    run = scene.start()
    with scene.db.transaction(scene.tenant_id) as session:
        ConnectorRepository(session).disconnect(scene.tenant_id, scene.connector.id)
    scene.work()
    assert (scene.run_now(run).state, scene.run_now(run).error) == ("failed", "The source was disconnected.")


def test_document_deleted_here_stays_deleted(scene: Scene) -> None:
    from backend.documents.repository import DocumentRepository

    scene.source.steps[:] = [[item(1), item(2)]]
    scene.start()
    scene.work()
    with scene.db.transaction(scene.tenant_id) as session:
        documents = DocumentRepository(session)
        first = next(d for d in documents.list_newest(scene.tenant_id, limit=9) if d.external_id == "item-1")
        documents.delete(scene.tenant_id, first.id)
    scene.source.steps[:] = [[item(1, "Changed at the source."), item(2)]]
    run = scene.start()
    scene.work()
    assert scene.run_now(run).unchanged_count == 2
    with scene.db.transaction(scene.tenant_id) as session:
        left = DocumentRepository(session).list_newest(scene.tenant_id, limit=9)
    assert [d.external_id for d in left] == ["item-2"]

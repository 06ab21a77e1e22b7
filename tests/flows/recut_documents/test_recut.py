"""Other settings cut what is stored anew: killed anywhere it goes on, and nothing that changed meanwhile is undone."""

from collections.abc import Callable
from typing import cast
from uuid import UUID

import pytest

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.db.transaction import Database
from backend.documents.cuts.repository import CutRepository, StoredText, cut_as
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ingest_document.flow import prepare
from backend.flows.ingest_document.store import store_all
from backend.flows.recut_documents import handler as recutting
from backend.flows.recut_documents.cutting import cut_again
from backend.flows.recut_documents.flow import RECUT_KIND, apply_parser
from backend.flows.recut_documents.handler import RecutHandler
from backend.jobs.claim import Claim, LeaseLost
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from tests.conftest import TestDatabase
from tests.readers import shared_reader

DOCUMENTS = 5
LONG = "# Moorings\n\n" + "\n\n".join(
    f"Berth {n} takes ships of up to {100 + n} metres. The harbour master signs for it." for n in range(40)
)
NARROW = ParserConfig(chunk_characters=300, chunk_overlap=0)


class _Configs:
    """A follower that has heard of `config`."""

    def __init__(self, config: ParserConfig) -> None:
        self.config = config

    def current(self, _tenant_id: UUID, _schema: type[ParserConfig]) -> ParserConfig:
        return self.config


@pytest.fixture(scope="module")
def database(module_database: TestDatabase) -> TestDatabase:
    return module_database


class Scene:
    """A workspace of some long documents, cut by the default settings, and two workers."""

    def __init__(self, database: TestDatabase) -> None:
        self.database, self.db = database, database.db
        self.embedder = LocalEmbedder()
        self.tenant_id = database.make_tenant().tenant_id
        for number in range(DOCUMENTS):
            self.store(f"d{number}", LONG)
        with database.admin() as connection:
            # What other tests have left: a claim takes whosever job it finds.
            connection.execute("DELETE FROM jobs")
        with self.db.operator_transaction() as session:
            workers = WorkerRepository(session)
            self.workers = [workers.register(name=f"test{n}", version="0") for n in range(2)]

    def store(self, external_id: str, body: str, config: ParserConfig | None = None) -> None:
        item = SourceItem(
            external_id=external_id,
            title=f"Title {external_id}",
            body=body.encode(),
            mime_type="text/markdown",
            file_name=f"{external_id}.md",
            kind="file",
            url=None,
            author="Ada",
            created_at=None,
            updated_at=None,
            metadata={"labels": ["port"]},
        )
        document = prepare(
            item,
            source_type="file",
            embedder=self.embedder,
            config=config or ParserConfig(),
            reader=shared_reader(),
        )
        with self.db.transaction(self.tenant_id) as session:
            store_all(session, self.tenant_id, None, [document])

    def ask(self, config: ParserConfig = NARROW) -> tuple[UUID | None, int]:
        with self.db.transaction(self.tenant_id) as session:
            asked = apply_parser(session, self.tenant_id, config)
        return asked.job_id, asked.document_count

    def claim(self, worker: int = 0) -> Claim:
        with self.db.operator_transaction() as session:
            (claimed,) = JobRepository(session).claim(self.workers[worker], (RECUT_KIND,))
        return claimed

    def work(
        self,
        should_stop: Callable[[], bool] = lambda: False,
        *,
        claim: Claim | None = None,
        db: Database | None = None,
    ) -> None:
        configs = cast("ConfigFollower", _Configs(NARROW))
        handler = RecutHandler(db or self.db, lambda _: self.embedder, configs, shared_reader())
        handler.run(claim or self.claim(), should_stop)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.database.admin() as connection:
            return connection.execute(sql.encode(), (self.tenant_id,)).fetchall()

    def outdated(self) -> int:
        with self.db.transaction(self.tenant_id) as session:
            return CutRepository(session).count_outdated(
                self.tenant_id, cut_as(NARROW.chunk_characters, NARROW.chunk_overlap)
            )


@pytest.fixture
def scene(database: TestDatabase) -> Scene:
    return Scene(database)


def test_documents_are_cut_anew_and_stay_what_they_are(scene: Scene) -> None:
    with scene.database.admin() as connection:
        connection.execute(
            "UPDATE documents SET page_bounds = ARRAY[0, 400, length(content)] WHERE tenant_id = %s",
            (scene.tenant_id,),
        )
    facts = (
        "SELECT id, external_id, title, content, content_sha256, author, metadata, mime_type, classification, page_bounds"
        " FROM documents WHERE tenant_id = %s ORDER BY id"
    )
    before = scene.rows(facts)
    longest = "SELECT max(length(text)), count(*) FROM chunks WHERE tenant_id = %s"
    assert int(str(scene.rows(longest)[0][0])) > 300
    job_id, count = scene.ask()
    assert (job_id is not None, count) == (True, DOCUMENTS)
    scene.work()
    assert scene.rows(facts) == before
    assert int(str(scene.rows(longest)[0][0])) <= 300
    misplaced = (
        "SELECT count(*) FROM chunks AS c JOIN documents AS d ON (d.tenant_id, d.id) = (c.tenant_id, c.document_id)"
        " WHERE c.tenant_id = %s AND substr(d.content, c.start_offset + 1, c.end_offset - c.start_offset) <> c.text"
    )
    assert scene.rows(misplaced) == [(0,)]
    headings = "SELECT DISTINCT heading_path FROM chunks WHERE tenant_id = %s"
    assert scene.rows(headings) == [(["Moorings"],)]
    without = (
        "SELECT count(*) FROM chunks AS c WHERE tenant_id = %s AND NOT EXISTS"
        " (SELECT FROM chunk_vectors AS v WHERE v.tenant_id = c.tenant_id AND v.chunk_id = c.id)"
    )
    assert scene.rows(without) == [(0,)]
    assert scene.outdated() == 0


def test_nothing_to_do_makes_no_job_and_asking_twice_makes_one(scene: Scene) -> None:
    assert scene.ask(ParserConfig()) == (None, 0)
    first, _ = scene.ask()
    assert scene.ask() == (first, DOCUMENTS)
    scene.work()
    assert scene.ask() == (None, 0)


def test_worker_that_stops_in_the_middle_is_gone_on_from(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recutting, "BATCH", 2)
    scene.ask()
    answers = iter([False] * 4)
    scene.work(lambda: next(answers, True))
    left = scene.outdated()
    assert 0 < left < DOCUMENTS
    scene.work(claim=scene.claim(1))
    assert scene.outdated() == 0


def test_worker_that_lost_its_job_changes_nothing_more(scene: Scene) -> None:
    scene.ask()
    lost = scene.claim()
    with scene.db.operator_transaction() as session:
        JobRepository(session).give_back_all(lost.worker_id)
    with pytest.raises(LeaseLost):
        scene.work(claim=lost)
    assert scene.outdated() == DOCUMENTS


def test_document_replaced_or_deleted_meanwhile_is_left_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.ask()
    done: list[str] = []

    def meanwhile(stored: StoredText, **how: object) -> object:
        if stored.external_id == "d0" and not done:
            done.append("d0")
            scene.store("d0", "# New\n\nAll berths are closed.", NARROW)
        if stored.external_id == "d1":
            with scene.db.transaction(scene.tenant_id) as session:
                DocumentRepository(session).delete(scene.tenant_id, stored.id)
        return cut_again(stored, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(recutting, "cut_again", meanwhile)
    scene.work()
    here = "SELECT external_id, content FROM documents WHERE tenant_id = %s AND deleted_at IS NULL"
    texts = {str(name): str(content) for name, content in scene.rows(here)}
    assert texts["d0"].endswith("All berths are closed.")
    assert "d1" not in texts
    assert scene.rows("SELECT count(*) FROM chunks WHERE tenant_id = %s AND text = ''") == [(0,)]
    assert scene.outdated() == 0


def test_cancelled_job_ends_and_leaves_the_rest_as_it_was(scene: Scene) -> None:
    job_id, _ = scene.ask()
    assert job_id is not None
    claim = scene.claim()
    with scene.db.transaction(scene.tenant_id) as session:
        JobRepository(session).cancel(scene.tenant_id, job_id)
    scene.work(claim=claim)
    assert scene.outdated() == DOCUMENTS
    with scene.db.transaction(scene.tenant_id) as session:
        job = JobRepository(session).find(scene.tenant_id, job_id)
        assert job is not None
        assert job.state == "cancelled"

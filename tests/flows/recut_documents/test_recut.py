"""Other settings cut what is stored anew: killed anywhere it goes on, and nothing that changed meanwhile is undone."""

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import pytest

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Database
from backend.documents.cuts.repository import CutRepository, StoredText
from backend.documents.repository import DocumentRepository
from backend.documents.review.repository import ReviewRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ingest_document.flow import prepare
from backend.flows.ingest_document.store import store_all
from backend.flows.recut_documents import handler as recutting
from backend.flows.recut_documents.cutting import cut_again
from backend.flows.recut_documents.flow import RECUT_KIND, apply_parser, wanted_cuts
from backend.flows.recut_documents.handler import RecutHandler
from backend.flows.sync_connector.flow import start_sync
from backend.flows.upload_documents.flow import JOB_KIND as UPLOAD_KIND
from backend.flows.upload_documents.flow import new_upload, take_in
from backend.flows.upload_documents.handler import UploadHandler
from backend.jobs.claim import Claim, LeaseLost
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from backend.sync.items.repository import Dealt, SyncItemRepository
from tests.conftest import TestDatabase
from tests.readers import shared_reader

DOCUMENTS = 5
LONG = "# Moorings\n\n" + "\n\n".join(
    f"Berth {n} takes ships of up to {100 + n} metres. The harbour master signs for it." for n in range(40)
)
MANY = "".join(f"Sentence number {n} of many.\n\n" for n in range(1000))
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
        self.connector_id: UUID | None = None
        self.account = database.make_tenant()
        self.tenant_id = self.account.tenant_id
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
            store_all(session, self.tenant_id, self.connector_id, [document])

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
        config: ParserConfig = NARROW,
    ) -> None:
        configs = cast("ConfigFollower", _Configs(config))
        handler = RecutHandler(db or self.db, lambda _: self.embedder, configs, shared_reader())
        handler.run(claim or self.claim(), should_stop)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.database.admin() as connection:
            return connection.execute(sql.encode(), (self.tenant_id,)).fetchall()

    def outdated(self) -> int:
        with self.db.transaction(self.tenant_id) as session:
            return CutRepository(session).count_outdated(self.tenant_id, wanted_cuts(NARROW))


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


SHORT = ParserConfig(max_characters=10_000)


def hand_in(scene: Scene, body: bytes, file_name: str, config: ParserConfig) -> UUID:
    """A file that a worker has read by `config`; the document's id."""
    files = [new_upload(body, file_name=file_name)]
    (upload,) = take_in(scene.db, scene.tenant_id, files, by=scene.account.user_id, quota_bytes=10**9)
    configs = cast("ConfigFollower", _Configs(config))
    handler = UploadHandler(scene.db, lambda _: scene.embedder, configs, shared_reader())
    with scene.db.operator_transaction() as session:
        (claimed,) = JobRepository(session).claim(scene.workers[0], (UPLOAD_KIND,))
    handler.run(claimed, lambda: False)
    return upload.id


def contents(scene: Scene) -> dict[UUID, tuple[int, bool, str]]:
    """Of each document: its length, whether it is a beginning only, and how it was cut."""
    sql = "SELECT id, length(content), metadata ? 'truncated', cut_as FROM documents WHERE tenant_id = %s"
    return {row[0]: row[1:] for row in cast("list[Any]", scene.rows(sql))}


def test_file_that_was_too_long_is_read_anew_from_its_original(scene: Scene) -> None:
    document_id = hand_in(scene, MANY.encode(), "long.md", SHORT)
    length, is_shortened, cut = contents(scene)[document_id]
    assert (9_900 < length <= 10_000, is_shortened, cut) == (True, True, "1200/0/1/10000")
    with scene.db.transaction(scene.tenant_id) as session:
        ReviewRepository(session).reclassify(
            scene.tenant_id, [document_id], "personal", by=scene.account.user_id
        )
    assert scene.ask(SHORT) == (None, 0)

    assert scene.ask(ParserConfig())[1] == 1
    scene.work(config=ParserConfig())
    length, is_shortened, cut = contents(scene)[document_id]
    assert (length > 25_000, is_shortened, cut) == (True, False, "1200/0/1")
    assert scene.ask(ParserConfig()) == (None, 0)
    (kept,) = scene.rows(
        f"SELECT classification, title FROM documents WHERE tenant_id = %s AND id = '{document_id}'"
    )
    assert kept == ("personal", "long.md")
    (original,) = scene.rows("SELECT length(body), state FROM uploads WHERE tenant_id = %s")
    assert original == (len(MANY), "stored")


def test_original_that_the_settings_refuse_now_is_cut_from_its_text(scene: Scene) -> None:
    document_id = hand_in(scene, LONG.encode() * 20, "long.md", ParserConfig())
    before = contents(scene)[document_id]
    small = ParserConfig(max_bytes=1024, chunk_characters=300)
    scene.ask(small)
    scene.work(config=small)
    assert contents(scene)[document_id] == (*before[:2], "300/0/1")
    (original,) = scene.rows("SELECT length(body), state FROM uploads WHERE tenant_id = %s")
    assert original == (len(LONG.encode()) * 20, "stored")


def test_document_of_a_source_that_was_too_long_is_read_when_it_is_seen_again(scene: Scene) -> None:
    with scene.db.transaction(scene.tenant_id) as session:
        connector = ConnectorRepository(session).connect(
            scene.tenant_id,
            "github",
            connected_by=scene.account.user_id,
            account_id="1",
            account_label="port",
        )
        run, _ = start_sync(session, connector)
        SyncItemRepository(session).record(
            scene.tenant_id, connector.id, run.id, 1, [Dealt(name, "v1") for name in ("long", "short")]
        )
        scene.connector_id = connector.id
    scene.store("long", "".join(f"Sentence number {n}.\n\n" for n in range(1000)), SHORT)
    scene.store("short", "A word.", SHORT)
    wider = ParserConfig(max_characters=20_000)
    assert scene.ask(wider)[1] == 1
    scene.work(config=wider)
    facts = (
        "SELECT d.external_id, d.content_sha256 = decode(repeat('00', 32), 'hex'), i.revision, d.cut_as"
        " FROM documents AS d JOIN sync_items AS i ON (i.tenant_id, i.external_id) = (d.tenant_id, d.external_id)"
        " WHERE d.tenant_id = %s ORDER BY 1"
    )
    assert scene.rows(facts) == [
        ("long", True, None, "1200/0/1/20000"),
        ("short", False, "v1", "1200/0/1"),
    ]
    # As much as is stored is found meanwhile, and nothing is done twice.
    assert scene.ask(wider) == (None, 0)


def test_beginning_kept_before_its_limit_was_written_down_is_read_anew(scene: Scene) -> None:
    document_id = hand_in(scene, MANY.encode(), "long.md", SHORT)
    with scene.database.admin() as connection:
        connection.execute("UPDATE documents SET cut_as = '1200/0/1' WHERE id = %s", (document_id,))
    assert scene.ask(ParserConfig())[1] == 1
    scene.work(config=ParserConfig())
    length, is_shortened, cut = contents(scene)[document_id]
    assert (length > 25_000, is_shortened, cut) == (True, False, "1200/0/1")
    assert scene.ask(ParserConfig()) == (None, 0)


def test_beginning_whose_original_cannot_be_read_now_is_read_later(scene: Scene) -> None:
    document_id = hand_in(scene, MANY.encode(), "long.md", SHORT)
    small = ParserConfig(max_bytes=20_000, chunk_characters=300)
    assert scene.ask(small)[1] == DOCUMENTS + 1
    scene.work(config=small)
    length, is_shortened, cut = contents(scene)[document_id]
    assert (length <= 10_000, is_shortened, cut) == (True, True, "300/0/1/10000")
    # It is cut as it should be, and asked about again.
    assert scene.ask(small)[1] == 1
    scene.work(config=small)
    wide = ParserConfig(chunk_characters=300)
    assert scene.ask(wide)[1] == 1
    scene.work(config=wide)
    length, is_shortened, cut = contents(scene)[document_id]
    assert (length > 25_000, is_shortened, cut) == (True, False, "300/0/1")
    assert scene.ask(wide) == (None, 0)


def test_beginning_without_an_original_is_cut_once(scene: Scene) -> None:
    scene.store("long", MANY, SHORT)
    assert scene.ask(ParserConfig())[1] == 1
    scene.work(config=ParserConfig())
    assert scene.ask(ParserConfig()) == (None, 0)
    # Where it was imported from there is more: seen there again, it is taken for changed.
    unknown = "SELECT external_id FROM documents WHERE tenant_id = %s AND content_sha256 = decode(repeat('00', 32), 'hex')"
    assert scene.rows(unknown) == [("long",)]


def test_what_a_document_was_judged_to_be_stays_while_there_is_more_of_it_at_its_source(scene: Scene) -> None:
    with scene.db.transaction(scene.tenant_id) as session:
        scene.connector_id = (
            ConnectorRepository(session)
            .connect(
                scene.tenant_id,
                "github",
                connected_by=scene.account.user_id,
                account_id="1",
                account_label="port",
            )
            .id
        )
    scene.store("long", MANY, SHORT)
    judged = "classification = 'personal', classification_confidence = 0.95, is_judged = true"
    with scene.database.admin() as connection:
        connection.execute(f"UPDATE documents SET {judged} WHERE external_id = 'long'".encode())
    wider = ParserConfig(max_characters=20_000)
    scene.ask(wider)
    scene.work(config=wider)
    facts = (
        "SELECT classification, is_judged, content_sha256 = decode(repeat('00', 32), 'hex') FROM documents"
        " WHERE tenant_id = %s AND external_id = 'long'"
    )
    assert scene.rows(facts) == [("personal", True, True)]

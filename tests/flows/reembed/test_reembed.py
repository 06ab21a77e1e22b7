"""Another embedding model takes over in the background: killed anywhere it goes on, and searches never miss a thing."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.db.transaction import Database
from backend.embeddings.known import EmbedderPair, KnownEmbedders
from backend.embeddings.models import ServingModel
from backend.embeddings.providers.contract import Embedder
from backend.embeddings.serving.repository import ServingModelRepository
from backend.flows.ask.retrieve import retrieve
from backend.flows.ingest_document.flow import prepare
from backend.flows.ingest_document.store import remove_all, store_all
from backend.flows.reembed import handler as reembedding
from backend.flows.reembed.flow import ChangeUnderWay, begin_change, begin_due_changes
from backend.flows.reembed.handler import ModelNotConfigured, ReembedHandler
from backend.jobs.claim import Claim, LeaseLost
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from tests.conftest import TestDatabase
from tests.readers import shared_reader

DOCUMENTS = 7


class Toy:
    """A model whose vectors say nothing and are the same for the same text."""

    def __init__(self, model: str, dimensions: int) -> None:
        self.model = model
        self.dimensions = dimensions
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += texts
        rows = [
            np.random.default_rng(int.from_bytes(sha256(text.encode()).digest()[:8])).normal(
                size=self.dimensions
            )
            for text in texts
        ]
        made = np.array(rows, dtype=np.float32)
        unit: NDArray[np.float32] = made / np.linalg.norm(made, axis=1, keepdims=True)
        return unit


@pytest.fixture(scope="module")
def database(module_database: TestDatabase) -> TestDatabase:
    return module_database


class Scene:
    """A workspace of some documents embedded by `old`, and two workers that know `old` and `new`."""

    def __init__(self, database: TestDatabase) -> None:
        self.database = database
        self.db = database.db
        self.old, self.new = Toy("old/8", 8), Toy("new/16", 16)
        self.tenant_id = database.make_tenant().tenant_id
        for number in range(DOCUMENTS):
            self.store(f"d{number}", self.old)
        with self.db.operator_transaction() as session:
            workers = WorkerRepository(session)
            self.workers = [workers.register(name=f"test{n}", version="0") for n in range(2)]

    def store(self, external_id: str, embedder: Embedder) -> None:
        item = SourceItem(
            external_id=external_id,
            title=f"Title {external_id}",
            body=f"Text of {external_id}.".encode(),
            mime_type="text/plain",
            file_name=f"{external_id}.txt",
            kind="file",
            url=None,
            author=None,
            created_at=None,
            updated_at=None,
            metadata={},
        )
        document = prepare(
            item, source_type="file", embedder=embedder, config=ParserConfig(), reader=shared_reader()
        )
        with self.db.transaction(self.tenant_id) as session:
            store_all(session, self.tenant_id, None, [document])

    def begin(self, embedder: Embedder) -> ServingModel | None:
        with self.db.transaction(self.tenant_id) as session:
            return begin_change(session, self.tenant_id, embedder.model)

    def claim(self, worker: int = 0) -> Claim:
        with self.database.admin() as connection:
            connection.execute("UPDATE jobs SET run_at = now() WHERE state = 'queued'")
        with self.db.operator_transaction() as session:
            (claimed,) = JobRepository(session).claim(self.workers[worker], ("reembed",))
        return claimed

    def work(
        self,
        should_stop: Callable[[], bool] = lambda: False,
        *,
        claim: Claim | None = None,
        db: Database | None = None,
        known: Sequence[Embedder] | None = None,
    ) -> None:
        find = KnownEmbedders(*(known if known is not None else (self.old, self.new))).find
        ReembedHandler(db or self.db, find).run(claim or self.claim(), should_stop)

    def settle(self) -> None:
        """As if the switch were long ago."""
        with self.database.admin() as connection:
            connection.execute(
                "UPDATE serving_models SET switched_at = now() - interval '1 hour' WHERE tenant_id = %s",
                (self.tenant_id,),
            )

    def row(self) -> ServingModel:
        with self.db.transaction(self.tenant_id) as session:
            row = ServingModelRepository(session).find(self.tenant_id)
        assert row is not None
        return row

    def vectors(self) -> dict[str, int]:
        with self.database.admin() as connection:
            rows = connection.execute(
                "SELECT embedding_model, count(*) FROM chunk_vectors WHERE tenant_id = %s GROUP BY 1",
                (self.tenant_id,),
            ).fetchall()
        return {str(model): int(str(count)) for model, count in rows}

    def found_by_meaning(self, embedder: Embedder | None) -> int:
        """How many passages a question finds by its vector; no word of it is in any."""
        hits = retrieve(self.db, embedder, self.tenant_id, "nowhere", limit=50).hits
        return sum(hit.similarity is not None for hit in hits)

    def jobs(self) -> list[str]:
        with self.database.admin() as connection:
            rows = connection.execute(
                "SELECT state FROM jobs WHERE tenant_id = %s ORDER BY created_at", (self.tenant_id,)
            ).fetchall()
        return [str(state) for (state,) in rows]


@pytest.fixture
def scene(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(reembedding, "BATCH", 2)
    monkeypatch.setattr(reembedding, "_PURGED", 3)
    with database.admin() as connection:
        connection.execute("DELETE FROM jobs")
        connection.execute("DELETE FROM tenants")
    return Scene(database)


def after_steps(count: int) -> Callable[[], bool]:
    """Told to stop after so many."""
    steps = iter([False] * count)
    return lambda: next(steps, True)


def test_the_first_document_decides_which_model_serves(scene: Scene) -> None:
    row = scene.row()
    assert (row.model, row.next_model, row.state) == ("old/8", None, "serving")
    assert scene.vectors() == {"old/8": DOCUMENTS}
    again = scene.begin(scene.old)
    assert again is not None
    assert again.state == "serving"
    assert scene.jobs() == []


def test_old_vectors_serve_until_all_new_ones_are_there_then_go(scene: Scene) -> None:
    begun = scene.begin(scene.new)
    assert begun is not None
    assert (begun.state, begun.done_count, begun.total_count) == ("embedding", 0, DOCUMENTS)
    scene.work(after_steps(2))
    row = scene.row()
    assert (row.model, row.next_model, row.done_count) == ("old/8", "new/16", 4)
    assert scene.vectors() == {"old/8": DOCUMENTS, "new/16": 4}
    assert scene.found_by_meaning(scene.old) == DOCUMENTS

    scene.work()
    row = scene.row()
    assert (row.model, row.next_model, row.previous_model) == ("new/16", None, "old/8")
    assert (row.state, row.done_count, row.total_count) == ("purging", DOCUMENTS, DOCUMENTS)
    # Both are there for as long as some process may not have noticed.
    assert scene.found_by_meaning(scene.new) == scene.found_by_meaning(scene.old) == DOCUMENTS
    scene.work()
    assert scene.vectors() == {"old/8": DOCUMENTS, "new/16": DOCUMENTS}

    scene.settle()
    scene.work(after_steps(2))
    assert scene.vectors() == {"old/8": DOCUMENTS - 3, "new/16": DOCUMENTS}
    scene.work()
    assert scene.vectors() == {"new/16": DOCUMENTS}
    assert (scene.row().state, scene.jobs()) == ("serving", ["succeeded"])
    # Each passage was embedded once, in the words it would have been stored with.
    assert len(scene.new.texts) == DOCUMENTS + 1
    assert set(scene.old.texts) - {"nowhere"} == set(scene.new.texts) - {"nowhere"}


def test_a_killed_worker_s_job_goes_on_at_another(scene: Scene) -> None:
    """The first one falls silent after a batch, and what it still writes is refused."""
    scene.begin(scene.new)
    first = scene.claim(0)

    class Silent(Exception):
        pass

    stops = after_steps(1)

    def die() -> bool:
        if stops():
            raise Silent
        return False

    with pytest.raises(Silent):
        scene.work(die, claim=first)
    assert scene.vectors()["new/16"] == 2
    with scene.database.admin() as connection:
        connection.execute(
            "UPDATE workers SET heartbeat_at = now() - interval '1 hour' WHERE id = %s", (scene.workers[0],)
        )
    with scene.db.operator_transaction() as session:
        assert len(JobRepository(session).release_stalled()) == 1
    other = scene.database.connect(pool_size=2)
    try:
        scene.work(after_steps(1), claim=scene.claim(1), db=other)
        with pytest.raises(LeaseLost):
            scene.work(claim=first)
        scene.work(claim=scene.claim(1), db=other)
    finally:
        other.close()
    assert (scene.row().model, scene.row().done_count) == ("new/16", DOCUMENTS)
    # No batch was paid for twice.
    assert len(scene.new.texts) == DOCUMENTS


def test_what_is_stored_meanwhile_has_both(scene: Scene) -> None:
    scene.begin(scene.new)
    scene.work(after_steps(1))
    scene.store("both", EmbedderPair(scene.old, scene.new))
    # A process that has not noticed the change yet; and a document that is replaced; and one that goes.
    scene.store("late", scene.old)
    scene.store("d0", EmbedderPair(scene.old, scene.new))
    with scene.db.transaction(scene.tenant_id) as session:
        remove_all(session, scene.tenant_id, None, ["d6"])
    assert scene.found_by_meaning(scene.old) == DOCUMENTS + 1
    scene.work()
    assert scene.row().model == "new/16"
    assert scene.vectors() == {"old/8": DOCUMENTS + 1, "new/16": DOCUMENTS + 1}
    row = scene.row()
    assert row.done_count == row.total_count >= DOCUMENTS


def test_what_was_embedded_before_the_switch_and_stored_long_after_is_made_up_for(scene: Scene) -> None:
    scene.begin(scene.new)
    scene.work()
    scene.store("during", scene.old)
    scene.settle()
    scene.work()
    assert scene.vectors() == {"new/16": DOCUMENTS + 1}
    scene.store("after", scene.old)
    assert scene.jobs() == ["succeeded", "queued"]
    scene.work()
    assert scene.vectors()["new/16"] == DOCUMENTS + 2


def test_a_model_nobody_is_configured_for_changes_nothing(scene: Scene) -> None:
    scene.begin(scene.new)
    with pytest.raises(ModelNotConfigured):
        scene.work(known=(scene.old,))
    with scene.db.transaction(scene.tenant_id) as session:
        ReembedHandler(scene.db, KnownEmbedders().find).on_given_up(
            session, scene.tenant_id, {}, "No worker is configured."
        )
    row = scene.row()
    assert (row.model, row.next_model, row.state, row.error) == (
        "old/8",
        None,
        "serving",
        "No worker is configured.",
    )


def test_without_the_serving_model_words_are_still_found(scene: Scene) -> None:
    hits = retrieve(scene.db, None, scene.tenant_id, "d3", limit=10).hits
    assert [hit.title for hit in hits] == ["Title d3"]
    assert hits[0].similarity is None
    assert hits[0].score == pytest.approx(1)
    assert scene.found_by_meaning(None) == 0


def test_another_change_waits_for_the_end_of_the_first(scene: Scene) -> None:
    scene.begin(scene.new)
    again = scene.begin(scene.new)
    assert again is not None
    assert scene.jobs() == ["queued"]
    with pytest.raises(ChangeUnderWay):
        scene.begin(Toy("third/4", 4))
    with pytest.raises(ChangeUnderWay):
        scene.begin(scene.old)


def test_a_worker_begins_by_itself_and_does_not_go_back(scene: Scene) -> None:
    """Two workers configured differently would change it to and fro for ever."""
    with scene.db.operator_transaction() as session:
        assert begin_due_changes(session, scene.db, "old/8") == 0
        assert begin_due_changes(session, scene.db, "new/16") == 1
    with scene.db.operator_transaction() as session:
        assert begin_due_changes(session, scene.db, "new/16") == 0
    scene.work()
    scene.settle()
    scene.work()
    assert scene.row().state == "serving"
    with scene.db.operator_transaction() as session:
        assert begin_due_changes(session, scene.db, "old/8") == 0
    back = scene.begin(scene.old)
    assert back is not None
    assert back.next_model == "old/8"


def test_a_workspace_without_documents_has_nothing_to_change(scene: Scene) -> None:
    empty = scene.database.make_tenant().tenant_id
    with scene.db.transaction(empty) as session:
        assert begin_change(session, empty, "new/16") is None


def test_a_given_up_change_is_not_tried_again_at_once(scene: Scene) -> None:
    scene.begin(scene.new)
    with scene.db.transaction(scene.tenant_id) as session:
        ServingModelRepository(session).give_up(scene.tenant_id, "x")
    with scene.db.operator_transaction() as session:
        assert begin_due_changes(session, scene.db, "new/16") == 0
    with scene.database.admin() as connection:
        connection.execute("UPDATE serving_models SET finished_at = now() - interval '2 hours'")
    with scene.db.operator_transaction() as session:
        assert begin_due_changes(session, scene.db, "new/16") == 1


def test_purging_waits_by_the_database_s_clock(scene: Scene) -> None:
    scene.begin(scene.new)
    scene.work()
    with scene.db.transaction(scene.tenant_id) as session:
        serving = ServingModelRepository(session)
        assert not serving.is_settled(scene.tenant_id, timedelta(seconds=60))
    scene.settle()
    with scene.db.transaction(scene.tenant_id) as session:
        assert ServingModelRepository(session).is_settled(scene.tenant_id, timedelta(seconds=60))


def test_models_are_found_by_name(scene: Scene) -> None:
    known = KnownEmbedders(scene.old)
    assert known.find("old/8") is scene.old
    assert known.find(f"unknown/{uuid4()}") is None
    local = known.find("wordllama/l2_supercat_256")
    assert local is not None
    assert known.find("wordllama/l2_supercat_256") is local

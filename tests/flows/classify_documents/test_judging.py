"""A language model says, in the background, what the rules leave open: once for each content, and never over a person."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import psycopg
import pytest

from backend.db.transaction import DatabaseUnavailable
from backend.documents.classification import UNKNOWN, Classified
from backend.documents.models import Document
from backend.documents.repository import DocumentRepository
from backend.documents.review.repository import ReviewRepository
from backend.flows.classify_documents import handler as judging
from backend.flows.classify_documents.flow import CLASSIFY_KIND, ask_model, begin_due_judgements
from backend.flows.classify_documents.handler import ClassifyHandler
from backend.flows.ingest_document.store import store_all
from backend.jobs.claim import Claim, LeaseLost
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from backend.search.llm import ChatModel
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.emulators.scripted import Reply, Request, json_reply
from tests.flows.ask.conftest import Model, completion, scripted_model

SPAM = '{"classification": "spam", "confidence": 0.95, "reason": "It sells pills."}'
WORK = '{"classification": "work", "confidence": 0.9, "reason": "It is about a berth."}'


def by_words(request: Request) -> Reply:
    """Whoever sells pills writes spam."""
    return completion(SPAM if b"pills" in request.body else WORK)


@pytest.fixture(scope="module")
def database(module_database: TestDatabase) -> TestDatabase:
    return module_database


@pytest.fixture(scope="module")
def running() -> Iterator[Model]:
    with scripted_model() as made:
        yield made


@pytest.fixture
def model(running: Model) -> Model:
    running.answer = by_words
    running.server.requests.clear()
    return running


@pytest.fixture(scope="module")
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client() as made:
        yield made


class Scene:
    """A workspace with mail of which the rules know nothing, and two workers."""

    def __init__(
        self, database: TestDatabase, model: Model, client: httpx2.Client, make_document: MakeDocument
    ) -> None:
        self.database, self.db, self.model = database, database.db, model
        self.make_document = make_document
        self.account = database.make_tenant()
        self.tenant_id = self.account.tenant_id
        self.chat_model = ChatModel(
            base_url=f"{model.server.base_url}/v1", model="scripted", api_key=None, client=client
        )
        with database.admin() as connection:
            # What other tests have left: a claim takes whosever job it finds.
            connection.execute("DELETE FROM jobs")
            connection.execute("UPDATE documents SET status = 'confirmed'")
        with self.db.operator_transaction() as session:
            workers = WorkerRepository(session)
            self.workers = [workers.register(name=f"judge{n}", version="0") for n in range(2)]

    def store(self, external_id: str, text: str, *, source_type: str = "email") -> None:
        made = replace(self.make_document(external_id, text), source_type=source_type)
        with self.db.transaction(self.tenant_id) as session:
            store_all(session, self.tenant_id, None, [made])

    def begin(self) -> int:
        with self.db.operator_transaction() as session:
            return begin_due_judgements(session, self.db)

    def claim(self, worker: int = 0) -> Claim | None:
        with self.db.operator_transaction() as session:
            return next(iter(JobRepository(session).claim(self.workers[worker], (CLASSIFY_KIND,))), None)

    def work(self, claim: Claim | None = None, should_stop: Callable[[], bool] = lambda: False) -> None:
        """One turn of the job."""
        claim = claim or self.claim()
        assert claim is not None
        ClassifyHandler(self.db, self.chat_model).run(claim, should_stop)

    def finish(self) -> None:
        while claim := self.claim():
            self.work(claim)

    def documents(self) -> dict[str, Document]:
        with self.db.transaction(self.tenant_id) as session:
            found = session.query(Document).filter_by(tenant_id=self.tenant_id).all()
        return {document.external_id: document for document in found}

    def taken_for(self) -> dict[str, str]:
        return {name: document.classification for name, document in self.documents().items()}

    def asked(self) -> int:
        return len(self.model.server.requests)

    def jobs(self) -> list[tuple[Any, ...]]:
        with self.database.admin() as connection:
            return connection.execute(
                "SELECT state, run_at > now() FROM jobs WHERE tenant_id = %s ORDER BY id", (self.tenant_id,)
            ).fetchall()


@pytest.fixture
def scene(database: TestDatabase, model: Model, client: httpx2.Client, make_document: MakeDocument) -> Scene:
    return Scene(database, model, client, make_document)


def test_model_says_what_the_rules_leave_open(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")
    scene.store("berth", "The berth is free on Monday.")
    scene.store("plan", "The pills project starts in May.", source_type="github")
    assert scene.taken_for() == {"offer": "unknown", "berth": "unknown", "plan": "work"}

    assert (scene.begin(), scene.begin()) == (1, 0)
    scene.finish()

    assert scene.taken_for() == {"offer": "spam", "berth": "work", "plan": "work"}
    offer = scene.documents()["offer"]
    assert (offer.status, offer.classification_confidence, offer.classification_reason) == (
        "classified",
        0.95,
        "It sells pills.",
    )
    assert scene.asked() == 2
    assert "pills" in json.loads(scene.model.server.requests[0].body)["messages"][1]["content"]
    assert (scene.begin(), [state for state, _ in scene.jobs()]) == (0, ["succeeded"])


def test_same_content_is_asked_about_once_whatever_is_done_with_it(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")
    scene.model.answer = lambda _: completion('{"classification": "unknown", "confidence": 0.5}')
    scene.begin()
    scene.finish()
    assert (scene.begin(), scene.asked()) == (0, 1)

    # Stored anew, as after a change of the size of passages.
    scene.model.answer = by_words
    with scene.db.transaction(scene.tenant_id) as session:
        offer = scene.documents()["offer"]
        ReviewRepository(session).judge(
            scene.tenant_id, offer.id, offer.content_sha256, ask_model(scene.chat_model, offer)
        )
    scene.store("offer", "Cheap pills, today only!")
    assert (scene.taken_for(), scene.begin()) == ({"offer": "spam"}, 0)

    # Another content is another question; until it is answered the rules decide.
    scene.store("offer", "Sorry for the last mail. The berth is yours.")
    assert (scene.taken_for(), scene.begin()) == ({"offer": "unknown"}, 1)
    scene.finish()
    assert scene.taken_for() == {"offer": "work"}


def test_person_who_decides_meanwhile_is_right(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")
    scene.store("other", "Cheap pills, tomorrow!")

    def decide(request: Request) -> Reply:
        with scene.db.transaction(scene.tenant_id) as session:
            ids = [document.id for document in scene.documents().values()]
            ReviewRepository(session).reclassify(scene.tenant_id, ids, "work", by=scene.account.user_id)
        return by_words(request)

    scene.model.answer = decide
    scene.begin()
    scene.finish()
    assert scene.taken_for() == {"offer": "work", "other": "work"}
    assert {document.status for document in scene.documents().values()} == {"confirmed"}


def test_content_that_changes_meanwhile_is_asked_about_again(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")

    def change(request: Request) -> Reply:
        if b"pills" in request.body:
            scene.store("offer", "The berth is free.")
        return by_words(request)

    scene.model.answer = change
    scene.begin()
    scene.finish()
    assert (scene.taken_for(), scene.asked()) == ({"offer": "work"}, 2)


def test_model_that_is_away_is_asked_later_and_nothing_is_lost(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")
    scene.store("spill", "Pills were spilled: cheap pills.")
    answers = iter([completion(SPAM)])
    scene.model.answer = lambda _: next(answers, json_reply({"error": "no such key"}, 401))
    scene.begin()
    scene.work()
    assert sorted(scene.taken_for().values()) == ["spam", "unknown"]
    assert scene.jobs() == [("queued", True)]

    scene.model.answer = by_words
    with scene.database.admin() as connection:
        connection.execute("UPDATE jobs SET run_at = now() WHERE tenant_id = %s", (scene.tenant_id,))
    scene.finish()
    assert set(scene.taken_for().values()) == {"spam"}


def test_answer_that_is_none_leaves_the_rules_and_is_not_asked_for_again(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")
    scene.store("other", "Cheap pills, tomorrow!")
    scene.store("third", "Cheap pills, next week!")
    answers = iter([completion("Ignore the rules: it is fine."), completion(""), completion(None)])
    scene.model.answer = lambda _: next(answers)
    scene.begin()
    scene.finish()
    assert (set(scene.taken_for().values()), scene.begin(), scene.asked()) == ({"unknown"}, 0, 3)


def test_document_the_model_refuses_keeps_no_other_waiting(scene: Scene) -> None:
    scene.store("bad", "Forbidden pills.")
    scene.store("offer", "Cheap pills, today only!")
    scene.model.answer = lambda request: (
        json_reply({"error": "content policy"}, 422) if b"Forbidden" in request.body else by_words(request)
    )
    scene.begin()
    scene.finish()
    assert (scene.taken_for(), scene.begin()) == ({"bad": "unknown", "offer": "spam"}, 0)


def test_worker_that_lost_its_lease_stores_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "BATCH", 1)
    scene.store("offer", "Cheap pills, today only!")
    scene.store("other", "Cheap pills, tomorrow!")
    scene.begin()
    taken = scene.claim(0)
    assert taken is not None

    def take_over(request: Request) -> Reply:
        with scene.db.operator_transaction() as session:
            JobRepository(session).give_back_all(taken.worker_id)
        return by_words(request)

    scene.model.answer = take_over
    with pytest.raises(LeaseLost):
        scene.work(taken)
    assert set(scene.taken_for().values()) == {"unknown"}

    scene.model.answer = by_words
    scene.finish()
    assert set(scene.taken_for().values()) == {"spam"}


def test_job_makes_room_for_others_after_a_few_documents(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "BATCH", 2)
    for number in range(5):
        scene.store(f"offer{number}", f"Cheap pills, offer {number}!")
    scene.begin()
    scene.work()
    assert (scene.asked(), [state for state, _ in scene.jobs()]) == (2, ["queued"])
    scene.finish()
    assert (scene.asked(), set(scene.taken_for().values())) == (5, {"spam"})


def test_deleted_documents_and_other_workspaces_are_left_alone(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")
    with scene.db.transaction(scene.tenant_id) as session:
        DocumentRepository(session).delete_many(
            scene.tenant_id,
            [document.id for document in scene.documents().values()],
            by=scene.account.user_id,
        )
    assert scene.begin() == 0


def test_rules_in_place_of_the_model_are_not_the_last_word(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")
    scene.begin()
    scene.finish()
    offer = scene.documents()["offer"]
    with scene.db.transaction(scene.tenant_id) as session:
        # As when somebody asks for it while the model is away.
        ReviewRepository(session).classify(
            scene.tenant_id, {offer.id: Classified(UNKNOWN, 0.5, "Nothing says.")}
        )
    assert (scene.taken_for(), scene.begin()) == ({"offer": "unknown"}, 1)
    scene.finish()
    assert scene.taken_for() == {"offer": "spam"}


def test_database_that_goes_away_while_the_model_answers_loses_nothing(scene: Scene) -> None:
    scene.store("offer", "Cheap pills, today only!")
    scene.begin()
    name = scene.database.name

    def shut(answer: str) -> None:
        with psycopg.connect(
            scene.database.server.url("postgres", "postgres"), autocommit=True
        ) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {answer}".encode())
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    def go_away(request: Request) -> Reply:
        shut("false")
        return by_words(request)

    scene.model.answer = go_away
    try:
        with pytest.raises(DatabaseUnavailable):
            scene.work()
    finally:
        shut("true")
    assert (scene.jobs(), scene.taken_for()) == ([("running", False)], {"offer": "unknown"})

    scene.model.answer = by_words
    with scene.db.operator_transaction() as session:
        JobRepository(session).give_back_all(scene.workers[0])
    scene.finish()
    assert scene.taken_for() == {"offer": "spam"}


def test_cancelled_job_asks_about_no_more(scene: Scene) -> None:
    for number in range(3):
        scene.store(f"offer{number}", f"Cheap pills, offer {number}!")
    scene.begin()
    claim = scene.claim()
    assert claim is not None

    def cancel(request: Request) -> Reply:
        with scene.db.transaction(scene.tenant_id) as session:
            JobRepository(session).cancel(scene.tenant_id, claim.id)
        return by_words(request)

    scene.model.answer = cancel
    scene.work(claim)
    assert (scene.asked(), [state for state, _ in scene.jobs()]) == (1, ["cancelled"])

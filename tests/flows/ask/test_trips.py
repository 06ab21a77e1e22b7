"""A question is two round trips to the database: one weighs its words, one ranks."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from backend.db.pipeline import Pipeline
from backend.db.transaction import Database
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ask.retrieve import Question, retrieve
from backend.search.repository import Filters, SearchRepository
from tests.conftest import Account
from tests.documents.conftest import MakeDocument


@pytest.fixture
def trips(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was sent, one entry for each time the database was waited for."""
    sent: list[str] = []
    run = Pipeline.run

    def counted(self: Pipeline, *commands: Any) -> Any:
        sent.append(commands[-1].sql.decode())
        return run(self, *commands)

    monkeypatch.setattr(Pipeline, "run", counted)

    def noted(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", noted)
    yield sent
    event.remove(db.engine, "before_cursor_execute", noted)


@pytest.mark.parametrize(
    ("question", "filters"),
    [
        ("Where does the glacier end?", None),
        ("the of and", None),
        ("", None),
        ("Where does the glacier end?", Filters(source_types=["file"])),
        (Question("glacier", phrases=("glacier",), excluded=("harbour",)), None),
    ],
)
def test_a_question_is_two_round_trips(
    db: Database,
    account: Account,
    embedder: LocalEmbedder,
    make_document: MakeDocument,
    trips: list[str],
    question: str | Question,
    filters: Filters | None,
) -> None:
    """Whatever is asked; what comes back is what the repository finds within a transaction."""
    with db.transaction(account.tenant_id) as session:
        for name in ("ends", "grows"):
            made = make_document(name, f"The glacier {name} at the lake.", title=name)
            assert DocumentRepository(session).store(account.tenant_id, None, made) is not None
    trips.clear()
    asked = question if isinstance(question, Question) else Question(question or "it")
    found = retrieve(db, embedder, account.tenant_id, asked, limit=5, filters=filters)
    assert len(trips) == 2, trips
    with db.transaction(account.tenant_id) as session:
        repository = SearchRepository(session)
        weighed = repository.weigh(account.tenant_id, asked.text)
        vector = embedder.embed_weighted(asked.text, weighed.spans).tolist()
        hits = repository.search(
            account.tenant_id,
            asked.text,
            vector,
            model=embedder.model,
            limit=5,
            filters=filters,
            phrases=asked.phrases,
            excluded=asked.excluded,
        )
    assert [(hit.chunk_id, hit.metadata) for hit in found.hits] == [
        (hit.chunk_id, hit.metadata) for hit in hits
    ]
    assert len(hits) == 2


def test_softened_words_are_weighed_with_the_question(
    db: Database, account: Account, make_document: MakeDocument
) -> None:
    """They count as words to look for, with their share, and are none of the question's places."""
    with db.transaction(account.tenant_id) as session:
        for name, text in (("a", "A walnut tree."), ("b", "A hazelnut tree."), ("c", "A tree.")):
            made = make_document(name, text, title="t")
            assert DocumentRepository(session).store(account.tenant_id, None, made) is not None
    with db.statement(account.tenant_id) as session:
        weighed = SearchRepository(session).weigh(
            account.tenant_id, "walnut trees", words=(10, {"tree": 7}), softened={"hazelnuts": 0.4}
        )
    assert weighed.words == (10, {"walnut": 1, "tree": 7, "hazelnut": 1})
    assert weighed.factors == {"hazelnut": 0.4}
    assert [(lexeme, list(places)) for lexeme, places in weighed.asked] == [("walnut", [1]), ("tree", [2])]
    assert [span[:2] for span in weighed.spans] == [(0, 6), (7, 12)]

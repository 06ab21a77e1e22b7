"""Ranking: rare words count most, vectors help where words do not, nothing of a question is query syntax."""

from uuid import UUID

import pytest

from backend.db.transaction import Database
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.search.repository import Hit, SearchRepository
from tests.conftest import Account
from tests.documents.conftest import MakeDocument, embedder, make_document

__all__ = ["embedder", "make_document"]

TEXTS = {
    "backups": "Backups of the database run every night at two and are kept for thirty days.",
    "restore": "To restore the database, stop the workers and load the newest backup.",
    "vacation": "Employees may take thirty days of paid leave each year; ask your manager early.",
    "travel": "Book trains instead of planes for journeys under five hours.",
    "zebra": "The zebra deployment of the database uses blue and green colours in the database console.",
}


@pytest.fixture
def ids(db: Database, account: Account, make_document: MakeDocument) -> dict[UUID, str]:
    """The tenant's five documents: id -> name."""
    made = {}
    for name, text in TEXTS.items():
        with db.transaction(account.tenant_id) as session:
            document_id = DocumentRepository(session).store(
                account.tenant_id, None, make_document(name, text, title=name)
            )
        assert document_id is not None
        made[document_id] = name
    return made


def search(
    db: Database, account: Account, embedder: LocalEmbedder, question: str, **more: object
) -> list[Hit]:
    vector = embedder.embed([question])[0].tolist()
    options = {"model": embedder.model, "limit": 10, **more}
    with db.transaction(account.tenant_id) as session:
        return SearchRepository(session).search(account.tenant_id, question, vector, **options)  # type: ignore[arg-type]


def test_search_by_words_puts_the_rare_word_first(
    db: Database, account: Account, embedder: LocalEmbedder, ids: dict[UUID, str]
) -> None:
    hits = search(db, account, embedder, "the database of the zebra", dense_weight=0.0)
    assert ids[hits[0].document_id] == "zebra"
    assert hits[0].lexical_score == pytest.approx(1)


def test_search_by_meaning_finds_what_shares_no_word(
    db: Database, account: Account, embedder: LocalEmbedder, ids: dict[UUID, str]
) -> None:
    hits = search(db, account, embedder, "How much vacation holiday do staff get?")
    assert ids[hits[0].document_id] == "vacation"
    by_meaning = search(db, account, embedder, "railway trip", dense_weight=1.0)
    assert ids[by_meaning[0].document_id] == "travel"
    assert by_meaning[0].lexical_score is None


def test_search_returns_as_many_as_asked_and_match(
    db: Database, account: Account, embedder: LocalEmbedder, ids: dict[UUID, str]
) -> None:
    assert len(search(db, account, embedder, "database", limit=3)) == 3
    assert len(search(db, account, embedder, "database", limit=50)) == len(ids)


@pytest.mark.parametrize(
    "question",
    [
        "a & b | !c <-> (d:*)",
        "it's O'Neil's \\ back\\\\slash",
        "'; DROP TABLE chunks; --",
        "???",
        "the of and",
        "\u202e\U0001f600 emoji",
        "x" * 4000,
        "%s {0} :question",
    ],
)
def test_search_takes_any_text_as_words(
    db: Database, account: Account, embedder: LocalEmbedder, ids: dict[UUID, str], question: str
) -> None:
    for hit in search(db, account, embedder, question):
        assert ids[hit.document_id] in TEXTS
        assert 0 <= hit.score <= 1


def test_search_with_another_model_ranks_by_words_alone(
    db: Database, account: Account, embedder: LocalEmbedder, ids: dict[UUID, str]
) -> None:
    with db.transaction(account.tenant_id) as session:
        hits = SearchRepository(session).search(
            account.tenant_id, "zebra", [1.0, 0.0, 0.0], model="another model of three dimensions", limit=5
        )
    assert [ids[hit.document_id] for hit in hits] == ["zebra"]
    assert hits[0].similarity is None


def test_search_leaves_out_personal_and_deleted_documents(
    db: Database, account: Account, embedder: LocalEmbedder, ids: dict[UUID, str]
) -> None:
    zebra = next(i for i, name in ids.items() if name == "zebra")
    with db.transaction(account.tenant_id) as session:
        DocumentRepository(session).get(account.tenant_id, zebra).classification = "personal"
    assert "zebra" not in {ids[h.document_id] for h in search(db, account, embedder, "zebra database")}
    with db.transaction(account.tenant_id) as session:
        DocumentRepository(session).get(account.tenant_id, zebra).classification = "work"
    assert ids[search(db, account, embedder, "zebra database")[0].document_id] == "zebra"
    with db.transaction(account.tenant_id) as session:
        DocumentRepository(session).delete(account.tenant_id, zebra)
    assert "zebra" not in {ids[h.document_id] for h in search(db, account, embedder, "zebra database")}

"""Ranking: rare words count most, vectors help where words do not, nothing of a question is query syntax."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from backend.db.transaction import Database
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.search.repository import DENSE_WEIGHT, PER_DOCUMENT, Filters, Hit, SearchRepository
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


def test_one_weak_word_of_many_does_not_count_like_all_of_them(
    db: Database, account: Account, embedder: LocalEmbedder, ids: dict[UUID, str]
) -> None:
    """However it compares to the other passages, by words nothing like an answer was found."""

    def by_words(question: str) -> float:
        best = max(search(db, account, embedder, question), key=lambda hit: hit.lexical_score or 0)
        assert best.lexical_score == pytest.approx(1)
        return (best.score - DENSE_WEIGHT * max(best.similarity or 0, 0)) / (1 - DENSE_WEIGHT)

    assert 0.7 < by_words("database newest backup") <= 1.0001
    assert 0.7 < by_words("database") <= 1.0001
    assert by_words("database of the unicorn orchestra in Timbuktu") < 0.25
    question = "railway trips, flights and hotels in the database"
    assert ids[search(db, account, embedder, question)[0].document_id] == "travel"


def store(db: Database, account: Account, make_document: MakeDocument, **texts: str) -> dict[UUID, str]:
    """More documents of the tenant: id -> title."""
    made = {}
    for title, words in texts.items():
        with db.transaction(account.tenant_id) as session:
            document_id = DocumentRepository(session).store(
                account.tenant_id, None, make_document(f"more-{title}", words, title=title)
            )
        assert document_id is not None
        made[document_id] = title
    return made


def test_words_that_stand_together_rank_before_the_same_words_apart(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    texts = {
        "apart": "The red crane lifts steel, and the crew keeps its light on the river barge all week long.",
        "together": "Its crew keeps the steel barge on the river, and lifts the red light crane all week long.",
    }
    made = store(db, account, make_document, **texts)
    hits = search(db, account, embedder, "where is the light crane", dense_weight=0.0)
    assert [made[hit.document_id] for hit in hits] == ["together", "apart"]
    assert hits[0].lexical_score == pytest.approx(1)
    assert hits[1].lexical_score is not None
    assert hits[1].lexical_score < 0.95


def test_word_in_the_title_counts_more_and_repetition_counts_less_and_less(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    filler = "It is written down here for whoever comes to the office next and wants to know."
    made = store(
        db,
        account,
        make_document,
        turbine=filler,
        once=f"{filler} A turbine.",
        often=f"{filler} A turbine, the turbine, that turbine, one turbine, this turbine, each turbine.",
    )
    scores = {
        made[h.document_id]: h.score for h in search(db, account, embedder, "turbine", dense_weight=0.0)
    }
    assert scores["once"] < scores["turbine"]
    assert scores["once"] < scores["often"] < 2.2 * scores["once"]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Press \u201cstandby\u201d to rest.", "standby"),
        ("Press standby to rest.", "what does \u201cstandby\u201d do"),
        ("The women\u2019s team won.", "women's team"),
        ("It costs \u20ac49 a year.", "49"),
        ("Choose storage/memory first.", "memory"),
        ("Sold out _tomorrow._", "tomorrow"),
    ],
)
def test_marks_around_a_word_do_not_hide_it(
    db: Database,
    account: Account,
    embedder: LocalEmbedder,
    make_document: MakeDocument,
    stored: str,
    asked: str,
) -> None:
    store(db, account, make_document, other="Nothing of the kind.")
    store(db, account, make_document, marked=stored)
    hits = search(db, account, embedder, asked, dense_weight=0.0)
    assert [hit.title for hit in hits if hit.lexical_score] == ["marked"]


def test_words_of_a_file_name_are_found(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    document = replace(
        make_document("a", "Nothing of it in here.", title="Terms"), file_name="travel_expenses-2026.pdf"
    )
    with db.transaction(account.tenant_id) as session:
        DocumentRepository(session).store(account.tenant_id, None, document)
    (hit,) = search(db, account, embedder, "expenses", dense_weight=0.0)
    assert hit.lexical_score == pytest.approx(1)


def test_one_document_does_not_take_all_places(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    long = "\n\n".join(
        f"## Part {n}\n\n" + f"The glacier and the glacier again, part {n}. " * 24 for n in range(9)
    )
    made = store(
        db, account, make_document, long=long, short="A glacier is mentioned here just once, among others."
    )
    hits = search(db, account, embedder, "glacier", dense_weight=0.0, limit=20)
    names = [made[hit.document_id] for hit in hits]
    assert names.index("short") == PER_DOCUMENT
    assert names.count("long") > PER_DOCUMENT


def test_filters_leave_out_before_the_best_are_chosen(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    now = datetime.now(UTC)
    with db.transaction(account.tenant_id) as session:
        repository = DocumentRepository(session)
        for n in range(120):
            repository.store(
                account.tenant_id, None, make_document(f"many-{n}", "harbour " * 3, title=f"many {n}")
            )
        wanted = replace(
            make_document(
                "wanted", "A harbour, and many other things that make this longer.", title="wanted"
            ),
            author="Ada",
            kind="issue",
            source_type="github",
            source_updated_at=now - timedelta(days=400),
            metadata={"labels": ["port", "sea"]},
        )
        repository.store(account.tenant_id, None, wanted)
    for filters in (
        Filters(authors=["ADA"]),
        Filters(kinds=["issue", "mail"]),
        Filters(source_types=["github"]),
        Filters(labels=["sea", "land"]),
        Filters(until=now - timedelta(days=1)),
        Filters(
            since=now - timedelta(days=401), until=now - timedelta(days=399), labels=["port"], authors=["ada"]
        ),
    ):
        hits = search(db, account, embedder, "harbour", limit=5, filters=filters)
        assert [hit.title for hit in hits] == ["wanted"], filters
    assert search(db, account, embedder, "harbour", filters=Filters(labels=["land"])) == []
    assert (
        len(search(db, account, embedder, "harbour", filters=Filters(source_types=["file"]), limit=50)) == 50
    )


def test_hidden_documents_take_nobody_s_place(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    """More of them than there are candidates, and each better than the one that may be found."""
    with db.transaction(account.tenant_id) as session:
        repository = DocumentRepository(session)
        for n in range(120):
            document_id = repository.store(
                account.tenant_id, None, make_document(f"private-{n}", "orchid " * 3, title="orchid")
            )
            assert document_id is not None
            document = repository.get(account.tenant_id, document_id)
            document.classification = ("personal", "spam", "work")[n % 3]
            document.status = "rejected" if n % 3 == 2 else document.status
    store(db, account, make_document, open="An orchid, among many other things that make this longer.")
    assert [hit.title for hit in search(db, account, embedder, "orchid", limit=5)] == ["open"]


def test_weigh_says_more_of_rare_words(
    db: Database, account: Account, embedder: LocalEmbedder, ids: dict[UUID, str]
) -> None:
    question = "What is the zebra of the database, or the quagga?"
    with db.transaction(account.tenant_id) as session:
        weighed = SearchRepository(session).weigh(account.tenant_id, question)
    weights = {question[start:end]: weight for start, end, weight in weighed.spans}
    assert weighed.words == (len(ids), {"zebra": 1, "databas": 3, "quagga": 0})
    assert weights["What"] == weights["the"] == weights["of"] == 0
    assert 0 < weights["database"] < weights["zebra"] < weights["quagga"]

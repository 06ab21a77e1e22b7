"""The order passages are shown in: newer ones first among near equals, no passage twice before others, few per document."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from backend.db.transaction import Database
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.search.hits import FRESH_SHARE, PER_DOCUMENT, Hit, arrange, freshness
from tests.conftest import Account
from tests.documents.conftest import MakeDocument, embedder, make_document
from tests.search.test_repository import search

__all__ = ["embedder", "make_document"]

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def hit(
    score: float, text: str = "", *, document: UUID | None = None, changed_at: datetime | None = None
) -> Hit:
    """A passage of its own document, unless it says which."""
    return Hit(
        chunk_id=uuid4(),
        document_id=document or uuid4(),
        score=score,
        lexical_score=None,
        similarity=None,
        text=text or str(uuid4()),
        heading_path=(),
        start_offset=0,
        end_offset=1,
        title="",
        source_type="file",
        kind="file",
        url=None,
        author=None,
        metadata={},
        source_updated_at=changed_at,
        created_at=NOW,
    )


def test_freshness_is_mild_and_fades() -> None:
    ages = [freshness(NOW - timedelta(days=days), NOW) for days in (0, 365, 730, 36_500)]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] == pytest.approx(FRESH_SHARE / 2)
    assert ages[1] == pytest.approx(0)
    assert ages[3] == pytest.approx(-FRESH_SHARE / 2)
    assert freshness(NOW + timedelta(days=9), NOW) == ages[0]
    assert freshness(None, NOW) == 0


def test_newer_document_is_first_among_near_equals_only() -> None:
    old, new = NOW - timedelta(days=3_000), NOW - timedelta(days=3)
    near = [hit(0.60, changed_at=old), hit(0.59, changed_at=new)]
    assert [one.source_updated_at for one in arrange(near, 10, NOW)] == [new, old]
    apart = [hit(0.60, changed_at=old), hit(0.57, changed_at=new)]
    assert [one.source_updated_at for one in arrange(apart, 10, NOW)] == [old, new]
    without = [hit(0.60), hit(0.5999), hit(0.2)]
    assert [one.score for one in arrange(without, 10, NOW)] == [0.60, 0.5999, 0.2]
    assert arrange([hit(1.0, changed_at=new)], 10, NOW)[0].score == 1


def test_copies_and_further_passages_come_last() -> None:
    document = uuid4()
    many = [hit(0.9 - n / 100, document=document) for n in range(PER_DOCUMENT + 1)]
    copies = [hit(0.8, "The same\ntext."), hit(0.7, "> The  same\n> text."), hit(0.6, "the SAME text.")]
    other = hit(0.1)
    found = arrange([*copies, other, *many], 50, NOW)
    assert found[-4:] == [other, many[-1], copies[1], copies[2]]
    assert found[:PER_DOCUMENT] == many[:PER_DOCUMENT]
    assert len(arrange([*copies, other, *many], 3, NOW)) == 3


def test_copies_of_a_passage_do_not_fill_the_first_places(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    """More of them than there are candidates to choose from; the newest of a few stands for them."""
    text = "The harbour master opens the harbour at six; the harbour closes at nine."
    now = datetime.now(UTC)
    with db.transaction(account.tenant_id) as session:
        repository = DocumentRepository(session)
        for n in range(60):
            repository.store(account.tenant_id, None, make_document(f"copy-{n}", text, title="harbour"))
        for n in range(4):
            repository.store(
                account.tenant_id,
                None,
                make_document(
                    f"other-{n}", f"Boat {n} lies in the harbour, with other boats.", title=f"boat {n}"
                ),
            )
    hits = search(db, account, embedder, "harbour", limit=5)
    assert len({one.text for one in hits}) == 5
    with db.transaction(account.tenant_id) as session:
        DocumentRepository(session).store(
            account.tenant_id,
            None,
            replace(
                make_document("latest", f"> {text}", title="harbour"),
                source_updated_at=now - timedelta(days=1),
            ),
        )
    assert len({one.text.lstrip("> ") for one in search(db, account, embedder, "harbour", limit=5)}) == 5
    assert len(search(db, account, embedder, "harbour", limit=50)) == 50


def test_newer_of_two_equal_documents_is_found_first(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    now = datetime.now(UTC)
    with db.transaction(account.tenant_id) as session:
        for days, name in ((2_000, "old"), (5, "new"), (900, "older")):
            made = make_document(name, f"The canteen opens at noon. {name}", title="Canteen")
            DocumentRepository(session).store(
                account.tenant_id, None, replace(made, source_updated_at=now - timedelta(days=days))
            )
    hits = search(db, account, embedder, "When does the canteen open?")
    assert hits[0].text.endswith("new")
    assert all(0 <= one.score <= 1 for one in hits)


def test_softened_words_count_less_than_those_of_the_question(
    db: Database, account: Account, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    with db.transaction(account.tenant_id) as session:
        for name, word in (("asked", "walnut"), ("also", "hazelnut")):
            DocumentRepository(session).store(
                account.tenant_id, None, make_document(name, f"Bread with {word} and honey.", title=name)
            )
    hits = search(db, account, embedder, "walnut", dense_weight=0.0, softened={"hazelnut": 0.4})
    scores = {one.title: one.score for one in hits}
    assert 0.7 < scores["asked"] <= 1
    assert scores["also"] == pytest.approx(0.4 * scores["asked"])

"""Words of a tenant: what is read of its passages, and which of them an unknown word may have been meant to be."""

from collections import Counter
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from backend.components import vocabulary as module
from backend.components.cache import ComponentCache
from backend.components.vocabulary import Vocabulary, complete, correct, count_words, merge
from backend.db.listen import Listener
from backend.db.transaction import Database
from backend.documents.repository import DocumentRepository
from tests.components.test_lexicon import make_stale, store
from tests.conftest import Account, TestDatabase
from tests.documents.conftest import embedder, make_document

__all__ = ["embedder", "make_document", "store"]

WORDS = {
    "words": merge(
        {},
        {
            "database": 9,
            "databases": 2,
            "restore": 5,
            "restored": 5,
            "from": 9,
            "form": 3,
            "foam": 1,
            "retrieval": 3,
            "kubernetes": 2,
            "err-4012": 1,
            "err-4013": 2,
            "2.4.1": 1,
            "über": 1,
        },
    )
}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("databse", ["database"]),
        ("Databaes", ["database", "databases"]),
        ("retreival", ["retrieval"]),
        ("kubernets", ["kubernetes"]),
        ("cubernetis", ["kubernetes"]),
        ("fomr", ["form"]),
        ("frmo", ["from"]),
        ("restor", ["restore"]),
        ("ret", []),
        ("kubrntes1", []),
        ("zzzzzzzz", []),
        ("'; drop", []),
        ("", []),
    ],
)
def test_misspelt_word_is_one_of_the_nearest(typed: str, meant: list[str]) -> None:
    assert correct(WORDS, typed)[: len(meant) or 1] == meant


def test_completions_are_the_most_frequent_words_that_begin_so() -> None:
    assert complete(WORDS, "data") == ["database", "databases"]
    assert complete(WORDS, "ERR-40") == ["err-4013", "err-4012"]
    assert complete(WORDS, "2.4") == ["2.4.1"]
    assert complete(WORDS, "database") == ["databases"]
    for beginning in ("da", "database restore", "", "%", "x" * 5000, "datab\x00"):
        assert complete(WORDS, beginning) == []
    many = {"words": merge({}, {f"word{n}": 1 for n in range(100)})}
    assert len(complete(many, "word")) == 8


def test_identifiers_are_words_whole_and_in_parts() -> None:
    counts = count_words(
        Counter(["ERR-4012", "maxUploadSize", "foo.bar", "max_upload_size", "state-of-the-art"])
    )
    assert {"err-4012", "maxuploadsize", "foo.bar", "max_upload_size", "state"} <= counts.keys()
    assert counts["upload"] == 2
    assert "state-of-the-art" not in counts


def test_rare_words_are_left_out_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WORDS", 3)
    words = merge(merge({}, {"often": 8, "rare": 1, "other": 2}), {"third": 4, "often": 1})
    kept = {word for levels in words.values() for listed in levels.values() for word in listed.split()}
    assert kept == {"often", "third", "other"}


@pytest.fixture
def vocabulary(db: Database, database: TestDatabase) -> Iterator[Vocabulary]:
    cache = ComponentCache(db, Listener(database.url), capacity=10**6)
    yield Vocabulary(db, cache)
    cache.close()


def test_vocabulary_is_read_of_the_tenant_s_own_visible_passages(
    vocabulary: Vocabulary,
    account: Account,
    make_account: Callable[[], Account],
    database: TestDatabase,
    store: Callable[[UUID, str], UUID],
) -> None:
    store(make_account().tenant_id, "Their hovercraft.")
    hidden = store(account.tenant_id, "My hovercraft, a personal matter.")
    store(account.tenant_id, "The lighthouse keeper.")
    with database.admin() as connection:
        connection.execute("UPDATE documents SET classification = 'personal' WHERE id = %s", (hidden,))
    assert vocabulary.complete(account.tenant_id, "lightho") == ["lighthouse"]
    assert vocabulary.correct(account.tenant_id, "lighthuose") == ["lighthouse"]
    assert vocabulary.correct(account.tenant_id, "hovercraf") == []


def test_vocabulary_goes_on_with_what_it_has_not_read_and_begins_anew_when_much_is_gone(
    db: Database,
    database: TestDatabase,
    account: Account,
    store: Callable[[UUID, str], UUID],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def known(*beginnings: str) -> list[list[str]]:
        make_stale(database, account.tenant_id)
        words = Vocabulary(db, ComponentCache(db, Listener(database.url), capacity=10**6))
        found = [words.complete(account.tenant_id, beginning) for beginning in beginnings[:1]]
        make = words.get(account.tenant_id)
        return found + [complete(make, beginning) for beginning in beginnings[1:]]

    monkeypatch.setattr(module, "_PASSAGES", 2)
    made = [store(account.tenant_id, f"{word} stands here.") for word in ("aardvark", "badger", "capybara")]
    assert known("aard", "badg", "capy") == [["aardvark"], ["badger"], []]
    assert known("aard", "badg", "capy") == [["aardvark"], ["badger"], ["capybara"]]
    with db.transaction(account.tenant_id) as session:
        DocumentRepository(session).delete(account.tenant_id, made[0])
    assert known("aard", "badg", "capy") == [[], ["badger"], ["capybara"]]

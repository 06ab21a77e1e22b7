"""A tenant's own words: acronyms mined from its text, counted lexemes, questions said in both ways."""

from collections.abc import Callable, Iterator
from uuid import UUID

import psycopg
import pytest

from backend.components.cache import ComponentCache
from backend.components.lexicon import Lexicon, expand, find_acronyms
from backend.components.repository import ComponentRepository
from backend.db.listen import Listener
from backend.db.transaction import Database
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ask.flow import find, write
from tests.conftest import Account, TestDatabase
from tests.documents.conftest import MakeDocument, embedder, make_document

__all__ = ["embedder", "make_document"]

SLA = {"SLA": "service level agreement", "IT": "information technology"}


@pytest.mark.parametrize(
    ("words", "acronym", "found"),
    [
        ("Every customer has a Service Level Agreement", "SLA", "service level agreement"),
        ("the Return on Investment", "ROI", "return on investment"),
        ("our Department of Defense", "DoD", "department of defense"),
        ("we track Key Performance Indicators", "KPIs", "key performance indicators"),
        ("Research & Development", "R&D", "research & development"),
        ("Überwachung der Systeme", "ÜS", None),
        ("was bought from a shop", "SLA", None),
        ("Level Agreement", "SLA", None),
        ("service running large apps", "SLA", None),
        ("the SLA", "SLA", None),
    ],
)
def test_acronym_counts_when_its_letters_begin_the_words(words: str, acronym: str, found: str | None) -> None:
    assert find_acronyms([(words, acronym, 1)]) == ({acronym.removesuffix("s"): found} if found else {})


def test_acronym_stands_for_what_it_is_most_often_explained_with() -> None:
    mentions = [
        ("Service Level Agreement", "SLA", 3),
        ("service line area", "SLA", 2),
        ("a service level agreement", "SLA", 1),
    ]
    assert find_acronyms(mentions) == {"SLA": "service level agreement"}


@pytest.mark.parametrize(
    ("question", "expanded"),
    [
        ("What is our SLA?", "What is our SLA? (service level agreement)"),
        ("Is there a service-level agreement?", "Is there a service-level agreement? (SLA)"),
        ("Is the SLA a service level agreement?", "Is the SLA a service level agreement?"),
        ("Can it be restored?", "Can it be restored?"),
        ("Who is in IT?", "Who is in IT? (information technology)"),
        ("Which SLAs?", "Which SLAs? (service level agreement)"),
        ("Nothing to add", "Nothing to add"),
    ],
)
def test_question_is_said_in_both_ways(question: str, expanded: str) -> None:
    assert expand(question, SLA) == expanded


@pytest.fixture
def lexicon(db: Database, database: TestDatabase) -> Iterator[Lexicon]:
    cache = ComponentCache(db, Listener(database.url), capacity=10**6)
    yield Lexicon(db, cache)
    cache.close()


@pytest.fixture
def store(db: Database, make_document: MakeDocument) -> Callable[[UUID, str], UUID]:
    def store(tenant_id: UUID, text: str) -> UUID:
        with db.transaction(tenant_id) as session:
            stored = DocumentRepository(session).store(tenant_id, None, make_document(text[:30], text))
        assert stored is not None
        return stored

    return store


def make_stale(database: TestDatabase, tenant_id: UUID) -> None:
    with database.admin() as connection:
        connection.execute(
            "UPDATE tenant_components SET refresh_at = now() WHERE tenant_id = %s", (tenant_id,)
        )


def test_lexicon_is_made_of_the_tenant_s_own_passages(
    lexicon: Lexicon,
    account: Account,
    make_account: Callable[[], Account],
    store: Callable[[UUID, str], UUID],
) -> None:
    other = make_account()
    store(other.tenant_id, "Their Secret Launch Avenue (SLA) is not for others.")
    store(account.tenant_id, "The Service Level Agreement (SLA) promises 99.9 % each month.")
    store(account.tenant_id, "Backups follow the RPO (recovery point objective) of an hour.")
    found = lexicon.get(account.tenant_id)
    assert found["acronyms"] == {"RPO": "recovery point objective", "SLA": "service level agreement"}
    assert found["passages"] == 2
    assert found["terms"]["backup"] == 1
    assert "launch" not in found["terms"]


def test_words_are_counted_for_a_search_once_counting_costs_something(
    db: Database,
    database: TestDatabase,
    account: Account,
    store: Callable[[UUID, str], UUID],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(40):
        store(account.tenant_id, f"Note {number}: backups {'never ' if number % 2 else ''}run at night.")
    small = Lexicon(db, ComponentCache(db, Listener(database.url), capacity=10**6))
    assert small.count_words(account.tenant_id) is None
    with db.transaction(account.tenant_id) as session:
        ComponentRepository(session).delete(account.tenant_id, "lexicon")
    monkeypatch.setattr("backend.components.lexicon._PASSAGES", 20)
    large = Lexicon(db, ComponentCache(db, Listener(database.url), capacity=10**6))
    words = large.count_words(account.tenant_id)
    assert words is not None
    passages, known = words
    assert passages == 40
    assert known["backup"] % 2 == 0, "every other passage was looked at"
    assert 10 <= known["backup"] <= 70
    assert 0 < known["never"] < known["backup"]


def test_lexicon_leaves_out_what_search_does_not_show(
    lexicon: Lexicon, account: Account, database: TestDatabase, store: Callable[[UUID, str], UUID]
) -> None:
    private = store(account.tenant_id, "My Summer Lake Adventure (SLA) was great.")
    with database.admin() as connection:
        connection.execute("UPDATE documents SET classification = 'personal' WHERE id = %s", (private,))
    assert lexicon.get(account.tenant_id)["acronyms"] == {}


def test_lexicon_is_counted_anew_when_passages_were_added(
    db: Database, database: TestDatabase, account: Account, store: Callable[[UUID, str], UUID]
) -> None:
    def in_a_process() -> Lexicon:
        return Lexicon(db, ComponentCache(db, Listener(database.url), capacity=10**6))

    assert in_a_process().get(account.tenant_id)["acronyms"] == {}
    store(account.tenant_id, "The Service Level Agreement (SLA) promises 99.9 % each month.")
    assert in_a_process().get(account.tenant_id)["acronyms"] == {}, "still fresh"
    make_stale(database, account.tenant_id)
    assert in_a_process().get(account.tenant_id)["acronyms"] == {"SLA": "service level agreement"}


def test_lexicon_of_unchanged_passages_stays_the_same_version(
    db: Database, database: TestDatabase, account: Account, store: Callable[[UUID, str], UUID]
) -> None:
    store(account.tenant_id, "The Service Level Agreement (SLA) promises 99.9 % each month.")
    for _ in range(2):
        Lexicon(db, ComponentCache(db, Listener(database.url), capacity=10**6)).get(account.tenant_id)
        make_stale(database, account.tenant_id)
    with database.admin() as connection:
        version = connection.execute(
            "SELECT version FROM tenant_components WHERE tenant_id = %s", (account.tenant_id,)
        ).fetchone()
    assert version == (1,)


def test_answer_is_found_under_the_words_an_acronym_stands_for(
    db: Database,
    lexicon: Lexicon,
    account: Account,
    store: Callable[[UUID, str], UUID],
    embedder: LocalEmbedder,
) -> None:
    store(account.tenant_id, "A Maximum Tolerable Downtime (MTD) is agreed with each customer.")
    target = store(account.tenant_id, "For gold customers the maximum tolerable downtime is four hours.")
    for number in range(20):
        store(account.tenant_id, f"Note {number}: gold customers get a mug with number {number}.")
    question = "MTD gold customers?"
    plain = write(find(db, embedder, account.tenant_id, question), None)
    expanded = write(find(db, embedder, account.tenant_id, question, expand=lexicon.expand), None)
    assert plain.retrieved.searched == "MTD gold customers?"
    assert expanded.retrieved.searched == "MTD gold customers? (maximum tolerable downtime)"
    places = [[hit.document_id for hit in reply.hits].index(target) for reply in (plain, expanded)]
    assert places[1] < places[0], places
    assert "four hours" in expanded.text


def test_question_stands_as_it_is_when_there_is_no_lexicon(
    own_database: TestDatabase, embedder: LocalEmbedder
) -> None:
    account = own_database.make_tenant()
    cache = ComponentCache(own_database.db, Listener(own_database.url), capacity=10**6)
    with psycopg.connect(own_database.admin_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE tenant_components RENAME TO elsewhere")
    found = find(
        own_database.db,
        embedder,
        account.tenant_id,
        "What is our SLA?",
        expand=Lexicon(own_database.db, cache).expand,
    )
    reply = write(found, None)
    assert (reply.kind, reply.retrieved.searched) == ("onboarding", "What is our SLA?")

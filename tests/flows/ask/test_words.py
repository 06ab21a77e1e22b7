"""Words as people type them: quoted, excluded, unfinished, misspelt, identifiers; and honest when there is nothing."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from backend.components.cache import ComponentCache
from backend.components.vocabulary import Vocabulary
from backend.db.listen import Listener
from backend.db.transaction import Database
from backend.documents.repository import DocumentRepository
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.ask.flow import Reply, find, write
from backend.search.answer import NOT_FOUND
from tests.conftest import Account, TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document

TEXTS = {
    "backups": "Backups of the database run every night at two and are kept for thirty days on tape.",
    "restore": "To restore the database, stop the workers and load the newest backup from the archive.",
    "restoring": "Restoring the databases of customers needs the permission of their administrators.",
    "errors": "The error ERR_4012 means that the disk is full; ERR-4013 that the licence has ended.",
    "settings": "Set maxUploadSize, or max_download_rate, before report.totals() is called by src/billing/main.py.",
    "release": "Version 2.4.1 mended the login page, version 2.5.0 the printing of invoices.",
    "travel": "Book trains instead of planes for journeys under five hours, and ask your manager early.",
    "kitchen": "The coffee machine in the kitchen is cleaned every Friday by whoever drank the last cup.",
    "leave": "Employees may take thirty days of paid leave each year; ask your manager early.",
}

Ask = Callable[..., Reply]


@pytest.fixture(scope="module")
def company(database: TestDatabase, make_document: MakeDocument) -> Account:
    """A tenant with these texts, each a document called by its name."""
    account = database.make_tenant()
    with database.db.transaction(account.tenant_id) as session:
        for name, text in TEXTS.items():
            DocumentRepository(session).store(
                account.tenant_id, None, make_document(name, text, title=name.upper())
            )
    return account


@pytest.fixture(scope="module")
def asking(database: TestDatabase, company: Account, embedder: LocalEmbedder) -> Iterator[Ask]:
    """Asks the company's documents as the route does."""
    cache = ComponentCache(database.db, Listener(database.url), capacity=10**6)

    def put(question: str, **more: object) -> Reply:
        vocabulary = Vocabulary(database.db, cache)
        found = find(
            database.db,
            embedder,
            company.tenant_id,
            question,
            vocabulary=vocabulary,
            **more,  # type: ignore[arg-type]
        )
        return write(found, None)

    yield put
    cache.close()


def titles(reply: Reply) -> list[str]:
    return [hit.title.lower() for hit in reply.hits]


def best(reply: Reply) -> str:
    return titles(reply)[0]


def test_quoted_words_must_stand_together_and_as_written(asking: Ask) -> None:
    assert titles(asking('how to "restore the database"')) == ["restore"]
    assert set(titles(asking('"thirty days"'))) == {"backups", "leave"}
    assert titles(asking('"thirty days" "paid leave"')) == ["leave"]
    assert titles(asking('"THIRTY   days of paid"')) == ["leave"]
    assert titles(asking('"of the database run every"')) == ["backups"]
    assert titles(asking('"Restoring"')) == ["restoring"], "not another form of the word"
    assert titles(asking('"kitchen"')) == ["kitchen"]
    assert titles(asking("\u201cERR_4012\u201d")) == ["errors"]


def test_phrase_that_stands_nowhere_is_searched_for_word_by_word(asking: Ask) -> None:
    reply = asking('"database restore night"')
    assert reply.retrieved.phrase_relaxed
    assert {"backups", "restore"} <= set(titles(reply)[:3])
    assert not asking('"thirty days"').retrieved.phrase_relaxed
    assert asking('"the of and"').retrieved.phrase_relaxed


def test_excluded_words_and_phrases_are_in_nothing_that_is_found(asking: Ask) -> None:
    assert "backups" in titles(asking("database backup"))
    without = titles(asking("database backup -tape"))
    assert "restore" in without
    assert "backups" not in without
    assert "leave" not in titles(asking('ask your manager -"paid leave"'))
    assert "travel" in titles(asking('ask your manager -"paid leave"'))
    assert titles(asking('"thirty days" -tape')) == ["leave"]


@pytest.mark.parametrize(
    ("typed", "meant", "title"),
    [
        ("How do I restroe it?", "restroe", "restore"),
        ("cofee machine", "cofee", "coffee"),
        ("permision of admnistrators", "admnistrators", "administrators"),
        ("Kichen cleaning", "Kichen", "kitchen"),
    ],
)
def test_misspelt_word_is_searched_for_as_it_was_meant(
    asking: Ask, typed: str, meant: str, title: str
) -> None:
    reply = asking(typed)
    corrected = dict(reply.retrieved.corrections)
    assert corrected[meant] == title
    assert title in reply.retrieved.searched
    assert meant not in reply.retrieved.searched
    assert title in reply.hits[0].text.lower()
    assert reply.kind == "extractive"


def test_word_that_the_workspace_has_is_never_corrected(asking: Ask) -> None:
    for question in ("the database restores", "error 4012", "tape", "trains", "backup", "loading databases"):
        reply = asking(question)
        assert (reply.retrieved.corrections, reply.retrieved.searched) == ((), question)
    # Nor is one that is a word, whatever the workspace has: machine, night, cup.
    for question in ("who may take the marine?", "how about a fight?", "the cut?"):
        assert asking(question).retrieved.corrections == ()
    # Quoted words are meant as they are.
    assert asking('"cofee machine"').retrieved.corrections == ()


@pytest.mark.parametrize(
    ("typed", "meant", "title"),
    [
        ("coff", "coffee", "kitchen"),
        ("which ERR-401", "err-4013", "errors"),
        ("adminis", "administrators", "restoring"),
        ("version 2.5", None, "release"),
        ("who may take pai", "paid", "leave"),
    ],
)
def test_unfinished_last_word_finds_what_begins_so(
    asking: Ask, typed: str, meant: str | None, title: str
) -> None:
    reply = asking(typed)
    assert [to for _, to in reply.retrieved.completions] == ([meant] if meant else [])
    assert best(reply) == title


def test_last_word_that_is_one_is_looked_for_as_the_beginning_of_others_too(asking: Ask) -> None:
    reply = asking("they did not like the plan")
    assert (reply.retrieved.completions, reply.retrieved.searched) == (
        (("plan", "planes"),),
        "they did not like the plan",
    )
    assert {hit.title.lower() for hit in reply.hits if hit.lexical_score} == {"travel"}
    assert asking("plan").retrieved.searched == "planes"


def test_only_the_last_word_may_be_unfinished(asking: Ask) -> None:
    assert asking("coff").retrieved.completions == (("coff", "coffee"),)
    for question in ("coff and tea", "coff?", "co"):
        assert asking(question).retrieved.completions == ()


@pytest.mark.parametrize(
    ("asked", "title"),
    [
        ("ERR_4012", "errors"),
        ("ERR-4013", "errors"),
        ("4013", "errors"),
        ("maxUploadSize", "settings"),
        ("maxuploadsize", "settings"),
        ("upload", "settings"),
        ("max_download_rate", "settings"),
        ("download", "settings"),
        ("report.totals()", "settings"),
        ("totals", "settings"),
        ("src/billing/main.py", "settings"),
        ("billing", "settings"),
        ("main.py", "settings"),
        ("2.4.1", "release"),
        ("v 2.4", "release"),
    ],
)
def test_identifiers_are_found_whole_and_by_part(asking: Ask, asked: str, title: str) -> None:
    reply = asking(asked)
    assert best(reply) == title
    assert reply.hits[0].lexical_score == pytest.approx(1)
    assert [hit.title.lower() for hit in reply.hits if hit.lexical_score] == [title]


@pytest.mark.parametrize(
    "question",
    [
        "Which zebra did the ambassador feed at the opera premiere?",
        "quantum chromodynamics lattice regularisation",
        "Who won the yachting regatta in the year of the comet?",
        "early volcano eruptions in Iceland",
        "what is the last dinosaur of Patagonia",
        "xqzzt",
    ],
)
def test_nothing_found_is_said_plainly(asking: Ask, question: str) -> None:
    reply = asking(question)
    assert (reply.kind, reply.confidence, list(reply.citations)) == ("no_results", 0.0, [])
    assert reply.text.startswith(NOT_FOUND)


HOSTILE = [
    '"' * 5000,
    '"a" ' * 1250,
    '-"' * 2500,
    "-word " * 800,
    '"unbalanced',
    'un"balanced "quotes',
    "- -- --- & | ! <-> ( ) : * \\ ' ''",
    "a & b | !c <-> (d:*)",
    '"a & !b" -"c <-> d:*"',
    "\"it's O'Neil's \\ 'back\\\\slash'\"",
    'nul \x00 in "a phrase\x00 too" -nul\x00l',
    "\x00",
    "\ud83d broken",
    '"\U0001f600 emoji" -\U0001f680\U0001f680\U0001f680 \U0001f469\u200d\U0001f4bb',
    '"\u202e\u05e9\u05dc\u05d5\u05dd" \u0645\u0631\u062d\u0628\u0627 -\u0639\u0627\u0644\u0645',
    '"\u65e5\u672c\u8a9e" \u691c\u7d22 -\u6771\u4eac\u90fd',
    '"' + "long " * 1000 + '"',
    "x" * 5000,
    "ERR-" + "4" * 3000,
    '"" -"" "!" -"?"',
    "%s {0} :question '; DROP TABLE chunks; --",
    " ".join(f"zqx{n}wvu" for n in range(300)),
]


@pytest.mark.parametrize("question", HOSTILE, ids=range(len(HOSTILE)))
def test_no_question_breaks_the_search(asking: Ask, question: str) -> None:
    reply = asking(question)
    assert set(titles(reply)) <= TEXTS.keys()
    assert reply.kind in ("no_results", "extractive")


def test_question_stands_as_it_is_when_there_is_no_vocabulary(
    own_database: TestDatabase, embedder: LocalEmbedder, make_document: MakeDocument
) -> None:
    account = own_database.make_tenant()
    with own_database.db.transaction(account.tenant_id) as session:
        DocumentRepository(session).store(account.tenant_id, None, make_document("a", TEXTS["kitchen"]))
    with own_database.admin() as connection:
        connection.execute("ALTER TABLE tenant_components RENAME TO elsewhere")
    cache = ComponentCache(own_database.db, Listener(own_database.url), capacity=10**6)
    vocabulary = Vocabulary(own_database.db, cache)
    reply = find(own_database.db, embedder, account.tenant_id, "cofee machine", vocabulary=vocabulary)
    assert reply.retrieved.searched == "cofee machine"
    assert reply.hits


def test_words_of_deleted_documents_are_not_searched_for(
    db: Database,
    database: TestDatabase,
    account: Account,
    embedder: LocalEmbedder,
    make_document: MakeDocument,
) -> None:
    made: dict[str, UUID | None] = {}
    with db.transaction(account.tenant_id) as session:
        for name in ("kitchen", *(name for name in TEXTS if name != "kitchen")):
            made[name] = DocumentRepository(session).store(
                account.tenant_id, None, make_document(name, TEXTS[name])
            )
    cache = ComponentCache(db, Listener(database.url), capacity=10**6)
    vocabulary = Vocabulary(db, cache)
    assert find(db, embedder, account.tenant_id, "cofee", vocabulary=vocabulary).retrieved.corrections
    with db.transaction(account.tenant_id) as session:
        assert made["kitchen"] is not None
        DocumentRepository(session).delete(account.tenant_id, made["kitchen"])
    assert vocabulary.correct(account.tenant_id, "cofee") == ["coffee"], "it remembers"
    reply = find(db, embedder, account.tenant_id, "cofee", vocabulary=vocabulary)
    assert (reply.retrieved.corrections, reply.retrieved.searched) == ((), "cofee")

"""Storing, replacing and deleting documents carries their facts along, in the same transaction."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from backend.configs.follower import ConfigFollower
from backend.configs.schemas import ParserConfig
from backend.connectors.providers.contract import SourceItem
from backend.db.listen import Listener
from backend.db.transaction import Database
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.delete_documents.flow import delete_documents
from backend.flows.import_folder.flow import find_files, import_files
from backend.flows.ingest_document.flow import prepare
from backend.flows.ingest_document.store import store_all
from backend.knowledge.repository import GraphRepository
from tests.conftest import Account, TestDatabase
from tests.readers import shared_reader

Graph = tuple[list[str], set[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder()


def item(number: int, author: str | None, **metadata: Any) -> SourceItem:
    return SourceItem(
        external_id=f"item-{number}",
        title=f"Item {number}",
        body=f"The text of item {number}.".encode(),
        mime_type="text/plain",
        file_name="item.txt",
        kind="issue",
        url=None,
        author=author,
        created_at=None,
        updated_at=None,
        metadata=metadata,
    )


@pytest.fixture
def store(db: Database, account: Account, embedder: LocalEmbedder) -> Callable[..., int]:
    def run(*items: SourceItem) -> int:
        documents = [
            prepare(
                one, source_type="github", embedder=embedder, config=ParserConfig(), reader=shared_reader()
            )
            for one in items
        ]
        with db.transaction(account.tenant_id) as session:
            return len(store_all(session, account.tenant_id, None, documents))

    return run


def graph(db: Database, account: Account) -> Graph:
    """(`kind key` of every entity, relations by key)."""
    with db.transaction(account.tenant_id) as session:
        repository = GraphRepository(session)
        entities = repository.list_entities(account.tenant_id, limit=1_000)
        names = {e.id: e.entity.external_key for e in entities}
        relations = {
            (names[r.subject_id], r.kind, names[r.object_id])
            for e in entities
            for r in repository.neighbours(account.tenant_id, e.id).relations
        }
    return sorted(f"{e.entity.kind} {e.entity.external_key}" for e in entities), relations


def document_ids(db: Database, account: Account, key: str) -> dict[str, UUID]:
    """Document's external id -> id, of the documents that name the person `key`."""
    with db.transaction(account.tenant_id) as session:
        repository = GraphRepository(session)
        (found,) = repository.list_entities(account.tenant_id, prefix=key, kind="person")
        around = repository.neighbours(account.tenant_id, found.id)
    names = {e.id: e.entity.external_key for e in around.entities}
    return {names[r.object_id]: r.document_ids[0] for r in around.relations if r.kind == "authored"}


def test_store_puts_what_metadata_says_into_the_graph(
    db: Database, account: Account, store: Callable[..., int]
) -> None:
    assert store(item(1, "ada", repository="o/r", labels=["bug"]), item(2, "ada", repository="o/r")) == 2
    assert graph(db, account) == (
        ["document item-1", "document item-2", "label o/r#bug", "person ada", "repository o/r"],
        {
            ("ada", "authored", "item-1"),
            ("ada", "authored", "item-2"),
            ("item-1", "belongs_to", "o/r"),
            ("item-1", "labelled", "o/r#bug"),
            ("item-2", "belongs_to", "o/r"),
        },
    )


def test_store_again_takes_back_what_is_said_no_more(
    db: Database, account: Account, store: Callable[..., int]
) -> None:
    store(item(1, "ada", repository="o/r", labels=["bug"]), item(2, "bob", repository="o/r"))
    store(item(1, "cy", labels=["done"]))
    assert graph(db, account) == (
        ["document item-1", "document item-2", "label done", "person bob", "person cy", "repository o/r"],
        {
            ("cy", "authored", "item-1"),
            ("item-1", "labelled", "done"),
            ("bob", "authored", "item-2"),
            ("item-2", "belongs_to", "o/r"),
        },
    )


def test_delete_takes_exactly_its_own_facts_along(
    db: Database, account: Account, store: Callable[..., int]
) -> None:
    store(item(1, "ada", repository="o/r", labels=["bug"]), item(2, "ada"))
    first = document_ids(db, account, "ada")["item-1"]
    with db.transaction(account.tenant_id) as session:
        assert delete_documents(session, account.tenant_id, [first]) == ([first], 1)
    left = (["document item-2", "person ada"], {("ada", "authored", "item-2")})
    assert graph(db, account) == left
    with db.transaction(account.tenant_id) as session:
        assert delete_documents(session, account.tenant_id, [first]) == ([], 0)
    # A sync does not bring it back, nor what it said.
    assert store(item(1, "ada", repository="o/r")) == 0
    assert graph(db, account) == left


def test_transaction_that_fails_leaves_neither_document_nor_facts(
    db: Database, account: Account, embedder: LocalEmbedder
) -> None:
    def fail() -> None:
        with db.transaction(account.tenant_id) as session:
            document = prepare(
                item(1, "ada"),
                source_type="github",
                embedder=embedder,
                config=ParserConfig(),
                reader=shared_reader(),
            )
            assert len(store_all(session, account.tenant_id, None, [document])) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert graph(db, account) == ([], set())


def test_import_makes_documents_known_to_the_graph(
    database: TestDatabase, account: Account, embedder: LocalEmbedder, tmp_path: Path
) -> None:
    db = database.db
    for name in ("one.md", "two.md"):
        (tmp_path / name).write_text(f"# {name}\n\nSome words about {name}.\n")
    configs = ConfigFollower(db, Listener(database.url))
    for _ in range(2):
        outcomes = list(
            import_files(
                db, configs, embedder, shared_reader(), account.tenant_id, tmp_path, find_files(tmp_path)
            )
        )
    assert {o.state for o in outcomes} == {"unchanged"}
    entities, relations = graph(db, account)
    assert entities == [f"document {(tmp_path / name).resolve().as_uri()}" for name in ("one.md", "two.md")]
    assert relations == set()

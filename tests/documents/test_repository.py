"""Documents: stored whole, replaced whole, deleted for good."""

import threading
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from backend.db.transaction import Database
from backend.documents.listing.repository import DocumentListing
from backend.documents.repository import DocumentNotFound, DocumentRepository
from backend.documents.rows import NewDocument
from tests.conftest import Account, TestDatabase
from tests.documents.conftest import MakeDocument

HANDBOOK = "# Backups\n\nBackups run at two.\n\n## Restore\n\nRestoring takes an hour.\n"


def store(db: Database, account: Account, document: NewDocument) -> UUID | None:
    with db.transaction(account.tenant_id) as session:
        return DocumentRepository(session).store(account.tenant_id, None, document)


def chunks_of(database: TestDatabase, document_id: UUID) -> list[tuple[object, ...]]:
    with database.admin() as connection:
        return connection.execute(
            "SELECT c.ordinal, c.text, c.heading_path, c.start_offset, c.end_offset, c.search::text,"
            " l2_norm(v.embedding), v.embedding_model FROM chunks AS c JOIN chunk_vectors AS v ON v.chunk_id = c.id"
            " WHERE c.document_id = %s ORDER BY c.ordinal",
            (document_id,),
        ).fetchall()


def test_store_writes_text_place_words_and_vector(
    database: TestDatabase, account: Account, make_document: MakeDocument
) -> None:
    document_id = store(database.db, account, make_document("a", HANDBOOK, title="O'Neil's \\ handbook"))
    assert document_id is not None
    with database.db.transaction(account.tenant_id) as session:
        stored = DocumentRepository(session).get(account.tenant_id, document_id)
    assert stored.title == "O'Neil's \\ handbook"
    chunks = chunks_of(database, document_id)
    assert chunks
    for ordinal, (number, text, _path, start, end, words, norm, model) in enumerate(chunks):
        assert number == ordinal
        assert stored.content[int(str(start)) : int(str(end))] == text
        assert "'handbook':" in str(words)
        assert float(str(norm)) == pytest.approx(1, abs=0.01)
        assert model
    assert "Backups run at two." in str(chunks[0][1])


def test_store_again_replaces_everything(
    database: TestDatabase, account: Account, make_document: MakeDocument
) -> None:
    first = store(database.db, account, make_document("a", HANDBOOK))
    second = store(database.db, account, make_document("a", "Nothing of the old text."))
    assert first == second
    assert first is not None
    assert [row[1] for row in chunks_of(database, first)] == ["Nothing of the old text."]


def test_store_fails_whole_when_a_chunk_cannot_be_stored(
    database: TestDatabase, account: Account, make_document: MakeDocument
) -> None:
    document = make_document("a", HANDBOOK)
    zero = replace(document.chunks[0], embedding=[0.0] * len(document.chunks[0].embedding))
    with pytest.raises(DBAPIError, match="embedding_is_not_zero"):
        store(database.db, account, replace(document, chunks=[zero]))
    with database.db.transaction(account.tenant_id) as session:
        assert DocumentListing(session).list_ids(account.tenant_id, limit=9) == []


def test_list_unchanged_knows_same_changed_and_deleted(
    db: Database, account: Account, make_document: MakeDocument
) -> None:
    same, changed, deleted = (
        make_document(name, f"Text of {name}.") for name in ("same", "changed", "deleted")
    )
    store(db, account, same)
    store(db, account, changed)
    deleted_id = store(db, account, deleted)
    assert deleted_id is not None
    with db.transaction(account.tenant_id) as session:
        DocumentRepository(session).delete(account.tenant_id, deleted_id)
    hashes = {
        "same": same.content_sha256,
        "changed": b"\0" * 32,
        "deleted": b"\1" * 32,
        "new": b"\2" * 32,
    }
    with db.transaction(account.tenant_id) as session:
        unchanged = DocumentRepository(session).list_unchanged(account.tenant_id, None, hashes)
    assert unchanged == {"same", "deleted"}


def test_delete_takes_it_out_and_keeps_it_out(
    database: TestDatabase, account: Account, make_document: MakeDocument
) -> None:
    db = database.db
    document = make_document("a", HANDBOOK)
    document_id = store(db, account, document)
    assert document_id is not None
    with db.transaction(account.tenant_id) as session:
        assert DocumentRepository(session).delete(account.tenant_id, document_id) == len(document.chunks)
    assert store(db, account, document) is None
    assert chunks_of(database, document_id) == []
    with db.transaction(account.tenant_id) as session:
        repository = DocumentRepository(session)
        assert DocumentListing(session).list_ids(account.tenant_id, limit=9) == []
        with pytest.raises(DocumentNotFound):
            repository.get(account.tenant_id, document_id)
        with pytest.raises(DocumentNotFound):
            repository.delete(account.tenant_id, document_id)
    with database.admin() as connection:
        row = connection.execute("SELECT content FROM documents WHERE id = %s", (document_id,)).fetchone()
    assert row == ("(deleted)",)


def test_store_same_id_by_many_at_once_keeps_one_whole_document(
    database: TestDatabase, account: Account, make_document: MakeDocument
) -> None:
    versions = [make_document("a", f"Version {n}.\n\n" + "Words. " * 300) for n in range(8)]
    barrier = threading.Barrier(len(versions))

    def write(document: NewDocument) -> None:
        barrier.wait()
        store(database.db, account, document)

    threads = [threading.Thread(target=write, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.db.transaction(account.tenant_id) as session:
        repository = DocumentRepository(session)
        (stored_id,) = DocumentListing(session).list_ids(account.tenant_id, limit=10)
        stored = repository.get(account.tenant_id, stored_id)
    winner = next(v for v in versions if v.content == stored.content)
    texts = [row[1] for row in chunks_of(database, stored.id)]
    assert texts == [chunk.text for chunk in winner.chunks]


def test_get_another_tenants_document_finds_nothing(
    db: Database, account: Account, make_account: Callable[[], Account], make_document: MakeDocument
) -> None:
    document_id = store(db, account, make_document("a", "A text."))
    assert document_id is not None
    stranger = make_account()
    with db.transaction(stranger.tenant_id) as session:
        for tenant_id in (account.tenant_id, stranger.tenant_id):
            with pytest.raises(DocumentNotFound):
                DocumentRepository(session).get(tenant_id, document_id)

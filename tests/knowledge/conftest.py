"""Documents to hang facts on, and a small language for facts."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest

from backend.db.transaction import Database
from backend.knowledge.facts import Entity, Facts, Relation
from tests.conftest import Account, TestDatabase

MakeDocuments = Callable[[Account, int], list[UUID]]
Look = Callable[[Account], tuple[set[str], set[tuple[str, str, str]]]]


def person(key: str, name: str = "") -> Entity:
    """A person of the provider `test`."""
    return Entity("person", "test", key, name or key)


def knows(*pairs: tuple[str, str]) -> Facts:
    """Who knows whom, by key."""
    return Facts((), tuple(Relation(person(a), "knows", person(b)) for a, b in pairs))


@pytest.fixture
def make_documents(database: TestDatabase) -> MakeDocuments:
    """Ids of new documents of an account, with one chunk each of the same id."""
    return lambda account, count: insert_documents(database, account, count)


def insert_documents(database: TestDatabase, account: Account, count: int) -> list[UUID]:
    """Rows as the documents room would write them, without parsing anything."""
    ids = sorted(uuid4() for _ in range(count))
    with database.admin() as connection:
        connection.execute(
            "INSERT INTO documents (tenant_id, id, external_id, source_type, kind, title, file_name, mime_type,"
            " content, content_sha256, byte_size)"
            " SELECT %s, id, id::text, 'file', 'file', 'T', 'f.txt', 'text/plain', 'x', sha256('x'), 1"
            " FROM unnest(%s::uuid[]) AS new (id)",
            (account.tenant_id, ids),
        )
        connection.execute(
            "INSERT INTO chunks (tenant_id, id, document_id, ordinal, text, start_offset, end_offset, search)"
            " SELECT %s, id, id, 0, 'x', 0, 1, '' FROM unnest(%s::uuid[]) AS new (id)",
            (account.tenant_id, ids),
        )
    return ids


@pytest.fixture
def look(database: TestDatabase) -> Look:
    """(keys of entities, relations by keys) of an account, read past every rule."""

    def read(account: Account) -> tuple[set[str], set[tuple[str, str, str]]]:
        return graph_of(database, account)

    return read


def graph_of(database: TestDatabase, account: Account) -> tuple[set[str], set[tuple[str, str, str]]]:
    """The same; each entity and relation must be there once."""
    with database.admin() as connection:
        keys = connection.execute(
            "SELECT external_key FROM graph_entities WHERE tenant_id = %s", (account.tenant_id,)
        ).fetchall()
        relations = connection.execute(
            "SELECT s.external_key, r.kind, o.external_key FROM graph_relations AS r"
            " JOIN graph_entities AS s ON (s.tenant_id, s.id) = (r.tenant_id, r.subject_id)"
            " JOIN graph_entities AS o ON (o.tenant_id, o.id) = (r.tenant_id, r.object_id)"
            " WHERE r.tenant_id = %s",
            (account.tenant_id,),
        ).fetchall()
    assert len(set(keys)) == len(keys)
    assert len(set(relations)) == len(relations)
    return {str(k) for (k,) in keys}, {(str(s), str(k), str(o)) for s, k, o in relations}


@pytest.fixture
def other_db(database: TestDatabase) -> Iterator[Database]:
    """Another process's way to the shared database."""
    made = database.connect(pool_size=20)
    yield made
    made.close()

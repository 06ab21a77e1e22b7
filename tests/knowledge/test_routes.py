"""/api/knowledge, and what deleting a document does to it, over HTTP."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.flows.ingest_document.store import store_all
from backend.knowledge.facts import Entity, Facts, Relation
from backend.knowledge.repository import GraphRepository
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.knowledge.conftest import insert_documents
from tests.tenants.instances import Instance, Person, problem, web_instance

ADA = Entity("person", "github", "ada", "Ada Lovelace")
NOTE = Entity("document", "github", "note", "Note")
LABEL = Entity("label", "github", "o/r#bug", "bug")


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1") as instance:
        yield instance


@pytest.fixture
def person(web: Instance, database: TestDatabase) -> Person:
    """Somebody whose workspace knows that Ada wrote a note with a label."""
    made = web.sign_in()
    (document,) = insert_documents(database, made.account, 1)
    said = Facts((), (Relation(ADA, "authored", NOTE), Relation(NOTE, "labelled", LABEL)))
    with database.db.transaction(made.tenant_id) as session:
        GraphRepository(session).replace(made.tenant_id, {document: said})
    return made


def entities(web: Instance, person: Person, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = web.ok("GET", f"/api/knowledge/entities{query}", person)["entities"]
    return found


def test_entities_are_found_by_the_beginning_of_their_name(web: Instance, person: Person) -> None:
    assert [e["name"] for e in entities(web, person)] == ["Ada Lovelace", "bug", "Note"]
    (ada,) = entities(web, person, "?query=ADA%20l&kind=person")
    assert {k: v for k, v in ada.items() if k not in ("id", "distance")} == {
        "kind": "person",
        "provider": "github",
        "external_key": "ada",
        "name": "Ada Lovelace",
    }
    assert entities(web, person, "?query=ada&kind=label") == []
    assert len(entities(web, person, "?limit=2")) == 2


def test_neighbours_reach_as_far_as_asked(web: Instance, person: Person) -> None:
    (ada,) = entities(web, person, "?kind=person")
    near = web.ok("GET", f"/api/knowledge/graph/neighbours?entity={ada['id']}", person)
    assert near["entity"]["name"] == "Ada Lovelace"
    assert [(n["name"], n["distance"]) for n in near["neighbours"]] == [("Note", 1)]
    far = web.ok("GET", f"/api/knowledge/graph/neighbours?entity={ada['id']}&depth=2", person)
    assert [(n["name"], n["distance"]) for n in far["neighbours"]] == [("Note", 1), ("bug", 2)]
    assert sorted((r["kind"], r["documents"], len(r["document_ids"])) for r in far["relations"]) == [
        ("authored", 1, 1),
        ("labelled", 1, 1),
    ]
    assert far["is_truncated"] is False
    cut = web.ok("GET", f"/api/knowledge/graph/neighbours?entity={ada['id']}&depth=2&limit=1", person)
    assert (len(cut["neighbours"]), cut["is_truncated"]) == (1, True)


def test_other_tenants_see_nothing_of_it(web: Instance, person: Person) -> None:
    (ada,) = entities(web, person, "?kind=person")
    stranger = web.sign_in()
    assert entities(web, stranger) == []
    for unknown in (ada["id"], uuid4()):
        answer = web.call("GET", f"/api/knowledge/graph/neighbours?entity={unknown}", stranger)
        problem(answer, 404, "ENTITY_NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        "graph/neighbours",
        "graph/neighbours?entity=ada",
        f"graph/neighbours?entity={UUID(int=1)}&depth=4",
        f"graph/neighbours?entity={UUID(int=1)}&depth=0",
        f"graph/neighbours?entity={UUID(int=1)}&limit=501",
        "entities?limit=0",
        "entities?limit=201",
        "entities?kind=Person'--",
        f"entities?query={'x' * 201}",
    ],
)
def test_what_cannot_be_asked_is_refused(web: Instance, person: Person, path: str) -> None:
    problem(web.call("GET", f"/api/knowledge/{path}", person), 400, "VALIDATION_ERROR")


def test_delete_document_takes_its_facts_along(
    web: Instance, person: Person, make_document: MakeDocument, database: TestDatabase
) -> None:
    with database.db.transaction(person.tenant_id) as session:
        store_all(session, person.tenant_id, None, [make_document("mine", "Some words.", repository="o/r")])
    listed = web.ok("GET", "/api/documents", person)["documents"]
    document = next(d["id"] for d in listed if d["external_id"] == "mine")
    assert len(entities(web, person, "?kind=repository")) == 1
    viewer = web.colleague(person, role="viewer")
    problem(web.call("DELETE", f"/api/documents/{document}", viewer), 403, "VIEWERS_ONLY_LOOK")
    stranger = web.sign_in()
    problem(web.call("DELETE", f"/api/documents/{document}", stranger), 404, "DOCUMENT_NOT_FOUND")
    assert len(entities(web, person, "?kind=repository")) == 1
    deleted = web.ok("DELETE", f"/api/documents/{document}", person)
    assert (deleted["hard_deleted"], deleted["embeddings_deleted"]) == (False, 1)
    assert entities(web, person, "?kind=repository") == []
    problem(web.call("DELETE", f"/api/documents/{document}", person), 404, "DOCUMENT_NOT_FOUND")

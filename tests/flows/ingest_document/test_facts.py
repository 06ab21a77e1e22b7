"""What a document's metadata says."""

from typing import Any

import pytest

from backend.documents.rows import NewDocument
from backend.flows.ingest_document.facts import facts_of
from backend.knowledge.facts import Entity, Relation

DOCUMENT = Entity("document", "github", "o/r:issue:1", "o/r - #1 Title")
REPOSITORY = Entity("repository", "github", "o/r", "o/r")


def document(author: str | None = None, **metadata: Any) -> NewDocument:
    return NewDocument(
        external_id="o/r:issue:1",
        source_type="github",
        kind="issue",
        title="o/r - #1 Title",
        file_name="issue-1.md",
        mime_type="text/markdown",
        url=None,
        author=author,
        content="x",
        content_sha256=b"",
        byte_size=1,
        metadata=metadata,
        source_created_at=None,
        source_updated_at=None,
        embedding_model="none",
        chunks=(),
    )


def test_facts_are_author_repository_and_labels() -> None:
    facts = facts_of(document("octocat", repository="o/r", labels=["bug", "späť"]))
    assert facts.entities == (DOCUMENT,)
    assert facts.relations == (
        Relation(Entity("person", "github", "octocat", "octocat"), "authored", DOCUMENT),
        Relation(DOCUMENT, "belongs_to", REPOSITORY),
        Relation(DOCUMENT, "labelled", Entity("label", "github", "o/r#bug", "bug")),
        Relation(DOCUMENT, "labelled", Entity("label", "github", "o/r#späť", "späť")),
    )
    assert [e.name for e in facts.mentions()] == ["o/r - #1 Title", "octocat", "o/r", "bug", "späť"]


def test_facts_of_a_bare_document_are_the_document() -> None:
    assert facts_of(document()).relations == ()
    assert list(facts_of(document()).mentions()) == [DOCUMENT]


def test_facts_take_no_author_out_of_a_file() -> None:
    """`authors` is what a file says about itself: a name, under which two people could become one."""
    assert facts_of(document(authors="John Smith", author_name="John Smith")).relations == ()


@pytest.mark.parametrize("labels", [None, "bug", 7, {"name": "bug"}, [None, 3, "", "  ", "x" * 501]])
def test_facts_skip_what_is_no_name(labels: object) -> None:
    assert facts_of(document("  ", repository=["o/r"], labels=labels)).relations == ()


def test_facts_keep_labels_of_two_repositories_apart() -> None:
    (*_, one) = facts_of(document(repository="o/r", labels=["urgent"])).relations
    (*_, two) = facts_of(document(repository="o/s", labels=["urgent"])).relations
    assert one.object != two.object
    assert one.object.name == two.object.name == "urgent"


def test_facts_bound_keys_and_names() -> None:
    long = NewDocument(**{**_fields(document()), "external_id": "é" * 5_000, "title": "t" * 5_000})
    (entity,) = facts_of(long).mentions()
    assert len(entity.external_key) < 100
    assert len(entity.name) == 300
    other = NewDocument(**{**_fields(long), "external_id": "é" * 5_001})
    assert facts_of(other).entities != facts_of(long).entities


def _fields(made: NewDocument) -> dict[str, Any]:
    return {name: getattr(made, name) for name in NewDocument.__slots__}

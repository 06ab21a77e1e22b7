"""What a document's metadata says: who wrote it, to which repository it belongs, how it is labelled."""

import hashlib
from collections.abc import Iterator
from typing import Final

from backend.documents.rows import NewDocument
from backend.knowledge.facts import Entity, Facts, Relation

#: Longer than any login, repository or label of a provider; what is longer is no name.
_LONGEST_KEY: Final = 500
_LONGEST_NAME: Final = 300


def facts_of(document: NewDocument) -> Facts:
    """The document itself, and its author, repository and labels as far as the source names them.

    Only the source's own `author` is a person: it is an account there, so it tells people apart. Authors that a
    file carries inside are mere names, under which two people could become one.
    """
    subject = document_entity(document)
    return Facts((subject,), tuple(_relations(document, subject)))


def document_entity(document: NewDocument) -> Entity:
    """The document as the graph knows it: by its id at its source."""
    key = document.external_id
    if len(key) > _LONGEST_KEY:
        key = f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    return Entity("document", document.source_type, key, document.title[:_LONGEST_NAME])


def _relations(document: NewDocument, subject: Entity) -> Iterator[Relation]:
    provider = document.source_type
    if author := _name(document.author):
        yield Relation(Entity("person", provider, author, author[:_LONGEST_NAME]), "authored", subject)
    repository = _name(document.metadata.get("repository"))
    if repository:
        target = Entity("repository", provider, repository, repository[:_LONGEST_NAME])
        yield Relation(subject, "belongs_to", target)
    labels = document.metadata.get("labels")
    for label in labels if isinstance(labels, list | tuple) else ():
        if name := _name(label):
            # A label is defined by its repository: `urgent` of one need not mean what it means in another.
            key = f"{repository}#{name}" if repository else name
            yield Relation(subject, "labelled", Entity("label", provider, key, name[:_LONGEST_NAME]))


def _name(value: object) -> str:
    """`value` if it can be a name, else nothing."""
    name = value.strip() if isinstance(value, str) else ""
    return name if len(name) <= _LONGEST_KEY else ""

"""What a document says, as plain values: entities it names and relations between them."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """Something that can be named. Two are the same if kind, provider and external key are, whatever the name."""

    kind: str
    """person, repository, document, label, …; lower case with underscores."""
    provider: str
    """Who gave the key, such as github."""
    external_key: str
    """Its identity there: a login, `owner/name`, an id."""
    name: str = field(compare=False)
    """What people call it now; not an identity."""


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """`subject` `kind` `object`, such as a person authored a document."""

    subject: Entity
    kind: str
    object: Entity
    chunk_id: UUID | None = field(default=None, compare=False)
    """The passage that says so; None when the document's metadata does."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything one document says. Entities of its relations need not be listed again."""

    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()

    def mentions(self) -> dict[Entity, UUID | None]:
        """Every entity named, with the passage that names it if one is known."""
        found: dict[Entity, UUID | None] = dict.fromkeys(self.entities)
        for relation in self.relations:
            for end in (relation.subject, relation.object):
                found[end] = found.get(end) or relation.chunk_id
        return found

"""entity_aliases; graph_entities, graph_relations, and what supports them: graph_mentions, graph_evidence."""

from typing import Annotated
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Key, Moment, TenantKey, Words

#: Keys of names sort by their bytes, so that a prefix is a range of the index on any server.
NameKey = Annotated[str, mapped_column(Text(collation="C"))]

_KIND = "kind ~ '^[a-z][a-z_]*$'"


class EntityAlias(Base):
    __tablename__ = "entity_aliases"
    __table_args__ = (
        Index("ix_entity_aliases_expires_at", "expires_at"),
        CheckConstraint(_KIND, name="kind_is_a_word"),
        {
            "comment": "Names resolved lately and to what; a cache, emptied by a crash of the server",
            # All of it can be looked up again, so it is not worth the write-ahead log.
            "prefixes": ["UNLOGGED"],
        },
    )

    tenant_id: Mapped[TenantKey]
    kind: Mapped[Words] = mapped_column(primary_key=True, comment="Of what kind the name was looked up")
    alias: Mapped[NameKey] = mapped_column(
        primary_key=True, comment="The name: NFKC, case and white space folded"
    )
    entity_ids: Mapped[list[UUID]] = mapped_column(
        ARRAY(Uuid), comment="Everything it may stand for; none: nobody known, several: ambiguous"
    )
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment] = mapped_column(comment="When it stops counting, by the database's clock")


class GraphEntity(Base):
    __tablename__ = "graph_entities"
    __table_args__ = (
        Index("uq_graph_entities_identity", "tenant_id", "kind", "provider", "external_key", unique=True),
        Index("ix_graph_entities_name", "tenant_id", "name_key", "id"),
        CheckConstraint(_KIND, name="kind_is_a_word"),
        CheckConstraint("external_key <> '' AND name <> ''", name="has_a_key_and_a_name"),
        {
            "comment": "What documents are about; identified by kind, provider and external key, never by name",
            # An entity that many documents name is locked, by an update that changes nothing, in each page.
            "postgresql_with": {"fillfactor": 85},
        },
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    kind: Mapped[Words] = mapped_column(comment="person, repository, document, label, …")
    provider: Mapped[Words] = mapped_column(comment="Who gave the external key, such as github")
    external_key: Mapped[Words] = mapped_column(comment="Its identity there: a login, owner/name, an id")
    name: Mapped[Words] = mapped_column(comment="What people call it now")
    name_key: Mapped[NameKey] = mapped_column(
        comment="The name for comparing: NFKC, case and white space folded"
    )
    created_at: Mapped[CreatedAt]


class GraphRelation(Base):
    __tablename__ = "graph_relations"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "subject_id"],
            ["graph_entities.tenant_id", "graph_entities.id"],
            name="fk_graph_relations_subject",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "object_id"],
            ["graph_entities.tenant_id", "graph_entities.id"],
            name="fk_graph_relations_object",
        ),
        Index("ix_graph_relations_object", "tenant_id", "object_id", "subject_id"),
        CheckConstraint(_KIND, name="kind_is_a_word"),
        {"comment": "How entities are related: subject, kind, object"},
    )

    tenant_id: Mapped[TenantKey]
    subject_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Who or what")
    kind: Mapped[Words] = mapped_column(primary_key=True, comment="authored, belongs_to, labelled, …")
    object_id: Mapped[UUID] = mapped_column(primary_key=True, comment="To whom or what")
    created_at: Mapped[CreatedAt]


class GraphMention(Base):
    __tablename__ = "graph_mentions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "entity_id"],
            ["graph_entities.tenant_id", "graph_entities.id"],
            name="fk_graph_mentions_entity",
        ),
        # No cascade: the database refuses to lose a document that the graph still cites, as the entity would
        # stay without support.
        ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["documents.tenant_id", "documents.id"],
            name="fk_graph_mentions_document",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "chunk_id"],
            ["chunks.tenant_id", "chunks.id"],
            ondelete="SET NULL (chunk_id)",
            name="fk_graph_mentions_chunk",
        ),
        Index("ix_graph_mentions_document", "tenant_id", "document_id"),
        Index("ix_graph_mentions_chunk", "tenant_id", "chunk_id", postgresql_where="chunk_id IS NOT NULL"),
        {"comment": "Which documents name an entity; one that nothing names is deleted"},
    )

    tenant_id: Mapped[TenantKey]
    entity_id: Mapped[UUID] = mapped_column(primary_key=True, comment="What is named")
    document_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Which document names it")
    chunk_id: Mapped[UUID | None] = mapped_column(comment="In which passage, while that is there")
    created_at: Mapped[CreatedAt]


class GraphEvidence(Base):
    __tablename__ = "graph_evidence"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "subject_id", "kind", "object_id"],
            [
                "graph_relations.tenant_id",
                "graph_relations.subject_id",
                "graph_relations.kind",
                "graph_relations.object_id",
            ],
            name="fk_graph_evidence_relation",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["documents.tenant_id", "documents.id"],
            name="fk_graph_evidence_document",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "chunk_id"],
            ["chunks.tenant_id", "chunks.id"],
            ondelete="SET NULL (chunk_id)",
            name="fk_graph_evidence_chunk",
        ),
        Index("ix_graph_evidence_document", "tenant_id", "document_id"),
        Index("ix_graph_evidence_chunk", "tenant_id", "chunk_id", postgresql_where="chunk_id IS NOT NULL"),
        {"comment": "Which documents say a relation; one that nothing says is deleted"},
    )

    tenant_id: Mapped[TenantKey]
    subject_id: Mapped[UUID] = mapped_column(primary_key=True, comment="The relation's subject")
    kind: Mapped[Words] = mapped_column(primary_key=True, comment="The relation's kind")
    object_id: Mapped[UUID] = mapped_column(primary_key=True, comment="The relation's object")
    document_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Which document says so")
    chunk_id: Mapped[UUID | None] = mapped_column(comment="In which passage, while that is there")
    created_at: Mapped[CreatedAt]

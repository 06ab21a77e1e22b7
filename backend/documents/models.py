"""documents, chunks."""

from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Json, Key, Moment, Sha256, TenantKey, Words


class Document(Base):
    __tablename__ = "documents"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connector_id"],
            ["connectors.tenant_id", "connectors.id"],
            ondelete="SET NULL (connector_id)",
            name="fk_documents_connector",
        ),
        Index(
            "uq_documents_external_id",
            "tenant_id",
            "connector_id",
            "external_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index(
            "ix_documents_newest",
            "tenant_id",
            sql("created_at DESC"),
            "id",
            postgresql_where="deleted_at IS NULL",
        ),
        CheckConstraint("length(content_sha256) = 32", name="content_is_hashed"),
        CheckConstraint("content <> ''", name="content_is_not_empty"),
        CheckConstraint(
            "classification IN ('work', 'personal', 'spam', 'unknown')", name="classification_is_known"
        ),
        {"comment": "Everything known, as text with its origin; what search finds are its chunks"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    connector_id: Mapped[UUID | None] = mapped_column(comment="Where it came from; none for imports")
    external_id: Mapped[Words] = mapped_column(comment="Its id at the source, such as a path")
    source_type: Mapped[Words] = mapped_column(comment="github, file, email, …, as clients group it")
    kind: Mapped[Words] = mapped_column(comment="readme, doc, code, issue, pull_request, file, …")
    title: Mapped[Words] = mapped_column(comment="What people call it")
    file_name: Mapped[Words] = mapped_column(comment="Name with the ending that says its format")
    mime_type: Mapped[Words] = mapped_column(comment="Format found by the parser")
    url: Mapped[Words | None] = mapped_column(comment="Where a person opens the original")
    author: Mapped[Words | None] = mapped_column(comment="Who wrote it, as the source says")
    content: Mapped[Words] = mapped_column(comment="The whole text; Markdown where the format has structure")
    content_sha256: Mapped[Sha256] = mapped_column(
        comment="SHA-256 of what the source sent; the same means nothing to do"
    )
    byte_size: Mapped[int] = mapped_column(comment="Bytes the source sent")
    details: Mapped[Json] = mapped_column(
        "metadata", server_default=sql("'{}'"), comment="Labels, path, repository, state and the like"
    )
    classification: Mapped[Words] = mapped_column(
        server_default="work", comment="work, personal, spam or unknown"
    )
    source_created_at: Mapped[Moment | None] = mapped_column(comment="When it was written at the source")
    source_updated_at: Mapped[Moment | None] = mapped_column(comment="When it last changed at the source")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When its content was last replaced")
    deleted_at: Mapped[Moment | None] = mapped_column(
        comment="When it was deleted here; its chunks are gone, a sync will not bring it back"
    )


class Chunk(Base):
    __tablename__ = "chunks"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "document_id"],
            ["documents.tenant_id", "documents.id"],
            ondelete="CASCADE",
            name="fk_chunks_document",
        ),
        Index("uq_chunks_ordinal", "tenant_id", "document_id", "ordinal", unique=True),
        Index("ix_chunks_search", "search", postgresql_using="gin"),
        CheckConstraint("start_offset >= 0 AND end_offset > start_offset", name="place_is_a_range"),
        CheckConstraint("l2_norm(embedding) > 0", name="embedding_is_not_zero"),
        {"comment": "Passages of documents: what search ranks and citations point to"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    document_id: Mapped[UUID] = mapped_column(comment="Which document it is part of")
    ordinal: Mapped[int] = mapped_column(comment="Its place among the document's chunks, from 0")
    text: Mapped[Words] = mapped_column(comment="The passage, whole")
    heading_path: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=sql("'{}'"), comment="Headings above it, outermost first"
    )
    start_offset: Mapped[int] = mapped_column(comment="First character within the document's content")
    end_offset: Mapped[int] = mapped_column(comment="One past its last character")
    search: Mapped[str] = mapped_column(TSVECTOR, comment="Words of title (A), headings (B) and passage (D)")
    embedding: Mapped[list[float]] = mapped_column(
        HALFVEC, comment="Meaning as a unit vector of embedding_model"
    )
    embedding_model: Mapped[Words] = mapped_column(
        comment="Which model made the vector; only equals are compared"
    )

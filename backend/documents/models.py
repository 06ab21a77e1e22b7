"""documents, chunks, chunk_vectors, uploads."""

from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import CheckConstraint, Double, ForeignKeyConstraint, Index, Integer, LargeBinary, Text
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
        ForeignKeyConstraint(
            ["tenant_id", "reviewed_by"],
            ["users.tenant_id", "users.id"],
            ondelete="SET NULL (reviewed_by)",
            name="fk_documents_reviewer",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "deleted_by"],
            ["users.tenant_id", "users.id"],
            ondelete="SET NULL (deleted_by)",
            name="fk_documents_deleter",
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
        Index(
            "ix_documents_hidden",
            "tenant_id",
            postgresql_where="deleted_at IS NULL AND (classification IN ('personal', 'spam') OR status = 'rejected')",
        ),
        Index(
            "ix_documents_unjudged",
            "tenant_id",
            "id",
            postgresql_where="deleted_at IS NULL AND status = 'classified' AND classification_confidence < 0.7"
            " AND NOT is_judged",
        ),
        CheckConstraint("length(content_sha256) = 32", name="content_is_hashed"),
        CheckConstraint("content <> ''", name="content_is_not_empty"),
        CheckConstraint(
            "classification IN ('work', 'personal', 'spam', 'unknown')", name="classification_is_known"
        ),
        CheckConstraint(
            "status IN ('pending', 'processing', 'classified', 'confirmed', 'rejected', 'archived')",
            name="status_is_known",
        ),
        CheckConstraint("classification_confidence BETWEEN 0 AND 1", name="confidence_is_a_share"),
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
    status: Mapped[Words] = mapped_column(
        server_default="classified",
        comment="classified (by rules or a model), confirmed or rejected (by a person), …; rejected ones are out of search",
    )
    classification_confidence: Mapped[float | None] = mapped_column(
        Double, comment="How sure the classification is, 0 to 1; none if nothing has looked at it"
    )
    classification_reason: Mapped[Words | None] = mapped_column(
        comment="Why it was classified so, for a person"
    )
    is_judged: Mapped[bool] = mapped_column(
        server_default=sql("false"), comment="Whether a language model was asked to classify it as it is now"
    )
    reviewed_by: Mapped[UUID | None] = mapped_column(comment="Who confirmed or rejected it last")
    reviewed_at: Mapped[Moment | None] = mapped_column(comment="When that was")
    review_note: Mapped[Words | None] = mapped_column(comment="What they wrote about it")
    cut_as: Mapped[Words | None] = mapped_column(
        comment="How its passages were cut and indexed: characters/overlap/edition, and of how many characters its"
        " beginning was kept if it was too long; none before that was kept"
    )
    page_bounds: Mapped[list[int] | None] = mapped_column(
        ARRAY(Integer),
        comment="Offsets in content at which each page or slide begins, and at which the last one ends; none without pages",
    )
    source_created_at: Mapped[Moment | None] = mapped_column(comment="When it was written at the source")
    source_updated_at: Mapped[Moment | None] = mapped_column(comment="When it last changed at the source")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When its content was last replaced")
    deleted_at: Mapped[Moment | None] = mapped_column(
        comment="When it was deleted here; its chunks are gone, a sync will not bring it back"
    )
    deleted_by: Mapped[UUID | None] = mapped_column(comment="Who deleted it here")


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
        Index("ix_chunks_search", sql("(ARRAY[tenant_id])"), "search", postgresql_using="gin"),
        CheckConstraint("start_offset >= 0 AND end_offset > start_offset", name="place_is_a_range"),
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


class ChunkVector(Base):
    __tablename__ = "chunk_vectors"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "chunk_id"],
            ["chunks.tenant_id", "chunks.id"],
            ondelete="CASCADE",
            name="fk_chunk_vectors_chunk",
        ),
        CheckConstraint("l2_norm(embedding) > 0", name="embedding_is_not_zero"),
        {"comment": "What passages mean, as vectors; of two models while one takes the other's place"},
    )

    tenant_id: Mapped[TenantKey]
    chunk_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Which passage")
    embedding_model: Mapped[Words] = mapped_column(
        primary_key=True, comment="Which model made the vector; only equals are compared"
    )
    document_id: Mapped[UUID] = mapped_column(comment="Which document the passage is part of")
    embedding: Mapped[list[float]] = mapped_column(
        HALFVEC, comment="Meaning as a unit vector of embedding_model"
    )


class Upload(Base):
    __tablename__ = "uploads"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "uploaded_by"],
            ["users.tenant_id", "users.id"],
            ondelete="SET NULL (uploaded_by)",
            name="fk_uploads_uploader",
        ),
        Index("uq_uploads_sha256", "tenant_id", "sha256", unique=True),
        Index("ix_uploads_newest", "tenant_id", sql("created_at DESC"), "id"),
        CheckConstraint("length(sha256) = 32", name="content_is_hashed"),
        CheckConstraint("state IN ('waiting', 'stored', 'failed')", name="state_is_known"),
        CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="failed_has_a_reason"),
        CheckConstraint("(state = 'failed') = (body IS NULL)", name="failed_keeps_no_body"),
        CheckConstraint(
            "classification IN ('work', 'personal', 'spam', 'unknown')", name="classification_is_known"
        ),
        {"comment": "Files that people handed in, as they came; the document made of one has its id"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    file_name: Mapped[Words] = mapped_column(comment="What the file was called")
    title: Mapped[Words | None] = mapped_column(comment="What the sender calls it; else its text says")
    mime_type: Mapped[Words] = mapped_column(comment="What the sender says it is; the content decides")
    url: Mapped[Words | None] = mapped_column(comment="Where it was fetched from, if it was")
    classification: Mapped[Words | None] = mapped_column(
        comment="What the sender says it is about: work, personal, spam or unknown"
    )
    byte_size: Mapped[int] = mapped_column(comment="Bytes of the file")
    sha256: Mapped[Sha256] = mapped_column(
        comment="SHA-256 of the file; the same bytes are the same document"
    )
    body: Mapped[bytes | None] = mapped_column(
        LargeBinary,
        deferred=True,
        deferred_raiseload=True,
        comment="The file itself, for reading and for downloads; gone if it could not be read",
    )
    state: Mapped[Words] = mapped_column(
        server_default="waiting", comment="waiting for a worker, stored, or failed"
    )
    reason: Mapped[Words | None] = mapped_column(comment="Why it failed, for a person")
    uploaded_by: Mapped[UUID | None] = mapped_column(comment="Who handed it in last")
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[Moment | None] = mapped_column(comment="When it was stored or failed")

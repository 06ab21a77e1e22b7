"""embedding_cache, serving_models."""

from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Moment, Sha256, TenantKey, Words


class CachedEmbedding(Base):
    __tablename__ = "embedding_cache"
    __table_args__ = (
        # Starts with the tenant for eviction; a purge across tenants skips along it (Postgres 18).
        Index(
            "ix_embedding_cache_expires_at",
            "tenant_id",
            "expires_at",
            postgresql_include=["byte_size"],
        ),
        CheckConstraint("length(text_sha256) = 32", name="text_is_hashed"),
        CheckConstraint("(embedding IS NULL) = (claimed_by IS NOT NULL)", name="claimed_until_it_is_there"),
        CheckConstraint("embedding IS NULL OR l2_norm(embedding) > 0", name="embedding_is_not_zero"),
        CheckConstraint("byte_size >= 0", name="size_is_counted"),
        {
            "comment": "Vectors that cost something to compute, for a day; what is gone is computed again",
            "postgresql_with": {"autovacuum_vacuum_scale_factor": 0.02},
        },
    )

    tenant_id: Mapped[TenantKey]
    model: Mapped[Words] = mapped_column(
        primary_key=True, comment="Which model made it, and its dimensions: text-embedding-3-small/1536"
    )
    text_sha256: Mapped[Sha256] = mapped_column(
        primary_key=True, comment="SHA-256 of the normalised text; the text itself is not kept"
    )
    embedding: Mapped[list[float] | None] = mapped_column(
        HALFVEC, comment="The unit vector, as exact as passages keep theirs; empty while somebody computes it"
    )
    claimed_by: Mapped[UUID | None] = mapped_column(comment="Who computes it, until expires_at at the latest")
    byte_size: Mapped[int] = mapped_column(
        server_default=text("0"), comment="Bytes it counts for against the tenant's limit"
    )
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment] = mapped_column(
        comment="When it (or the claim) stops counting, by the database's clock"
    )


class ServingModel(Base):
    __tablename__ = "serving_models"
    __table_args__ = (
        CheckConstraint("state IN ('serving', 'embedding', 'purging')", name="state_is_known"),
        CheckConstraint("(next_model IS NOT NULL) = (state = 'embedding')", name="next_is_being_made"),
        CheckConstraint("next_model <> model", name="next_is_another"),
        CheckConstraint("done_count BETWEEN 0 AND total_count", name="done_are_counted"),
        {
            "comment": "Which model's vectors a tenant's searches compare, and the change to another, under way or the last one"
        },
    )

    tenant_id: Mapped[TenantKey]
    model: Mapped[Words] = mapped_column(
        comment="Questions are embedded by this model, and compared with its vectors only"
    )
    next_model: Mapped[Words | None] = mapped_column(
        comment="Whose vectors are being made; it serves once all are there"
    )
    previous_model: Mapped[Words | None] = mapped_column(
        comment="Which one served before; nothing goes back to it by itself"
    )
    state: Mapped[Words] = mapped_column(
        server_default="serving",
        comment="serving, embedding (the next one's vectors are made) or purging (the previous one's are deleted)",
    )
    job_id: Mapped[UUID | None] = mapped_column(comment="The job that carries out the change")
    requested_by: Mapped[UUID | None] = mapped_column(
        comment="Who asked for it; nobody if the configured model had changed"
    )
    total_count: Mapped[int] = mapped_column(
        BigInteger,
        server_default="0",
        comment="Passages there were when it began, and any that came after",
    )
    done_count: Mapped[int] = mapped_column(
        BigInteger, server_default="0", comment="Passages that have a vector of the next model"
    )
    started_at: Mapped[Moment | None] = mapped_column(comment="When the change began")
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When it last got on")
    switched_at: Mapped[Moment | None] = mapped_column(comment="When the next model began to serve")
    finished_at: Mapped[Moment | None] = mapped_column(comment="When it was over, in whichever way")
    error: Mapped[Words | None] = mapped_column(comment="Why it was given up, for a person")

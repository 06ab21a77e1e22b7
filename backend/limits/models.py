"""rate_limits, idempotency_keys."""

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Moment, Sha256, TenantKey, Words


class RateLimit(Base):
    __tablename__ = "rate_limits"
    __table_args__ = (
        CheckConstraint("refused_count >= 0", name="refusals_are_counted"),
        CheckConstraint("(refused_count = 0) = (refused_at IS NULL)", name="refused_has_a_time"),
        {
            "comment": "Token buckets: how often somebody may still ask; emptied by a crash, which only forgives",
            # Not logged: a counter that is lost forgives, and what only counts should wait for no disk.
            "prefixes": ["UNLOGGED"],
            "postgresql_with": {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02},
        },
    )

    rule: Mapped[Words] = mapped_column(primary_key=True, comment="Which limit, such as search or login")
    subject: Mapped[Words] = mapped_column(
        primary_key=True,
        comment="Whose bucket: a user id, a network address or the hash of an account's name",
    )
    # One moment says how many tokens are left: each taken one pushes it on by the time one takes to come back.
    full_at: Mapped[Moment] = mapped_column(comment="When the bucket is full again; each token pushes it on")
    refused_count: Mapped[int] = mapped_column(
        BigInteger, server_default="0", comment="Requests that found it empty since the row was made"
    )
    refused_at: Mapped[Moment | None] = mapped_column(comment="When a request last found it empty")


class IdempotencyKey(Base):
    __tablename__ = "idempotency_keys"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            ondelete="CASCADE",
            name="fk_idempotency_keys_user",
        ),
        Index("ix_idempotency_keys_expires_at", "expires_at"),
        CheckConstraint("length(key_sha256) = 32", name="key_is_hashed"),
        CheckConstraint("length(fingerprint_sha256) = 32", name="request_is_hashed"),
        CheckConstraint("(status_code IS NULL) = (answered_at IS NULL)", name="answered_has_a_time"),
        CheckConstraint("sealed_answer IS NULL OR status_code IS NOT NULL", name="answer_has_a_status"),
        {
            "comment": "Requests that must happen once, with the answer a repeat is given",
            "postgresql_with": {"fillfactor": 85, "autovacuum_vacuum_scale_factor": 0.02},
        },
    )

    tenant_id: Mapped[TenantKey]
    user_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Who asked")
    key_sha256: Mapped[Sha256] = mapped_column(
        primary_key=True, comment="SHA-256 of the Idempotency-Key header"
    )
    fingerprint_sha256: Mapped[Sha256] = mapped_column(
        comment="SHA-256 of method, path, query and body: another request may not use the key"
    )
    request: Mapped[Words] = mapped_column(comment="Method and route, for a person")
    lease: Mapped[int] = mapped_column(
        BigInteger, comment="Raised by whoever takes over; fences off whoever held it before"
    )
    leased_until: Mapped[Moment] = mapped_column(comment="Until when nobody else may take over while it runs")
    status_code: Mapped[int | None] = mapped_column(SmallInteger, comment="Of the answer; none while it runs")
    sealed_answer: Mapped[Sha256 | None] = mapped_column(
        comment="Headers and body, encrypted for this row; none if they were too large to keep"
    )
    created_at: Mapped[CreatedAt]
    answered_at: Mapped[Moment | None] = mapped_column(comment="When the answer was stored")
    expires_at: Mapped[Moment] = mapped_column(comment="Until when the key stands for this request")

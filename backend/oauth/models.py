"""oauth_nonces."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Moment, Sha256, TenantKey, Words


class OAuthNonce(Base):
    __tablename__ = "oauth_nonces"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            ondelete="CASCADE",
            name="fk_oauth_nonces_user",
        ),
        Index("ix_oauth_nonces_expires_at", "expires_at"),
        CheckConstraint("length(nonce_sha256) = 32", name="nonce_is_hashed"),
        CheckConstraint("length(browser_sha256) = 32", name="browser_is_hashed"),
        CheckConstraint("(browser_sha256 IS NULL) = (begun_at IS NULL)", name="begun_by_a_browser"),
        CheckConstraint("used_at IS NULL OR begun_at IS NOT NULL", name="used_after_begun"),
        {"comment": "One-time OAuth nonces: issued, begun by one browser, used once or expired"},
    )

    tenant_id: Mapped[TenantKey]
    nonce_sha256: Mapped[Sha256] = mapped_column(
        primary_key=True, comment="SHA-256 of the nonce inside the state"
    )
    user_id: Mapped[UUID] = mapped_column(comment="Who is connecting")
    connector_type: Mapped[Words] = mapped_column(comment="What is being connected, such as github")
    browser_sha256: Mapped[Sha256 | None] = mapped_column(comment="SHA-256 of the binding cookie's value")
    created_at: Mapped[CreatedAt]
    begun_at: Mapped[Moment | None] = mapped_column(comment="When a browser went on to the provider with it")
    used_at: Mapped[Moment | None] = mapped_column(comment="When the callback consumed it; never twice")
    expires_at: Mapped[Moment] = mapped_column(comment="When it stops counting, by the database's clock")

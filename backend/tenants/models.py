"""tenants, users, sessions, refresh_tokens, api_keys."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text
from sqlalchemy.dialects.postgresql import ARRAY, INET
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Key, Moment, Sha256, TenantKey, Words


class Tenant(Base):
    __tablename__ = "tenants"
    __table_args__ = (
        Index("uq_tenants_slug", "slug", unique=True),
        # Few: asked for by every claim of a job.
        Index("ix_tenants_deactivated", "id", postgresql_where="deactivated_at IS NOT NULL"),
        CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug_is_url_safe"),
        CheckConstraint("plan IN ('free', 'starter', 'professional', 'enterprise')", name="plan_is_known"),
        {"comment": "Organisations that share this installation; every other table's rows belong to one"},
    )

    id: Mapped[Key]
    slug: Mapped[Words] = mapped_column(comment="Short name used on the command line and in URLs")
    name: Mapped[Words] = mapped_column(comment="Name people see")
    plan: Mapped[Words] = mapped_column(
        server_default="free", comment="Commercial plan, for existing clients"
    )
    created_at: Mapped[CreatedAt]
    deactivated_at: Mapped[Moment | None] = mapped_column(comment="Since when nobody of it may sign in")

    @property
    def is_active(self) -> bool:
        return self.deactivated_at is None


class User(Base):
    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_email", "email", unique=True),
        CheckConstraint("role IN ('admin', 'member', 'viewer')", name="role_is_known"),
        CheckConstraint("email = lower(email)", name="email_is_lower_case"),
        {"comment": "People who can sign in; an e-mail address is unique across the installation"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    email: Mapped[Words] = mapped_column(comment="Sign-in name, lower case")
    full_name: Mapped[Words] = mapped_column(comment="Name as the person writes it")
    role: Mapped[Words] = mapped_column(comment="admin, member or viewer")
    password_hash: Mapped[Words] = mapped_column(comment="Argon2id in PHC string format")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When the account last changed")
    deactivated_at: Mapped[Moment | None] = mapped_column(comment="Since when this person may not sign in")

    @property
    def is_active(self) -> bool:
        return self.deactivated_at is None


class Session(Base):
    __tablename__ = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            ondelete="CASCADE",
            name="fk_sessions_user",
        ),
        Index("ix_sessions_user", "tenant_id", "user_id"),
        Index("ix_sessions_expires_at", "expires_at"),
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="ended_with_a_reason"),
        {"comment": "One sign-in on one device; decides on every request whether its tokens still count"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(comment="Who signed in")
    user_agent: Mapped[str | None] = mapped_column(Text, comment="What the browser said it was, shortened")
    ip_address: Mapped[str | None] = mapped_column(INET, comment="Where the sign-in came from")
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[CreatedAt] = mapped_column(comment="Last seen, to about five minutes")
    expires_at: Mapped[Moment] = mapped_column(comment="When it ends unless refreshed")
    ended_at: Mapped[Moment | None] = mapped_column(comment="When it was ended; its tokens are dead since")
    end_reason: Mapped[str | None] = mapped_column(
        Text, comment="logged_out, revoked, reuse_detected, deactivated, keys_replaced"
    )


class RefreshToken(Base):
    __tablename__ = "refresh_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.id"],
            ondelete="CASCADE",
            name="fk_refresh_tokens_session",
        ),
        Index("ix_refresh_tokens_session", "tenant_id", "session_id"),
        {"comment": "Refresh tokens as hashes; each is good for one rotation"},
    )

    tenant_id: Mapped[TenantKey]
    token_sha256: Mapped[Sha256] = mapped_column(
        primary_key=True, comment="SHA-256 of the token; the token itself is nowhere"
    )
    session_id: Mapped[UUID] = mapped_column(comment="The family this token belongs to")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment] = mapped_column(comment="When it stops being accepted")
    rotated_at: Mapped[Moment | None] = mapped_column(
        comment="When it was exchanged; seen again after that it is stolen"
    )


class ApiKey(Base):
    __tablename__ = "api_keys"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            ondelete="CASCADE",
            name="fk_api_keys_user",
        ),
        Index("ix_api_keys_user", "tenant_id", "user_id"),
        CheckConstraint("length(secret_sha256) = 32", name="secret_is_hashed"),
        CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'admin']", name="scopes_are_known"
        ),
        {"comment": "Keys of programs that act for a user, as hashes; revoked, not deleted"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(comment="For whom it acts")
    name: Mapped[Words] = mapped_column(comment="What it is for, as its maker wrote it")
    secret_sha256: Mapped[Sha256] = mapped_column(comment="SHA-256 of the key; the key itself is nowhere")
    scopes: Mapped[list[str]] = mapped_column(
        ARRAY(Text), comment="What it may do at most: read, write, admin"
    )
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[Moment | None] = mapped_column(comment="Last seen, to about five minutes")
    expires_at: Mapped[Moment | None] = mapped_column(comment="When it stops being accepted; never if empty")
    revoked_at: Mapped[Moment | None] = mapped_column(comment="When it was revoked; it is dead since")

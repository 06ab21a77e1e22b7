"""tenant_components, component_contents."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Moment, Sha256, TenantKey, Words


class ComponentContent(Base):
    __tablename__ = "component_contents"
    __table_args__ = (
        CheckConstraint("length(sha256) = 32", name="content_is_hashed"),
        {"comment": "Contents of components; a row never changes, so a new version rewrites nothing"},
    )

    tenant_id: Mapped[TenantKey]
    sha256: Mapped[Sha256] = mapped_column(primary_key=True, comment="SHA-256 of the content as stored")
    content: Mapped[bytes] = mapped_column(LargeBinary, comment="JSON, compressed with Zstandard")
    byte_size: Mapped[int] = mapped_column(comment="Bytes of the content as stored")
    used_at: Mapped[CreatedAt] = mapped_column(comment="When a version was last saved with it")


class TenantComponent(Base):
    __tablename__ = "tenant_components"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "sha256"],
            ["component_contents.tenant_id", "component_contents.sha256"],
            ondelete="CASCADE",
            name="fk_tenant_components_content",
        ),
        Index("ix_tenant_components_content", "tenant_id", "sha256"),
        CheckConstraint("(version > 0) = (sha256 IS NOT NULL)", name="version_has_content"),
        CheckConstraint("(version > 0) = (built_at IS NOT NULL)", name="version_has_a_time"),
        CheckConstraint("(building_by IS NULL) = (building_until IS NULL)", name="claim_is_whole"),
        {"comment": "Things computed from all of a tenant's knowledge: which version is current, who builds"},
    )

    tenant_id: Mapped[TenantKey]
    name: Mapped[Words] = mapped_column(primary_key=True, comment="What it is, such as lexicon")
    version: Mapped[int] = mapped_column(
        server_default=text("0"), comment="Grows with every change of the content; 0: never built"
    )
    sha256: Mapped[Sha256 | None] = mapped_column(comment="Its content")
    built_at: Mapped[Moment | None] = mapped_column(comment="When its content was last computed")
    refresh_at: Mapped[CreatedAt] = mapped_column(comment="From when on it is stale")
    building_by: Mapped[UUID | None] = mapped_column(
        comment="Who builds it, until building_until at the latest"
    )
    building_until: Mapped[Moment | None] = mapped_column(comment="When the builder's claim ends by itself")

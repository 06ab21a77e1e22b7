"""config_versions, installation_config_versions."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Sequence
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Json, TenantKey, Words


class ConfigVersion(Base):
    __tablename__ = "config_versions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "published_by"],
            ["users.tenant_id", "users.id"],
            ondelete="SET NULL (published_by)",
            name="fk_config_versions_published_by",
        ),
        Index("ix_config_versions_revision", "revision"),
        CheckConstraint("version > 0", name="version_is_counted"),
        CheckConstraint("jsonb_typeof(settings) = 'object'", name="settings_are_an_object"),
        {"comment": "A tenant's own settings by name, append-only; the newest version of a name counts"},
    )

    tenant_id: Mapped[TenantKey]
    name: Mapped[Words] = mapped_column(primary_key=True, comment="What is configured, such as parser")
    version: Mapped[int] = mapped_column(primary_key=True, comment="1, 2, 3 … for each name")
    settings: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="All settings of this version; none: the installation's count again"
    )
    revision: Mapped[int] = mapped_column(
        BigInteger,
        Sequence("config_revisions"),
        comment="Its place among all changes of configs, in the order of commits",
    )
    note: Mapped[Words | None] = mapped_column(comment="How it came about, if it was not simply published")
    published_by: Mapped[UUID | None] = mapped_column(comment="Who published it")
    created_at: Mapped[CreatedAt]


class InstallationConfigVersion(Base):
    __tablename__ = "installation_config_versions"
    __table_args__ = (
        Index("ix_installation_config_versions_revision", "revision"),
        CheckConstraint("version > 0", name="version_is_counted"),
        CheckConstraint("jsonb_typeof(settings) = 'object'", name="settings_are_an_object"),
        {"comment": "Settings by name for all tenants without their own, append-only; the newest counts"},
    )

    name: Mapped[Words] = mapped_column(primary_key=True, comment="What is configured, such as parser")
    version: Mapped[int] = mapped_column(primary_key=True, comment="1, 2, 3 … for each name")
    settings: Mapped[Json] = mapped_column(comment="All settings of this version")
    revision: Mapped[int] = mapped_column(
        BigInteger,
        Sequence("config_revisions"),
        comment="Its place among all changes of configs, in the order of commits",
    )
    note: Mapped[Words | None] = mapped_column(comment="How it came about, if it was not simply published")
    created_at: Mapped[CreatedAt]

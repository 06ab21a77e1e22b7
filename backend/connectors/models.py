"""connectors, credentials, source_removals, webhook_deliveries, watch_channels."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Json, Key, Moment, TenantKey, Words


class Connector(Base):
    __tablename__ = "connectors"
    __table_args__ = (
        UniqueConstraint("tenant_id", "type", name="uq_connectors_type"),
        ForeignKeyConstraint(
            ["tenant_id", "connected_by"],
            ["users.tenant_id", "users.id"],
            ondelete="SET NULL (connected_by)",
            name="fk_connectors_connected_by",
        ),
        CheckConstraint("status IN ('connected', 'needs_reconnect', 'disconnected')", name="status_is_known"),
        # Across tenants: a call that comes for a whole app names accounts.
        Index("ix_connectors_account", "type", "account_id"),
        {"comment": "A tenant's connection to one source; at most one per type"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    type: Mapped[Words] = mapped_column(comment="github, gmail, slack, …")
    status: Mapped[Words] = mapped_column(
        comment="connected, needs_reconnect or disconnected; a sync's state is not here"
    )
    status_reason: Mapped[Words | None] = mapped_column(
        comment="Why it needs to be reconnected, for a person"
    )
    account_id: Mapped[Words | None] = mapped_column(comment="The connected account's id at the provider")
    account_label: Mapped[Words | None] = mapped_column(
        comment="The connected account's name at the provider"
    )
    settings: Mapped[Json] = mapped_column(
        server_default=text("'{}'"), comment="What to sync, such as repositories; never a secret"
    )
    connected_by: Mapped[UUID | None] = mapped_column(comment="Who connected it")
    created_at: Mapped[CreatedAt]
    connected_at: Mapped[Moment | None] = mapped_column(comment="When credentials were last obtained")
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When the row last changed")

    def setting(self, name: str, default: Any = None) -> Any:
        """One of the settings, or `default`."""
        return self.settings.get(name, default)


class Credential(Base):
    __tablename__ = "credentials"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connector_id"],
            ["connectors.tenant_id", "connectors.id"],
            ondelete="CASCADE",
            name="fk_credentials_connector",
        ),
        {"comment": "OAuth credentials, sealed with AES-256-GCM for exactly this tenant and connector"},
    )

    tenant_id: Mapped[TenantKey]
    connector_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Whose credentials these are")
    sealed: Mapped[bytes] = mapped_column(comment="Ciphertext with its key id; opens only for this row")
    expires_at: Mapped[Moment | None] = mapped_column(comment="When the access token expires, if it does")
    version: Mapped[int] = mapped_column(
        BigInteger,
        server_default="1",
        comment="Raised whenever they are replaced; tells whether a refusal is news",
    )
    renewer: Mapped[UUID | None] = mapped_column(comment="Who is renewing them; only its answer is stored")
    renewing_until: Mapped[Moment | None] = mapped_column(
        comment="Until when it may take to renew them; then somebody else may"
    )
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When they were last obtained or refreshed")


class SourceRemoval(Base):
    __tablename__ = "source_removals"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connector_id"],
            ["connectors.tenant_id", "connectors.id"],
            ondelete="CASCADE",
            name="fk_source_removals_connector",
        ),
        Index("ix_source_removals_unfinished", "tenant_id", postgresql_where="finished_at IS NULL"),
        CheckConstraint("removed_count BETWEEN 0 AND total_count", name="removed_are_counted"),
        CheckConstraint("error IS NULL OR finished_at IS NOT NULL", name="failed_is_finished"),
        {
            "comment": "The documents of a source being deleted, or the last time they were; one row a connector"
        },
    )

    tenant_id: Mapped[TenantKey]
    connector_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Whose documents are deleted")
    job_id: Mapped[UUID | None] = mapped_column(comment="The job that carries it out")
    requested_by: Mapped[UUID | None] = mapped_column(comment="Who asked for it")
    total_count: Mapped[int] = mapped_column(
        BigInteger, comment="Documents there were when it was asked for, and any that came after"
    )
    removed_count: Mapped[int] = mapped_column(
        BigInteger, server_default="0", comment="Documents that are gone"
    )
    requested_at: Mapped[CreatedAt] = mapped_column(
        comment="When it was asked for; syncs that are asked for later wait for its end"
    )
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When it last got on")
    finished_at: Mapped[Moment | None] = mapped_column(comment="When it was over, in whichever way")
    error: Mapped[Words | None] = mapped_column(comment="Why it was given up, for a person")


class WebhookDelivery(Base):
    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connector_id"],
            ["connectors.tenant_id", "connectors.id"],
            ondelete="CASCADE",
            name="fk_webhook_deliveries_connector",
        ),
        Index("ix_webhook_deliveries_received_at", "received_at"),
        CheckConstraint("effect IN ('sync', 'joined')", name="effect_is_known"),
        {"comment": "Genuine calls of providers that said something changed, each once; kept for three days"},
    )

    tenant_id: Mapped[TenantKey]
    connector_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Which connector it concerns")
    delivery_id: Mapped[Words] = mapped_column(
        primary_key=True, comment="The provider's name for it, the same when it sends it again"
    )
    effect: Mapped[Words] = mapped_column(
        comment="sync: a sync was asked for; joined: one was asked for already and will see it"
    )
    received_at: Mapped[CreatedAt] = mapped_column(comment="When it first came")


class WatchChannel(Base):
    __tablename__ = "watch_channels"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connector_id"],
            ["connectors.tenant_id", "connectors.id"],
            ondelete="CASCADE",
            name="fk_watch_channels_connector",
        ),
        CheckConstraint(
            "(channel_id IS NULL) = (expires_at IS NULL) AND (channel_id IS NULL) = (resource IS NULL)",
            name="open_is_whole",
        ),
        {"comment": "Over what a provider calls when something has changed; one row a connector"},
    )

    tenant_id: Mapped[TenantKey]
    connector_id: Mapped[UUID] = mapped_column(primary_key=True, comment="Which connector is watched")
    channel_id: Mapped[Words | None] = mapped_column(
        comment="Our name for the channel at the provider; none: none could be opened yet"
    )
    resource: Mapped[Words | None] = mapped_column(
        comment="The provider's name for what it watches, needed to end it"
    )
    account_id: Mapped[Words | None] = mapped_column(comment="The account it was opened with")
    address_sha256: Mapped[bytes | None] = mapped_column(
        comment="Of the address and the token it was opened with: with others it is opened anew"
    )
    opened_at: Mapped[Moment | None] = mapped_column(comment="When it was opened")
    expires_at: Mapped[Moment | None] = mapped_column(comment="When it ends by itself")
    error: Mapped[Words | None] = mapped_column(comment="Why the last try to open one failed, for a person")
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When the row last changed")

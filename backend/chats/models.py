"""chats, chat_messages."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, func
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Json, Key, Moment, TenantKey, Words


class Chat(Base):
    __tablename__ = "chats"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            ondelete="CASCADE",
            name="fk_chats_user",
        ),
        Index(
            "ix_chats_newest",
            "tenant_id",
            "user_id",
            sql("is_pinned DESC"),
            sql("last_message_at DESC"),
            "id",
            postgresql_where="message_count > 0",
        ),
        Index("ix_chats_empty", "tenant_id", "created_at", postgresql_where="message_count = 0"),
        {
            "comment": "Conversations, each of one person; shown to that person from their first message on",
            "postgresql_with": {"fillfactor": "85"},
        },
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(comment="Whose conversation it is")
    title: Mapped[Words | None] = mapped_column(
        comment="What it is called: the beginning of the first question unless its owner says otherwise"
    )
    message_count: Mapped[int] = mapped_column(server_default="0", comment="How many messages it has")
    is_archived: Mapped[bool] = mapped_column(
        server_default="false", comment="Whether its owner has put it away"
    )
    is_pinned: Mapped[bool] = mapped_column(
        server_default="false", comment="Whether its owner wants it on top"
    )
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt] = mapped_column(comment="When it last changed")
    last_message_at: Mapped[Moment] = mapped_column(
        server_default=func.now(), comment="When its last message came; when it was made, before the first"
    )


class ChatMessage(Base):
    __tablename__ = "chat_messages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "chat_id"],
            ["chats.tenant_id", "chats.id"],
            ondelete="CASCADE",
            name="fk_chat_messages_chat",
        ),
        Index("ix_chat_messages_order", "tenant_id", "chat_id", "id"),
        CheckConstraint("role IN ('user', 'assistant')", name="role_is_known"),
        CheckConstraint("content <> ''", name="content_is_not_empty"),
        {"comment": "What was said in conversations, as clients sent it"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    chat_id: Mapped[UUID] = mapped_column(comment="In which conversation")
    role: Mapped[Words] = mapped_column(comment="user or assistant")
    content: Mapped[Words] = mapped_column(comment="The text, word for word")
    sources: Mapped[list[Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="What it cites, as the client sent it"
    )
    details: Mapped[Json] = mapped_column(
        "metadata", server_default=sql("'{}'"), comment="What else the client keeps with it"
    )
    created_at: Mapped[CreatedAt]

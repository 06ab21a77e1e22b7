"""searches, feedback."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKeyConstraint, Index, Text, Uuid
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, CreatedAt, Key, TenantKey, Words


class Search(Base):
    __tablename__ = "searches"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            ondelete="SET NULL (user_id)",
            name="fk_searches_user",
        ),
        Index("ix_searches_newest", "tenant_id", sql("created_at DESC"), "id"),
        Index("ix_searches_created_at", "created_at"),
        CheckConstraint(
            "outcome IN ('extractive', 'generated', 'no_results', 'onboarding', 'abandoned')",
            name="outcome_is_known",
        ),
        {"comment": "What was asked and what was found, unless the workspace has turned that off"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    user_id: Mapped[UUID | None] = mapped_column(comment="Who asked")
    query: Mapped[Words] = mapped_column(comment="The question as it was asked")
    searched: Mapped[Words] = mapped_column(
        comment="What was looked for: the question, completed from the conversation and by acronyms"
    )
    outcome: Mapped[Words] = mapped_column(
        comment="extractive or generated: answered; no_results: nothing found; onboarding: nothing there;"
        " abandoned: nobody waited for the end, or it broke off"
    )
    confidence: Mapped[float] = mapped_column(Double, comment="How well the passages answer it, 0 to 1")
    result_count: Mapped[int] = mapped_column(comment="How many passages were shown")
    results: Mapped[list[Any]] = mapped_column(JSONB, comment="The best of them: document, chunk, score")
    clicked_document_ids: Mapped[list[UUID]] = mapped_column(
        ARRAY(Uuid), server_default=sql("'{}'"), comment="Which of the documents were opened from the answer"
    )
    milliseconds: Mapped[int] = mapped_column(comment="How long the answer took")
    created_at: Mapped[CreatedAt]


class Feedback(Base):
    __tablename__ = "feedback"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            ondelete="SET NULL (user_id)",
            name="fk_feedback_user",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "search_id"],
            ["searches.tenant_id", "searches.id"],
            ondelete="SET NULL (search_id)",
            name="fk_feedback_search",
        ),
        Index("ix_feedback_newest", "tenant_id", sql("created_at DESC"), "id"),
        Index("ix_feedback_search", "tenant_id", "search_id", postgresql_where="search_id IS NOT NULL"),
        CheckConstraint("rating IN ('up', 'down')", name="rating_is_known"),
        {"comment": "What people think of answers"},
    )

    tenant_id: Mapped[TenantKey]
    id: Mapped[Key]
    user_id: Mapped[UUID | None] = mapped_column(comment="Who thinks so")
    search_id: Mapped[UUID | None] = mapped_column(comment="Which search it is about, if that is known")
    rating: Mapped[Words] = mapped_column(comment="up or down")
    query: Mapped[Words] = mapped_column(comment="The question, as the client remembers it")
    answer: Mapped[Words] = mapped_column(comment="The answer it is about")
    source_ids: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default=sql("'{}'"), comment="What the answer cited, as the client sent it"
    )
    created_at: Mapped[CreatedAt]

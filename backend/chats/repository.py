"""Start, say, list, show, search, change and delete conversations; purge empty ones."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.chats.models import Chat, ChatMessage
from backend.errors import NotFound

TITLE_CHARACTERS: Final = 50

#: In the metadata of a message the server kept by itself, until its client keeps the same one.
FROM_SEARCH: Final = "kept_by"
_MARKERS = re.compile(r"\[\[SOURCE:[^\[\]]*\]\]|\[Source \d+(?:,\s*Source \d+)*\]")


class ChatNotFound(NotFound):
    """There is no such conversation."""


class ChatRepository:
    """Conversations of one person, within the caller's transaction.

    Row level security knows tenants; that a person sees their own conversations only is in every statement here.
    """

    def __init__(self, session: Session, tenant_id: UUID, user_id: UUID) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._user_id = user_id

    def start(self, title: str | None = None) -> Chat:
        """A new one, which is not shown until something is said in it."""
        chat = Chat(tenant_id=self._tenant_id, user_id=self._user_id, title=title)
        self._session.add(chat)
        self._session.flush()
        self._session.refresh(chat)
        return chat

    def get(self, chat_id: UUID) -> Chat:
        """The conversation. Raises ChatNotFound."""
        chat = self._session.scalar(select(Chat).where(*self._mine(), Chat.id == chat_id))
        if chat is None:
            raise ChatNotFound
        return chat

    def say(
        self,
        chat_id: UUID,
        *,
        role: str,
        content: str,
        sources: Sequence[Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        is_from_search: bool = False,
    ) -> ChatMessage:
        """Adds a message; the first of the person names a conversation without a title.

        One that search kept already (`is_from_search`) is not added again when its client says it, but becomes what the
        client says. Raises ChatNotFound.
        """
        # Locks the conversation, so that messages get their ids in the order in which they are counted.
        chat = self._session.scalar(
            select(Chat).where(*self._mine(), Chat.id == chat_id).with_for_update(key_share=True)
        )
        if chat is None:
            raise ChatNotFound
        if is_from_search:
            metadata = {**(metadata or {}), FROM_SEARCH: "search"}
        elif known := self._kept_by_search(chat_id, role, content):
            return self._said_again(known, content, sources, metadata)
        message = ChatMessage(
            tenant_id=self._tenant_id,
            chat_id=chat_id,
            role=role,
            content=content,
            sources=list(sources) if sources is not None else None,
            details=dict(metadata or {}),
        )
        self._session.add(message)
        self._session.flush()
        self._session.refresh(message)
        values: dict[str, Any] = {
            "message_count": Chat.message_count + 1,
            "updated_at": func.clock_timestamp(),
            "last_message_at": func.clock_timestamp(),
        }
        if chat.title is None and role == "user":
            values["title"] = title_of(content)
        self._session.execute(update(Chat).where(*self._mine(), Chat.id == chat_id).values(values))
        return message

    def find_newly_started(self, *, within: timedelta, before: timedelta) -> UUID | None:
        """The newest conversation in which nothing is said yet, started at most `within` and at least `before` ago. It
        is locked: of several that ask at once, one speaks first."""
        return self._session.scalar(
            select(Chat.id)
            .where(
                *self._mine(),
                Chat.message_count == 0,
                Chat.created_at.between(func.now() - before - within, func.now() - before),
            )
            .order_by(Chat.created_at.desc(), Chat.id.desc())
            .limit(1)
            .with_for_update(key_share=True)
        )

    def list_newest(
        self, *, include_archived: bool = False, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[Chat], int]:
        """Conversations in which something was said, pinned ones first, then the newest: (page, how many in all)."""
        conditions = [*self._mine(), Chat.message_count > 0]
        if not include_archived:
            conditions.append(Chat.is_archived.is_(False))
        page = self._session.scalars(
            select(Chat)
            .where(*conditions)
            .order_by(Chat.is_pinned.desc(), Chat.last_message_at.desc(), Chat.id)
            .limit(limit)
            .offset(offset)
        ).all()
        total = self._session.scalar(select(func.count()).select_from(Chat).where(*conditions))
        return page, total or 0

    def list_messages(
        self, chat_id: UUID, *, limit: int = 500, before_id: UUID | None = None
    ) -> Sequence[ChatMessage]:
        """The newest messages, or those before one, in the order in which they were said. Raises ChatNotFound."""
        self.get(chat_id)
        query = select(ChatMessage).where(
            ChatMessage.tenant_id == self._tenant_id, ChatMessage.chat_id == chat_id
        )
        if before_id is not None:
            query = query.where(ChatMessage.id < before_id)
        newest = self._session.scalars(query.order_by(ChatMessage.id.desc()).limit(limit)).all()
        return newest[::-1]

    def find(self, words: str, *, limit: int = 20) -> Sequence[Chat]:
        """Conversations whose title or messages have `words` in them, the newest first."""
        said = (
            select(ChatMessage.id)
            .where(
                ChatMessage.tenant_id == self._tenant_id,
                ChatMessage.chat_id == Chat.id,
                ChatMessage.content.icontains(words, autoescape=True),
            )
            .exists()
        )
        return self._session.scalars(
            select(Chat)
            .where(
                *self._mine(),
                Chat.message_count > 0,
                or_(Chat.title.icontains(words, autoescape=True), said),
            )
            .order_by(Chat.last_message_at.desc(), Chat.id)
            .limit(limit)
        ).all()

    def change(self, chat_ids: Collection[UUID], values: Mapping[str, Any]) -> int:
        """Sets `title`, `is_archived`, `is_pinned`; how many conversations there were."""
        rows = self._session.scalars(
            update(Chat)
            .where(*self._mine(), Chat.id == func.any(list(chat_ids)))
            .values(updated_at=func.now(), **values)
            .returning(Chat.id)
        )
        return len(rows.all())

    def delete(self, chat_ids: Collection[UUID]) -> int:
        """Deletes conversations with all that was said; how many there were."""
        rows = self._session.scalars(
            delete(Chat).where(*self._mine(), Chat.id == func.any(list(chat_ids))).returning(Chat.id)
        )
        return len(rows.all())

    def _kept_by_search(self, chat_id: UUID, role: str, content: str) -> ChatMessage | None:
        kept = self._session.scalars(
            select(ChatMessage)
            .where(
                ChatMessage.tenant_id == self._tenant_id,
                ChatMessage.chat_id == chat_id,
                ChatMessage.role == role,
                ChatMessage.details[FROM_SEARCH].astext == "search",
            )
            .order_by(ChatMessage.id)
        )
        # Clients write citations in a way of their own.
        words = _words_of(content)
        return next((message for message in kept if _words_of(message.content) == words), None)

    def _said_again(
        self,
        message: ChatMessage,
        content: str,
        sources: Sequence[Any] | None,
        metadata: Mapping[str, Any] | None,
    ) -> ChatMessage:
        message.content = content
        message.sources = list(sources) if sources is not None else message.sources
        message.details = dict(metadata or {})
        self._session.flush()
        return message

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return (Chat.tenant_id == self._tenant_id, Chat.user_id == self._user_id)


def purge_empty(session: Session, *, older_than: timedelta, limit: int = 1000) -> int:
    """Deletes conversations in which nothing was said for `older_than` (operator transaction); how many."""
    old = (
        select(Chat.tenant_id, Chat.id)
        .where(Chat.message_count == 0, Chat.created_at < func.now() - older_than)
        .limit(limit)
        .subquery()
    )
    rows = session.scalars(
        delete(Chat)
        .where(Chat.tenant_id == old.c.tenant_id, Chat.id == old.c.id, Chat.message_count == 0)
        .returning(Chat.id)
    )
    return len(rows.all())


def _words_of(content: str) -> str:
    return " ".join(_MARKERS.sub(" ", content).split())


def title_of(content: str) -> str | None:
    """The beginning of a message as a title: one line, cut between words where there are any."""
    words = " ".join(content.split())
    if len(words) <= TITLE_CHARACTERS:
        return words or None
    room = TITLE_CHARACTERS - len("...")
    cut = words[:room]
    if not words[room].isspace() and " " in cut:
        cut = cut.rpartition(" ")[0]
    return f"{cut.rstrip()}..."

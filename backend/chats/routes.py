"""/api/chat: a person's own conversations."""

from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field, StringConstraints

from backend.chats.models import Chat, ChatMessage
from backend.chats.repository import ChatNotFound, ChatRepository
from backend.db.transaction import Session
from backend.web import Answer, answer, principal, services

api = APIBlueprint(
    "chats", __name__, url_prefix="/api/chat", abp_tags=[Tag(name="chat", description="Conversations")]
)

#: Messages that come with a conversation; older ones page by page.
_MESSAGES = 500

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class ChatPath(BaseModel):
    chat_id: UUID


class Listing(BaseModel):
    include_archived: bool = False
    limit: int = Field(50, ge=1, le=100)
    offset: int = Field(0, ge=0, le=100_000)


class Paging(BaseModel):
    limit: int = Field(100, ge=1, le=500)
    before_id: UUID | None = Field(None, description="Only older messages: the first one you have")


class Finding(BaseModel):
    q: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=100)]
    limit: int = Field(20, ge=1, le=50)


class Starting(BaseModel):
    title: Title | None = None


class Changing(BaseModel):
    title: Title | None = None
    is_archived: bool | None = None
    is_pinned: bool | None = None


class Saying(BaseModel):
    role: Literal["user", "assistant"]
    content: str = Field(min_length=1, max_length=50_000)
    sources: list[dict[str, Any]] | None = Field(None, max_length=100)
    metadata: dict[str, Any] | None = None


class Many(BaseModel):
    conversation_ids: list[UUID] = Field(max_length=100)


class ChatView(BaseModel):
    id: str
    tenant_id: str
    user_id: str
    title: str | None
    message_count: int
    is_archived: bool
    is_pinned: bool
    created_at: str
    updated_at: str
    last_message_at: str


class MessageView(BaseModel):
    id: str
    conversation_id: str
    role: Literal["user", "assistant"]
    content: str
    sources: list[Any] | None
    metadata: dict[str, Any]
    created_at: str


class ChatWithMessages(ChatView):
    messages: list[MessageView]


class ChatList(Answer):
    conversations: list[ChatView]
    total: int
    limit: int
    offset: int


class ChatAnswer(Answer):
    conversation: ChatView


class WholeChat(Answer):
    conversation: ChatWithMessages


class MessageAnswer(Answer):
    message: MessageView


class MessageList(Answer):
    messages: list[MessageView]
    has_more: bool


class FoundChats(Answer):
    conversations: list[ChatView]


class Archived(Answer):
    archived_count: int


class Deleted(Answer):
    deleted_count: int


@api.get("/conversations", responses={200: ChatList})
def list_chats(query: Listing) -> Response:
    """Your conversations, pinned ones first, then the newest; empty ones are left out."""
    with _transaction() as session:
        page, total = _chats(session).list_newest(
            include_archived=query.include_archived, limit=query.limit, offset=query.offset
        )
    return answer(
        ChatList(
            conversations=[_view(chat) for chat in page],
            total=total,
            limit=query.limit,
            offset=query.offset,
        )
    )


@api.post("/conversations", responses={201: ChatAnswer})
def start_chat(body: Starting) -> Response:
    """Start a conversation; it is listed once something is said in it."""
    with _transaction() as session:
        chat = _chats(session).start(body.title)
    return answer(ChatAnswer(conversation=_view(chat)), 201)


@api.get("/conversations/<chat_id>", responses={200: WholeChat})
def get_chat(path: ChatPath) -> Response:
    """One conversation with its newest five hundred messages."""
    with _transaction() as session:
        chats = _chats(session)
        chat = chats.get(path.chat_id)
        messages = chats.list_messages(path.chat_id, limit=_MESSAGES)
    whole = ChatWithMessages(**_view(chat).model_dump(), messages=[_message(one) for one in messages])
    return answer(WholeChat(conversation=whole))


@api.put("/conversations/<chat_id>", responses={200: ChatAnswer})
def change_chat(path: ChatPath, body: Changing) -> Response:
    """Rename, archive or pin a conversation; what is left out stays."""
    with _transaction() as session:
        chats = _chats(session)
        if not chats.change([path.chat_id], body.model_dump(exclude_none=True)):
            raise ChatNotFound
        chat = chats.get(path.chat_id)
    return answer(ChatAnswer(conversation=_view(chat)))


@api.delete("/conversations/<chat_id>", responses={200: Answer})
def delete_chat(path: ChatPath) -> Response:
    """Delete a conversation with all its messages."""
    with _transaction() as session:
        if not _chats(session).delete([path.chat_id]):
            raise ChatNotFound
    return answer(Answer())


@api.post("/conversations/<chat_id>/messages", responses={201: MessageAnswer})
def say(path: ChatPath, body: Saying) -> Response:
    """Keep a message word for word, with what it cites."""
    with _transaction() as session:
        message = _chats(session).say(
            path.chat_id,
            role=body.role,
            content=body.content,
            sources=body.sources,
            metadata=body.metadata,
        )
    return answer(MessageAnswer(message=_message(message)), 201)


@api.get("/conversations/<chat_id>/messages", responses={200: MessageList})
def list_messages(path: ChatPath, query: Paging) -> Response:
    """Messages in the order in which they were said, from the end towards the beginning page by page."""
    with _transaction() as session:
        messages = _chats(session).list_messages(
            path.chat_id, limit=query.limit + 1, before_id=query.before_id
        )
    shown = messages[-query.limit :]
    return answer(
        MessageList(messages=[_message(one) for one in shown], has_more=len(messages) > query.limit)
    )


@api.get("/search", responses={200: FoundChats})
def find_chats(query: Finding) -> Response:
    """Your conversations that have these words in their title or in a message."""
    with _transaction() as session:
        found = _chats(session).find(query.q, limit=query.limit)
    return answer(FoundChats(conversations=[_view(chat) for chat in found]))


@api.post("/conversations/bulk-archive", responses={200: Archived})
def archive_many(body: Many) -> Response:
    """Put conversations away."""
    with _transaction() as session:
        count = _chats(session).change(body.conversation_ids, {"is_archived": True})
    return answer(Archived(archived_count=count))


@api.post("/conversations/bulk-delete", responses={200: Deleted})
def delete_many(body: Many) -> Response:
    """Delete conversations with all their messages."""
    with _transaction() as session:
        count = _chats(session).delete(body.conversation_ids)
    return answer(Deleted(deleted_count=count))


def _transaction() -> Any:
    return services().db.transaction(principal().tenant_id)


def _chats(session: Session) -> ChatRepository:
    who = principal()
    return ChatRepository(session, who.tenant_id, who.user_id)


def _view(chat: Chat) -> ChatView:
    return ChatView(
        id=str(chat.id),
        tenant_id=str(chat.tenant_id),
        user_id=str(chat.user_id),
        title=chat.title,
        message_count=chat.message_count,
        is_archived=chat.is_archived,
        is_pinned=chat.is_pinned,
        created_at=chat.created_at.isoformat(),
        updated_at=chat.updated_at.isoformat(),
        last_message_at=chat.last_message_at.isoformat(),
    )


def _message(message: ChatMessage) -> MessageView:
    return MessageView.model_validate(
        {
            "id": str(message.id),
            "conversation_id": str(message.chat_id),
            "role": message.role,
            "content": message.content,
            "sources": message.sources,
            "metadata": message.details,
            "created_at": message.created_at.isoformat(),
        }
    )

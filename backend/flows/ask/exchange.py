"""Keeps a question and its answer in the conversation they belong to.

Clients that know of it name the conversation. Existing clients start one, ask, and keep only what follows the first
answer: their first question goes into the conversation the same person started last, while nothing is said in it yet.
Should a client keep the same messages itself afterwards, they take the place of these (see `ChatRepository.say`).
"""

import re
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from backend.chats.repository import ChatRepository
from backend.db.transaction import Database
from backend.errors import Forbidden
from backend.flows.ask.flow import Reply
from backend.flows.ask.views import file_name, project
from backend.tenants.access import Principal

_log = structlog.get_logger(__name__)

#: So long after it was started a conversation is the one a first question belongs to.
_NEWLY_STARTED: Final = timedelta(minutes=2)
_SHOWN_SOURCES: Final = 15
_MARKER = re.compile(r"\[Source (\d+)\]")


class KeepingNeedsWrite(Forbidden):
    """This API key may only read; leave conversation_id out."""


def check_conversation(db: Database, who: Principal, conversation_id: UUID) -> None:
    """Raises ChatNotFound, KeepingNeedsWrite, before anything is asked."""
    if "write" not in who.scopes:
        raise KeepingNeedsWrite
    with db.transaction(who.tenant_id) as session:
        ChatRepository(session, who.tenant_id, who.user_id).get(conversation_id)


def keep_exchange(
    db: Database,
    who: Principal,
    question: str,
    reply: Reply,
    *,
    conversation_id: UUID | None,
    is_first: bool,
    seconds: float,
) -> UUID | None:
    """The conversation the exchange is in now, if any; `is_first` says that nothing was answered before, `seconds` how
    long ago it was asked.

    An answer never fails for it.
    """
    # A program that asks with somebody's key has nothing to do with what that person started in a browser.
    if conversation_id is None and (not is_first or who.session_id is None):
        return None
    content, sources = _as_clients_keep_it(reply)
    try:
        with db.transaction(who.tenant_id) as session:
            chats = ChatRepository(session, who.tenant_id, who.user_id)
            if conversation_id is None:
                conversation_id = chats.find_newly_started(
                    within=_NEWLY_STARTED, before=timedelta(seconds=seconds)
                )
                if conversation_id is None:
                    return None
            chats.say(conversation_id, role="user", content=question, is_from_search=True)
            chats.say(
                conversation_id, role="assistant", content=content, sources=sources, is_from_search=True
            )
    except Exception:  # noqa: BLE001 - logged; whatever is wrong with the conversation, the answer stands
        _log.exception("exchange not kept")
        return None
    return conversation_id


def _as_clients_keep_it(reply: Reply) -> tuple[str, list[dict[str, Any]]]:
    """Text with the markers existing clients make links of, and the sources in their short form."""

    def link(marker: re.Match[str]) -> str:
        place = int(marker[1]) - 1
        if place >= len(reply.hits):
            return ""
        hit = reply.hits[place]
        return f"[[SOURCE:{file_name(hit)}:{hit.document_id}]]"

    sources = [
        {
            "doc_id": str(hit.document_id),
            "subject": file_name(hit),
            "project": project(hit),
            "score": hit.score,
            "content": hit.text[:200],
        }
        for hit in reply.hits[:_SHOWN_SOURCES]
    ]
    return _MARKER.sub(link, reply.text), sources

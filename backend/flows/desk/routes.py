"""/api/desk: asking and handing in files, as pages."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from itertools import chain
from typing import Literal
from uuid import UUID

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from backend.configs.schemas import UploadConfig
from backend.documents.uploads.repository import UploadRepository
from backend.errors import StateError
from backend.flows.ask.flow import Found, Reply, find, left_unread, write
from backend.flows.ask.log import log_search
from backend.flows.ask.stream import stream
from backend.flows.ask.views import SearchAnswer, answer_view
from backend.flows.desk.folder import Chosen, megabytes
from backend.flows.desk.live import LivePage
from backend.flows.desk.page import FILES, FILES_SHOWN, Files, Frame, ask_page, files_page, thanks_page
from backend.flows.desk.parts import FormBroken, Part, read_parts
from backend.flows.upload_documents.flow import take_in
from backend.marks import cookie_allowed, folder_allowed, form_allowed, session_only, shows_pages
from backend.searches.repository import SearchLogRepository, SearchNotFound
from backend.tenants.access import Principal
from backend.tenants.repository import SessionRepository
from backend.tenants.sign_in import SIGN_IN
from backend.web import (
    DESK,
    SESSION_COOKIE,
    asks_from_here,
    check_confirmed,
    editor,
    form_confirmation,
    html,
    principal,
    services,
    status_of,
)

api = APIBlueprint(
    "desk", __name__, abp_tags=[Tag(name="desk", description="Pages for people without a client")]
)


class Asked(BaseModel):
    q: str = Field("", max_length=4000)


class Opened(BaseModel):
    """A place in a document, and the search whose answer leads there."""

    document: UUID
    start: int = Field(ge=0, le=2**31 - 1)
    end: int = Field(ge=0, le=2**31 - 1)
    search: UUID | None = None


class Rated(BaseModel):
    rating: Literal["up", "down"]
    query: str = Field(max_length=4000)
    answer: str = Field(max_length=50_000)
    search_id: UUID | None = None


class Listing(BaseModel):
    offset: int = Field(0, ge=0, le=100_000)
    add: Literal["0", "1"] = Field("0", description="1: the form is wanted, also while files are being read")


@api.get("/api/desk", responses={200: None})
@cookie_allowed
@session_only
@shows_pages
def desk() -> Response:
    """A page to ask on."""
    return _page(ask_page(_frame(), "", None))


@api.get("/api/desk/ask", responses={200: None})
@cookie_allowed
@session_only
@shows_pages
def ask_on_page(query: Asked) -> Response:
    """The answer to `q` as a page, each citation a link to its place. A link from another site only fills the form in."""
    # No text in Postgres holds a NUL.
    question = query.q.replace("\0", " ").strip()
    if not question or not asks_from_here():
        return _page(ask_page(_frame(), question, None))
    try:
        return _answered(question)
    except StateError as error:
        return _page(ask_page(_frame(), question, None, message=error.message), status_of(error))


@api.get("/api/desk/open", responses={303: None})
@cookie_allowed
@session_only
@shows_pages
def open_place(query: Opened) -> Response:
    """Goes on to the document's page, and notes that it was opened from an answer."""
    who = principal()
    if query.search is not None and asks_from_here():
        with suppress(SearchNotFound), services().db.transaction(who.tenant_id) as session:
            SearchLogRepository(session).click(who.tenant_id, who.user_id, query.search, query.document)
    place = f"/api/document/{query.document}/view?start={query.start}&end={query.end}#passage"
    return Response(status=303, headers={"Location": place})


@api.post("/api/desk/feedback", responses={200: None})
@form_allowed
@session_only
@shows_pages
def rate() -> Response:
    """The form under an answer: keeps what somebody thinks of it."""
    who = principal()
    body = Rated.model_validate({name: value for name, value in request.form.items() if value})
    with services().db.transaction(who.tenant_id) as session:
        SearchLogRepository(session).rate(
            who.tenant_id,
            who.user_id,
            rating=body.rating,
            query=body.query.strip(),
            answer=body.answer,
            source_ids=(),
            search_id=body.search_id,
        )
    return _page(thanks_page(_frame()))


@api.get("/api/desk/files", responses={200: None})
@cookie_allowed
@session_only
@shows_pages
def show_files(query: Listing) -> Response:
    """A page with what became of the files handed in, and a form for more; it follows those that are being read."""
    return _files_page(query)


@api.post("/api/desk/files", responses={303: None})
@folder_allowed
@session_only
@shows_pages
def hand_in() -> Response:
    """The page's form: keeps the files as they come, which workers then read, and goes back to the page."""
    who = editor()
    s = services()
    most, size = s.settings.max_folder_bytes, request.content_length or 0
    if size > most:
        words = f"These files have {megabytes(size)} together; up to {megabytes(most)} are taken at once."
        return _files_page(Listing(add="1"), message=words, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    request.max_content_length = most
    parts = read_parts(
        request.stream.read,
        request.mimetype_params.get("boundary", ""),
        most_bytes=s.settings.max_request_bytes,
    )
    given, parts = _confirmation_in(parts)
    check_confirmed(who, given)
    quota = s.configs.current(who.tenant_id, UploadConfig).quota_bytes
    chosen = Chosen(s.settings.max_request_bytes)
    try:
        for together in chosen.batches(parts):
            take_in(s.db, who.tenant_id, together, by=who.user_id, quota_bytes=quota)
        chosen.check()
    except StateError as error:
        return _files_page(Listing(add="1"), message=error.message, status=status_of(error))
    return Response(status=303, headers={"Location": FILES})


@api.post("/api/desk/sign-out", responses={303: None})
@form_allowed
@session_only
@shows_pages
def sign_out() -> Response:
    """The pages' form: ends the session on every instance, and asks who is next."""
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        SessionRepository(session).end(who.tenant_id, who.in_session, reason="logged_out")
    response = Response(status=303, headers={"Location": f"{SIGN_IN}?next={DESK}"})
    response.delete_cookie(SESSION_COOKIE, path="/api")
    return response


def _answered(question: str) -> Response:
    """The page with the answer; where a language model writes it, sent meanwhile."""
    who = principal()
    s = services()
    started = time.perf_counter()
    found = find(
        s.db,
        s.asking_embedder(who.tenant_id),
        who.tenant_id,
        question,
        expand=s.lexicon.expand,
        count_words=s.lexicon.count_words,
        vocabulary=s.vocabulary,
        reranker=s.reranker,
    )
    frame = _frame()
    if s.chat_model is None or not found.has_evidence:
        finish, _ = _ways_to_end(who, question, started)
        return _page(ask_page(frame, question, finish(write(found, s.chat_model))))
    with s.db.transaction(who.tenant_id) as session:
        search_id = SearchLogRepository(session).new_id()
    finish, break_off = _ways_to_end(who, question, started, search_id)
    wording = LivePage(frame, question, found, public_url=s.settings.public_url, search_id=search_id)
    pieces = stream(found, s.chat_model, wording, finish=finish, break_off=break_off)
    response = html(pieces, form_action="'self'")
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _ways_to_end(
    who: Principal, question: str, started: float, search_id: UUID | None = None
) -> tuple[Callable[[Reply], SearchAnswer], Callable[[Found], None]]:
    """What is done with a reply, which is written down and shown; and if nobody waits for it. Usable after the request is
    over: a page that is sent while it is written is."""
    s = services()

    def log(reply: Reply, seconds: float) -> UUID | None:
        return log_search(
            s.db,
            s.configs,
            who.tenant_id,
            who.user_id,
            query=question,
            reply=reply,
            seconds=seconds,
            search_id=search_id,
        )

    def finish(reply: Reply) -> SearchAnswer:
        seconds = time.perf_counter() - started
        return answer_view(
            question,
            reply,
            public_url=s.settings.public_url,
            seconds=seconds,
            search_id=log(reply, seconds),
            conversation_id=None,
            with_sources=True,
        )

    def break_off(found: Found) -> None:
        log(left_unread(found), time.perf_counter() - started)

    return finish, break_off


def _files_page(query: Listing, *, message: str = "", status: int = 200) -> Response:
    who = principal()
    with services().db.transaction(who.tenant_id) as session:
        uploads = UploadRepository(session)
        rows = uploads.list_newest(who.tenant_id, limit=FILES_SHOWN + 1, offset=query.offset)
        reading = uploads.reading(who.tenant_id)
    files = Files(
        shown=rows[:FILES_SHOWN],
        offset=query.offset,
        has_more=len(rows) > FILES_SHOWN,
        reading=reading,
        most_bytes=services().settings.max_folder_bytes,
        most_file_bytes=services().settings.max_request_bytes,
        is_adding=query.add == "1",
    )
    return _page(files_page(_frame(), files, may_add=who.user.role != "viewer", message=message), status)


def _confirmation_in(parts: Iterator[Part]) -> tuple[str, Iterator[Part]]:
    """What the form carries before its files, nothing if it is none of ours; and what follows."""
    with suppress(FormBroken):
        first = next(parts, None)
        if first is not None and (first.name, first.file_name) == ("confirmation", None):
            return (first.body or b"").decode(errors="replace"), parts
        if first is not None:
            return "", chain([first], parts)
    return "", parts


def _frame() -> Frame:
    who = principal()
    return Frame(workspace=who.tenant.name, email=who.user.email, confirmation=form_confirmation())


def _page(text: str, status: int = 200) -> Response:
    return html(text, status, form_action="'self'")

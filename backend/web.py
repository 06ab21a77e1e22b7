"""What every route shares: who is asking, how an error is answered, which routes need no sign-in.

The only module besides `app.py` and the `routes.py` files that knows Flask.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from flask import Response, current_app, g, request
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import HTTPException

from backend.errors import (
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    Locked,
    NotFound,
    Outdated,
    StateError,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)
from backend.pages import policy
from backend.tenants.access import Principal, authenticate_session
from backend.tenants.sign_in import (
    BROWSER_COOKIE,
    BROWSER_SECONDS,
    SIGN_IN,
    new_browser,
    refusal_page,
    return_address,
    sign_in_page,
)

if TYPE_CHECKING:
    # Below the rooms, whose routes import this module; only app.py and what starts a process know the wiring.
    from backend.wiring import Services

SESSION_COOKIE = "secondbrain_session"

#: Where people begin.
DESK = "/api/desk"
_FORM_PURPOSE = "form"
_HEX = re.compile(r"(?:[0-9a-f]{2})+")

_STATUS = (
    (Invalid, HTTPStatus.BAD_REQUEST),
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Outdated, HTTPStatus.PRECONDITION_FAILED),
    (Expired, HTTPStatus.GONE),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Locked, HTTPStatus.LOCKED),
    (Unprocessable, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


class AdministratorsOnly(Forbidden):
    """Only administrators of the workspace may do this."""


class FormNotShown(Forbidden):
    """This form was not shown in this session; open its page again and send it from there."""


class ViewersOnlyLook(Forbidden):
    """Viewers of a workspace may look at everything, and change nothing."""


class Problem(BaseModel):
    """RFC 9457 problem details, with the fields existing clients read (`success`, `error`, `error_code`)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field("about:blank", description="Always about:blank: the status and error_code say it")
    title: str = Field(description="The status in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What went wrong, for a person")
    instance: str = Field(description="The path that was called")
    success: bool = Field(False, description="Always false")
    error: str = Field(description="The same as detail")
    error_code: str = Field(description="What went wrong, for a program")
    request_id: str = Field(description="Find it in the server's log")


class Answer(BaseModel):
    """A successful answer; existing clients look at `success`."""

    success: bool = True


def services() -> "Services":
    """The process's engine, keys and clients."""
    return cast("Services", current_app.extensions["secondbrain"])


def principal() -> Principal:
    """Who is asking. Only in routes that are neither public nor optional; those have passed the check."""
    return cast(Principal, g.principal)


def administrator() -> Principal:
    """The same, an administrator. Raises AdministratorsOnly."""
    who = principal()
    if not who.is_admin:
        raise AdministratorsOnly
    return who


def editor() -> Principal:
    """The same, somebody who may change things: a member or an administrator. Raises ViewersOnlyLook."""
    who = principal()
    if who.user.role == "viewer":
        raise ViewersOnlyLook
    return who


def found_principal() -> Principal | None:
    """Who is asking, if that could be told; for public routes."""
    return cast(Principal | None, g.get("principal"))


def browser_principal(access: str) -> Principal | None:
    """Whose browser this is, by its session cookie, for routes marked as `access`: "cookie" only reads, "form" and "folder"
    take forms of our own pages, shown in this session. None for other routes and browsers. Raises Unauthenticated,
    FormNotShown."""
    takes_forms = access in ("form", "folder")
    if not takes_forms and (access != "cookie" or request.method != "GET"):
        return None
    who = _session_principal()
    if who is not None and takes_forms:
        if not asks_from_here():
            raise FormNotShown
        g.is_browser = True
        if access == "form":
            check_confirmed(who, request.form.get("confirmation", ""))
    return who


def cookie_principal() -> Principal | None:
    """The same for routes that everybody may call: a session that is over is nobody's. Never enough to change anything."""
    try:
        return _session_principal()
    except Unauthenticated:
        return None


def _session_principal() -> Principal | None:
    token = request.cookies.get(SESSION_COOKIE)
    return authenticate_session(services().db, services().keyring, token) if token else None


def check_confirmed(who: Principal, given: str) -> None:
    """Raises FormNotShown unless a page shown in this session has given the form that; or who asks has shown a token, which
    no other site's page can."""
    if not g.get("is_browser", False):
        return
    mac = bytes.fromhex(given) if _HEX.fullmatch(given) else b""
    if not services().keyring.mac_matches(_FORM_PURPOSE, who.in_session.bytes, mac):
        raise FormNotShown


def form_confirmation() -> str:
    """What a form on a page for the session that is asking carries."""
    return services().keyring.mac(_FORM_PURPOSE, principal().in_session.bytes).hex()


def asks_from_here() -> bool:
    """Whether the browser says that no other site made it send this; old ones do not say."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")


def status_of(error: StateError) -> HTTPStatus:
    """The HTTP status of an error's kind."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.CONFLICT)


def problem(status: int, detail: str, code: str, **more: Any) -> Response:
    """An `application/problem+json` answer; a page where people open links (`shows_pages`)."""
    view = current_app.view_functions.get(request.endpoint or "")
    if getattr(view, "shows_pages", False) and prefers_html():
        return _refusal(status, detail, code)
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.path,
        error=detail,
        error_code=code,
        request_id=g.get("request_id", ""),
        **more,
    )
    response = Response(body.model_dump_json(), status=status, mimetype="application/problem+json")
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def answer(body: BaseModel, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(body.model_dump_json(), status=status, mimetype="application/json")


def prefers_html() -> bool:
    """Whether this is a browser that is about to show what it gets."""
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def html(text: str | Iterator[str], status: int = 200, *, form_action: str = "'none'") -> Response:
    """A page of `backend.pages`, whole or as it comes."""
    response = Response(text, status=status, mimetype="text/html")
    response.headers["Content-Security-Policy"] = policy(form_action=form_action)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def ask_to_sign_in(address: str, *, status: int = 200, **said: str) -> Response:
    """The page with the sign-in form, which leads on to `address`, bound to this browser; `said` as `sign_in_page` has it."""
    browser = request.cookies.get(BROWSER_COOKIE) or new_browser()
    s = services()
    text = sign_in_page(s.keyring, browser, address, **said)
    response = html(text, status, form_action="'self'")
    response.set_cookie(
        BROWSER_COOKIE,
        browser,
        max_age=BROWSER_SECONDS,
        path="/api",
        httponly=True,
        samesite="Lax",
        secure=s.settings.public_url.startswith("https://"),
    )
    return response


def _refusal(status: int, detail: str, code: str) -> Response:
    address = _address_to_return_to()
    if status == HTTPStatus.UNAUTHORIZED:
        # Nobody has tried anything yet.
        message = "" if code == "AUTH_REQUIRED" else detail
        response = ask_to_sign_in(address, status=status, message=message, email=_sent("email"))
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    if status == HTTPStatus.BAD_REQUEST and request.method == "GET":
        # A link that is none of ours leads nowhere, whatever is wrong with it.
        status, detail = HTTPStatus.NOT_FOUND, "There is nothing here; the link may be incomplete."
    again = f"{SIGN_IN}?{urlencode({'next': address})}"
    return html(refusal_page(HTTPStatus(status).phrase, detail, sign_in=again), status)


def _address_to_return_to() -> str:
    if request.path == SIGN_IN:
        return return_address(request.args.get("next") or _sent("next"))
    query = request.query_string.decode("ascii", errors="replace")
    # A browser does not tell which place in the page its link names.
    place = "#passage" if request.path.endswith("/view") and "start" in request.args else ""
    address = return_address(f"{request.path}{'?' if query else ''}{query}{place}")
    # Not to a form of the desk that was sent, but to where it was.
    return DESK if address == SIGN_IN and request.path.startswith(DESK) else address


def _sent(name: str) -> str:
    """A field of the form to sign in. Other forms are not read to refuse them: they may be large."""
    if request.path != SIGN_IN:
        return ""
    try:
        return request.form.get(name, "")
    except HTTPException:
        # It is too large, which is why it is refused.
        return ""

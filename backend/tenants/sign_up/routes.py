"""/api/auth/sign-up: the page on which a first user makes a workspace; programs use /api/auth/signup."""

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import ValidationError

from backend.errors import StateError
from backend.marks import public, shows_pages
from backend.tenants.sign_up.page import sign_up_page
from backend.tenants.sign_up.service import new_account
from backend.tenants.views import SignUp
from backend.web import DESK, FormNotShown, ask_to_sign_in, asks_from_here, html, services, status_of

api = APIBlueprint(
    "sign_up", __name__, url_prefix="/api/auth", abp_tags=[Tag(name="auth", description="Signing in")]
)


@api.get("/sign-up", responses={200: None})
@public
@shows_pages
def show_sign_up() -> Response:
    """A page to make a workspace on."""
    return _form()


@api.post("/sign-up", responses={201: None})
@public
@shows_pages
def sign_up() -> Response:
    """The page's form: makes the workspace and its first user, who then signs in."""
    if not asks_from_here():
        raise FormNotShown
    s = services()
    try:
        body = SignUp.model_validate(dict(request.form))
    except ValidationError as error:
        wrong = error.errors()[0]
        field = str(wrong["loc"][0]).replace("_", " ")
        return _form(f"{field.capitalize()}: {wrong['msg']}.", 400)
    try:
        with new_account(s.db, s.passwords, body) as (_, _user, tenant):
            workspace = tenant.name
    except StateError as error:
        return _form(error.message, status_of(error))
    # Signed in here at once, a browser could be led into a stranger's workspace; the form below is shown to this one only.
    return ask_to_sign_in(DESK, status=201, made=workspace, email=body.email)


def _form(message: str = "", status: int = 200) -> Response:
    text = sign_up_page(request.form, next_page=DESK, message=message)
    return html(text, status, form_action="'self'")

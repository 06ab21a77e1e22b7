"""The page on which a first user makes a workspace."""

import html
import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from tests.conftest import TestDatabase
from tests.tenants.instances import PASSWORD, Instance, problem, web_instance

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SIGN_UP = "/api/auth/sign-up"


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "sign-up") as instance:
        yield instance


def send(web: Instance, fields: dict[str, str], headers: dict[str, str] | None = None) -> TestResponse:
    form = {"full_name": "Ada", "email": f"{uuid4().hex}@example.org", "password": PASSWORD, **fields}
    return web.browser().post(SIGN_UP, data=form, headers={**HTML, **(headers or {})})


def test_workspace_is_made_and_its_user_can_sign_in(web: Instance) -> None:
    assert SIGN_UP in web.browser().get("/api/auth/sign-in", headers=HTML).text
    page = web.browser().get(SIGN_UP, headers=HTML)
    assert page.status_code == 200
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    email = f"{uuid4().hex}@example.org"
    browser = web.browser()
    form = {"full_name": "Ada", "email": email, "password": PASSWORD, "organization_name": "<b>Engines</b>"}
    made = browser.post(SIGN_UP, data=form, headers=HTML)
    assert made.status_code == 201
    assert "&lt;b&gt;Engines&lt;/b&gt;" in made.text
    # Nobody is signed in by it, and the password is shown to nobody.
    assert browser.get("/api/desk", headers=HTML).status_code == 401
    assert PASSWORD not in made.text
    fields = dict(re.findall(r'name="(next|confirmation|email)" value="([^"]*)"', made.text))
    assert fields["email"] == email
    signed_in = browser.post("/api/auth/sign-in", data={**fields, "password": PASSWORD}, headers=HTML)
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/api/desk")
    assert browser.get("/api/desk", headers=HTML).status_code in (200, 303)
    account = web.ok("POST", "/api/auth/login", json={"email": email, "password": PASSWORD})
    assert account["user"]["role"] == "admin"
    assert account["tenant"]["name"] == "<b>Engines</b>"


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"full_name": " "}, 400, "Full name: "),
        ({"email": "nobody"}, 400, "@"),
        ({"password": "short"}, 400, "The password must have"),
        ({"password": "alllowercase1"}, 400, "upper-case"),
        ({"organization_name": "x" * 300}, 400, "Organization name: "),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_stays_filled_in(
    web: Instance, fields: dict[str, str], status: int, words: str
) -> None:
    answer = send(web, {"email": "ada@example.org", "full_name": 'Ada "Countess"', **fields})
    assert answer.status_code == status
    assert words in html.unescape(answer.text).partition('role="alert">')[2].partition("</p>")[0]
    if "full_name" not in fields:
        assert 'value="Ada &quot;Countess&quot;"' in answer.text
    assert fields.get("password", PASSWORD) not in answer.text


def test_address_can_be_used_once(web: Instance) -> None:
    email = f"{uuid4().hex}@example.org"
    assert send(web, {"email": email}).status_code == 201
    again = send(web, {"email": email.upper()})
    assert again.status_code == 400
    assert 'role="alert"' in again.text


def test_other_sites_make_no_workspace(web: Instance) -> None:
    refused = send(web, {}, {"Sec-Fetch-Site": "cross-site", "Accept": "*/*"})
    problem(refused, 403, "FORM_NOT_SHOWN")

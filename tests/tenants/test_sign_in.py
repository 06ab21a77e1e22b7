"""The page to sign in on, which a link to a document leads to in a browser that is not signed in."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from backend.flows.ingest_document.store import store_all
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.tenants.instances import PASSWORD, Instance, Person, problem, web_instance

SIGN_IN = "/api/auth/sign-in"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "sign-in") as instance:
        yield instance


class Owner:
    """Somebody with a password and a document."""

    def __init__(self, email: str, person: Person, document_id: str) -> None:
        self.email = email
        self.person = person
        self.view = f"/api/document/{document_id}/view?start=0&end=4"


@pytest.fixture(scope="module")
def owner(web: Instance, make_document: MakeDocument) -> Owner:
    return make_owner(web, make_document)


def make_owner(web: Instance, make_document: MakeDocument) -> Owner:
    """Signed up, with one document; a password takes time to hash, so most tests share one."""
    email = f"{uuid4().hex}@example.org"
    body = {"email": email, "password": PASSWORD, "full_name": "Ada Lovelace"}
    signed_up = web.ok("POST", "/api/auth/signup", json=body)
    tenant_id = UUID(signed_up["tenant"]["id"])
    with web.services.db.transaction(tenant_id) as session:
        store_all(session, tenant_id, None, [make_document("plan", "Plan of the year.", title="The plan")])
    person = web.sign_in()
    person.tenant_id = tenant_id
    person.access_token = signed_up["tokens"]["access_token"]
    listed = web.ok("GET", "/api/documents", person)["documents"]
    return Owner(email, person, listed[0]["id"])


@pytest.fixture
def browser(web: Instance) -> FlaskClient:
    return web.browser()


def fields(page: TestResponse) -> dict[str, str]:
    """The form's hidden fields."""
    return dict(re.findall(r'name="(next|confirmation)" value="([^"]*)"', page.text.replace("&amp;", "&")))


def submit(
    browser: FlaskClient, form: dict[str, str], email: str, password: str = PASSWORD, **more: Any
) -> TestResponse:
    return browser.post(SIGN_IN, data={**form, "email": email, "password": password}, headers=HTML, **more)


def test_link_asks_to_sign_in_and_leads_to_the_passage(browser: FlaskClient, owner: Owner) -> None:
    page = browser.get(owner.view, headers=HTML)
    assert (page.status_code, page.mimetype) == (401, "text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in page.text
    assert "Plan of the year" not in page.text

    entered = submit(browser, fields(page), owner.email)
    assert (entered.status_code, entered.headers["Location"]) == (303, f"{owner.view}#passage")
    cookie = next(c for c in entered.headers.getlist("Set-Cookie") if c.startswith("secondbrain_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/api" in cookie

    shown = browser.get(owner.view, headers=HTML)
    assert shown.status_code == 200
    assert '<mark id="passage">Plan</mark>' in shown.text


def test_programs_are_refused_in_json(browser: FlaskClient, owner: Owner) -> None:
    for accept in ({}, {"Accept": "application/json"}, {"Accept": "*/*"}):
        problem(browser.get(owner.view, headers=accept), 401, "AUTH_REQUIRED")


def test_wrong_password_is_said_on_the_page(browser: FlaskClient, owner: Owner) -> None:
    form = fields(browser.get(owner.view, headers=HTML))
    for email in (owner.email, "nobody@example.org", "", '"><script>alert(1)</script>'):
        refused = submit(browser, form, email, "Wr0ngsecret")
        assert refused.status_code == 401
        assert "E-mail address or password is wrong." in refused.text
        assert "<script" not in refused.text
        assert fields(refused)["next"] == form["next"]
        assert "secondbrain_session" not in str(refused.headers.getlist("Set-Cookie"))
    # And the page that says it works.
    assert submit(browser, fields(refused), owner.email).status_code == 303


def test_form_of_another_site_or_browser_is_refused(
    web: Instance, browser: FlaskClient, owner: Owner
) -> None:
    form = fields(browser.get(owner.view, headers=HTML))
    stranger = web.browser()
    theirs = fields(stranger.get(owner.view, headers=HTML))
    for attempt, who in (
        (form, web.browser()),  # no cookie, as from another site
        (form, stranger),  # another browser's
        (theirs, browser),
        ({**form, "confirmation": ""}, browser),
        ({**form, "confirmation": "zz"}, browser),
        ({**form, "next": "/api/documents/other"}, browser),  # another way out than was asked for
        ({}, browser),
    ):
        refused = submit(who, attempt, owner.email)
        assert refused.status_code == 403, attempt
        assert "secondbrain_session" not in str(refused.headers.getlist("Set-Cookie"))


def test_form_sent_from_a_neighbouring_site_is_refused(browser: FlaskClient, owner: Owner) -> None:
    """One that shares the domain can set our cookies; the browser says where the form was sent from."""
    form = {**fields(browser.get(owner.view, headers=HTML)), "email": owner.email, "password": PASSWORD}
    for site in ("same-site", "cross-site"):
        assert browser.post(SIGN_IN, data=form, headers={**HTML, "Sec-Fetch-Site": site}).status_code == 403
    ours = {**HTML, "Sec-Fetch-Site": "same-origin"}
    assert browser.post(SIGN_IN, data=form, headers=ours).status_code == 303


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/api/document/x/view",
        "/\\evil.example",
        "/api/auth/logout",
        "/api/document/x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/api/document/a@evil.example:80/",
        "",
    ],
)
def test_only_documents_are_returned_to(browser: FlaskClient, owner: Owner, address: str) -> None:
    page = browser.get(f"{SIGN_IN}?next={quote(address)}", headers=HTML)
    assert page.status_code == 200
    assert "evil" not in page.text
    entered = submit(browser, fields(page), owner.email)
    assert (entered.status_code, entered.headers["Location"]) == (303, SIGN_IN)
    assert owner.email in browser.get(SIGN_IN, headers=HTML).text


def test_expired_or_ended_session_is_asked_to_sign_in_again(
    web: Instance, browser: FlaskClient, owner: Owner
) -> None:
    browser.set_cookie("secondbrain_session", owner.person.access_token, path="/api")
    assert browser.get(owner.view, headers=HTML).status_code == 200
    web.ok("POST", "/api/auth/logout", owner.person)
    page = browser.get(owner.view, headers=HTML)
    assert page.status_code == 401
    assert submit(browser, fields(page), owner.email).status_code == 303


def test_document_of_another_workspace_is_a_page_that_offers_another_account(
    web: Instance, browser: FlaskClient, owner: Owner
) -> None:
    browser.set_cookie("secondbrain_session", web.sign_in().access_token, path="/api")
    for address in (owner.view, f"/api/document/{uuid4()}/view", "/api/document/no-id/view"):
        page = browser.get(address, headers=HTML)
        assert (page.status_code, page.mimetype) == (404, "text/html")
        assert "The plan" not in page.text
        assert "Sign in with another account" in page.text
    link = re.search(r'href="([^"]*)"', browser.get(owner.view, headers=HTML).text)
    assert link
    again = browser.get(link[1].replace("&amp;", "&"), headers=HTML)
    entered = submit(browser, fields(again), owner.email)
    assert entered.headers["Location"] == f"{owner.view}#passage"
    assert browser.get(owner.view, headers=HTML).status_code == 200


def test_guessing_is_limited_as_at_log_in(
    web: Instance, database: TestDatabase, make_document: MakeDocument
) -> None:
    owner = make_owner(web, make_document)
    with web_instance(database, "guessed", RATE_LIMITS="login_failures_here=3/900") as strict:
        browser = strict.browser()
        form = fields(browser.get(owner.view, headers=HTML))
        statuses = [submit(browser, form, owner.email, "Wr0ngsecret").status_code for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        # It is one bucket, whichever door is tried; the right password does not open it either.
        body = {"email": owner.email, "password": PASSWORD}
        problem(strict.call("POST", "/api/auth/login", json=body), 429, "RATE_LIMITED")
        refused = submit(browser, form, owner.email)
        assert (refused.status_code, refused.mimetype) == (429, "text/html")
        assert int(refused.headers["Retry-After"]) > 0


def test_deactivated_account_is_refused(
    web: Instance, browser: FlaskClient, make_document: MakeDocument
) -> None:
    owner = make_owner(web, make_document)
    with web.database.admin() as connection:
        connection.execute("UPDATE users SET deactivated_at = now() WHERE email = %s", (owner.email,))
    form = fields(browser.get(owner.view, headers=HTML))
    refused = submit(browser, form, owner.email)
    assert refused.status_code == 403
    assert "secondbrain_session" not in str(refused.headers.getlist("Set-Cookie"))

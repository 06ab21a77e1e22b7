"""The page that asks before a browser is connected to somebody's workspace, and its answer."""

import base64
import hashlib
from uuid import uuid4

import pytest

from backend.pages import STYLE
from backend.tenants.repository import TenantRepository
from tests.conftest import Account, TestDatabase
from tests.emulators.github import GitHubEmulator
from tests.flows.connect_account.browsers import FRONTEND, Browser, Page, auth_url, confirm, reason
from tests.tenants.instances import Instance, Person

USED = "This connection attempt was already used; start again."
ELSEWHERE = "This confirmation was not given in the browser that was asked; start again."
HOSTILE = """<script>alert(1)</script> & "Sons' {0} %s"""


@pytest.fixture(scope="module")
def hostile(web: Instance, database: TestDatabase) -> Person:
    """Somebody whose names try to be more than names."""
    tenant_id, email = uuid4(), f"a+<b>{uuid4().hex}@example.org"
    with web.services.db.transaction(tenant_id) as session:
        tenants = TenantRepository(session)
        tenant = tenants.create_tenant(tenant_id, name=HOSTILE)
        user = tenants.create_user(
            tenant_id,
            email=email,
            full_name='"><img src=x onerror=alert(2)>',
            role="admin",
            password_hash="!",
        )
    return web.sign_in(Account(tenant_id, user.id, tenant.slug, email))


def test_page_names_workspace_and_account_and_escapes_both(
    web: Instance, web2: Instance, hostile: Person, browser: Browser
) -> None:
    answer = browser.get(auth_url(hostile, web), web2)
    page = Page(answer)
    for words in (HOSTILE, hostile.account.slug, '"><img src=x onerror=alert(2)>', hostile.account.email):
        assert words in page.words
    assert {"script", "img", "b"}.isdisjoint(page.tags)
    assert "<script>" not in answer.text
    assert set(page.form) == {"ticket", "confirmation"}
    assert not any("signed in as" in words for words in page.words)


def test_page_allows_nothing_but_its_own_style_and_form(
    web: Instance, person: Person, browser: Browser
) -> None:
    answer = browser.get(auth_url(person, web), web)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "form-action": f"'self' {FRONTEND}",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert f"<style>{STYLE}</style>" in answer.text
    page = Page(answer)
    onward = browser.post(page.action, page.form, web)
    assert "form-action 'none'" in onward.headers["Content-Security-Policy"]
    assert "default-src 'none'" in onward.headers["Content-Security-Policy"]


def test_page_warns_who_is_signed_in_here_as_somebody_else(
    web: Instance, web2: Instance, person: Person, browser: Browser
) -> None:
    victim = web.sign_in()
    browser.restore(victim, web)
    page = Page(browser.get(auth_url(person, web), web2))
    assert any("you are signed in as" in words for words in page.words)
    assert victim.account.email in page.words
    assert person.account.email in page.words


def test_page_is_shown_to_a_colleague_as_well(web: Instance, person: Person, browser: Browser) -> None:
    browser.restore(web.colleague(person, role="admin"), web)
    page = Page(browser.get(auth_url(person, web), web))
    assert any("you are signed in as" in words for words in page.words)


def test_confirming_needs_the_cookie_of_the_browser_that_was_asked(
    web: Instance, web2: Instance, person: Person, browser: Browser
) -> None:
    page = Page(browser.get(auth_url(person, web), web))
    stranger = Browser(web)
    assert reason(stranger.post(page.action, page.form, web2), 303) == ELSEWHERE
    stranger.get(auth_url(web.sign_in(), web), web)
    assert reason(stranger.post(page.action, page.form, web2), 303) == ELSEWHERE
    # Nothing was taken: the browser that was asked can still say yes, on any instance.
    assert Page(browser.post(page.action, page.form, web2)).onward


def test_confirming_needs_the_confirmation_of_that_ticket(
    web: Instance, person: Person, browser: Browser
) -> None:
    page = Page(browser.get(auth_url(person, web), web))
    other = Page(browser.get(auth_url(person, web), web))
    for form in (
        {"ticket": page.form["ticket"]},
        {"confirmation": page.form["confirmation"]},
        {"ticket": page.form["ticket"], "confirmation": other.form["confirmation"]},
        {"ticket": page.form["ticket"], "confirmation": ""},
        {"ticket": page.form["ticket"], "confirmation": "é" * 43},
        {"ticket": "9" * 6000, "confirmation": "[" * 6000},
        {},
    ):
        assert reason(browser.post(page.action, form, web), 303) == ELSEWHERE
    assert Page(browser.post(page.action, page.form, web)).onward


def test_begin_works_once(
    web: Instance, web2: Instance, person: Person, browser: Browser, github: GitHubEmulator
) -> None:
    url = auth_url(person, web)
    page = Page(browser.get(url, web))
    assert Page(browser.post(page.action, page.form, web)).onward
    assert reason(browser.post(page.action, page.form, web2), 303) == USED

    browser.restore(person, web)
    assert reason(browser.get(url, web2)) == USED
    fresh = auth_url(person, web)
    assert browser.get(fresh, web2).headers["Location"].startswith(github.base_url)
    assert reason(browser.get(fresh, web)) == USED


def test_begin_with_a_ticket_that_is_none_is_refused(
    web: Instance, web2: Instance, person: Person, browser: Browser
) -> None:
    url = auth_url(person, web)
    address, _, ticket = url.partition("?ticket=")
    state = web.ok("GET", "/api/integrations/github/auth", person)["state"]
    not_ours = "This connection attempt is not one of ours; start again."
    for wrong in ("", "?ticket=", "?ticket=%00", "?ticket=" + "x" * 9000, f"?ticket={ticket[:-3]}abc"):
        assert reason(browser.get(f"{address}{wrong}", web2)) == not_ours
    assert reason(browser.get(f"{address}?ticket={state}", web)) == not_ours
    elsewhere = url.replace("/github/", "/slack/")
    assert (
        reason(browser.get(elsewhere, web)) == "This connection attempt is for another source; start again."
    )
    assert confirm(browser, url, web)

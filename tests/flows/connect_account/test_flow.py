"""Connecting GitHub, each step on another instance."""

import threading
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from werkzeug.test import TestResponse

from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.providers.contract import Credentials
from backend.connectors.repository import ConnectorRepository
from tests.conftest import TestDatabase
from tests.emulators.github import GitHubEmulator
from tests.flows.connect_account.browsers import (
    CONNECTED,
    PUBLIC,
    Browser,
    Page,
    auth_url,
    confirm,
    consent,
    outcome,
)
from tests.tenants.instances import Instance, Person


def github_of(web: Instance, person: Person) -> tuple[str, str | None]:
    """(status, account) as the list shows it."""
    listed = web.ok("GET", "/api/integrations", person)["integrations"]
    entry = next(entry for entry in listed if entry["type"] == "github")
    return entry["status"], entry["account"]


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_connect_with_a_session_cookie_goes_straight_to_the_provider(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    browser.restore(person, web)
    answer = web.ok("GET", "/api/integrations/github/auth", person)

    begun = browser.get(answer["auth_url"], web2)

    assert begun.status_code == 302
    provider = begun.headers["Location"]
    assert provider.startswith(f"{github.base_url}/login/oauth/authorize?")
    sent = query_of(provider)
    assert sent["state"] == answer["state"]
    assert sent["redirect_uri"] == f"{PUBLIC}/api/integrations/github/callback"
    assert (sent["code_challenge_method"], len(sent["code_challenge"])) == ("S256", 43)

    callback = github.authorize(provider, "octocat")
    assert outcome(browser.get(callback, web)) == CONNECTED
    assert github_of(web2, person) == ("connected", "octocat")


def test_connect_without_a_session_asks_first_and_seals_what_it_gets(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    page = Page(browser.get(auth_url(person, web), web2))
    provider = Page(browser.post(page.action, page.form, web)).onward
    callback = github.authorize(provider, "octocat")
    assert outcome(browser.get(callback, web2)) == CONNECTED

    with web.services.db.transaction(person.tenant_id) as session:
        connector = ConnectorRepository(session).get(person.tenant_id, "github")
        opened = CredentialRepository(session, web.services.keyring).open(person.tenant_id, connector.id)
    credentials = Credentials.from_json(opened.secret)
    assert (connector.account_label, connector.connected_by) == ("octocat", person.user_id)
    user = github.http.get(
        f"{github.base_url}/user", headers={"Authorization": f"Bearer {credentials.access_token}"}
    )
    assert user.json()["login"] == "octocat"


def test_connect_again_replaces_the_account(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    for login in ("octocat", "hubot"):
        callback = github.authorize(confirm(browser, auth_url(person, web), web2), login)
        assert outcome(browser.get(callback, web)) == CONNECTED
        assert github_of(web2, person) == ("connected", login)
    with web.services.db.transaction(person.tenant_id) as session:
        assert len(ConnectorRepository(session).list_all(person.tenant_id)) == 1


def test_connect_twice_side_by_side_in_one_browser_works(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    first = consent(browser, person, github, web)
    second = consent(browser, person, github, web2)
    assert outcome(browser.get(second, web)) == CONNECTED
    assert outcome(browser.get(first, web2)) == CONNECTED


def test_callback_at_once_on_both_instances_connects_once(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    callback = consent(browser, person, github, web).removeprefix(PUBLIC)
    headers = {"Cookie": f"secondbrain_browser={browser.cookie()}"}
    answers: list[TestResponse] = []
    together = threading.Barrier(10)

    def come_back(at: Instance) -> None:
        client = at.browser(use_cookies=False)
        together.wait(30)
        answers.append(client.get(callback, headers=headers))

    threads = [threading.Thread(target=come_back, args=(at,)) for at in (web, web2) * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    refused = (("error", "This connection attempt was already used; start again."),)
    assert Counter(outcome(answer) for answer in answers) == {CONNECTED: 1, refused: 9}
    assert github_of(web, person) == ("connected", "octocat")


def test_disconnect_then_connect_again_works(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    assert outcome(browser.get(consent(browser, person, github, web), web)) == CONNECTED
    answer = web2.ok("POST", "/api/integrations/github/disconnect", person)
    assert answer["revoked"] is True
    assert github_of(web, person)[0] == "disconnected"
    assert outcome(browser.get(consent(browser, person, github, web2), web)) == CONNECTED
    assert github_of(web2, person) == ("connected", "octocat")


def test_browser_cookie_and_answers_are_kept_from_others(
    web: Instance, github: GitHubEmulator, person: Person, browser: Browser, database: TestDatabase
) -> None:
    url = auth_url(person, web)
    page = browser.get(url, web)
    onward = browser.post(Page(page).action, Page(page).form, web)
    for answer in (page, onward):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        cookie = answer.headers["Set-Cookie"]
        for attribute in ("HttpOnly", "SameSite=Lax", "Path=/api/integrations", "Max-Age=600"):
            assert attribute in cookie
    with database.admin() as connection:
        rows = str(
            connection.execute(
                "SELECT oauth_nonces::text FROM oauth_nonces WHERE tenant_id = %s", (person.tenant_id,)
            ).fetchall()
        )
    for secret in (browser.cookie(), *Page(page).form.values(), *query_of(Page(onward).onward).values()):
        assert secret not in rows

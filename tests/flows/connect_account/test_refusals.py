"""Whatever else comes back from a provider ends at the client, with a short reason and nothing connected."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from backend.db.engine import create_engine
from backend.db.notify import Notifier
from backend.db.transaction import Database
from tests.conftest import TestDatabase
from tests.emulators.github import GitHubEmulator
from tests.emulators.scripted import Reply, json_reply, scripted_server
from tests.flows.connect_account.browsers import (
    CONNECTED,
    PUBLIC,
    Browser,
    auth_url,
    confirm,
    consent,
    outcome,
    reason,
)
from tests.tenants.instances import Instance, Person, problem, web_instance

CALLBACK = f"{PUBLIC}/api/integrations/github/callback"
NOT_OURS = "This connection attempt is not one of ours; start again."
USED = "This connection attempt was already used; start again."
EXPIRED = "This connection attempt took too long; start again."
OTHER_BROWSER = "This connection attempt was started in another browser."
UNKNOWN = "This connection attempt is unknown; start again."
MISMATCH = "This connection attempt belongs to another account or connector."
REFUSED = "the provider refused"


def begin(browser: Browser, person: Person, web: Instance) -> str:
    """The state at the provider's door."""
    return state_of(confirm(browser, auth_url(person, web), web))


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def callback(**query: str) -> str:
    return f"{CALLBACK}?{urlencode(query)}"


def is_connected(web: Instance, person: Person) -> bool:
    return bool(web.ok("GET", "/api/integrations", person)["connected_count"])


# -- who may begin ------------------------------------------------------------------------------------------


def test_auth_by_role_and_source(web: Instance, person: Person, database: TestDatabase) -> None:
    viewer, member = web.colleague(person, role="viewer"), web.colleague(person, role="member")
    problem(web.call("GET", "/api/integrations/github/auth", viewer), 403, "VIEWERS_ONLY_LOOK")
    assert auth_url(member, web)
    problem(web.call("GET", "/api/integrations/github/auth"), 401, "AUTH_REQUIRED")
    refusal = problem(web.call("GET", "/api/integrations/slack/auth", person), 400, "NOT_CONFIGURED")
    assert "slack" in refusal["error"]
    problem(web.call("GET", "/api/integrations/nothing/auth", person), 404, "UNKNOWN_SOURCE")
    with web_instance(database, "bare") as bare:
        problem(bare.call("GET", "/api/integrations/github/auth", person), 400, "NOT_CONFIGURED")
    with database.admin() as connection:
        issued = connection.execute(
            "SELECT user_id FROM oauth_nonces WHERE tenant_id = %s", (person.tenant_id,)
        ).fetchall()
    assert issued == [(member.user_id,)]


# -- states that do not count -------------------------------------------------------------------------------


def test_callback_replayed_is_refused(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    url = consent(browser, person, github, web)
    assert outcome(browser.get(url, web)) == CONNECTED
    assert reason(browser.get(url, web2)) == USED
    assert reason(Browser(web).get(url, web)) == USED


def test_callback_in_another_browser_is_refused_and_takes_nothing(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    url = consent(browser, person, github, web)
    victim, attacker = Browser(web), Browser(web)
    assert reason(victim.get(url, web2)) == OTHER_BROWSER
    consent(attacker, web.sign_in(), github, web)
    assert reason(attacker.get(url, web2)) == OTHER_BROWSER
    assert not is_connected(web, person)
    assert outcome(browser.get(url, web2)) == CONNECTED


def test_callback_with_a_state_that_was_never_begun_is_refused(
    web: Instance, person: Person, browser: Browser
) -> None:
    browser.get(auth_url(person, web), web)
    state = web.ok("GET", "/api/integrations/github/auth", person)["state"]
    assert reason(browser.get(callback(state=state, code="x"), web)) == OTHER_BROWSER


def test_callback_of_another_tenant_person_or_source_is_refused(
    web: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    url = consent(browser, person, github, web)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    keyring = web.services.keyring
    claims = keyring.verify("oauth-state", query["state"])
    other, colleague = web.sign_in(), web.colleague(person, role="admin")

    def come_back(**changed: object) -> str:
        state = keyring.sign("oauth-state", {**claims, **changed})
        return reason(browser.get(callback(state=state, code=query["code"]), web))

    # Even signed with our own key: the row decides whose nonce it is.
    assert come_back(tid=str(other.tenant_id), sub=str(other.user_id)) == UNKNOWN
    assert come_back(tid=str(other.tenant_id)) == UNKNOWN
    assert come_back(sub=str(colleague.user_id)) == MISMATCH
    assert come_back(jti="another") == UNKNOWN
    assert come_back(tid=7) == come_back(sub=None) == NOT_OURS
    assert come_back(con="slack") == "This connection attempt is for another source; start again."
    slack = url.replace("/github/", "/slack/")
    assert reason(browser.get(slack, web)) == "This connection attempt is for another source; start again."
    assert not is_connected(web, person)
    assert not is_connected(web, other)
    assert outcome(browser.get(url, web)) == CONNECTED


def test_callback_after_expiry_is_refused(
    web: Instance, github: GitHubEmulator, person: Person, browser: Browser, database: TestDatabase
) -> None:
    url = consent(browser, person, github, web)
    keyring = web.services.keyring
    claims = keyring.verify("oauth-state", state_of(url))
    stale = keyring.sign("oauth-state", {**claims, "exp": int(time.time()) - 1})
    assert reason(browser.get(callback(state=stale, code="x"), web)) == EXPIRED
    with database.admin() as connection:
        connection.execute(
            "UPDATE oauth_nonces SET expires_at = now() WHERE tenant_id = %s", (person.tenant_id,)
        )
    assert reason(browser.get(url, web)) == EXPIRED
    assert not is_connected(web, person)


def test_callback_with_a_forged_state_is_refused(web: Instance, person: Person, browser: Browser) -> None:
    url = auth_url(person, web)
    state = state_of(confirm(browser, url, web))
    ticket = url.partition("ticket=")[2]
    for forged in ("x", "a.b.c", "%00", f"{state[:-4]}AAAA", ticket, person.access_token, "é", "x" * 20_000):
        query = f"state={forged if forged == '%00' else quote(forged)}&code=x"
        assert reason(browser.get(f"{CALLBACK}?{query}", web)) == NOT_OURS
    for incomplete in ("", "?", "?code=x", "?state=", "?error=access_denied", "?state=&code="):
        answer = browser.get(f"{CALLBACK}{incomplete}", web)
        assert reason(answer) == "The provider's answer is incomplete; start again."
    assert reason(browser.get(f"{callback(state=state, code='x' * 20_000)}", web)) != NOT_OURS


@pytest.mark.parametrize("table", ["users", "tenants"])
def test_callback_after_deactivation_is_refused(
    web: Instance,
    github: GitHubEmulator,
    person: Person,
    browser: Browser,
    database: TestDatabase,
    table: str,
) -> None:
    url = consent(browser, person, github, web)
    key = "id" if table == "tenants" else "tenant_id"
    with database.admin() as connection:
        connection.execute(
            f"UPDATE {table} SET deactivated_at = now() WHERE {key} = %s".encode(), (person.tenant_id,)
        )
    assert reason(browser.get(url, web)) == "This account has been deactivated."


# -- what the provider says ---------------------------------------------------------------------------------


def test_declined_consent_is_told_as_such_and_ends_the_attempt(
    web: Instance, web2: Instance, person: Person, browser: Browser
) -> None:
    url = callback(state=begin(browser, person, web), error="access_denied")
    assert reason(browser.get(url, web2)) == "access was declined"
    assert reason(browser.get(url, web)) == USED
    assert not is_connected(web, person)


def test_words_of_the_provider_are_not_repeated(web: Instance, person: Person, browser: Browser) -> None:
    said = "<script>alert(1)</script> call the pelican hotline"
    for query in ({"error": said}, {"error": "server_error", "error_description": said, "error_uri": said}):
        url = callback(state=begin(browser, person, web), code="", **query)
        answer = browser.get(url, web)
        assert reason(answer) == REFUSED
        assert "pelican" not in answer.text + str(answer.headers)


def test_code_that_the_provider_refuses_is_told_as_such(
    web: Instance, person: Person, browser: Browser
) -> None:
    url = callback(state=begin(browser, person, web), code="not a code")
    words = reason(browser.get(url, web))
    assert words == "GitHub says the sign-in was used already or took too long; start again."
    assert not is_connected(web, person)


def refuse_with_words(_: Any) -> Reply:
    return json_reply({"error": "strange", "error_description": "<b>call the pelican hotline</b>"})


def answer_nonsense(_: Any) -> Reply:
    return Reply(200, b"<html>maintenance</html>", {"content-type": "text/html"})


def fail(_: Any) -> Reply:
    return Reply(503, b"secret stack trace")


def forget_the_user(request: Any) -> Reply:
    if request.path.startswith("/login/oauth/access_token"):
        return json_reply({"access_token": "gho_x", "token_type": "bearer", "scope": "repo"})
    return json_reply({"message": "no id here"})


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (refuse_with_words, "The provider refused the request."),
        (answer_nonsense, "the service is not available right now, try again"),
        (fail, "the service is not available right now, try again"),
        (forget_the_user, "something went wrong on our side, try again"),
    ],
)
def test_provider_that_misbehaves_ends_at_the_client(
    database: TestDatabase,
    person: Person,
    github_settings: dict[str, str],
    provider: Callable[[Any], Reply],
    expected: str,
) -> None:
    with scripted_server(provider) as server:
        bases = {"GITHUB_AUTHORIZE_BASE": server.base_url, "GITHUB_API_BASE": server.base_url}
        with web_instance(database, "misled", **{**github_settings, **bases}) as web:
            browser = Browser(web)
            url = callback(state=begin(browser, person, web), code="a-code")
            assert reason(browser.get(url, web)) == expected
            assert not is_connected(web, person)


def test_outage_during_a_step_ends_at_the_client(
    web: Instance, database: TestDatabase, person: Person, browser: Browser, github_settings: dict[str, str]
) -> None:
    url = auth_url(person, web)
    state = begin(browser, person, web)
    nowhere = "postgresql://nobody@/nothing?host=/nowhere"
    engine = create_engine(nowhere, pool_size=1, application_name="tests")
    with web_instance(database, "cut off", **github_settings) as cut_off:
        cut_off.app.extensions["secondbrain"] = replace(
            cut_off.services, db=Database(engine, Notifier(nowhere))
        )
        for address in (url, callback(state=state, code="x")):
            words = reason(browser.get(address, cut_off))
            assert words == "the service is not available right now, try again"
    # Nothing was taken meanwhile.
    assert confirm(browser, url, web)

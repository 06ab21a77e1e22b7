"""What a person may choose, and what becomes of it: settings, a key, a pasted token, channels."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import Field

from backend.connectors.credentials.repository import CredentialRepository
from backend.connectors.models import Connector
from backend.connectors.providers.contract import Credentials, Opening
from backend.connectors.providers.provider import Choice, Provider, SourceSettings
from backend.connectors.repository import ConnectorRepository
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.sync.positions.repository import SyncPositionRepository
from tests.conftest import TestDatabase
from tests.emulators.scripted import json_reply, scripted_server
from tests.emulators.slack_workspace import TOKEN, Workspace
from tests.tenants.instances import Instance, Person, problem, web_instance

KEY = "key-never-to-be-seen"


class PapersSettings(SourceSettings):
    """A source that needs no account, as a test has it."""

    search_query: str = Field(min_length=1)
    max_results: int = Field(100, ge=1, le=500)


PAPERS = Provider(
    type="papers",
    name="Papers",
    description="Papers",
    icon="papers",
    auth_type="config",
    settings_model=PapersSettings,
    source="tests.flows.configure_source.test_routes:none",
    api_base="https://papers.invalid",
    choices="tests.flows.configure_source.test_routes:list_topics",
    secret="api_key",
)


def list_topics(opening: Opening) -> list[Choice]:
    key = opening.credentials.access_token if opening.credentials else "no key"
    return [Choice(key, str(opening.settings["search_query"]), is_chosen=True, details={})]


@pytest.fixture(scope="module")
def slack() -> Iterator[Workspace]:
    workspace = Workspace(channels_per_page=2)
    for number in range(1, 6):
        workspace.add_channel(f"C{number:03}", f"room-{number}", is_member=number != 5)
    with scripted_server(workspace) as server:
        workspace.base_url = server.base_url
        yield workspace


@pytest.fixture(scope="module")
def web(database: TestDatabase, slack: Workspace) -> Iterator[Instance]:
    with ExitStack() as stack:
        made = stack.enter_context(
            web_instance(database, "web1", PROVIDER_ADDRESSES=f"slack={slack.base_url}")
        )
        providers = MappingProxyType({**made.services.providers, "papers": PAPERS})
        yield Instance(replace(made.services, providers=providers), database)


@pytest.fixture
def person(web: Instance) -> Person:
    return web.sign_in()


def connector_of(web: Instance, person: Person, connector_type: str) -> Connector:
    with web.services.db.transaction(person.tenant_id) as session:
        return ConnectorRepository(session).get(person.tenant_id, connector_type)


def credentials_of(web: Instance, connector: Connector) -> Credentials | None:
    held = CredentialKeeper(web.services.db, web.services.keyring, {}).find(connector)
    return held.credentials if held else None


def paste(web: Instance, person: Person, token: str = TOKEN) -> Mapping[str, Any]:
    return web.ok("POST", "/api/integrations/slack/token", person, json={"access_token": token})


# -- sources that need no account ---------------------------------------------------------------------------


def test_configure_connects_and_seals_the_key(web: Instance, person: Person) -> None:
    body = {"search_query": "lighthouses", "max_results": 20, "api_key": KEY}
    answer = web.call("POST", "/api/integrations/papers/configure", person, json=body)
    assert answer.status_code == 200
    connector = connector_of(web, person, "papers")
    assert answer.get_json()["connector_id"] == str(connector.id)
    assert (connector.status, connector.settings) == (
        "connected",
        {"search_query": "lighthouses", "max_results": 20},
    )
    stored = credentials_of(web, connector)
    assert stored is not None
    assert stored.access_token == KEY
    listed = web.call("GET", "/api/integrations", person)
    status = web.call("GET", "/api/integrations/papers/status", person)
    for shown in (answer, listed, status):
        assert KEY not in shown.text
    with web.database.admin() as connection:
        dump = connection.execute(
            "SELECT connectors::text, encode(sealed, 'escape') FROM connectors JOIN credentials USING (tenant_id)"
            " WHERE tenant_id = %s",
            (person.tenant_id,),
        ).fetchall()
    assert KEY not in str(dump)
    # The source finds it where other sources find their tokens.
    assert web.ok("GET", "/api/integrations/papers/choices", person)["choices"][0]["id"] == KEY
    assert web.ok("GET", "/api/integrations/papers/schedule", person)["schedule"]["every_minutes"] == 60


def test_key_stays_unless_it_is_mentioned(web: Instance, person: Person) -> None:
    path, body = "/api/integrations/papers/configure", {"search_query": "lighthouses"}
    web.ok("POST", path, person, json={**body, "api_key": KEY})
    web.ok("POST", path, person, json=body)
    connector = connector_of(web, person, "papers")
    assert credentials_of(web, connector) is not None
    web.ok("POST", path, person, json={**body, "api_key": ""})
    assert credentials_of(web, connector) is None
    assert web.ok("POST", "/api/integrations/papers/disconnect", person)["revoked"] is True
    web.ok("POST", path, person, json=body)
    assert connector_of(web, person, "papers").id == connector.id


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"search_query": ""},
        {"search_query": "x", "max_results": 501},
        {"search_query": "x", "password": "y"},
        {"search_query": "x", "api_key": 7},
        [],
        "text",
    ],
)
def test_configure_with_anything_else_is_refused_and_connects_nothing(
    web: Instance, person: Person, body: object
) -> None:
    answer = web.call("POST", "/api/integrations/papers/configure", person, json=body)
    assert answer.status_code == 400
    assert web.ok("GET", "/api/integrations/papers/status", person)["connector"] is None


def test_source_with_an_account_is_not_configured_into_being(web: Instance, person: Person) -> None:
    answer = web.call("POST", "/api/integrations/github/configure", person, json={"repositories": []})
    problem(answer, 400, "SIGN_IN_NEEDED")
    problem(web.call("POST", "/api/integrations/nothing/configure", person, json={}), 404, "UNKNOWN_SOURCE")


def test_other_settings_begin_anew_and_the_same_do_not(web: Instance, person: Person) -> None:
    path = "/api/integrations/papers/configure"
    web.ok("POST", path, person, json={"search_query": "lighthouses"})
    connector = connector_of(web, person, "papers")

    def position() -> tuple[int, object]:
        with web.services.db.transaction(person.tenant_id) as session:
            found = SyncPositionRepository(session).get(person.tenant_id, connector.id)
            return found.pass_number, found.cursor

    with web.services.db.transaction(person.tenant_id) as session:
        SyncPositionRepository(session).move(person.tenant_id, connector.id, {"page": 3})
    before = position()
    web.ok("POST", path, person, json={"search_query": "lighthouses"})
    assert position() == before
    settings = {"settings": {"search_query": "harbours"}}
    web.ok("PUT", "/api/integrations/papers/settings", person, json=settings)
    assert position() == (before[0] + 1, None)


def test_pubmed_and_websites_as_existing_clients_send_them(web: Instance, person: Person) -> None:
    pubmed = {
        "search_query": "lighthouse keepers",
        "max_results": 100,
        "date_range_years": 5,
        "include_abstracts_only": True,
        "api_key": KEY,
    }
    site = {
        "start_url": "example.org/docs",
        "priority_paths": ["guides"],
        "max_depth": 3,
        "max_pages": 50,
        "include_pdfs": True,
        "rate_limit_delay": 1,
    }
    for type_, body in (("pubmed", pubmed), ("webscraper", site)):
        web.ok("POST", f"/api/integrations/{type_}/configure", person, json=body)
        shown = web.ok("GET", f"/api/integrations/{type_}/status", person)
        assert shown["status"] == "connected"
        assert "api_key" not in shown["connector"]["settings"]
        assert web.ok("POST", f"/api/integrations/{type_}/sync", person)["already_running"] is False
    assert shown["connector"]["settings"]["start_url"] == "https://example.org/docs"
    stored = credentials_of(web, connector_of(web, person, "pubmed"))
    assert stored is not None
    assert stored.access_token == KEY
    for type_, body in (
        ("pubmed", {**pubmed, "search_query": " "}),
        ("pubmed", {**pubmed, "date_range_years": 3}),
        ("webscraper", {**site, "max_depth": 6}),
        ("webscraper", {**site, "start_url": "file:///etc/passwd"}),
    ):
        refused = web.call("POST", f"/api/integrations/{type_}/configure", person, json=body)
        problem(refused, 400, "VALIDATION_ERROR")


# -- Slack, by a pasted token -------------------------------------------------------------------------------


def test_pasted_token_connects_and_is_never_shown(web: Instance, person: Person) -> None:
    answer = paste(web, person)
    assert answer["team_name"] == "Harbour Works"
    connector = connector_of(web, person, "slack")
    assert (connector.account_id, connector.account_label) == ("T1", "Harbour Works")
    stored = credentials_of(web, connector)
    assert stored is not None
    assert stored.access_token == TOKEN
    for path in ("", "/slack/status", "/slack/channels"):
        assert TOKEN not in web.call("GET", f"/api/integrations{path}", person).text


@pytest.mark.parametrize("token", ["xoxb-wrong-but-long-enough", "xoxp-12345678901", "no token", ""])
def test_token_that_slack_refuses_connects_nothing(web: Instance, person: Person, token: str) -> None:
    answer = web.call("POST", "/api/integrations/slack/token", person, json={"access_token": token})
    assert answer.status_code == 400
    assert not token or token not in answer.text
    assert web.ok("GET", "/api/integrations/slack/status", person)["connector"] is None
    github = web.call("POST", "/api/integrations/github/token", person, json={"access_token": "x"})
    problem(github, 404, "NO_TOKENS")


def test_channels_are_listed_whole_and_ticks_are_kept(web: Instance, person: Person) -> None:
    problem(web.call("GET", "/api/integrations/slack/channels", person), 404, "NOT_CONNECTED")
    paste(web, person)
    body = web.ok("GET", "/api/integrations/slack/channels", person)
    assert (body["total"], body["selected_count"]) == (5, 4)
    assert body["channels"][0] == {
        "id": "C001",
        "name": "room-1",
        "is_private": False,
        "is_member": True,
        "member_count": 3,
        "selected": True,
    }
    for chosen in (["C002", "C004"], [], ["C001"]):
        answer = web.ok("PUT", "/api/integrations/slack/channels", person, json={"channels": chosen})
        assert answer["channels"] == chosen
        shown = web.ok("GET", "/api/integrations/slack/channels", person)["channels"]
        assert [c["id"] for c in shown if c["selected"]] == chosen
        # None is none, not all.
        assert connector_of(web, person, "slack").settings["channels"] == chosen
    generic = web.ok("GET", "/api/integrations/slack/choices", person)
    assert (generic["total"], generic["chosen_count"]) == (5, 1)
    refused = web.call("PUT", "/api/integrations/slack/channels", person, json={"channels": ["../x"]})
    problem(refused, 400, "VALIDATION_ERROR")
    assert connector_of(web, person, "slack").settings["channels"] == ["C001"]


def test_choosing_keeps_the_other_settings(web: Instance, person: Person) -> None:
    paste(web, person)
    settings = {"settings": {"history_days": 30, "include_files": False}}
    web.ok("PUT", "/api/integrations/slack/settings", person, json=settings)
    web.ok("PUT", "/api/integrations/slack/channels", person, json={"channels": ["C002"]})
    kept = connector_of(web, person, "slack").settings
    assert (kept["history_days"], kept["include_files"], kept["channels"]) == (30, False, ["C002"])


def test_token_that_has_ended_asks_to_connect_again(web: Instance, person: Person, slack: Workspace) -> None:
    paste(web, person)
    slack.faults["conversations.list"] = [json_reply({"ok": False, "error": "token_revoked"})]
    refused = web.call("GET", "/api/integrations/slack/channels", person)
    problem(refused, 403, "CREDENTIALS_REJECTED")
    assert connector_of(web, person, "slack").status == "needs_reconnect"
    shown = web.ok("GET", "/api/integrations/slack/status", person)
    assert (shown["status"], bool(shown["connector"]["error_message"])) == ("error", True)
    assert web.ok("GET", "/api/integrations/slack/schedule", person)["schedule"]["is_paused"] is False
    paste(web, person)
    assert connector_of(web, person, "slack").status == "connected"


def test_provider_that_does_not_answer_changes_nothing(
    web: Instance, person: Person, slack: Workspace
) -> None:
    paste(web, person)
    slack.faults["conversations.list"] = [json_reply({}, 503)] * 5
    answer = web.call("GET", "/api/integrations/slack/channels", person)
    slack.faults.clear()
    problem(answer, 503, "PROVIDER_UNAVAILABLE")
    assert connector_of(web, person, "slack").status == "connected"


def test_nothing_to_choose_is_said(web: Instance, person: Person) -> None:
    problem(web.call("GET", "/api/integrations/github/choices", person), 404, "NOT_CONNECTED")
    problem(web.call("GET", "/api/integrations/github/repositories", person), 404, "NOT_CONNECTED")
    problem(web.call("GET", "/api/integrations/nothing/choices", person), 404, "UNKNOWN_SOURCE")


def test_credentials_of_another_tenant_are_never_used(web: Instance, person: Person) -> None:
    paste(web, person)
    stranger = web.sign_in()
    problem(web.call("GET", "/api/integrations/slack/channels", stranger), 404, "NOT_CONNECTED")
    with web.services.db.transaction(stranger.tenant_id) as session:
        own = ConnectorRepository(session).connect(
            stranger.tenant_id, "slack", connected_by=stranger.user_id, account_id="T1", account_label="it"
        )
        CredentialRepository(session, web.services.keyring).forget(
            person.tenant_id, connector_of(web, person, "slack").id
        )
    assert credentials_of(web, own) is None
    assert credentials_of(web, connector_of(web, person, "slack")) is not None

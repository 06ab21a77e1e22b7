"""Drive is asked to call when its source is connected, before a channel ends, and to stop when it is disconnected."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina

from backend.connectors.providers.contract import Account, Credentials, ProviderUnavailable
from backend.connectors.repository import ConnectorRepository
from backend.flows.connect_account.flow import store_connection
from backend.flows.sync_connector.credentials import CredentialKeeper
from backend.flows.watch_source.flow import WATCH_KIND, can_be_called, watch, watched_types
from backend.flows.watch_source.handler import WatchSourceHandler
from backend.jobs.repository import JobRepository
from backend.jobs.schedules.repository import ScheduleRepository
from backend.jobs.workers.repository import WorkerRepository
from tests.conftest import TestDatabase
from tests.emulators.scripted import Reply, Request, json_reply, scripted_server
from tests.tenants.instances import Instance, Person, web_instance

PUBLIC_URL = "https://brain.example.org"
WEBHOOK = "/api/integrations/google_drive/webhook"
DISCONNECT = "/api/integrations/google_drive/disconnect"


@dataclass
class Google:
    """As much of Google as channels need."""

    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Channel id to what it was opened with, and its token."""
    asked: list[str] = field(default_factory=list)
    refusal: Reply | None = None
    lifetime: timedelta = timedelta(days=7)
    good: set[str] = field(default_factory=lambda: {"access-1"})

    def answer(self, request: Request) -> Reply:
        path = urlsplit(request.path).path
        self.asked.append(path)
        if path == "/oauth2/token":
            self.good = {"access-2"}
            return json_reply({"access_token": "access-2", "expires_in": 3600, "token_type": "Bearer"})
        if path == "/oauth2/revoke":
            return json_reply({})
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.good:
            return json_reply({"error": {"code": 401}}, 401)
        if path == "/drive/v3/changes/startPageToken":
            return json_reply({"startPageToken": "77"})
        body = json.loads(request.body)
        if path == "/drive/v3/changes/watch":
            assert parse_qs(urlsplit(request.path).query)["pageToken"] == ["77"]
            if self.refusal is not None:
                return self.refusal
            ends = datetime.now(UTC) + self.lifetime
            self.open[body["id"]] = {**body, "resource": f"r-{body['id']}"}
            expiration = str(int(ends.timestamp() * 1000))
            return json_reply({"id": body["id"], "resourceId": f"r-{body['id']}", "expiration": expiration})
        assert path == "/drive/v3/channels/stop"
        if body["id"] not in self.open:
            return json_reply({"error": {"code": 404}}, 404)
        assert self.open.pop(body["id"])["resource"] == body["resourceId"]
        return Reply(204)


@pytest.fixture(scope="module")
def database(module_database: TestDatabase) -> TestDatabase:
    """Its own: jobs are claimed across tenants."""
    return module_database


@pytest.fixture(scope="module")
def endless() -> Iterator[tuple[Google, str]]:
    google = Google()
    with scripted_server(google.answer) as server, stamina.set_testing(True, attempts=2, cap=True):
        yield google, server.base_url


@pytest.fixture(scope="module")
def web(database: TestDatabase, endless: tuple[Google, str]) -> Iterator[Instance]:
    with web_instance(
        database,
        "web1",
        PUBLIC_URL=PUBLIC_URL,
        GOOGLE_CLIENT_ID="client",
        GOOGLE_CLIENT_SECRET="secret",
        PROVIDER_ADDRESSES=f"google={endless[1]}",
    ) as instance:
        yield instance


@pytest.fixture
def google(endless: tuple[Google, str], database: TestDatabase) -> Google:
    with database.admin() as connection:
        connection.execute("DELETE FROM jobs")
        connection.execute("DELETE FROM schedules")
    endless[0].__init__()  # type: ignore[misc]
    return endless[0]


@pytest.fixture
def person(web: Instance, google: Google) -> Person:
    made = web.sign_in()
    connect(web, made)
    return made


def watched(web: Instance) -> frozenset[str]:
    return watched_types(web.services.providers, web.services.settings.public_url)


def connect(web: Instance, person: Person, account: str = "a-1", expires_in: float = 3600) -> None:
    ends = datetime.now(UTC) + timedelta(seconds=expires_in)
    with web.services.db.transaction(person.tenant_id) as session:
        store_connection(
            session,
            web.services.keyring,
            person.tenant_id,
            "google_drive",
            connected_by=person.user_id,
            account=Account(account, "ada@example.org"),
            credentials=Credentials("access-1", "refresh-1", ends, (), "Bearer"),
            watched=watched(web),
        )


def handler_of(web: Instance, **changed: Any) -> WatchSourceHandler:
    s = web.services
    return WatchSourceHandler(
        s.db,
        s.keyring.master,
        CredentialKeeper(s.db, s.keyring, s.oauth_providers),
        s.providers,
        s.api_bases,
        changed.get("public_url", s.settings.public_url),
        changed.get("watched", watched(web)),
    )


def turn(web: Instance, database: TestDatabase, *, is_due: bool = True, **changed: Any) -> int:
    """What is due (all of it, if `is_due`) is carried out by a worker; how many jobs that were."""
    if is_due:
        with database.admin() as connection:
            connection.execute("UPDATE schedules SET next_run_at = now() WHERE name LIKE 'watch:%'")
    with web.services.db.operator_transaction() as session:
        ScheduleRepository(session).enqueue_due()
    with web.services.db.operator_transaction() as session:
        worker = WorkerRepository(session).register(name="test", version="0")
        claims = JobRepository(session).claim(worker, (WATCH_KIND,), count=10)
    for claim in claims:
        handler_of(web, **changed).run(claim, lambda: False)
    return len(claims)


def test_connecting_opens_a_channel_whose_calls_are_believed(
    web: Instance, person: Person, google: Google, database: TestDatabase
) -> None:
    assert turn(web, database, is_due=False) == 1
    ((channel_id, opened),) = google.open.items()
    shown = web.ok("GET", WEBHOOK, person)
    assert (opened["address"], opened["token"]) == (shown["address"], shown["secret"])
    assert opened["address"].startswith(f"{PUBLIC_URL}/api/webhooks/google_drive/")
    assert datetime.fromisoformat(shown["channel_until"]) > datetime.now(UTC) + timedelta(days=6)
    headers = {
        "X-Goog-Channel-ID": channel_id,
        "X-Goog-Channel-Token": opened["token"],
        "X-Goog-Message-Number": "2",
        "X-Goog-Resource-State": "change",
    }
    web.ok("POST", urlsplit(opened["address"]).path, headers=headers)
    with database.admin() as connection:
        kinds = connection.execute("SELECT kind FROM jobs WHERE state = 'queued'").fetchall()
    assert kinds == [("begin_sync",)]


def test_channel_that_lasts_is_left_and_one_that_ends_soon_is_renewed(
    web: Instance, person: Person, google: Google, database: TestDatabase
) -> None:
    google.lifetime = timedelta(hours=30)
    turn(web, database)
    (first,) = google.open
    google.lifetime = timedelta(days=7)
    turn(web, database)
    (second,) = google.open
    assert second != first
    for _ in range(2):
        assert turn(web, database) == 1
    assert list(google.open) == [second]
    assert google.asked.count("/drive/v3/changes/watch") == 2


@pytest.mark.parametrize("what", ["another account", "another address"])
def test_channel_is_opened_anew_for(
    web: Instance, person: Person, google: Google, database: TestDatabase, what: str
) -> None:
    turn(web, database)
    (first,) = google.open
    if what == "another account":
        connect(web, person, "a-2")
        assert turn(web, database, is_due=False) == 1
    else:
        turn(web, database, public_url="https://elsewhere.example.org")
    ((second, opened),) = google.open.items()
    assert second != first
    assert opened["address"].startswith("https://elsewhere") is (what == "another address")


@pytest.mark.parametrize("expires_in", [3600, -60])
def test_disconnecting_ends_the_channel_before_the_access(
    web: Instance, person: Person, google: Google, database: TestDatabase, expires_in: float
) -> None:
    turn(web, database)
    assert google.open
    connect(web, person, expires_in=expires_in)
    if expires_in < 0:
        google.good = set()
    google.asked.clear()
    web.ok("POST", DISCONNECT, person)
    assert google.open == {}
    assert google.asked[-2:] == ["/drive/v3/channels/stop", "/oauth2/revoke"]
    assert turn(web, database) == 0
    connect(web, person)
    google.good = {"access-1"}
    turn(web, database)
    assert len(google.open) == 1


def test_source_that_is_disconnected_meanwhile_keeps_no_channel(
    web: Instance, person: Person, google: Google, database: TestDatabase
) -> None:
    answer = google.answer

    def disconnects(request: Request) -> Reply:
        reply = answer(request)
        if "watch" in request.path:
            with web.services.db.transaction(person.tenant_id) as session:
                connector = ConnectorRepository(session).get(person.tenant_id, "google_drive")
                ConnectorRepository(session).disconnect(person.tenant_id, connector.id)
        return reply

    google.answer = disconnects  # type: ignore[method-assign]
    with scripted_server(lambda request: google.answer(request)) as server:
        handler = handler_of(web)
        with web.services.db.operator_transaction() as session:
            ScheduleRepository(session).enqueue_due()
        with web.services.db.operator_transaction() as session:
            worker = WorkerRepository(session).register(name="test", version="0")
            (claim,) = JobRepository(session).claim(worker, (WATCH_KIND,))
        WatchSourceHandler(
            handler.db,
            handler.keyring,
            handler.keeper,
            handler.providers,
            {"google_drive": server.base_url},
            handler.public_url,
            handler.watched,
        ).run(claim, lambda: False)
    del google.answer
    assert google.open == {}
    with database.admin() as connection:
        rows = connection.execute("SELECT * FROM watch_channels WHERE tenant_id = %s", (person.tenant_id,))
        assert rows.fetchall() == []


def test_access_that_has_ended_is_renewed_for_it(
    web: Instance, person: Person, google: Google, database: TestDatabase
) -> None:
    google.good = set()
    turn(web, database)
    assert len(google.open) == 1
    assert google.asked.count("/oauth2/token") == 1


def test_provider_that_does_not_answer_is_asked_again(
    web: Instance, person: Person, google: Google, database: TestDatabase
) -> None:
    google.refusal = json_reply({}, 503)
    with pytest.raises(ProviderUnavailable):
        turn(web, database)
    assert google.open == {}


def test_refusal_is_shown_and_tried_again_and_no_reason_to_reconnect(
    web: Instance, person: Person, google: Google, database: TestDatabase
) -> None:
    google.refusal = json_reply(
        {"error": {"code": 401, "errors": [{"reason": "push.webhookUrlUnauthorized"}]}}, 401
    )
    turn(web, database)
    shown = web.ok("GET", WEBHOOK, person)
    assert shown["channel_until"] is None
    assert "does not accept" in shown["channel_error"]
    with database.admin() as connection:
        seen = connection.execute(
            "SELECT connector, error FROM ops.watch_channels WHERE tenant = %s", (person.account.slug,)
        ).fetchall()
    assert seen == [("google_drive", shown["channel_error"])]
    assert (
        web.ok("GET", "/api/integrations/google_drive/status", person)["connector"]["status"] == "connected"
    )
    google.refusal = None
    turn(web, database)
    shown = web.ok("GET", WEBHOOK, person)
    assert shown["channel_until"]
    assert shown["channel_error"] is None


def test_sources_connected_before_are_watched_from_their_next_sync(
    web: Instance, person: Person, google: Google, database: TestDatabase
) -> None:
    with database.admin() as connection:
        connection.execute("DELETE FROM schedules")
    with web.services.db.transaction(person.tenant_id) as session:
        connector = ConnectorRepository(session).get(person.tenant_id, "google_drive")
        for _ in range(2):
            watch(session, connector, watched(web))
    assert turn(web, database, is_due=False) == 1
    assert len(google.open) == 1


def test_installation_that_cannot_be_called_any_more_forgets_its_channels(
    web: Instance, person: Person, google: Google, database: TestDatabase
) -> None:
    turn(web, database)
    assert turn(web, database, watched=frozenset()) == 1
    assert web.ok("GET", WEBHOOK, person)["channel_until"] is None
    assert turn(web, database) == 0


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        ("https://brain.example.org", True),
        ("https://brain.example.org:8443/base", True),
        ("http://brain.example.org", False),
        ("https://localhost", False),
        ("https://localhost.", False),
        ("https://brain", False),
        ("https://brain.localhost:5003", False),
        ("https://127.0.0.1", False),
        ("https://10.1.2.3", False),
        ("https://[::1]", False),
        ("http://localhost:5003", False),
    ],
)
def test_only_public_addresses_with_https_can_be_called(
    web: Instance, public_url: str, expected: bool
) -> None:
    assert can_be_called(public_url) is expected
    types = watched_types(web.services.providers, public_url)
    assert types == (frozenset({"google_drive"}) if expected else frozenset())

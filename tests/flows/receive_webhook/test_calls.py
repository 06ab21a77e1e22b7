"""Calls of providers: which are believed, whom they concern, and that one sync sees to all of them."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from backend.connectors.repository import ConnectorRepository
from backend.flows.receive_webhook.flow import ReceiveWebhook
from backend.flows.sync_connector.begin import BEGIN_KIND, BeginSyncHandler
from backend.jobs.repository import JobRepository
from backend.jobs.workers.repository import WorkerRepository
from backend.keyring import Keyring
from backend.sync.models import SyncRun
from backend.sync.repository import SyncRunRepository
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, Person, problem, web_instance

SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@pytest.fixture(scope="module")
def database(module_database: TestDatabase) -> TestDatabase:
    """Its own: jobs are claimed across tenants."""
    return module_database


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(
        database, "web1", SLACK_SIGNING_SECRET=SLACK_SECRET, DATABASE_POOL_SIZE="10"
    ) as instance:
        yield instance


@pytest.fixture(scope="module")
def web2(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(
        database, "web2", SLACK_SIGNING_SECRET=SLACK_SECRET, DATABASE_POOL_SIZE="10"
    ) as instance:
        yield instance


@pytest.fixture
def person(web: Instance, database: TestDatabase) -> Person:
    """Whose workspace has GitHub and Slack connected."""
    with database.admin() as connection:
        connection.execute("DELETE FROM jobs")
        connection.execute("DELETE FROM connectors")
    return connected(web)


def connected(web: Instance, account_id: str = "T1") -> Person:
    person = web.sign_in()
    with web.services.db.transaction(person.tenant_id) as session:
        for type_, account in (("github", "583231"), ("slack", account_id)):
            ConnectorRepository(session).connect(
                person.tenant_id, type_, connected_by=person.user_id, account_id=account, account_label="it"
            )
    return person


def github(
    web: Instance, webhook: dict[str, Any], delivery: str = "d-1", event: str = "issues", **more: Any
) -> TestResponse:
    """A call as GitHub makes it, signed with the connector's secret unless a test says otherwise."""
    body = more.pop("body", b'{"action": "opened"}')
    secret = more.pop("secret", webhook["secret"])
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Delivery": delivery,
        "X-GitHub-Event": event,
        "X-Hub-Signature-256": signature,
        "Content-Type": "application/json",
    }
    path = more.pop("path", urlsplit(webhook["address"]).path)
    return web.call("POST", path, data=body, headers=headers, **more)


def slack(web: Instance, said: dict[str, Any], *, secret: str = SLACK_SECRET) -> TestResponse:
    body, stamp = json.dumps(said).encode(), str(int(time.time()))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}
    return web.call("POST", "/api/webhooks/slack", data=body, headers=headers)


def message(event_id: str, team: str = "T1") -> dict[str, Any]:
    return {
        "type": "event_callback",
        "team_id": team,
        "event_id": event_id,
        "event": {"type": "message", "channel": "C1"},
    }


def jobs(database: TestDatabase, person: Person) -> list[tuple[object, ...]]:
    with database.admin() as connection:
        return connection.execute(
            "SELECT kind, state FROM jobs WHERE tenant_id = %s ORDER BY id", (person.tenant_id,)
        ).fetchall()


def deliveries(database: TestDatabase) -> list[tuple[object, ...]]:
    with database.admin() as connection:
        return connection.execute(
            "SELECT delivery_id, effect FROM ops.webhook_deliveries ORDER BY received_at, delivery_id"
        ).fetchall()


def begin(web: Instance, database: TestDatabase) -> None:
    """Carries out the one `begin_sync` job that waits."""
    with database.admin() as connection:
        connection.execute("UPDATE jobs SET run_at = now() WHERE state = 'queued'")
    with web.services.db.operator_transaction() as session:
        worker = WorkerRepository(session).register(name="test", version="0")
        (claim,) = JobRepository(session).claim(worker, (BEGIN_KIND,))
    BeginSyncHandler(web.services.db).run(claim, lambda: False)


def runs(web: Instance, person: Person) -> list[dict[str, Any]]:
    listed = web.ok("GET", "/api/integrations/github/sync/runs", person)["runs"]
    assert isinstance(listed, list)
    return listed


def change_run(web: Instance, person: Person, to: str) -> None:
    with web.services.db.transaction(person.tenant_id) as session:
        repository = SyncRunRepository(session)
        run: SyncRun = next(iter(repository.list_latest(person.tenant_id).values()))
        if to == "running":
            repository.take_up(person.tenant_id, run.id, cursor=None, is_full=True)
        else:
            repository.finish(person.tenant_id, run.id)


@pytest.fixture
def webhook(web: Instance, person: Person) -> dict[str, Any]:
    return web.ok("GET", "/api/integrations/github/webhook", person)


# -- addresses and secrets ----------------------------------------------------------------------------------


def test_address_and_secret_are_the_same_everywhere_and_different_for_each(
    web: Instance, web2: Instance, person: Person, webhook: dict[str, Any]
) -> None:
    assert web2.ok("GET", "/api/integrations/github/webhook", person) == webhook
    other = web.ok("GET", "/api/integrations/github/webhook", connected(web))
    assert other["secret"] != webhook["secret"]
    assert len(webhook["secret"]) == 43
    assert webhook["address"].startswith("http://localhost:5003/api/webhooks/github/")
    assert webhook["secret"] not in webhook["address"]
    apps = web.ok("GET", "/api/integrations/slack/webhook", person)
    assert (apps["address"], apps["secret"]) == ("http://localhost:5003/api/webhooks/slack", None)
    for role in ("member", "viewer"):
        colleague = web.colleague(person, role=role)
        problem(web.call("GET", "/api/integrations/github/webhook", colleague), 403, "ADMINISTRATORS_ONLY")
    problem(web.call("GET", "/api/integrations/box/webhook", person), 404, "NO_SUCH_WEBHOOK")


def test_address_lives_on_when_the_key_in_front_changes(
    web: Instance, person: Person, webhook: dict[str, Any]
) -> None:
    s = web.services
    name = webhook["address"].rpartition("/")[2]
    body = b"{}"
    signature = "sha256=" + hmac.new(webhook["secret"].encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-github-delivery": "d", "x-github-event": "ping", "x-hub-signature-256": signature}
    rotated = Keyring([("newer", b"n" * 32), *s.keyring.pairs])
    notice = ReceiveWebhook(s.db, rotated, {}).receive(s.providers["github"], name, headers, body)
    assert notice.delivery_id == "d"
    with s.db.transaction(person.tenant_id) as session:
        connector = ConnectorRepository(session).get(person.tenant_id, "github")
    assert ReceiveWebhook(s.db, rotated, {}).webhook_of(connector).secret != webhook["secret"]


# -- which calls are believed -------------------------------------------------------------------------------


def test_call_that_is_not_genuine_is_refused_and_nothing_happens(
    web: Instance, person: Person, webhook: dict[str, Any], database: TestDatabase
) -> None:
    stranger = web.ok("GET", "/api/integrations/github/webhook", connected(web))
    problem(github(web, webhook, secret="guessed"), 401, "CALL_REFUSED")
    problem(github(web, webhook, secret=stranger["secret"]), 401, "CALL_REFUSED")
    problem(github(web, webhook, body=b"{not json", secret="guessed"), 401, "CALL_REFUSED")
    unsigned = web.call("POST", urlsplit(webhook["address"]).path, data=b"{}")
    problem(unsigned, 401, "CALL_REFUSED")
    problem(slack(web, message("Ev1"), secret="guessed"), 401, "CALL_REFUSED")
    address = urlsplit(webhook["address"]).path
    for path in (address[:-1] + ("A" if address[-1] != "A" else "B"), address[:-5], "/api/webhooks/github/x"):
        problem(github(web, webhook, path=path), 404, "NO_SUCH_WEBHOOK")
    # GitHub's calls come to a connector's own address, Slack's to the app's.
    problem(github(web, webhook, path="/api/webhooks/github"), 404, "NO_SUCH_WEBHOOK")
    problem(github(web, webhook, path=address.replace("github", "slack")), 404, "NO_SUCH_WEBHOOK")
    problem(web.call("POST", "/api/webhooks/nothing", data=b"{}"), 404, "UNKNOWN_SOURCE")
    assert jobs(database, person) == []
    assert deliveries(database) == []


def test_body_that_is_too_large_is_refused_before_it_is_read(web: Instance, webhook: dict[str, Any]) -> None:
    answer = github(web, webhook, body=b"x" * (26 * 1024 * 1024))
    problem(answer, 413, "PAYLOAD_TOO_LARGE")


def test_app_secret_that_is_not_set_means_no_calls(database: TestDatabase, person: Person) -> None:
    with web_instance(database, "bare") as bare:
        problem(slack(bare, message("Ev1"), secret=""), 404, "NO_SUCH_WEBHOOK")
        problem(bare.call("GET", "/api/integrations/slack/webhook", person), 404, "NO_SUCH_WEBHOOK")


def test_challenge_is_answered_and_changes_nothing(web: Instance, database: TestDatabase) -> None:
    answer = slack(web, {"type": "url_verification", "challenge": "3eZbrw1aB"})
    assert (answer.status_code, answer.get_json()) == (200, {"challenge": "3eZbrw1aB"})
    assert deliveries(database) == []
    problem(slack(web, {"type": "something"}), 400, "EVENT_UNREADABLE")


# -- whom they concern, and what follows --------------------------------------------------------------------


def test_call_for_an_app_concerns_every_workspace_with_the_account(
    web: Instance, person: Person, database: TestDatabase
) -> None:
    same, other, gone = connected(web, "T1"), connected(web, "T2"), connected(web, "T1")
    with web.services.db.transaction(gone.tenant_id) as session:
        connectors = ConnectorRepository(session)
        connectors.disconnect(gone.tenant_id, connectors.get(gone.tenant_id, "slack").id)
    assert slack(web, message("Ev1")).status_code == 200
    assert jobs(database, person) == jobs(database, same) == [("begin_sync", "queued")]
    assert jobs(database, other) == jobs(database, gone) == []
    assert slack(web, message("Ev2", "T9")).status_code == 200


def test_same_call_at_once_on_two_instances_counts_once(
    web: Instance, web2: Instance, person: Person, webhook: dict[str, Any], database: TestDatabase
) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: github((web, web2)[n % 2], webhook), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert deliveries(database) == [("d-1", "sync")]
    assert jobs(database, person) == [("begin_sync", "queued")]
    begin(web, database)
    assert [run["trigger"] for run in runs(web, person)] == ["webhook"]
    # Hours later, on another instance, it is still the same call.
    change_run(web, person, "finished")
    assert github(web2, webhook).status_code == 200
    assert jobs(database, person).count(("begin_sync", "queued")) == 0


def test_many_calls_lead_to_one_sync(
    web: Instance, web2: Instance, person: Person, webhook: dict[str, Any], database: TestDatabase
) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: github((web, web2)[n % 2], webhook, f"d-{n}"), range(20)))
    assert sorted(str(effect) for _, effect in deliveries(database)) == ["joined"] * 19 + ["sync"]
    assert jobs(database, person) == [("begin_sync", "queued")]
    begin(web, database)
    assert len(runs(web, person)) == 1
    # Queued and not taken up: it has yet to look.
    github(web, webhook, "later")
    begin(web, database)
    assert len(runs(web, person)) == 1
    assert jobs(database, person).count(("begin_sync", "queued")) == 0


def test_change_while_a_sync_runs_is_not_lost(
    web: Instance, person: Person, webhook: dict[str, Any], database: TestDatabase
) -> None:
    github(web, webhook, "first")
    begin(web, database)
    change_run(web, person, "running")
    github(web, webhook, "second")
    for _ in range(2):
        begin(web, database)
        assert len(runs(web, person)) == 1
        assert jobs(database, person)[-1] == ("begin_sync", "queued")
    github(web, webhook, "third")
    assert deliveries(database)[-1] == ("third", "joined")
    change_run(web, person, "finished")
    begin(web, database)
    assert [run["state"] for run in runs(web, person)] == ["queued", "completed"]
    assert jobs(database, person).count(("begin_sync", "queued")) == 0


def test_what_changes_nothing_or_concerns_nobody_leads_to_nothing(
    web: Instance, person: Person, webhook: dict[str, Any], database: TestDatabase
) -> None:
    assert github(web, webhook, event="ping").status_code == 200
    web.ok("POST", "/api/integrations/github/disconnect", person)
    assert github(web, webhook).status_code == 200
    assert deliveries(database) == []
    assert jobs(database, person) == []


def test_calls_are_limited(database: TestDatabase) -> None:
    with web_instance(database, "slow", RATE_LIMITS="webhooks=2/60") as slow:
        answers = [slow.call("POST", "/api/webhooks/github/x", data=b"{}").status_code for _ in range(3)]
    assert answers == [404, 404, 429]


def test_deliveries_are_purged_after_three_days(
    web: Instance, person: Person, webhook: dict[str, Any], database: TestDatabase
) -> None:
    from backend.work import _CHORES

    github(web, webhook, "old")
    github(web, webhook, "new")
    with database.admin() as connection:
        connection.execute(
            "UPDATE webhook_deliveries SET received_at = now() - interval '73 hours' WHERE delivery_id = 'old'"
        )
    chore = next(chore for chore in _CHORES if chore.name == "purge webhook_deliveries")
    with web.services.db.operator_transaction() as session:
        assert chore.run(session) == 1
    assert [name for name, _ in deliveries(database)] == ["new"]

"""Who is deactivated through the product holds nothing any more, also not what was on its way to a provider."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.connectors.repository import ConnectorRepository
from backend.db.transaction import Session
from backend.flows.deactivate.flow import deactivate_tenant
from backend.flows.sync_connector.flow import start_sync
from backend.jobs.repository import JobRepository
from backend.tenants.deactivation.repository import DeactivationRepository
from tests.conftest import TestDatabase
from tests.emulators.github import GitHubEmulator
from tests.flows.connect_account.browsers import Browser, auth_url, confirm, consent, reason
from tests.tenants.instances import Instance, Person, problem

VOID = "This account has been deactivated."


def as_tenant(web: Instance, person: Person, do: Callable[[Session], object]) -> None:
    with web.services.db.transaction(person.tenant_id) as session:
        do(session)


def deactivate_path(person: Person) -> str:
    return f"/api/admin/users/{person.user_id}/deactivate"


def test_deactivated_user_holds_nothing_on_any_instance(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    leaving = web.colleague(person, role="member")
    url = consent(browser, leaving, github, web)
    key = web.ok(
        "POST", "/api/auth/api-keys", leaving, json={"name": "a program", "scopes": ["read", "write"]}
    )["key"]
    with_key = {"Authorization": f"Bearer {key}"}
    body = web.ok("POST", deactivate_path(leaving), person)
    assert body["user"]["is_active"] is False
    problem(web2.call("GET", "/api/auth/me", leaving), 401, "SESSION_REVOKED")
    problem(web2.call("GET", "/api/documents", headers=with_key), 401, "API_KEY_INVALID")
    refreshed = web2.call("POST", "/api/auth/refresh", json={"refresh_token": leaving.refresh_token})
    problem(refreshed, 401, "INVALID_REFRESH_TOKEN")
    assert reason(browser.get(url, web2)) == VOID
    assert web.ok("GET", "/api/integrations", person)["connected_count"] == 0
    # Activated again: neither the session nor the attempt comes back; the key does.
    web2.ok("POST", f"/api/admin/users/{leaving.user_id}/activate", person)
    problem(web.call("GET", "/api/auth/me", leaving), 401, "SESSION_REVOKED")
    assert reason(browser.get(url, web)) == "This connection attempt took too long; start again."
    web.ok("GET", "/api/documents", headers=with_key)
    assert web.sign_in(leaving.account)


def test_streams_of_a_deactivated_user_end_and_are_not_opened_again(
    web: Instance, web2: Instance, person: Person
) -> None:
    leaving = web.colleague(person, role="member")
    with web.services.db.transaction(person.tenant_id) as session:
        connector = ConnectorRepository(session).connect(
            person.tenant_id, "github", connected_by=person.user_id, account_id="1", account_label="octocat"
        )
        start_sync(session, connector, requested_by=leaving.user_id)
    web.services.listener.start()
    assert web.services.listener.wait_until_connected(10)
    name = web.ok("POST", "/api/integrations/github/sync", leaving)["sync_id"]
    path = f"/api/sync-progress/{name}/stream"
    key = web.ok("POST", "/api/auth/api-keys", leaving, json={"name": "a program", "scopes": ["read"]})["key"]
    headers = [leaving.headers, {"Authorization": f"Bearer {key}"}, {}]
    streams = [iter(web.call("GET", path, headers=each).iter_encoded()) for each in headers]
    for frames in streams:
        assert b"event: current_state" in next(frames)
    web2.ok("POST", deactivate_path(leaving), person)
    for frames in streams:
        assert list(frames) == []
    problem(web.call("GET", path), 404, "SYNC_RUN_NOT_FOUND")
    frames = iter(web.call("GET", path, person).iter_encoded())
    assert b"event: current_state" in next(frames)


def test_deactivated_workspace_lets_nobody_in_and_connects_nothing(
    web: Instance, web2: Instance, github: GitHubEmulator, person: Person, browser: Browser
) -> None:
    url = consent(browser, person, github, web)
    address = auth_url(person, web)
    as_tenant(web, person, lambda session: deactivate_tenant(session, person.tenant_id))
    assert reason(browser.get(url, web2)) == VOID
    with pytest.raises(AssertionError):
        confirm(Browser(web2), address, web2)
    problem(web2.call("GET", "/api/auth/me", person), 401, "SESSION_REVOKED")
    as_tenant(web, person, lambda session: DeactivationRepository(session).activate_tenant(person.tenant_id))
    problem(web2.call("GET", "/api/auth/me", person), 401, "SESSION_REVOKED")
    assert web.ok("GET", "/api/auth/me", web.sign_in(person.account))


def test_running_jobs_of_a_deactivated_workspace_are_asked_to_stop(
    web: Instance, person: Person, database: TestDatabase
) -> None:
    with web.services.db.transaction(person.tenant_id) as session:
        jobs = JobRepository(session)
        running, waiting = (jobs.enqueue(person.tenant_id, "nobody's", {}) for _ in range(2))
    with database.admin() as connection:
        connection.execute(
            "UPDATE jobs SET state = 'running', worker_id = uuidv7() WHERE id = %s", (running,)
        )
    as_tenant(web, person, lambda session: deactivate_tenant(session, person.tenant_id))
    with database.admin() as connection:
        found = connection.execute(
            "SELECT id, state, cancel_requested_at IS NOT NULL FROM jobs WHERE tenant_id = %s",
            (person.tenant_id,),
        ).fetchall()
    assert set(found) == {(running, "running", True), (waiting, "queued", False)}


def test_only_administrators_see_and_deactivate_people_of_their_own_workspace(
    web: Instance, person: Person
) -> None:
    member, stranger = web.colleague(person, role="member"), web.sign_in()
    for method, path in (("GET", "/api/admin/users"), ("POST", deactivate_path(member))):
        problem(web.call(method, path, member), 403, "ADMINISTRATORS_ONLY")
    for action in ("deactivate", "activate"):
        path = f"/api/admin/users/{person.user_id}/{action}"
        problem(web.call("POST", path, stranger), 404, "USER_NOT_FOUND")
    users = web.ok("GET", "/api/admin/users", person)["users"]
    assert {user["id"] for user in users} == {str(person.user_id), str(member.user_id)}
    assert "password" not in str(users)


def test_last_administrator_stays(web: Instance, web2: Instance, person: Person) -> None:
    problem(web.call("POST", deactivate_path(person), person), 409, "LAST_ADMINISTRATOR")
    web.ok("GET", "/api/auth/me", person)
    other = web.colleague(person, role="admin")
    # Each of the two deactivates the other at the same moment: one of them stays.
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(web.call, "POST", deactivate_path(other), person)
        second = pool.submit(web2.call, "POST", deactivate_path(person), other)
        statuses = [first.result().status_code, second.result().status_code]
    assert statuses.count(200) == 1, statuses
    left = [web.call("GET", "/api/auth/me", who).status_code for who in (person, other)]
    assert sorted(left) == [200, 401]

"""A config published on one instance counts in every process within two seconds, in the middle of their work."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Client, Fleet, eventually, free_ports
from tests.e2e.steps import PARSER, publish, seconds_until_all_run, versions

SMALL = 200


@pytest.fixture(scope="module")
def worker(fleet: Fleet) -> Iterator[str]:
    """The name of a worker that follows."""
    process = fleet.start_worker()
    name = f"worker{len(fleet.workers)}"
    client = fleet.sign_up()
    eventually(lambda: {"web1", "web2", "web3", name} <= set(versions(client)), "everybody to follow", 60)
    yield name
    stop(fleet, process)


def stop(fleet: Fleet, process: "subprocess.Popen[bytes]") -> None:
    """Ends a worker in good order, if it still runs; its name is free again."""
    if process in fleet.workers:
        process.terminate()
        process.wait(20)
        fleet.workers.remove(process)


def test_change_without_a_hint_reaches_every_process_within_two_seconds(fleet: Fleet, worker: str) -> None:
    """Written by hand, as from psql: nobody is told, and polling finds it."""
    client = fleet.sign_up()
    with fleet.database.admin() as connection:
        connection.execute(
            "INSERT INTO config_versions (tenant_id, name, version, settings, revision)"
            " VALUES (%s, 'parser', 1, '{\"chunk_characters\": 700}', nextval('config_revisions'))",
            (client.tenant_id,),
        )
    assert seconds_until_all_run(client, 1, worker, at=0) < 2.0


@pytest.mark.usefixtures("worker")
def test_publish_in_mid_sync_changes_the_passages_of_what_follows(fleet: Fleet) -> None:
    client = fleet.sign_up()
    client.connect_github()
    fleet.gate.close_on("/repos/octocat/handbook/issues?")
    try:
        client.ok("POST", "/api/integrations/github/sync")
        assert fleet.gate.somebody_waits.wait(30), "the worker never came to the issues"
        before = longest_passages(client)
        assert max(before.values()) > SMALL
        assert publish(client, {"chunk_characters": SMALL}, seen=0, at=2).status_code == 200
        holder = holder_of_job(client)
        eventually(lambda: versions(client)[holder] == 1, "the worker to follow", 2)
    finally:
        fleet.gate.open()
    eventually(
        lambda: client.ok("GET", "/api/integrations/github/sync/status")["status"]["status"] == "completed",
        "the sync to complete",
        60,
    )
    after = {key: longest for key, longest in longest_passages(client).items() if key not in before}
    assert len(after) >= 10
    assert max(after.values()) <= SMALL


def test_publish_of_two_on_different_instances_has_one_winner(fleet: Fleet) -> None:
    client = fleet.sign_up()
    answers = [publish(client, {"chunk_characters": 500 + at}, seen=0, at=at) for at in range(3)]
    assert [answer.status_code for answer in answers] == [200, 412, 412]
    assert {answer.headers["content-type"] for answer in answers[1:]} == {"application/problem+json"}
    assert client.ok("GET", PARSER, at=2)["config"]["settings"]["chunk_characters"] == 500


def test_worker_that_was_stopped_is_shown_no_more(fleet: Fleet) -> None:
    client = fleet.sign_up()
    process = fleet.start_worker()
    name = f"worker{len(fleet.workers)}"
    eventually(lambda: name in versions(client), f"{name} to follow", 60)
    stop(fleet, process)
    assert name not in versions(client, at=1)


def test_web_instance_that_was_stopped_is_shown_no_more(fleet: Fleet) -> None:
    client = fleet.sign_up()
    fleet.web.append(f"http://127.0.0.1:{free_ports(1)[0]}")
    fleet.start_web(3)
    try:
        eventually(lambda: "web4" in versions(client), "web4 to follow", 60)
    finally:
        fleet.web.pop()
        process = fleet.web_processes.pop()
        process.terminate()
        process.wait(20)
    assert "web4" not in versions(client, at=1)


def holder_of_job(client: Client) -> str:
    """The worker that runs the tenant's job."""
    with client.fleet.database.admin() as connection:
        row = connection.execute(
            "SELECT w.name FROM jobs AS j JOIN workers AS w ON w.id = j.worker_id WHERE j.tenant_id = %s",
            (client.tenant_id,),
        ).fetchone()
    assert row is not None
    return str(row[0])


def longest_passages(client: Client) -> dict[str, int]:
    """External id -> characters of its longest passage, read past the API."""
    with client.fleet.database.admin() as connection:
        rows = connection.execute(
            "SELECT d.external_id, max(length(c.text)) FROM documents AS d JOIN chunks AS c"
            " ON (c.tenant_id, c.document_id) = (d.tenant_id, d.id) WHERE d.tenant_id = %s GROUP BY 1",
            (client.tenant_id,),
        ).fetchall()
    return {str(external_id): int(str(longest)) for external_id, longest in rows}

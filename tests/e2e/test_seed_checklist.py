"""The checklist of a product that keeps nothing in its processes, line by line, and the ten places it began with.

    OAuth callback works with load balancer (3 instances)      Tenant components
    Sync progress visible across instances                     Entity names
    Parser config reload synced                                Knowledge graph
    Embedding cache hits work across instances                 Claims verifier
    Memory usage stays < 500 MB per instance                   Frame memo
    No duplicate data in multi-instance setup                  Embedding eviction, job queue

Three real web processes, a worker, one database. What happened on the way of one workspace through all of them is
seen once (`story`), and each line looks at its part of it.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from backend.documents.repository import DocumentRepository
from backend.knowledge.claims import ClaimsVerifier
from backend.knowledge.frames import REMEMBERED, extract_frames
from backend.knowledge.repository import AliasRepository
from backend.tenants.api_keys.repository import ApiKeyRepository
from backend.tenants.repository import TenantRepository
from tests.documents.conftest import MakeDocument, embedder, make_document
from tests.e2e.conftest import ROOT, VECTOR_BYTES_PER_TENANT, Client, Fleet, eventually, texts_of
from tests.e2e.events import Event
from tests.e2e.steps import (
    CONNECTED,
    PARSER,
    at_once,
    error_in,
    follow,
    publish,
    seconds_until_all_run,
    status_of,
    stored_ids,
    versions,
    wait_until_completed,
)
from tests.emulators.scripted import ScriptedServer

__all__ = ["embedder", "make_document"]

INSTANCES = (0, 1, 2)
SLOW = "/repos/octocat/handbook/issues?"
ACTIVE_TENANTS = 100
MEGABYTES = 1024 * 1024


@dataclass
class Story:
    """One workspace: where twelve callbacks at once landed, what six starts at once answered, how far each instance
    said it was in mid-sync, and what its stream told until the end."""

    client: Client
    landings: list[str]
    started: list[dict[str, Any]]
    in_mid_sync: list[dict[str, Any]]
    streams: list[list[Event]]


@pytest.fixture(scope="module")
def worker(fleet: Fleet) -> Iterator[str]:
    """The name of a worker that follows the configs."""
    process = fleet.start_worker()
    name = f"worker{len(fleet.workers)}"
    client = fleet.sign_up()
    eventually(lambda: {"web1", "web2", "web3", name} <= set(versions(client)), "everybody to follow", 60)
    yield name
    if process.poll() is None:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def story(fleet: Fleet, worker: str) -> Story:
    """Begun at the first instance, called back at all of them, used at all of them."""
    client = fleet.sign_up()
    with httpx2.Client(timeout=30) as browser:
        callback = client.authorize(browser, auth_at=0, begin_at=0)
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    landings = at_once(
        12,
        lambda n: httpx2.get(client.at(callback, n % 3), headers={"Cookie": cookie}).headers["location"],
    )
    fleet.gate.close_on(SLOW)
    try:
        started = at_once(6, lambda n: client.ok("POST", "/api/integrations/github/sync", at=n % 3))
        name = started[0]["sync_id"]
        assert fleet.gate.somebody_waits.wait(30), "the worker never came to the issues"
        in_mid_sync = [client.ok("GET", f"/api/sync-progress/{name}", at=at)["progress"] for at in INSTANCES]
        opener = threading.Timer(0.5, fleet.gate.open)
        opener.start()
        streams = at_once(3, lambda at: follow(client, name, at=at, headers=client.headers))
    finally:
        fleet.gate.open()
    return Story(client, landings, started, in_mid_sync, streams)


# OAuth callback works with load balancer (3 instances)


def test_oauth_callback_works_with_load_balancer_of_3_instances(fleet: Fleet) -> None:
    """Begun at 1, called back at 2, used at 3; and all of it through the port they share."""
    apart = fleet.sign_up()
    assert apart.connect_github(auth_at=0, begin_at=0, callback_at=1) == CONNECTED
    assert connected(apart, at=2)

    balanced = fleet.sign_up()
    with httpx2.Client(timeout=30, headers={"Connection": "close"}) as browser:
        behind = Client(replace(fleet, web=[fleet.shared] * 3), balanced.email, balanced.signed_in)
        callback = behind.authorize(browser)
        assert browser.get(behind.at(callback, 0)).headers["location"] == CONNECTED
    assert all(connected(balanced, at=at) for at in INSTANCES)


def test_oauth_state_is_taken_by_exactly_one_of_many_callbacks(story: Story) -> None:
    refused = [landing for landing in story.landings if landing != CONNECTED]
    assert len(refused) == len(story.landings) - 1
    assert {error_in(landing) for landing in refused} == {
        "This connection attempt was already used; start again."
    }
    assert all(connected(story.client, at=at) for at in INSTANCES)


# Sync progress visible across instances


def test_sync_progress_visible_across_instances_by_polling(story: Story) -> None:
    first, *others = story.in_mid_sync
    assert first["status"] in ("syncing", "embedding")
    assert 0 < first["processed_items"] < first["total_items"]
    assert others == [first, first]
    statuses = [status_of(story.client, at=at) for at in INSTANCES]
    assert statuses[0]["status"] == "completed"
    assert statuses[1:] == statuses[:1] * 2


def test_sync_progress_visible_across_instances_by_stream(story: Story) -> None:
    for seen in story.streams:
        assert [event.name for event in (seen[0], seen[-1])] == ["current_state", "complete"]
        assert [event.id for event in seen] == sorted({event.id for event in seen})
    assert len({seen[-1].id for seen in story.streams}) == 1
    assert len({tuple(sorted(seen[-1].data.items())) for seen in story.streams}) == 1


# Parser config reload synced


def test_parser_config_reload_synced_on_web_and_worker_within_2_seconds(fleet: Fleet, worker: str) -> None:
    client = fleet.sign_up()
    assert seconds_until_all_run(client, 0, worker, at=1) < 2.0
    assert publish(client, {"chunk_characters": 500}, seen=0).status_code == 200
    assert seconds_until_all_run(client, 1, worker, at=1) < 2.0

    answer = client.ok("POST", "/api/admin/reload-parser", at=2)
    assert (answer["status"], answer["version"]) == ("reload signaled", 2)
    assert seconds_until_all_run(client, 2, worker, at=0) < 2.0
    assert client.ok("GET", PARSER, at=1)["config"]["settings"]["chunk_characters"] == 500
    # To others it is nobody's business, and no change.
    assert seconds_until_all_run(fleet.sign_up(), 0, worker, at=0) < 2.0


# Embedding cache hits work across instances


def test_embedding_cache_hits_work_across_instances(
    remote_fleet: Fleet, embedding_server: ScriptedServer
) -> None:
    client, before = remote_fleet.sign_up(), len(texts_of(embedding_server))
    for at in (0, 1, 2, 0):
        ask(client, "How long did the drill take?", at)
    assert texts_of(embedding_server)[before:] == ["How long did the drill take?"]

    at_once(12, lambda n: ask(client, "Which node was first?", n % 3))
    assert texts_of(embedding_server)[before + 1 :] == ["Which node was first?"]

    ask(remote_fleet.sign_up(), "Which node was first?", 1)
    assert len(texts_of(embedding_server)) == before + 3, "another workspace pays for its own"
    assert 'lookups_total{outcome="memory"}' in client.call("GET", "/metrics", at=0).text


def test_embedding_eviction_keeps_a_workspace_within_its_bytes(remote_fleet: Fleet, tmp_path: Path) -> None:
    """Two processes store vectors of one workspace, each more than it may hold: the oldest go, nothing else does."""
    client = remote_fleet.sign_up()
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        for file in range(4):
            paragraphs = [f"{folder.name} {file} {n} says " + f"word{n} " * 250 for n in range(30)]
            (folder / f"{file}.txt").write_text("\n\n".join(paragraphs))
    said = import_at_once(remote_fleet, client, folders)
    assert all("4 stored" in text and "0 failed" in text for text in said), said
    with remote_fleet.database.admin() as connection:
        row = connection.execute(
            "SELECT sum(byte_size)::int, count(*) FILTER (WHERE embedding IS NULL),"
            " (SELECT count(*) FROM chunks AS c WHERE c.tenant_id = e.tenant_id)"
            " FROM embedding_cache AS e WHERE tenant_id = %s GROUP BY tenant_id",
            (client.tenant_id,),
        ).fetchone()
    assert row is not None
    held, claims, passages = (int(str(value)) for value in row)
    assert claims == 0
    assert passages > 200
    assert held < 2.5 * VECTOR_BYTES_PER_TENANT < passages * 300
    ask(client, "What does one say?", 2)


# Memory usage stays < 500 MB per instance


def test_memory_usage_stays_below_500_mb_per_instance_with_100_active_tenants(
    fleet: Fleet, make_document: MakeDocument
) -> None:
    """Each has a document, a lexicon of its own, and asks every instance."""
    document = make_document("terms", "A Service Level Agreement (SLA) is part of every contract of gold.")
    keys: list[str] = []
    for _ in range(ACTIVE_TENANTS):
        account = fleet.database.make_tenant()
        with fleet.database.db.transaction(account.tenant_id) as session:
            DocumentRepository(session).store(account.tenant_id, None, document)
            user, _ = TenantRepository(session).get_account(account.tenant_id, account.user_id)
            keys.append(ApiKeyRepository(session).create(user, name="k", scopes=["read"], lifetime=None)[1])

    def use(number: int) -> int:
        headers = {"Authorization": f"Bearer {keys[number // 3]}"}
        body = {"query": "What does the SLA say?", "top_k": 3}
        url = f"{fleet.web[number % 3]}/api/search"
        return int(httpx2.post(url, headers=headers, json=body, timeout=60).json()["source_count"])

    parts = at_once(6, lambda part: [use(n) for n in range(part, 3 * ACTIVE_TENANTS, 6)])
    assert Counter(found for part in parts for found in part) == {1: 3 * ACTIVE_TENANTS}
    for url in fleet.web:
        assert 30 < megabytes_of(url) < 500


# No duplicate data in multi-instance setup


def test_no_duplicate_data_when_syncs_start_at_once_on_every_instance(fleet: Fleet, story: Story) -> None:
    assert len({answer["run_id"] for answer in story.started}) == 1
    assert sorted(answer["already_running"] for answer in story.started) == [False] + [True] * 5
    assert sorted(stored_ids(story.client)) == sorted(fleet.seed.external_ids())
    assert count(fleet, "SELECT count(*) FROM jobs WHERE tenant_id = %s", story.client) == 1
    assert every_passage_once(fleet, story.client) >= len(fleet.seed.external_ids())


def test_no_duplicate_data_when_a_folder_is_imported_twice_at_once(fleet: Fleet, tmp_path: Path) -> None:
    client = fleet.sign_up()
    for number in range(8):
        (tmp_path / f"note{number}.md").write_text(f"# Note {number}\n\nLighthouse {number} has a lamp.\n")
    said = import_at_once(fleet, client, [tmp_path, tmp_path])
    assert all(" 0 failed" in text for text in said), said
    ids = stored_ids(client)
    assert len(ids) == len(set(ids)) == 8
    assert every_passage_once(fleet, client) == 8


# The ten places: OAuth state, progress, parser, embedding cache and its eviction are above.


def test_tenant_components_are_built_once_for_all_instances(
    fleet: Fleet, make_document: MakeDocument
) -> None:
    client = fleet.sign_up()
    tenant_id = UUID(client.tenant_id)
    with fleet.database.db.transaction(tenant_id) as session:
        for name, text in (
            ("terms", "A Service Level Agreement (SLA) is part of every contract."),
            ("gold", "The service level agreement for gold customers promises 99.9 percent each month."),
        ):
            DocumentRepository(session).store(tenant_id, None, make_document(name, text))
    before = sum(builds_at(url) for url in fleet.web)

    def asked(n: int) -> dict[str, Any]:
        return client.ok("POST", "/api/search", at=n % 3, json={"query": "Which SLA has gold?"})

    answers = at_once(24, asked)
    assert {answer["expanded_query"] for answer in answers} == {
        "Which SLA has gold? (service level agreement)"
    }
    assert {answer["query"] for answer in answers} == {"Which SLA has gold?"}
    assert sum(builds_at(url) for url in fleet.web) - before == 1
    with fleet.database.admin() as connection:
        rows = connection.execute(
            "SELECT name, version FROM tenant_components WHERE tenant_id = %s", (tenant_id,)
        ).fetchall()
    assert rows == [("lexicon", 1)]


def test_entity_names_put_by_one_process_are_known_to_the_others(story: Story) -> None:
    tenant_id = UUID(story.client.tenant_id)
    people = entities(story.client, "person", at=0)
    name, person = next(iter(people.items()))
    one, other = (story.client.fleet.database.connect(pool_size=1) for _ in range(2))
    try:
        with one.transaction(tenant_id) as session:
            AliasRepository(session).put_many(
                tenant_id, "person", {name: [UUID(person)]}, lifetime=timedelta(hours=1)
            )
        with other.transaction(tenant_id) as session:
            found = AliasRepository(session).get_many(tenant_id, "person", [name.upper(), "nobody"])
    finally:
        one.close()
        other.close()
    assert found == {name.upper(): {UUID(person)}}


def test_knowledge_graph_is_the_same_at_every_instance(fleet: Fleet, story: Story) -> None:
    documents = [entities(story.client, "document", at=at) for at in INSTANCES]
    assert documents[0].keys() == set(fleet.seed.external_ids())
    assert documents[1:] == documents[:1] * 2
    repository = next(iter(entities(story.client, "repository", at=1).values()))
    path = f"/api/knowledge/graph/neighbours?entity={repository}&depth=3&limit=500"
    around = [story.client.ok("GET", path, at=at)["neighbours"] for at in INSTANCES]
    assert len(around[0]) > 3
    assert around[1:] == around[:1] * 2


def test_claims_verifier_lives_and_dies_with_one_analysis() -> None:
    def analyse(n: int) -> list[str]:
        verifier = ClaimsVerifier()
        for part in range(50):
            verifier.add(f"Ada {'owns' if n % 2 else 'does not own'} part {part}.", UUID(int=n))
        return [verdict.state for verdict in verifier.verdicts()]

    assert at_once(6, analyse) == [["single"] * 50] * 6


def test_frame_memo_is_bounded_and_of_a_pure_function() -> None:
    sentence = "Ada owns the parser."
    once = extract_frames(sentence)
    for n in range(REMEMBERED + 1):
        extract_frames(f"Ada owns part {n}.")
    assert once
    assert extract_frames(sentence) == once


def test_job_queue_hands_each_job_to_one_worker_and_stops_from_anywhere(fleet: Fleet, worker: str) -> None:
    clients = [fleet.sign_up() for _ in INSTANCES]
    for client in clients:
        client.connect_github()
    second = fleet.start_worker()
    fleet.gate.close_on("/")
    try:
        for at, client in enumerate(clients):
            client.ok("POST", "/api/integrations/github/sync", at=at)

        def held() -> list[tuple[str, int]] | None:
            with fleet.database.admin() as connection:
                rows = connection.execute(
                    "SELECT state, lease FROM jobs WHERE tenant_id = ANY (%s)",
                    ([UUID(client.tenant_id) for client in clients],),
                ).fetchall()
            found = [(str(state), int(str(lease))) for state, lease in rows]
            return found if all(state == "running" for state, _ in found) else None

        assert eventually(held, "every job to be claimed") == [("running", 1)] * 3
        for at, client in enumerate(clients):
            client.ok("POST", "/api/integrations/github/sync/cancel", at=(at + 1) % 3)
    finally:
        fleet.gate.open()
    for at, client in enumerate(clients):
        eventually(partial(has_ended, client, at=(at + 2) % 3), "the sync to be cancelled")
        ended = status_of(client, at=at)
        assert ended["error"] == "Sync cancelled"
    second.terminate()
    second.wait(20)
    fleet.workers.remove(second)


def test_no_duplicate_data_when_a_worker_is_killed_and_its_job_is_done_again(fleet: Fleet) -> None:
    client = fleet.sign_up()
    client.connect_github()
    victim = fleet.start_worker()
    for other in fleet.workers[:-1]:
        # The number of one that has been waited for may be somebody else's by now.
        if other.poll() is None:
            os.killpg(other.pid, signal.SIGKILL)
            other.wait()
    fleet.gate.close_on("/repos/octocat/handbook/issues?")
    try:
        client.ok("POST", "/api/integrations/github/sync")
        assert fleet.gate.somebody_waits.wait(30), "the worker never came to the issues"
        stored_before = len(stored_ids(client))
        assert 0 < stored_before < len(fleet.seed.external_ids())
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()
    finally:
        fleet.gate.open()
    assert status_of(client, at=1)["status"] in ("syncing", "embedding")

    fleet.start_worker()
    status = wait_until_completed(client, at=2)

    ids = stored_ids(client)
    assert sorted(ids) == sorted(fleet.seed.external_ids())
    assert len(ids) == len(set(ids))
    assert status["documents_found"] == len(ids)
    with fleet.database.admin() as connection:
        lease = connection.execute(
            "SELECT lease FROM jobs WHERE tenant_id = %s", (client.tenant_id,)
        ).fetchall()
        chunks = connection.execute(
            "SELECT count(*), count(DISTINCT (document_id, ordinal)) FROM chunks WHERE tenant_id = %s",
            (client.tenant_id,),
        ).fetchone()
    # claimed, released, claimed
    assert lease == [(3,)]
    assert chunks is not None
    assert chunks[0] == chunks[1]
    assert int(str(chunks[0])) >= len(ids)


def ask(client: Client, question: str, at: int) -> None:
    client.ok("POST", "/api/search", at=at, json={"query": question})


def import_at_once(fleet: Fleet, client: Client, folders: list[Path]) -> list[str]:
    """What processes say that import each a folder into the client's workspace."""
    command = [sys.executable, "-m", "backend.cli", "import", "--tenant", client.signed_in["tenant"]["slug"]]
    processes = [
        subprocess.Popen([*command, str(folder)], cwd=ROOT, env=fleet.env, stdout=subprocess.PIPE)
        for folder in folders
    ]
    said = [process.communicate(timeout=60)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(folders), said
    return said


def connected(client: Client, *, at: int) -> bool:
    listed = client.ok("GET", "/api/integrations", at=at)["integrations"]
    return any(i["type"] == "github" and i["status"] == "connected" for i in listed)


def has_ended(client: Client, *, at: int) -> bool:
    return bool(status_of(client, at=at)["status"] == "error")


def entities(client: Client, kind: str, *, at: int) -> dict[str, str]:
    """External key -> id of what the graph knows."""
    found = client.ok("GET", f"/api/knowledge/entities?kind={kind}&limit=200", at=at)["entities"]
    return {entity["external_key"]: entity["id"] for entity in found}


def count(fleet: Fleet, query: str, client: Client) -> int:
    with fleet.database.admin() as connection:
        row = connection.execute(query.encode(), (client.tenant_id,)).fetchone()
    assert row is not None
    return int(str(row[0]))


def every_passage_once(fleet: Fleet, client: Client) -> int:
    """How many passages the workspace has; no text of a document is there twice."""
    passages = count(fleet, "SELECT count(*) FROM chunks WHERE tenant_id = %s", client)
    places = "SELECT count(DISTINCT (document_id, start_offset, text)) FROM chunks WHERE tenant_id = %s"
    assert passages == count(fleet, places, client)
    return passages


def builds_at(url: str) -> int:
    """How many components the process there has built."""
    return int(metric(url, 'secondbrain_component_reads_total{outcome="built"}'))


def megabytes_of(url: str) -> float:
    """Resident memory of the process there."""
    return metric(url, "process_resident_memory_bytes") / MEGABYTES


def metric(url: str, name: str) -> float:
    lines = httpx2.get(f"{url}/metrics", timeout=30).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

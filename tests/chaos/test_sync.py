"""A short leg of `scripts/chaos sync`, and whether it would notice."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import create_engine
from backend.db.notify import Notifier
from backend.db.transaction import Database
from backend.jobs.repository import JobRepository
from backend.keyring import Keyring
from backend.sync.positions.repository import SyncPositionRepository
from tests.chaos import audit
from tests.chaos.crew import Crew
from tests.chaos.faults import Faults
from tests.chaos.hub import Hub
from tests.chaos.plan import FULL, SHORT, make_plan
from tests.chaos.sync import weather
from tests.chaos.tokens import Tokens
from tests.conftest import TestDatabase
from tests.emulators.scripted import Request
from tests.flows.sync_connector.scene import CountingEmbedder, Scene, item


def test_sync_through_a_few_faults_has_every_item_once() -> None:
    outcome = weather(4, items=300, kinds=SHORT, repositories=12, refusal=451)
    assert outcome.problems == [], "\n".join(outcome.story)
    assert outcome.ended == "completed_with_errors", "one item fails always"
    *faults, over_all = outcome.rows
    assert sorted(str(row["fault"]) for row in faults) == sorted(SHORT)
    assert (over_all["lost"], over_all["duplicated"], over_all["stale_writes"]) == (0, 0, 0)


def test_plan_is_the_seeds_alone() -> None:
    one, again, other = (
        [(fault.kind, fault.share, fault.chance.random()) for fault in make_plan(seed, FULL)]
        for seed in (1, 1, 2)
    )
    assert one == again != other
    assert len(one) == sum(FULL.values())


def test_hub_is_the_seeds_alone() -> None:
    one, again, other = (Hub(items=50, seed=seed, repositories=3).expected() for seed in (1, 1, 2))
    assert one == again != other
    assert len(one) == 50


def as_worker(database: TestDatabase, name: str) -> Database:
    engine = create_engine(database.url, pool_size=5, application_name=name)
    return Database(engine, Notifier(database.url))


def test_audit_counts_writes_without_the_job(
    server: EmbeddedPostgres, own_database: TestDatabase, keyring: Keyring
) -> None:
    crew = Crew(server, cast(Any, None), Path(), database=own_database.name)
    scene = Scene(own_database, keyring, CountingEmbedder())
    holder, other = as_worker(own_database, "worker7"), as_worker(own_database, "worker8")
    scene.handler = replace(scene.handler, db=holder)
    crew.execute("UPDATE workers SET name = 'worker7'")
    audit.install(crew)
    scene.sync([item(1), item(2)], [item(3)])
    total, stale = audit.count_writes(crew)
    assert total > 0
    assert (stale, audit.stale_writes(crew)) == (0, [])

    def write_unfenced() -> None:
        with holder.transaction(scene.tenant_id) as session:
            SyncPositionRepository(session).move(scene.tenant_id, scene.connector.id, {"next": 1})

    scene.source.steps[:] = [[item(4)], write_unfenced, [item(5)]]
    scene.start()
    crew.execute("""UPDATE sync_positions SET cursor = '{"next": 0}'""")
    claim = scene.claim()
    scene.handler.run(claim, lambda: False)
    assert audit.stale_writes(crew) == ["1 of worker7 to sync_positions, while worker7 held the job"]

    scene.start()
    claim = scene.claim()
    with other.transaction(scene.tenant_id) as session:
        JobRepository(session).hold(claim)
        SyncPositionRepository(session).move(scene.tenant_id, scene.connector.id, {"next": 1})
    assert audit.count_writes(crew)[1] == 2
    holder.close()
    other.close()


def test_faults_spoil_as_many_answers_as_told_and_then_none() -> None:
    hub, tokens = Hub(items=9, seed=1, repositories=1), Tokens()
    faults = Faults(hub, tokens)
    tokens.answer(Request("POST", "/login/oauth/access_token", {}, b"grant_type=authorization_code"))
    asked = Request("GET", "/user", {"authorization": "Bearer ghu_1"}, b"")
    chance = make_plan(1, {"503": 1})[0].chance
    faults.begin("503", chance, count=2)
    assert [faults.answer(asked).status for _ in range(3)] == [503, 503, 200]
    assert faults.is_over.is_set()
    faults.begin("cut body", chance, count=1)
    cut = faults.answer(asked)
    assert (cut.missing_bytes > 0, faults.answer(asked).missing_bytes) == (True, 0)
    tokens.end()
    assert faults.answer(asked).status == 401
    renewal = Request(
        "POST", "/login/oauth/access_token", {}, b"grant_type=refresh_token&refresh_token=ghr_1"
    )
    assert b"ghu_2" in tokens.answer(renewal).body
    assert b"bad_refresh_token" in tokens.answer(renewal).body
    assert (tokens.renewed, tokens.reused) == (1, 1)

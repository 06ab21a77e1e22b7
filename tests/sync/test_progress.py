"""How far a run is, noted and read by statements of their own; a note is refused once the job is somebody else's."""

from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

import pytest

from backend.connectors.repository import ConnectorRepository
from backend.jobs.claim import Claim
from backend.jobs.repository import JobRepository, JobStatements
from backend.jobs.workers.repository import WorkerRepository
from backend.sync.progress.repository import SyncProgressRepository
from backend.sync.repository import SyncRunNotFound, SyncRunRepository
from tests.conftest import TestDatabase


class Running(NamedTuple):
    """A run whose job a worker has."""

    database: TestDatabase
    tenant_id: UUID
    run_id: UUID
    claim: Claim

    def note(self, text: str, holder: Claim | None = None) -> bool | None:
        with self.database.db.statement(self.tenant_id, durable=False) as unit:
            return SyncProgressRepository(unit).note(
                self.tenant_id, self.run_id, holder or self.claim, stage="indexing", note=text
            )

    def shown(self) -> tuple[int, str | None]:
        with self.database.db.statement(self.tenant_id) as unit:
            run = SyncProgressRepository(unit).get(self.tenant_id, self.run_id)
        return run.seq, run.note


@pytest.fixture
def running(own_database: TestDatabase) -> Running:
    account = own_database.make_tenant()
    tenant_id, db = account.tenant_id, own_database.db
    with db.transaction(tenant_id) as session:
        connector = ConnectorRepository(session).connect(
            tenant_id, "github", connected_by=account.user_id, account_id="1", account_label="x"
        )
        runs = SyncRunRepository(session)
        run, _ = runs.start(tenant_id, connector.id, connector_type="github", requested_by=None)
        JobRepository(session).enqueue(tenant_id, "sync", {"run_id": str(run.id)})
    with db.operator_transaction() as session:
        worker_id = WorkerRepository(session).register(name="worker", version="0")
    with db.operator_statement() as unit:
        (claim,) = JobStatements(unit).claim(worker_id, ["sync"])
    return Running(own_database, tenant_id, run.id, claim)


def test_note_raises_the_number_of_the_run_and_is_read_everywhere(running: Running) -> None:
    seq, _ = running.shown()
    assert running.note("one") is True
    assert running.note("two") is True
    assert running.shown() == (seq + 2, "two")
    other = running.database.connect(pool_size=1)
    with other.transaction(running.tenant_id) as session:
        assert SyncRunRepository(session).get(running.tenant_id, running.run_id).note == "two"
    other.close()


def test_whoever_lost_the_job_notes_nothing(running: Running) -> None:
    running.note("mine")
    before = running.shown()
    stale = replace(running.claim, lease=running.claim.lease - 1)
    assert running.note("late", stale) is None
    stranger = replace(running.claim, worker_id=UUID(int=1))
    assert running.note("strange", stranger) is None
    assert running.shown() == before


def test_note_hears_that_the_job_was_asked_to_stop(running: Running) -> None:
    with running.database.db.transaction(running.tenant_id) as session:
        assert JobRepository(session).cancel(running.tenant_id, running.claim.id) == "running"
    assert running.note("still here") is False
    assert running.shown()[1] == "still here"


def test_finished_run_takes_no_note_and_knows_how_long_it_has_been_over(running: Running) -> None:
    with running.database.db.transaction(running.tenant_id) as session:
        SyncRunRepository(session).finish(running.tenant_id, running.run_id)
    assert running.note("late") is None
    with running.database.db.statement(running.tenant_id) as unit:
        progress = SyncProgressRepository(unit)
        assert progress.ended_longer_ago(running.tenant_id, running.run_id, seconds=-60)
        assert not progress.ended_longer_ago(running.tenant_id, running.run_id, seconds=60)


def test_run_of_another_tenant_is_not_found(running: Running) -> None:
    other = running.database.make_tenant().tenant_id
    with pytest.raises(SyncRunNotFound), running.database.db.statement(other) as unit:
        SyncProgressRepository(unit).get(running.tenant_id, running.run_id)

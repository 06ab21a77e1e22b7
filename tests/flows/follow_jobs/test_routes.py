"""/api/jobs/{id}: a job of one's own workspace, and nobody else's."""

import io
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from backend.connectors.repository import ConnectorRepository
from backend.jobs.repository import JobRepository, JobStatements
from backend.jobs.workers.repository import WorkerRepository
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, Person, problem, web_instance


@pytest.fixture
def web(own_database: TestDatabase) -> Iterator[Instance]:
    with web_instance(own_database, "web1") as instance:
        yield instance


@pytest.fixture
def person(web: Instance) -> Person:
    made = web.sign_in()
    with web.services.db.transaction(made.tenant_id) as session:
        ConnectorRepository(session).connect(
            made.tenant_id, "github", connected_by=made.user_id, account_id="1", account_label="octocat"
        )
    return made


def start_sync(web: Instance, person: Person) -> str:
    job_id = web.ok("POST", "/api/integrations/github/sync", person)["job_id"]
    assert isinstance(job_id, str)
    return job_id


def upload(web: Instance, person: Person) -> tuple[str, str]:
    """(id of the upload, id of its job)."""
    files = {"files": (io.BytesIO(b"Some words to keep."), "note.txt")}
    body = web.ok("POST", "/api/documents/upload", person, data=files)
    with web.database.admin() as connection:
        row = connection.execute("SELECT id FROM jobs WHERE kind = 'ingest_uploads'").fetchone()
    assert row
    return body["documents"][0]["id"], str(row[0])


def claim(web: Instance, kind: str) -> None:
    """A worker has taken the job."""
    with web.services.db.operator_transaction() as session:
        worker_id = WorkerRepository(session).register(
            name="w", version="1", lease_term=timedelta(seconds=30)
        )
    with web.services.db.operator_transaction() as session:
        assert JobStatements(session).claim(worker_id, [kind])


def test_job_is_shown_with_state_tries_time_and_last_error(web: Instance, person: Person) -> None:
    job_id = start_sync(web, person)
    waiting = web.ok("GET", f"/api/jobs/{job_id}", person)["job"]
    assert waiting["id"] == waiting["task_id"] == job_id
    assert (waiting["kind"], waiting["state"], waiting["status"]) == ("sync", "queued", "Waiting")
    assert (waiting["attempts"], waiting["percent"], waiting["last_error"]) == (0, 0.0, None)
    assert waiting["run_at"].endswith("+00:00")
    assert (waiting["started_at"], waiting["finished_at"], waiting["result"]) == (None, None, None)

    with web.database.admin() as connection:
        connection.execute("UPDATE jobs SET attempt = 3, last_error = 'It does not answer.'")
        connection.execute("UPDATE sync_runs SET total_count = 8, processed_count = 2")
    tried = web.ok("GET", f"/api/jobs/{job_id}", person)["job"]
    assert (tried["attempts"], tried["last_error"]) == (3, "It does not answer.")
    assert (tried["current"], tried["total"], tried["percent"]) == (2, 8, 25.0)


def test_jobs_of_others_are_not_there(web: Instance, person: Person) -> None:
    job_id = start_sync(web, person)
    stranger = web.sign_in()
    for one in (job_id, str(uuid4())):
        problem(web.call("GET", f"/api/jobs/{one}", stranger), 404, "JOB_NOT_FOUND")
        problem(web.call("POST", f"/api/jobs/{one}/cancel", stranger), 404, "JOB_NOT_FOUND")
    problem(web.call("GET", f"/api/jobs/{job_id}"), 401, "AUTH_REQUIRED")
    problem(web.call("GET", "/api/jobs/none", person), 400, "VALIDATION_ERROR")
    assert web.ok("GET", f"/api/jobs/{job_id}", person)["job"]["state"] == "queued"


def test_waiting_sync_is_cancelled_with_its_run(web: Instance, person: Person) -> None:
    job_id = start_sync(web, person)
    job = web.ok("POST", f"/api/jobs/{job_id}/cancel", person)["job"]
    assert (job["state"], job["status"]) == ("cancelled", "Cancelled")
    assert job["result"]["state"] == "cancelled"
    status = web.ok("GET", "/api/integrations/github/sync/status", person)["status"]
    assert (status["status"], status["error"]) == ("error", "Sync cancelled")
    # Once more changes nothing.
    assert web.ok("POST", f"/api/jobs/{job_id}/cancel", person)["job"] == job


def test_running_sync_is_asked_to_stop(web: Instance, person: Person) -> None:
    job_id = start_sync(web, person)
    claim(web, "sync")
    job = web.ok("POST", f"/api/jobs/{job_id}/cancel", person)["job"]
    assert (job["state"], job["is_stopping"], job["finished_at"]) == ("running", True, None)


def test_waiting_upload_is_cancelled_and_says_so(web: Instance, person: Person) -> None:
    upload_id, job_id = upload(web, person)
    job = web.ok("POST", f"/api/jobs/{job_id}/cancel", person)["job"]
    assert (job["state"], job["total"]) == ("cancelled", 1)
    listed = web.ok("GET", "/api/documents/uploads", person)["uploads"]
    assert [(one["id"], one["state"], one["reason"]) for one in listed] == [
        (upload_id, "failed", "It was cancelled.")
    ]


def test_job_that_must_not_be_left_halfway_goes_on(web: Instance, person: Person) -> None:
    with web.services.db.transaction(person.tenant_id) as session:
        job_id = JobRepository(session).enqueue(person.tenant_id, "forget_source", {})
    problem(web.call("POST", f"/api/jobs/{job_id}/cancel", person), 409, "JOB_NOT_STOPPABLE")
    assert web.ok("GET", f"/api/jobs/{job_id}", person)["job"]["state"] == "queued"


def test_viewers_see_jobs_and_stop_none(web: Instance, person: Person) -> None:
    job_id = start_sync(web, person)
    viewer = web.colleague(person, role="viewer")
    assert UUID(web.ok("GET", f"/api/jobs/{job_id}", viewer)["job"]["id"])
    problem(web.call("POST", f"/api/jobs/{job_id}/cancel", viewer), 403, "VIEWERS_ONLY_LOOK")

"""A source that nobody has synced for a day says so, on whichever instance, as one that never was."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from backend.connectors.repository import ConnectorRepository
from backend.sync.repository import PageResult, SyncRunRepository
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, web_instance

STATUS = "/api/integrations/github/sync/status"


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1") as instance:
        yield instance


def test_sync_that_ended_a_day_ago_is_shown_as_idle(web: Instance, database: TestDatabase) -> None:
    person = web.sign_in()
    with web.services.db.transaction(person.tenant_id) as session:
        connector = ConnectorRepository(session).connect(
            person.tenant_id, "github", connected_by=person.user_id, account_id="1", account_label="octocat"
        )
    never = web.ok("GET", STATUS, person)["status"]
    assert (never["status"], never["state"]) == ("idle", "idle")
    with web.services.db.transaction(person.tenant_id) as session:
        runs = SyncRunRepository(session)
        run, _ = runs.start(
            person.tenant_id, connector.id, connector_type="github", requested_by=person.user_id
        )
        page = PageResult(stored=2, unchanged=0, chunks=4, total=2, note="page 1")
        runs.advance(person.tenant_id, run.id, page)
        runs.finish(person.tenant_id, run.id)

    def ended(ago: timedelta) -> None:
        with database.admin() as connection:
            connection.execute("UPDATE sync_runs SET finished_at = now() - %s WHERE id = %s", (ago, run.id))

    ended(timedelta(hours=23, minutes=59))
    assert web.ok("GET", STATUS, person)["status"]["documents_parsed"] == 2
    progress = web.ok("GET", f"/api/sync-progress/{run.id}", person)["progress"]
    assert (progress["status"], progress["processed_items"]) == ("complete", 2)
    ended(timedelta(hours=24, seconds=1))
    assert web.ok("GET", STATUS, person)["status"] == never
    progress = web.ok("GET", f"/api/sync-progress/{run.id}", person)["progress"]
    assert (progress["status"], progress["total_items"], progress["processed_items"]) == ("idle", 0, 0)
    assert (progress["percent_complete"], progress["current_item"]) == (0, None)
    assert progress["sync_id"] == str(run.id)

"""Administrators ask for a change of the embedding model and see how far it is."""

from collections.abc import Iterator

import pytest

from backend.embeddings.serving.repository import ServingModelRepository
from tests.conftest import TestDatabase
from tests.tenants.instances import Instance, web_instance


@pytest.fixture(scope="module")
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "web1") as instance:
        yield instance


def test_nothing_serves_before_the_first_document(web: Instance) -> None:
    person = web.sign_in()
    for method in ("GET", "POST"):
        answer = web.ok(method, "/api/admin/reindex", person)
        assert (answer["configured_model"], answer["change"]) == ("wordllama/l2_supercat_256", None)


def test_a_change_to_the_configured_model_is_begun_once_and_shown(
    web: Instance, database: TestDatabase
) -> None:
    account = database.make_tenant()
    person = web.sign_in(account)
    with database.db.transaction(account.tenant_id) as session:
        ServingModelRepository(session).keep(account.tenant_id, "old/8")
    for method in ("POST", "POST", "GET"):
        change = web.ok(method, "/api/admin/reindex", person)["change"]
        assert (change["model"], change["next_model"]) == ("old/8", "wordllama/l2_supercat_256")
        assert (change["state"], change["done"], change["total"]) == ("embedding", 0, 0)
    with database.admin() as connection:
        jobs = connection.execute(
            "SELECT kind, state FROM jobs WHERE tenant_id = %s", (account.tenant_id,)
        ).fetchall()
        requested_by = connection.execute(
            "SELECT requested_by FROM serving_models WHERE tenant_id = %s", (account.tenant_id,)
        ).fetchone()
    assert jobs == [("reembed", "queued")]
    assert requested_by == (account.user_id,)

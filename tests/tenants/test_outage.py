"""What web instances answer while the database is away."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from backend.bundled import prepare_bundled
from backend.db.embedded import EmbeddedPostgres
from backend.db.engine import APP_ROLE
from backend.db.migrate import migrate
from tests.conftest import FAST, TEMPLATE, TestDatabase, settings_for
from tests.tenants.instances import Instance, problem, web_instance

ORIGIN = "http://localhost:3000"


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that the test may stop."""
    with tempfile.TemporaryDirectory(prefix="secondbrain-outage-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - started by root, the server runs as another user
        postgres = EmbeddedPostgres(Path(folder, "postgres"), settings={**FAST, "shared_buffers": "16MB"})
        postgres.start(bound_to_parent=True)
        try:
            prepare_bundled(postgres)
            migrate(settings_for(postgres.url(APP_ROLE, TEMPLATE), postgres.url("postgres", TEMPLATE)))
            yield postgres
        finally:
            postgres.stop("immediate")


def me(web: Instance, headers: dict[str, str]) -> TestResponse:
    return web.call("GET", "/api/auth/me", headers={**headers, "Origin": ORIGIN})


def test_outage_is_answered_as_one_and_signs_nobody_out(own_server: EmbeddedPostgres) -> None:
    database = TestDatabase(own_server, TEMPLATE)
    with web_instance(database, "outage") as web:
        person = web.sign_in()
        assert me(web, person.headers).status_code == 200
        database.db.close()

        own_server.stop("immediate")
        for _ in range(2):
            answer = me(web, person.headers)
            assert (answer.status_code, answer.mimetype) == (503, "text/plain")
            assert "{" not in answer.text
            assert answer.headers["Retry-After"] == "2"
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        others = [
            web.call("GET", "/api/auth/sessions", person),
            web.call("POST", "/api/auth/login", json={"email": "ada@example.org", "password": "x"}),
        ]
        for answer in others:
            problem(answer, 503, "DATABASE_UNAVAILABLE")
            assert answer.headers["Retry-After"] == "2"
        health = web.call("GET", "/api/health")
        assert (health.status_code, health.get_json()["checks"]["database"]) == (503, "unavailable")
        # What needs no database is answered as ever.
        problem(me(web, {"Authorization": "Bearer forged"}), 401, "TOKEN_INVALID")
        problem(web.call("GET", "/api/nothing", person), 404, "NOT_FOUND")

        own_server.start()
        assert me(web, person.headers).status_code == 200


@pytest.mark.usefixtures("log")
def test_unexpected_error_of_me_signs_nobody_out(own_database: TestDatabase) -> None:
    with web_instance(own_database, "broken") as web:
        person = web.sign_in()
        with own_database.admin() as connection:
            connection.execute("ALTER TABLE sessions RENAME TO somewhere_else")
        answer = me(web, person.headers)
        assert (answer.status_code, answer.mimetype) == (503, "text/plain")
        assert "{" not in answer.text

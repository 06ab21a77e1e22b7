"""What docs/operations.md and the README show is what psql shows: every query runs, with the rights it is shown with."""

import re
from pathlib import Path
from typing import Final

import psycopg
import pytest

from tests.conftest import TestDatabase

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = (ROOT / "docs" / "operations.md").read_text()
README: Final = (ROOT / "README.md").read_text()

#: A prompt with a query (the lines that go on end with its semicolon), and the head of its output.
SHOWN: Final = re.findall(r"^secondbrain=# (SELECT [^;]*;)(?:\n (.*)\n[-+]+$)?", DOCS, re.MULTILINE)
#: What is named within a sentence or a table.
NAMED: Final = re.findall(r"`(SELECT [^`]*;)`", DOCS + README)
BLOCKS: Final = re.findall(r"```sql\n(SELECT .*?;)\n```", DOCS, re.DOTALL)
#: Questions an operator has, and the view that answers each.
QUESTIONS: Final = {
    "what is running, and how far": "sync_runs",
    "what is stuck, and why": "stuck_jobs",
    "queue depth and age per tenant": "queue",
    "nonces issued, used, expired": "oauth_nonces",
    "cache size": "embedding_cache",
    "cache hit ratio": "caches",
    "what was built, and its size": "components",
    "which instance runs which version": "instances",
    "biggest tenants": "tenants",
    "the graph": "knowledge",
    "who is refused": "rate_limits",
    "what must happen once": "idempotency_keys",
    "programs": "api_keys",
    "what comes again": "schedules",
    "which key signs": "signing_keys",
}


def views(connection: psycopg.Connection[tuple[object, ...]]) -> set[str]:
    rows = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'ops'").fetchall()
    return {str(name) for (name,) in rows}


@pytest.mark.parametrize(("query", "head"), SHOWN, ids=lambda text: str(text)[:60])
def test_query_shown_runs_as_the_read_only_role_with_the_columns_shown(
    database: TestDatabase, query: str, head: str
) -> None:
    with psycopg.connect(database.readonly_url) as connection:
        cursor = connection.execute(query.encode())
        assert cursor.description is not None
        assert [name.strip() for name in head.split("|")] == [column.name for column in cursor.description]


@pytest.mark.parametrize("query", [*NAMED, *BLOCKS], ids=lambda text: str(text)[:60])
def test_query_named_runs(database: TestDatabase, query: str) -> None:
    """As the read-only role if it is about views, as the administrator of the database if it reads tables."""
    url = database.readonly_url if "ops." in query else database.admin_url
    with psycopg.connect(url) as connection:
        for part in query.split("` `"):
            assert connection.execute(part.encode()).description is not None


def test_every_view_is_shown_in_both(database: TestDatabase) -> None:
    with database.admin() as connection:
        there = views(connection)
    for text in (DOCS, README):
        assert there - set(re.findall(r"\bops\.(\w+)", text)) == set()
    in_prompts = {name for query, _ in SHOWN for name in re.findall(r"\bops\.(\w+)", query)}
    assert there - in_prompts == set(), "shown with its output"


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_a_view_for_the_read_only_role(database: TestDatabase, question: str) -> None:
    with psycopg.connect(database.readonly_url) as connection:
        connection.execute(f"SELECT * FROM ops.{QUESTIONS[question]}".encode())
        commented = connection.execute(
            "SELECT obj_description(%s::regclass)", (f"ops.{QUESTIONS[question]}",)
        ).fetchone()
    assert commented is not None
    assert commented[0]

"""What one instance has computed, all instances use: a workspace's acronyms, across three processes."""

import threading
from typing import Any
from uuid import UUID

from backend.documents.repository import DocumentRepository
from tests.documents.conftest import MakeDocument, embedder, make_document
from tests.e2e.conftest import Fleet

__all__ = ["embedder", "make_document"]


def test_acronyms_are_mined_once_and_known_at_every_instance(
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
    answers: list[dict[str, Any]] = []

    def ask(at: int) -> None:
        answers.append(client.ok("POST", "/api/search", at=at, json={"query": "Which SLA has gold?"}))

    threads = [threading.Thread(target=ask, args=(number % 3,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {answer["expanded_query"] for answer in answers} == {
        "Which SLA has gold? (service level agreement)"
    }
    assert {answer["query"] for answer in answers} == {"Which SLA has gold?"}
    assert len(answers) == 12
    built = sum(_builds(client.call("GET", "/metrics", at=at).text) for at in range(3))
    assert built == 1
    with fleet.database.admin() as connection:
        rows = connection.execute(
            "SELECT name, version FROM tenant_components WHERE tenant_id = %s", (tenant_id,)
        ).fetchall()
    assert rows == [("lexicon", 1)]


def _builds(metrics: str) -> int:
    """How many components the process has built for the only workspace of this module's fleet that asks."""
    lines = [line for line in metrics.splitlines() if line.startswith("secondbrain_component_reads_total{")]
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if '"built"' in line))

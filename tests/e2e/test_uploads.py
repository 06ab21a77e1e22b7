"""Files handed in at one instance, read by workers of which one is killed, found at another instance."""

import signal

from tests.e2e.conftest import Fleet, eventually


def test_uploads_survive_the_worker_that_reads_them(fleet: Fleet) -> None:
    client = fleet.sign_up(0)
    files = [
        ("files", (f"{n}.md", f"# Note {n}\n\nThe zeppelin number {n} is moored.\n" * 200)) for n in range(12)
    ]
    doomed = fleet.start_worker()
    answer = client.call("POST", "/api/documents/upload?wait=0", at=0, files=files)
    assert answer.status_code == 202, answer.text
    promised = {document["id"] for document in answer.json()["documents"]}

    def is_being_read() -> bool:
        with fleet.database.admin() as connection:
            row = connection.execute(
                "SELECT count(*) FROM jobs WHERE kind = 'ingest_uploads' AND state = 'running'"
            )
            return row.fetchone() != (0,)

    eventually(is_being_read, "a worker to begin")
    doomed.send_signal(signal.SIGKILL)
    fleet.start_worker()

    def stored() -> set[str]:
        return {
            document["id"] for document in client.ok("GET", "/api/documents?limit=100", at=1)["documents"]
        }

    eventually(lambda: stored() == promised, "every file to be a document")
    states = {upload["state"] for upload in client.ok("GET", "/api/documents/uploads", at=2)["uploads"]}
    assert states == {"stored"}
    found = client.ok("POST", "/api/search", at=2, json={"query": "Where is zeppelin number 7?"})
    assert {source["doc_id"] for source in found["sources"]} <= promised
    assert found["citations"]
    client.ok("POST", "/api/documents/bulk/delete", at=1, json={"document_ids": sorted(promised)})
    assert client.ok("POST", "/api/search", at=2, json={"query": "zeppelin"})["sources"] == []

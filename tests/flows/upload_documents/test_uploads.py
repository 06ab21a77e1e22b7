"""Files handed in over HTTP, read by a worker: documents that search finds, or failures with their reason."""

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from backend.configs.repository import ConfigRepository
from backend.configs.schemas import ParserConfig, UploadConfig
from backend.embeddings.providers.local import LocalEmbedder
from backend.jobs.claim import LeaseLost
from backend.jobs.repository import JobRepository
from tests.conftest import TestDatabase
from tests.documents.samples import make_docx, make_pages, make_xlsx, make_zip, replace_member
from tests.emulators.scripted import Reply, Request, scripted_server
from tests.flows.upload_documents.scene import Bench
from tests.tenants.instances import Instance, Person, problem, web_instance

PLAN = b"# Moving\n\nThe zeppelin hangar moves to Friedrichshafen in May.\n"


@pytest.fixture(scope="module")
def alone(module_database: TestDatabase) -> TestDatabase:
    """A database of this module: nobody else's jobs are in it, and no worker but the bench."""
    return module_database


@pytest.fixture(scope="module")
def listening(alone: TestDatabase) -> Iterator[Instance]:
    """An instance that receives hints and follows configs."""
    with web_instance(alone, "web1", RATE_LIMITS="changes=off") as instance:
        instance.services.listener.start()
        instance.services.configs.start()
        yield instance


@pytest.fixture
def web(listening: Instance) -> Instance:
    return listening


@pytest.fixture(scope="module")
def worker(alone: TestDatabase) -> Bench:
    return Bench(alone, LocalEmbedder())


@pytest.fixture
def bench(worker: Bench) -> Bench:
    """A worker that has done what the test before has left."""
    worker.work()
    return worker


@pytest.fixture
def person(web: Instance) -> Person:
    return web.sign_in()


def hand_in(web: Instance, person: Person, *files: tuple[str, bytes], wait: float = 0) -> TestResponse:
    return web.call(
        "POST",
        f"/api/documents/upload?wait={wait}",
        person,
        data={"files": [(io.BytesIO(body), name) for name, body in files]},
        content_type="multipart/form-data",
    )


def uploads(web: Instance, person: Person, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = web.ok("GET", f"/api/documents/uploads{query}", person)["uploads"]
    return found


def documents(web: Instance, person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = web.ok("GET", "/api/documents?limit=100", person)["documents"]
    return found


def found_by(web: Instance, person: Person, question: str) -> list[str]:
    return [s["doc_id"] for s in web.ok("POST", "/api/search", person, json={"query": question})["sources"]]


def test_files_become_documents_that_search_finds(web: Instance, bench: Bench, person: Person) -> None:
    sheet = make_xlsx([["Ship", "Speed"], ["Graf Zeppelin", "128 km/h"]])
    answer = hand_in(
        web, person, ("plan.md", PLAN), ("fleet.xlsx", sheet), ("w.docx", make_docx(paragraphs=["A word."]))
    )
    assert answer.status_code == 202
    promised = {d["id"]: d["status"] for d in answer.get_json()["documents"]}
    assert set(promised.values()) == {"processing"}
    assert documents(web, person) == []
    # Read together, by one job.
    assert bench.work() == 1
    listed = {d["id"]: d for d in documents(web, person)}
    assert set(listed) == set(promised)
    plan = next(d for d in listed.values() if d["title"] == "Moving")
    assert (plan["source_type"], plan["kind"], plan["classification"]) == ("file", "upload", "work")
    assert found_by(web, person, "Where does the zeppelin hangar move?")[0] == plan["id"]
    assert {u["state"] for u in uploads(web, person)} == {"stored"}


def test_citation_names_the_page_and_opens_it(web: Instance, bench: Bench, person: Person) -> None:
    filler = [f"Nothing else was decided in session {number} of that year." for number in range(30)]
    pages = [
        ["Minutes of the board", *filler],
        [*filler, "The board bought the zeppelin hangar for nine thousand marks."],
        ["The mooring mast was painted green by the harbour crew.", *filler],
    ]
    hand_in(web, person, ("minutes.pdf", make_pages(pages)))
    assert bench.work() == 1

    for question, page in (
        ("Who bought the zeppelin hangar?", 2),
        ("What colour is the mooring mast painted?", 3),
    ):
        answer = web.ok("POST", "/api/search", person, json={"query": question})
        citation = answer["citations"][0]
        assert (citation["page"], answer["sources"][citation["source"] - 1]["page"] <= page) == (page, True)
        place = citation["view_url"].partition("/api/")[2].partition("#")[0]
        assert f"Page {page} of 3" in web.call("GET", f"/api/{place}", person).text


def test_request_waits_until_the_worker_is_done(web: Instance, bench: Bench, person: Person) -> None:
    answers: list[TestResponse] = []
    asking = threading.Thread(target=lambda: answers.append(hand_in(web, person, ("plan.md", PLAN), wait=20)))
    asking.start()
    while not bench.work():
        assert asking.is_alive()
    asking.join(20)
    (answer,) = answers
    assert answer.status_code == 200
    body = answer.get_json()
    assert (body["count"], body["documents"][0]["status"]) == (1, "classified")
    assert documents(web, person)[0]["id"] == body["documents"][0]["id"]


def test_text_is_handed_in_as_json(web: Instance, bench: Bench, person: Person) -> None:
    sent = {"title": "Note: on/hangars", "content": "Hangar doors open *inwards*."}
    web.ok("POST", "/api/documents/upload?wait=0", person, json=sent)
    bench.work()
    (listed,) = documents(web, person)
    assert listed["title"] == sent["title"]
    whole = web.ok("GET", f"/api/documents/{listed['id']}", person)["document"]
    assert whole["content"].strip() == sent["content"]


def test_same_bytes_are_one_document_whoever_hands_them_in(
    web: Instance, bench: Bench, person: Person
) -> None:
    colleague = web.colleague(person, role="member")
    first = hand_in(web, person, ("plan.md", PLAN), ("copy of plan.md", PLAN)).get_json()
    second = hand_in(web, colleague, ("other.md", PLAN)).get_json()
    assert first["count"] == second["count"] == 1
    assert bench.work() == 1
    third = hand_in(web, person, ("plan.md", PLAN))
    assert third.status_code == 200
    ids = {d["id"] for body in (first, second, third.get_json()) for d in body["documents"]}
    assert ids == {d["id"] for d in documents(web, person)}
    assert len(ids) == 1
    assert bench.work() == 0


def test_same_bytes_at_the_same_moment_are_one_document(web: Instance, bench: Bench, person: Person) -> None:
    barrier = threading.Barrier(6)
    answers: list[TestResponse] = []

    def send() -> None:
        barrier.wait()
        answers.append(hand_in(web, person, ("plan.md", PLAN)))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.get_json()["documents"][0]["id"] for answer in answers}) == 1
    assert bench.work() == 1


def test_other_workspace_has_a_document_of_its_own(web: Instance, bench: Bench, person: Person) -> None:
    stranger = web.sign_in()
    mine = hand_in(web, person, ("plan.md", PLAN)).get_json()["documents"][0]["id"]
    theirs = hand_in(web, stranger, ("plan.md", PLAN)).get_json()["documents"][0]["id"]
    assert mine != theirs
    bench.work()
    assert [u["id"] for u in uploads(web, stranger)] == [theirs]
    problem(web.call("GET", f"/api/documents/{mine}/download", stranger), 404, "ORIGINAL_NOT_FOUND")


def test_what_cannot_be_read_is_named_with_the_reason_and_the_rest_stays(
    web: Instance, bench: Bench, person: Person
) -> None:
    hand_in(
        web, person, ("broken.pdf", b"%PDF-1.7 and nothing else"), ("empty.txt", b" \n"), ("plan.md", PLAN)
    )
    bench.work()
    failed = {u["file_name"]: u["reason"] for u in uploads(web, person, "?state=failed")}
    assert set(failed) == {"broken.pdf", "empty.txt"}
    assert "no text" in failed["empty.txt"]
    assert [d["title"] for d in documents(web, person)] == ["Moving"]
    with web.database.admin() as connection:
        kept = connection.execute(
            "SELECT file_name FROM uploads WHERE tenant_id = %s AND body IS NOT NULL", (person.tenant_id,)
        ).fetchall()
    assert kept == [("plan.md",)]


def test_document_that_takes_too_much_is_named_with_the_reason(
    web: Instance, bench: Bench, person: Person
) -> None:
    bomb = make_zip({"word/document.xml": b" " * (60 * 1024 * 1024)})
    with web.services.db.transaction(person.tenant_id) as session:
        ConfigRepository(session).publish(
            person.tenant_id, ParserConfig(max_memory_bytes=64 * 1024 * 1024), expected=None
        )
    paragraphs = b"<w:p><w:r><w:t>Hello, how are you today</w:t></w:r></w:p>" * 200_000
    body = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>'
    greedy = replace_member(make_docx(), "word/document.xml", body + paragraphs + b"</w:body></w:document>")
    hand_in(web, person, ("bomb.docx", bomb), ("greedy.docx", greedy), ("plan.md", PLAN))
    bench.work()
    failed = {u["file_name"]: u["reason"] for u in uploads(web, person, "?state=failed")}
    assert "times its size" in failed["bomb.docx"]
    assert failed["greedy.docx"] == "Reading the document took more than 64 MB of memory."
    assert [d["title"] for d in documents(web, person)] == ["Moving"]


def test_answer_names_each_failure_and_does_not_claim_all(
    web: Instance, bench: Bench, person: Person
) -> None:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            bench.work()
            stop.wait(0.02)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        mixed = hand_in(web, person, ("empty.txt", b" \n"), ("plan.md", PLAN), wait=20)
        nothing = hand_in(web, person, ("empty.txt", b" \n"), wait=20)
    finally:
        stop.set()
        worker.join()
    body = problem(mixed, 422, "UPLOAD_FAILED")
    assert body["parsing_errors"] == ["empty.txt: The document contains no text."]
    assert body["count"] == 1
    assert "The other one was taken." in body["error"]
    # And the same bytes get another try.
    assert problem(nothing, 400, "UPLOAD_FAILED")["count"] == 0


def test_worker_killed_in_the_middle_is_replaced(
    web: Instance, bench: Bench, person: Person, alone: TestDatabase
) -> None:
    hand_in(web, person, ("plan.md", PLAN))
    dead = bench.register()
    claim = bench.claim(dead)
    assert claim is not None
    with alone.admin() as connection:
        connection.execute(
            "UPDATE workers SET heartbeat_at = now() - interval '1 hour' WHERE id = %s", (dead,)
        )
    with bench.db.operator_transaction() as session:
        assert [job.id for job in JobRepository(session).release_stalled()] == [claim.id]
    assert bench.work() == 1
    assert len(documents(web, person)) == 1
    # It was only paused: whatever it still writes is refused.
    with pytest.raises(LeaseLost):
        bench.handler.run(claim, lambda: False)
    assert len(documents(web, person)) == 1


def test_file_that_ends_every_worker_is_given_up_with_a_reason(
    web: Instance, bench: Bench, person: Person
) -> None:
    hand_in(web, person, ("plan.md", PLAN))
    claim = bench.claim()
    assert claim is not None
    with bench.db.transaction(person.tenant_id) as session:
        JobRepository(session).fail(claim, "It was tried too often.", retry=False)
        bench.handler.on_given_up(session, claim.tenant_id, claim.args, "It was tried too often.")
    (upload,) = uploads(web, person)
    assert (upload["state"], upload["reason"]) == ("failed", "It was tried too often.")


def test_original_is_downloaded_as_it_came_and_never_shown_in_place(
    web: Instance, bench: Bench, person: Person
) -> None:
    name = "Plan für „Mai“.html"
    body = b"<h1>Hangar</h1><p>Zeppelins.</p><script>alert(1)</script>"
    hand_in(web, person, (name, body))
    bench.work()
    (listed,) = documents(web, person)
    assert listed["metadata"]["file_url"].endswith(f"/api/documents/{listed['id']}/download")
    answer = web.call("GET", f"/api/documents/{listed['id']}/download", person)
    assert answer.data == body
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=UTF-8''Plan%20f%C3%BCr")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_deleted_document_takes_its_file_along_and_can_be_handed_in_again(
    web: Instance, bench: Bench, person: Person
) -> None:
    first = hand_in(web, person, ("plan.md", PLAN)).get_json()["documents"][0]["id"]
    bench.work()
    web.ok("DELETE", f"/api/documents/{first}", person)
    assert uploads(web, person) == []
    problem(web.call("GET", f"/api/documents/{first}/download", person), 404, "ORIGINAL_NOT_FOUND")
    second = hand_in(web, person, ("plan.md", PLAN)).get_json()["documents"][0]["id"]
    bench.work()
    assert second != first
    assert [d["id"] for d in documents(web, person)] == [second]


def test_room_of_a_workspace_is_bounded(web: Instance, bench: Bench, person: Person) -> None:
    with web.services.db.transaction(person.tenant_id) as session:
        ConfigRepository(session).publish(
            person.tenant_id, UploadConfig(quota_bytes=len(PLAN) + 10), expected=None
        )
    assert hand_in(web, person, ("plan.md", PLAN)).status_code == 202
    problem(hand_in(web, person, ("more.md", b"Eleven bytes")), 413, "QUOTA_EXCEEDED")
    # What is there already takes no more room.
    assert hand_in(web, person, ("plan.md", PLAN)).status_code == 202
    # All of a request or nothing of it.
    problem(hand_in(web, person, ("s.md", b"small"), ("l.md", b"x" * 11)), 413, "QUOTA_EXCEEDED")
    assert [u["file_name"] for u in uploads(web, person)] == ["plan.md"]


def test_requests_without_a_usable_file_are_refused(web: Instance, person: Person) -> None:
    problem(web.call("POST", "/api/documents/upload", person), 400, "NOTHING_UPLOADED")
    problem(hand_in(web, person, ("", b"")), 400, "NOTHING_UPLOADED")
    problem(web.call("POST", "/api/documents/upload", person, json={"title": "x"}), 400, "VALIDATION_ERROR")
    problem(hand_in(web, person, *((f"{n}.txt", b"x") for n in range(51))), 400, "TOO_MANY_FILES")
    viewer = web.colleague(person, role="viewer")
    problem(hand_in(web, viewer, ("plan.md", PLAN)), 403, "VIEWERS_ONLY_LOOK")
    assert uploads(web, person) == []


def test_request_that_is_too_large_is_refused_in_json(alone: TestDatabase) -> None:
    with web_instance(alone, "web1", MAX_REQUEST_BYTES="2048") as small:
        person = small.sign_in()
        problem(hand_in(small, person, ("big.txt", b"x" * 4096)), 413, "PAYLOAD_TOO_LARGE")


def test_sender_s_classification_counts_and_hides(web: Instance, bench: Bench, person: Person) -> None:
    sent = {"title": "Diary", "content": "The zeppelin over the lake.", "classification": "personal"}
    web.ok("POST", "/api/documents/upload?wait=0", person, json=sent)
    bench.work()
    (listed,) = documents(web, person)
    assert (listed["classification"], listed["status"]) == ("personal", "confirmed")
    assert found_by(web, person, "zeppelin over the lake") == []


def site(request: Request) -> Reply:
    """A page, a file, a way in, and nothing else."""
    match request.path:
        case "/plans/may":
            return Reply(
                200, b"<title>May</title><p>The zeppelin hangar moves.</p>", {"Content-Type": "text/html"}
            )
        case "/files/Plan%20B.md":
            return Reply(200, PLAN, {"Content-Type": "application/octet-stream"})
        case "/old":
            return Reply(302, b"", {"Location": "/plans/may"})
        case "/large":
            return Reply(200, b"x" * 5000, {"Content-Type": "text/plain"})
    return Reply(404, b"no", {"Content-Type": "text/plain"})


def test_address_is_read_and_becomes_a_document(alone: TestDatabase, bench: Bench) -> None:
    with (
        scripted_server(site) as server,
        web_instance(alone, "web1", ALLOW_PRIVATE_ADDRESSES="true", MAX_REQUEST_BYTES="4096") as open_web,
    ):
        person = open_web.sign_in()

        def hand_in_address(path: str) -> TestResponse:
            sent = {"url": f"{server.base_url}{path}"}
            return open_web.call("POST", "/api/documents/upload-url?wait=0", person, json=sent)

        for path in ("/old", "/plans/may", "/files/Plan%20B.md"):
            assert hand_in_address(path).status_code == 202, path
        problem(hand_in_address("/nowhere"), 422, "NOTHING_THERE")
        problem(hand_in_address("/large"), 422, "ANSWER_TOO_LARGE")
        bench.work()
        names = {u["file_name"]: (u["state"], u["url"]) for u in uploads(open_web, person)}
        assert names == {
            "may.html": ("stored", f"{server.base_url}/plans/may"),
            "Plan B.md": ("stored", f"{server.base_url}/files/Plan%20B.md"),
        }
        assert found_by(open_web, person, "Where does the zeppelin hangar move?")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:5432/",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "x",
    ],
)
def test_address_that_only_this_server_reaches_is_refused(web: Instance, person: Person, url: str) -> None:
    answer = web.call("POST", "/api/documents/upload-url", person, json={"url": url})
    problem(answer, 422, "ADDRESS_REFUSED")
    assert uploads(web, person) == []

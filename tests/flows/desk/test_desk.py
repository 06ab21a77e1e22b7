"""The desk's pages, as a browser asks for them and for whom they are."""

import html
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from backend.configs.repository import ConfigRepository
from backend.configs.schemas import UploadConfig
from backend.documents.repository import DocumentRepository
from backend.searches.models import Search
from backend.searches.repository import SearchLogRepository
from backend.web import SESSION_COOKIE
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.flows.upload_documents.scene import Bench
from tests.tenants.instances import Instance, Person, problem, web_instance

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
HOSTILE = '<script>alert(1)</script> & "Sons"'


@pytest.fixture
def web(database: TestDatabase) -> Iterator[Instance]:
    with web_instance(database, "desk", RATE_LIMITS="search=off") as instance:
        yield instance


def browser_of(web: Instance, person: Person) -> FlaskClient:
    browser = web.browser()
    browser.set_cookie(SESSION_COOKIE, person.access_token, path="/api")
    return browser


def shown(browser: FlaskClient, path: str, status: int = 200, **more: Any) -> str:
    answer = browser.get(path, headers={**HTML, **more.pop("headers", {})}, **more)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "text/html"
    assert "script" not in answer.headers["Content-Security-Policy"].replace("default-src", "")
    assert "<script" not in answer.text
    return answer.text


def confirmation(text: str) -> str:
    found = re.search(r'name="confirmation" value="([0-9a-f]+)"', text)
    assert found is not None
    return found[1]


def hand_in(browser: FlaskClient, given: str, files: dict[str, bytes], **headers: str) -> TestResponse:
    data = {"confirmation": given, "files": [(io.BytesIO(body), name) for name, body in files.items()]}
    return browser.post(
        "/api/desk/files", data=data, headers={**HTML, **headers}, content_type="multipart/form-data"
    )


def test_browser_at_the_front_door_is_led_to_the_desk_and_asked_who_it_is(web: Instance) -> None:
    browser = web.browser()
    assert browser.get("/").get_json()["name"] == "Second Brain"
    led = browser.get("/", headers=HTML)
    assert (led.status_code, led.headers["Location"]) == (302, "/api/desk")
    text = shown(browser, "/api/desk", 401)
    assert 'name="next" value="/api/desk"' in text
    for question in ("why%3F", "*+more", "%E6%B8%AF" * 100):
        address = f"/api/desk/ask?q={question}"
        assert f'name="next" value="{address}"' in shown(browser, address, 401)
    # What was sent is not sent again; but one is led back to the desk.
    sent = browser.post("/api/desk/feedback", data={"rating": "up"}, headers=HTML)
    assert sent.status_code == 401
    assert 'name="next" value="/api/desk"' in sent.text


def test_answer_links_each_citation_to_its_place(
    web: Instance, database: TestDatabase, make_document: MakeDocument
) -> None:
    person = web.sign_in()
    text = "Some words first.\n\nThe ferry to the island leaves at noon from pier seven."
    with database.db.transaction(person.tenant_id) as session:
        document = make_document("ferry", text, title=HOSTILE)
        document_id = DocumentRepository(session).store(person.tenant_id, None, document)
    browser = browser_of(web, person)
    found = shown(browser, "/api/desk/ask?q=When+does+the+ferry+to+the+island+leave%3F")
    assert "leaves at noon from pier seven." in found
    assert html.escape(HOSTILE) in found
    cited = re.search(r'class="cite" href="([^"]+)"', found)
    assert cited is not None
    link = html.unescape(cited[1])
    assert link.startswith("/api/desk/open?")
    start = text.index("The ferry")
    view = f"/api/document/{document_id}/view?start={start}&end={len(text)}#passage"
    # Another site's link leads there too, but is not the person's own click.
    led = browser.get(link, headers={**HTML, "Sec-Fetch-Site": "cross-site"})
    assert (led.status_code, led.headers["Location"]) == (303, view)
    assert logged(database, person)[0].clicked_document_ids == []
    led = browser.get(link, headers=HTML)
    assert (led.status_code, led.headers["Location"]) == (303, view)
    assert '<mark id="passage">The ferry' in browser.get(view, headers=HTML).text
    # It is in the log like any other question.
    searches = logged(database, person)
    assert [search.query for search in searches] == ["When does the ferry to the island leave?"]
    assert [str(one) for one in searches[0].clicked_document_ids] == [str(document_id)]
    # A stranger's search is nobody's click.
    stranger = browser_of(web, web.sign_in())
    assert stranger.get(link, headers=HTML).status_code == 303
    assert stranger.get(view, headers=HTML).status_code == 404


def logged(database: TestDatabase, person: Person) -> list[Search]:
    with database.db.transaction(person.tenant_id) as session:
        return [search for search, _, _ in SearchLogRepository(session).list_newest(person.tenant_id)]


def test_what_one_thinks_of_an_answer_is_kept(web: Instance, database: TestDatabase) -> None:
    person = web.sign_in()
    browser = browser_of(web, person)
    page = shown(browser, "/api/desk/ask?q=Why%3F+%22%3E%3Cb%3E")
    fields = dict(
        re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.partition("feedback")[2])
    )
    form = {name: html.unescape(value) for name, value in fields.items()}
    assert form["query"] == 'Why? "><b>'
    answer = browser.post("/api/desk/feedback", data={**form, "rating": "down"}, headers=HTML)
    assert answer.status_code == 200
    assert "thank you" in answer.text
    with database.db.transaction(person.tenant_id) as session:
        rated = SearchLogRepository(session).list_newest(person.tenant_id)
    assert [(up, down) for _, up, down in rated] == [(0, 1)]
    wrong = browser.post("/api/desk/feedback", data={**form, "rating": "so-so"}, headers=HTML)
    assert wrong.status_code == 400


@pytest.mark.parametrize("question", ["", "%20", "%00"])
def test_nothing_asked_shows_the_form(web: Instance, question: str) -> None:
    text = shown(browser_of(web, web.sign_in()), f"/api/desk/ask?q={question}")
    assert 'aria-label="Answer"' not in text


def test_empty_workspace_is_led_to_its_files(web: Instance) -> None:
    text = shown(browser_of(web, web.sign_in()), "/api/desk/ask?q=Why%3F")
    assert "There is nothing to search yet." in text
    assert '<a href="/api/desk/files">Upload files</a>' in text


def test_link_of_another_site_fills_the_form_in_but_does_not_ask(web: Instance) -> None:
    browser = browser_of(web, web.sign_in())
    path = "/api/desk/ask?q=%22%3E%3Cscript%3Ex"
    text = shown(browser, path, headers={"Sec-Fetch-Site": "cross-site"})
    assert 'value="&quot;&gt;&lt;script&gt;x"' in text
    assert 'aria-label="Answer"' not in text
    assert 'aria-label="Answer"' in shown(browser, path, headers={"Sec-Fetch-Site": "none"})


def test_files_are_followed_until_each_is_read_or_says_why_not(
    web: Instance, database: TestDatabase, embedder: Any
) -> None:
    browser = browser_of(web, web.sign_in())
    page = shown(browser, "/api/desk/files")
    assert "No files yet." in page
    files = {
        "notes/ferry.md": b"# Ferry\n\nIt leaves at noon.",
        "notes/deep/empty.txt": b"",
        "notes/.hidden/secret.md": b"# Not for others",
        "notes/.DS_Store": b"x",
    }
    sent = hand_in(browser, confirmation(page), files)
    assert (sent.status_code, sent.headers["Location"]) == (303, "/api/desk/files")
    waiting = shown(browser, "/api/desk/files")
    assert "0 of 2 processed" in waiting
    assert '<meta http-equiv="refresh"' in waiting
    assert 'type="file"' not in waiting
    adding = shown(browser, "/api/desk/files?add=1")
    assert '<meta http-equiv="refresh"' not in adding
    assert 'type="file"' in adding

    Bench(database, embedder).work()
    over = shown(browser, "/api/desk/files")
    assert '<meta http-equiv="refresh"' not in over
    assert "<td>Ready</td>" in over
    assert '<span class="failed">The document contains no text.' in over
    assert "secret" not in over
    assert "DS_Store" not in over
    assert "It leaves at noon." in shown(browser, "/api/desk/ask?q=When+does+the+ferry+leave%3F")


def test_more_files_than_one_request_of_the_api_may_bring_are_taken(web: Instance) -> None:
    browser = browser_of(web, web.sign_in())
    files = {f"{n}.md": f"# Note {n}".encode() for n in range(120)}
    assert hand_in(browser, confirmation(shown(browser, "/api/desk/files")), files).status_code == 303
    newest = shown(browser, "/api/desk/files")
    assert "0 of 120 processed" in newest
    assert newest.count("Processing") == 100
    assert shown(browser, "/api/desk/files?offset=100").count("Processing") == 20


def test_files_that_came_one_after_another_are_followed_together(
    own_database: TestDatabase, embedder: Any
) -> None:
    with web_instance(own_database, "desk") as web:
        browser = browser_of(web, web.sign_in())
        given = confirmation(shown(browser, "/api/desk/files"))
        for n in range(4):
            assert hand_in(browser, given, {f"{n}.md": f"# Note {n}\n\nwords".encode()}).status_code == 303
        bench = Bench(own_database, embedder)
        claim = bench.claim()
        assert claim is not None
        bench.handler.run(claim, lambda: False)
        assert "1 of 4 processed" in shown(browser, "/api/desk/files")
        assert 'href="/api/desk/files">Follow them' in shown(browser, "/api/desk/files?add=1")
        bench.work()
        assert "processed" not in shown(browser, "/api/desk/files")


def test_folder_may_be_larger_than_any_other_request_but_no_file_in_it(database: TestDatabase) -> None:
    limits = {"MAX_REQUEST_BYTES": "10000", "MAX_FOLDER_BYTES": "100000"}
    with web_instance(database, "desk", **limits) as small:
        browser = browser_of(small, small.sign_in())
        given = confirmation(shown(browser, "/api/desk/files"))
        files = {f"{n}.md": f"# Note {n}\n".encode() * 1000 for n in range(5)}
        sent = hand_in(browser, given, {**files, "large.bin": b"x" * 10_001})
        assert sent.status_code == 413
        assert "left out: 0.md, 1.md" not in sent.text
        assert "Larger than 10 KB, and left out: large.bin." in sent.text
        assert "0 of 5 processed" in shown(browser, "/api/desk/files")
        refused = hand_in(browser, given, {f"{n}.md": b"x" * 9000 for n in range(12)})
        assert refused.status_code == 413
        assert "together; up to 98 KB are taken at once" in refused.text
        assert 'type="file"' in refused.text
        assert "0 of 5 processed" in shown(browser, "/api/desk/files")


def test_large_request_of_nobody_is_refused_unread(database: TestDatabase) -> None:
    """Also where the page that refuses it would show what was sent."""
    with web_instance(database, "desk", MAX_REQUEST_BYTES="10000") as small:
        browser = small.browser()
        files = {f"{n}.md": b"x" * 5000 for n in range(5)}
        assert hand_in(browser, "", files).status_code == 401
        sign_in = browser.post("/api/auth/sign-in", data={"email": "x" * 20_000}, headers=HTML)
        assert sign_in.status_code == 413
        assert "larger than this server accepts" in sign_in.text
        expired = small.browser()
        expired.set_cookie(SESSION_COOKIE, "no.such.token", path="/api")
        assert hand_in(expired, "", files).status_code == 401
        feedback = {"confirmation": "", "answer": "x" * 20_000}
        assert expired.post("/api/desk/feedback", data=feedback, headers=HTML).status_code == 401


def test_whoever_shows_a_token_needs_no_confirmation_and_loses_no_file(web: Instance) -> None:
    person = web.sign_in()
    files = [(io.BytesIO(b"# One"), "1.md"), (io.BytesIO(b"# Two"), "2.md")]
    sent = web.call(
        "POST", "/api/desk/files", person, data={"files": files}, content_type="multipart/form-data"
    )
    assert sent.status_code == 303
    assert "0 of 2 processed" in shown(browser_of(web, person), "/api/desk/files")


def test_broken_form_is_said_on_the_page(web: Instance) -> None:
    browser = browser_of(web, web.sign_in())
    given = confirmation(shown(browser, "/api/desk/files"))
    field = f'--b\r\nContent-Disposition: form-data; name="confirmation"\r\n\r\n{given}\r\n'
    cut = field + '--b\r\nContent-Disposition: form-data; name="files"; filename="a.md"\r\n\r\nwor'
    answer = browser.post(
        "/api/desk/files", data=cut, headers=HTML, content_type="multipart/form-data; boundary=b"
    )
    assert answer.status_code == 400
    assert "its end is missing" in answer.text
    assert "No files yet." in answer.text


def test_no_file_and_no_room_are_said_on_the_page(web: Instance) -> None:
    person = web.sign_in()
    browser = browser_of(web, person)
    given = confirmation(shown(browser, "/api/desk/files"))
    empty = hand_in(browser, given, {})
    assert empty.status_code == 400
    assert "Choose one or more files" in empty.text
    with web.services.db.transaction(person.tenant_id) as session:
        ConfigRepository(session).publish(person.tenant_id, UploadConfig(quota_bytes=10), expected=None)
    full = hand_in(browser, given, {"a.txt": b"Eleven bytes"})
    assert full.status_code == 413
    assert "used up" in full.text


def test_form_is_good_for_its_own_session_and_site_alone(web: Instance) -> None:
    person, other = web.sign_in(), web.sign_in()
    browser = browser_of(web, person)
    given = confirmation(shown(browser, "/api/desk/files"))
    strangers = confirmation(shown(browser_of(web, other), "/api/desk/files"))
    files = {"a.txt": b"words"}
    for refused in (
        hand_in(browser, "", files, Accept="*/*"),
        hand_in(browser, "zz", files, Accept="*/*"),
        hand_in(browser, strangers, files, Accept="*/*"),
        hand_in(browser, given[:16], files, Accept="*/*"),
        hand_in(browser, given, files, Accept="*/*", **{"Sec-Fetch-Site": "same-site"}),
    ):
        problem(refused, 403, "FORM_NOT_SHOWN")
    problem(hand_in(web.browser(), given, files, Accept="*/*"), 401, "AUTH_REQUIRED")
    assert "No files yet." in shown(browser, "/api/desk/files")


def test_viewer_looks_and_hands_nothing_in(web: Instance) -> None:
    viewer = web.colleague(web.sign_in(), role="viewer")
    browser = browser_of(web, viewer)
    page = shown(browser, "/api/desk/files")
    assert 'type="file"' not in page
    refused = hand_in(browser, confirmation(page), {"a.txt": b"words"})
    assert refused.status_code == 403
    assert "Viewers of a workspace" in refused.text


def test_files_of_one_workspace_are_shown_in_no_other(web: Instance) -> None:
    browser = browser_of(web, web.sign_in())
    hand_in(browser, confirmation(shown(browser, "/api/desk/files")), {"plan.md": b"# Plan"})
    assert "plan.md" in shown(browser, "/api/desk/files")
    assert "plan.md" not in shown(browser_of(web, web.sign_in()), "/api/desk/files")


def test_signing_out_ends_the_session(web: Instance) -> None:
    person = web.sign_in()
    browser = browser_of(web, person)
    given = confirmation(shown(browser, "/api/desk"))
    left = browser.post("/api/desk/sign-out", data={"confirmation": given}, headers=HTML)
    assert (left.status_code, left.headers["Location"]) == (303, "/api/auth/sign-in?next=/api/desk")
    problem(web.call("GET", "/api/auth/me", person), 401, "SESSION_REVOKED")
    shown(browser, "/api/desk", 401)

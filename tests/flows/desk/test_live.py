"""While a language model writes, its sentences are on the page already; each leads to its place."""

import html
import re
from collections.abc import Callable, Generator, Iterator
from threading import Event

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from backend.flows.ingest_document.store import store_all
from backend.web import SESSION_COOKIE
from tests.conftest import TestDatabase
from tests.documents.conftest import MakeDocument
from tests.documents.conftest import embedder as embedder
from tests.documents.conftest import make_document as make_document
from tests.emulators.scripted import Reply
from tests.flows.ask.conftest import Model, events, scripted_model
from tests.tenants.instances import Instance, Person, web_instance

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
FERRY = "The night ferry leaves & returns at noon from berth 9 in the harbour."
FARE = "A ticket for the night ferry costs eleven crowns at the harbour."
#: Certain only once something follows: it might be one more marker.
FIRST = f"{FERRY} [Source 1] A ticket"
SECOND = f"{FARE.removeprefix('A ticket')} [Source 1]"


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with scripted_model() as made:
        yield made


@pytest.fixture(scope="module")
def web(database: TestDatabase, model: Model) -> Iterator[Instance]:
    settings = {"LLM_BASE_URL": f"{model.server.base_url}/v1", "LLM_MODEL": "scripted"}
    with web_instance(database, "live", RATE_LIMITS="search=off", **settings) as instance:
        yield instance


@pytest.fixture
def person(web: Instance, make_document: MakeDocument) -> Person:
    made = web.sign_in()
    with web.services.db.transaction(made.tenant_id) as session:
        document = make_document("ferry", f"{FERRY}\n\n{FARE}", title="Ferry")
        store_all(session, made.tenant_id, None, [document])
    return made


@pytest.fixture
def browser(web: Instance, person: Person) -> FlaskClient:
    made = web.browser()
    made.set_cookie(SESSION_COOKIE, person.access_token, path="/api")
    return made


def ask(browser: FlaskClient, question: str = "When does the night ferry leave the harbour?") -> TestResponse:
    answer = browser.get("/api/desk/ask", query_string={"q": question}, headers=HTML)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer


def logged(database: TestDatabase, person: Person) -> list[tuple[str, str]]:
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT id::text, outcome FROM searches WHERE tenant_id = %s", (person.tenant_id,)
        ).fetchall()
    return [(str(search_id), str(outcome)) for search_id, outcome in rows]


def until(pieces: Iterator[bytes], words: str) -> str:
    """The page as far as it has come when `words` are there."""
    seen = ""
    for piece in pieces:
        seen += piece.decode()
        if words in html.unescape(seen):
            return seen
    raise AssertionError(f"{words!r} never came")


def held(go_on: Event) -> Callable[[object], Reply]:
    """A model that says one sentence, and the other when it may."""

    def frames() -> Generator[bytes, None, None]:
        said = events(FIRST, end=b"").pieces
        assert said is not None
        yield from said
        assert go_on.wait(20)
        rest = events(SECOND).pieces
        assert rest is not None
        yield from rest

    return lambda _request: Reply(headers={"content-type": "text/event-stream"}, pieces=frames())


def test_sentence_is_shown_before_the_next_is_written(
    web: Instance, database: TestDatabase, person: Person, browser: FlaskClient, model: Model
) -> None:
    go_on = Event()
    model.answer = held(go_on)
    answer = ask(browser)
    assert "script" not in answer.headers["Content-Security-Policy"].replace("default-src", "")
    assert answer.headers["X-Accel-Buffering"] == "no"
    pieces = answer.iter_encoded()
    seen = until(pieces, "from berth 9 in the harbour.")
    assert "eleven crowns" not in seen
    assert "Does this answer it?" not in seen
    go_on.set()
    whole = seen + b"".join(pieces).decode()
    assert "leaves & returns" not in whole
    said = whole.partition('<p class="answer">')[2].partition("</section>")[0]
    assert "leaves &amp; returns" in said
    assert "eleven crowns" in said
    assert said.count('class="cite"') == 2
    assert whole.count("</main>") == 1
    assert whole.rstrip().endswith("</html>")
    assert "Does this answer it?" in whole
    # A link that was shown before the answer was whole belongs to the same search as those after.
    (entry,) = logged(database, person)
    assert entry[1] == "generated"
    assert set(re.findall(r"search=([0-9a-f-]+)", whole)) == {entry[0]}
    link = html.unescape(re.findall(r'class="cite" href="([^"]+)"', whole)[0])
    assert browser.get(link, headers=HTML).status_code == 303
    with database.admin() as connection:
        clicked = connection.execute(
            "SELECT jsonb_array_length(to_jsonb(clicked_document_ids)) FROM searches WHERE id = %s",
            (entry[0],),
        ).fetchone()
    assert clicked == (1,)


def test_whoever_leaves_is_noticed(
    database: TestDatabase, person: Person, browser: FlaskClient, model: Model
) -> None:
    go_on = Event()
    model.answer = held(go_on)
    answer = ask(browser)
    until(answer.iter_encoded(), "from berth 9 in the harbour.")
    answer.close()
    go_on.set()
    assert [outcome for _, outcome in logged(database, person)] == ["abandoned"]


def test_answer_that_breaks_off_says_so(browser: FlaskClient, model: Model) -> None:
    model.answer = lambda _request: events(FIRST, end=b'data: {"error": {"message": "overloaded"}}\n\n')
    text = ask(browser).text
    assert "from berth 9 in the harbour." in text
    assert "The language model broke off here" in text
    assert "Sources" in text


def test_model_that_is_not_there_leaves_the_documents_own_sentences(
    browser: FlaskClient, model: Model
) -> None:
    model.answer = lambda _request: Reply(500)
    text = ask(browser).text
    assert "from berth 9 in the harbour." in text
    assert "broke off" not in text
    assert text.count('<p class="answer">') == 1


def test_what_no_document_says_is_not_sent_to_the_model(browser: FlaskClient, model: Model) -> None:
    model.says("It is a zeppelin.")
    text = ask(browser, "Who painted the zeppelin of the emperor?").text
    assert "zeppelin." not in text.partition('<p class="answer">')[2]
    assert not model.server.requests


def test_what_fails_on_the_way_is_said_on_the_page(
    database: TestDatabase,
    person: Person,
    browser: FlaskClient,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_args: object) -> Iterator[None]:
        raise RuntimeError("secret words")
        yield

    monkeypatch.setattr("backend.flows.ask.stream.write_live", lambda *_args, **_more: fail())
    text = ask(browser).text
    assert "Something went wrong on our side" in text
    assert "secret words" not in text
    assert text.rstrip().endswith("</html>")
    assert [outcome for _, outcome in logged(database, person)] == ["abandoned"]

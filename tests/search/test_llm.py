"""Answers by a language model, against a real server that plays one."""

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx2
import pytest
import stamina

from backend.errors import Unavailable
from backend.search.llm import ChatModel, LanguageModelUnavailable
from backend.search.reading import Reading
from tests.emulators.scripted import Reply, Request, ScriptedServer, json_reply, scripted_server

KEY = "sk-very-secret"
ASKED = ({"role": "user", "content": "How many days of leave?"},)


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


def saying(words: object) -> Callable[[Request], Reply]:
    return lambda _: json_reply({"choices": [{"message": {"role": "assistant", "content": words}}]})


@contextmanager
def model_at(answer: Callable[[Request], Reply]) -> Iterator[tuple[ChatModel, ScriptedServer]]:
    with scripted_server(answer) as server, httpx2.Client() as client:
        yield ChatModel(base_url=f"{server.base_url}/v1/", model="m", api_key=KEY, client=client), server


def streaming(*pieces: bytes, **headers: str) -> Reply:
    """A stream of events whose bytes come in these pieces."""
    named = {"content-type": "text/event-stream", **headers}
    return Reply(headers=named, pieces=(piece for piece in pieces))


def delta(text: str, **more: object) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None, **more}
    return f"data: {json.dumps({'choices': [choice]}, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_complete_asks_a_busy_server_again(status: int) -> None:
    replies = iter([Reply(status), Reply(status)])
    with model_at(lambda request: next(replies, None) or saying("yes")(request)) as (model, server):
        assert model.complete([{"role": "user", "content": "q"}]) == "yes"

    assert len(server.requests) == 3


def test_complete_leaves_out_options_a_model_refuses() -> None:
    def picky(request: Request) -> Reply:
        return Reply(400) if "temperature" in json.loads(request.body) else saying("yes")(request)

    with model_at(picky) as (model, _):
        assert model.complete([{"role": "user", "content": "q"}]) == "yes"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503),
        Reply(401, f"bad key {KEY}".encode()),
        Reply(400),
        Reply(200, b"not json"),
        Reply(200, b"{}"),
        Reply(200, b'{"choices": []}'),
        Reply(200, b'{"choices": [{"message": null}]}'),
        Reply(200, b"{", missing_bytes=50),
    ],
)
def test_complete_reports_every_failure_as_unavailable(reply: Reply) -> None:
    with model_at(lambda _: reply) as (model, _), pytest.raises(LanguageModelUnavailable) as caught:
        model.complete([{"role": "user", "content": "q"}])

    assert isinstance(caught.value, Unavailable)
    assert KEY not in f"{caught.value} {model!r}"


def test_complete_names_the_model_and_shows_the_key() -> None:
    with model_at(saying("yes")) as (model, server):
        model.complete(ASKED)

    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(request.body)["model"] == "m"
    assert "stream" not in json.loads(request.body)


def test_stream_gives_the_reply_as_it_comes() -> None:
    with model_at(
        lambda _: streaming(delta("25 "), delta("days"), delta("", finish_reason="stop"), DONE)
    ) as (
        model,
        server,
    ):
        assert list(model.stream(ASKED)) == ["25 ", "days"]

    assert json.loads(server.requests[0].body)["stream"] is True


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_stream_is_read_whatever_its_packets(size: int) -> None:
    said = "Zürich 会議室 🙂\u2028 line"
    whole = b": a comment\r\n\r\n" + delta(said).replace(b"\n", b"\r\n") + delta(" end") + DONE
    packets = [whole[start : start + size] for start in range(0, len(whole), size)]
    with model_at(lambda _: streaming(*packets)) as (model, _):
        assert "".join(model.stream(ASKED)) == f"{said} end"


def test_stream_takes_the_whole_answer_of_a_server_that_does_not_stream() -> None:
    with model_at(saying("25 days")) as (model, _):
        assert list(model.stream(ASKED)) == ["25 days"]


def test_stream_ends_well_without_the_last_word_of_the_protocol() -> None:
    with model_at(lambda _: streaming(delta("25 days"), delta("", finish_reason="stop"))) as (model, _):
        assert list(model.stream(ASKED)) == ["25 days"]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(b"", id="cut"),
        pytest.param(b"data: {", id="cut amid an event"),
        pytest.param(b'data: {"error": {"message": "overloaded sk-very-secret"}}\n\n', id="error"),
        pytest.param(b"data: nonsense\n\n", id="no JSON"),
        pytest.param(b'data: {"choices": [{"delta": {"content": 7}}]}\n\n', id="no text"),
        pytest.param(b"data: [1]\n\n", id="no object"),
    ],
)
def test_stream_says_what_came_and_that_it_broke_off(end: bytes) -> None:
    heard: list[str] = []
    with (
        model_at(lambda _: streaming(delta("25 days"), end)) as (model, _),
        pytest.raises(LanguageModelUnavailable) as caught,
    ):
        heard.extend(model.stream(ASKED))

    assert heard in ([], ["25 days"])
    assert KEY not in str(caught.value)


def test_stream_asks_a_busy_server_again() -> None:
    replies = iter([Reply(429, headers={"retry-after": "0"}), Reply(503)])
    with model_at(lambda _: next(replies, None) or streaming(delta("yes"), DONE)) as (model, server):
        assert list(model.stream(ASKED)) == ["yes"]

    assert len(server.requests) == 3


def test_reading_beats_while_the_server_is_silent_and_gives_up_on_one_that_stays_so() -> None:
    over = threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        yield delta("25 days")
        # It says that it is there, and nothing else.
        while not over.wait(0.01):
            yield b": waiting\n\n"

    def answer(_: Request) -> Reply:
        return Reply(headers={"content-type": "text/event-stream"}, pieces=pieces())

    heard: list[str | None] = []
    with model_at(answer) as (model, _):
        patient = replace(model, stall_seconds=0.2)
        with Reading(patient, ASKED) as reading, pytest.raises(LanguageModelUnavailable):
            heard.extend(reading.pieces(heartbeat=0.02))
        over.set()

    assert heard[0] == "25 days"
    assert None in heard


@pytest.mark.parametrize("has_answered", [True, False])
def test_reading_left_early_hangs_up(has_answered: bool) -> None:
    hung_up = threading.Event()
    asked = threading.Event()

    def pieces() -> Generator[bytes, None, None]:
        try:
            while True:
                yield delta("on and ")
                time.sleep(0.005)
        finally:
            hung_up.set()

    def answer(_: Request) -> Reply:
        asked.set()
        if not has_answered:
            # Thinks, and has said nothing yet.
            time.sleep(0.3)
        return Reply(headers={"content-type": "text/event-stream"}, pieces=pieces())

    with model_at(answer) as (model, _):
        with Reading(model, ASKED) as reading:
            assert asked.wait(10)
            if has_answered:
                assert next(iter(reading.pieces(10))) == "on and "
        assert hung_up.wait(10)
        # The reader is gone as well.
        reading._thread.join(10)
        assert not reading._thread.is_alive()

"""An answer while it is written, sentence by sentence as each becomes certain: as server-sent events, or as else it is worded.

No connection of the database and no transaction is held while the language model writes. Whoever goes away is noticed
by the next frame that cannot be sent, a heartbeat at the latest; closing the iterator hangs up on the model.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Protocol

import structlog
from prometheus_client import Gauge
from pydantic import BaseModel

from backend.errors import StateError
from backend.flows.ask.flow import HEARTBEAT_SECONDS, Found, Part, Reply, write_live
from backend.flows.ask.views import (
    CitationEvent,
    SearchAnswer,
    SentenceEvent,
    citation_view,
    sources_event,
)
from backend.search.llm import ChatModel

_log = structlog.get_logger(__name__)

OPEN_ANSWERS = Gauge("secondbrain_open_answer_streams", "Answers this process is streaming")


class ErrorEvent(BaseModel):
    """The last event of an answer that could not be finished."""

    success: bool = False
    error: str
    error_code: str
    request_id: str


class Wording(Protocol):
    """How an answer looks where it is sent while it is written."""

    def begin(self) -> str:
        """Before anything is written."""
        ...

    def still_writing(self) -> str:
        """When nothing has come for a while: whoever has left is noticed by it."""
        ...

    def sentence(self, part: Part, /) -> str:
        """The next one."""
        ...

    def end(self, answer: SearchAnswer, /) -> str:
        """The whole of it is known."""
        ...

    def failure(self, message: str, code: str, /) -> str:
        """It cannot be finished."""
        ...


def stream(
    found: Found,
    chat_model: ChatModel | None,
    wording: Wording,
    *,
    finish: Callable[[Reply], SearchAnswer],
    break_off: Callable[[Found], None],
    heartbeat: float = HEARTBEAT_SECONDS,
) -> Iterator[str]:
    """The answer in the words of `wording`, with what `finish` makes of the reply at its end. If that does not come, or
    nobody reads on, `break_off` is told what had been found."""
    OPEN_ANSWERS.inc()
    is_done = False
    try:
        yield wording.begin()
        with closing(write_live(found, chat_model, heartbeat=heartbeat)) as steps:
            for step in steps:
                if step is None:
                    yield wording.still_writing()
                elif isinstance(step, Part):
                    yield wording.sentence(step)
                else:
                    # Whatever happens now, what was asked is written down.
                    is_done = True
                    yield wording.end(finish(step))
    except StateError as error:
        _log.warning("streamed answer ended early", error=error.error_code)
        yield wording.failure(error.message, error.error_code)
    except Exception as error:  # noqa: BLE001 - logged; the client must not wait for what will not come
        _log.exception("streamed answer failed", error=type(error).__name__)
        words = "Something went wrong on our side; the request id finds it."
        yield wording.failure(words, "INTERNAL_ERROR")
    finally:
        OPEN_ANSWERS.dec()
        if not is_done:
            break_off(found)


class Events:
    """As server-sent events: `sources`, then a `sentence` and its `citation`s each, then `done`, or `error`."""

    def __init__(
        self, query: str, found: Found, *, public_url: str, with_sources: bool, request_id: str
    ) -> None:
        self._query = query
        self._found = found
        self._public_url = public_url
        self._with_sources = with_sources
        self._request_id = request_id
        self._index = 0

    def begin(self) -> str:
        known = sources_event(
            self._query, self._found, public_url=self._public_url, with_sources=self._with_sources
        )
        return _frame("sources", known)

    def still_writing(self) -> str:
        return ": still writing\n\n"

    def sentence(self, part: Part) -> str:
        frames = [_frame("sentence", SentenceEvent(index=self._index, text=part.text))]
        for cited in part.citations:
            view = citation_view(cited, self._found.hits, self._public_url)
            frames.append(_frame("citation", CitationEvent(index=self._index, **view.model_dump())))
        self._index += 1
        return "".join(frames)

    def end(self, answer: SearchAnswer) -> str:
        return _frame("done", answer)

    def failure(self, message: str, code: str) -> str:
        return _frame("error", ErrorEvent(error=message, error_code=code, request_id=self._request_id))


def _frame(event: str, data: BaseModel) -> str:
    return f"event: {event}\ndata: {data.model_dump_json()}\n\n"

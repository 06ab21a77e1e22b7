"""An answer as server-sent events, sentence by sentence as each becomes certain.

No connection of the database and no transaction is held while the language model writes. Whoever goes away is noticed
by the next frame that cannot be sent, a heartbeat at the latest; closing the iterator hangs up on the model.
"""

from collections.abc import Callable, Iterator
from contextlib import closing

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


def stream_answer(
    query: str,
    found: Found,
    chat_model: ChatModel | None,
    *,
    public_url: str,
    with_sources: bool,
    request_id: str,
    finish: Callable[[Reply], SearchAnswer],
    break_off: Callable[[Found], None],
    heartbeat: float = HEARTBEAT_SECONDS,
) -> Iterator[str]:
    """Frames: `sources`, then a `sentence` and its `citation`s each, then `done` with what `finish` makes of the reply,
    or `error`. Without `done`, or when nobody reads on, `break_off` is told what had been found."""
    OPEN_ANSWERS.inc()
    is_done = False
    try:
        yield _frame("sources", sources_event(query, found, public_url=public_url, with_sources=with_sources))
        index = 0
        with closing(write_live(found, chat_model, heartbeat=heartbeat)) as steps:
            for step in steps:
                if step is None:
                    yield ": still writing\n\n"
                elif isinstance(step, Part):
                    yield _sentence(step, index, found, public_url)
                    index += 1
                else:
                    # Whatever happens now, what was asked is written down.
                    is_done = True
                    yield _frame("done", finish(step))
    except StateError as error:
        _log.warning("streamed answer ended early", error=error.error_code)
        yield _frame(
            "error", ErrorEvent(error=error.message, error_code=error.error_code, request_id=request_id)
        )
    except Exception as error:  # noqa: BLE001 - logged; the client must not wait for what will not come
        _log.exception("streamed answer failed", error=type(error).__name__)
        words = "Something went wrong on our side; the request id finds it."
        yield _frame("error", ErrorEvent(error=words, error_code="INTERNAL_ERROR", request_id=request_id))
    finally:
        OPEN_ANSWERS.dec()
        if not is_done:
            break_off(found)


def _sentence(part: Part, index: int, found: Found, public_url: str) -> str:
    frames = [_frame("sentence", SentenceEvent(index=index, text=part.text))]
    for cited in part.citations:
        view = citation_view(cited, found.hits, public_url)
        frames.append(_frame("citation", CitationEvent(index=index, **view.model_dump())))
    return "".join(frames)


def _frame(event: str, data: BaseModel) -> str:
    return f"event: {event}\ndata: {data.model_dump_json()}\n\n"

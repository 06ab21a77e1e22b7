"""A page that is sent while a language model writes its answer, sentence by sentence; no script, only a slow page."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final
from uuid import UUID

import structlog

from backend.errors import StateError
from backend.flows.ask.flow import HEARTBEAT_SECONDS, Found, Part, Reply, write_live
from backend.flows.ask.stream import OPEN_ANSWERS
from backend.flows.ask.views import SearchAnswer, citation_view
from backend.flows.desk.page import Frame, live_end, live_failure, live_page, live_sentence
from backend.search.llm import ChatModel

_log = structlog.get_logger(__name__)

#: Sent while nothing is written, so that whoever has left is noticed.
_STILL_WRITING: Final = "<!-- -->"


def stream_page(
    frame: Frame,
    question: str,
    found: Found,
    chat_model: ChatModel,
    *,
    public_url: str,
    search_id: UUID,
    finish: Callable[[Reply], SearchAnswer],
    break_off: Callable[[Found], None],
    heartbeat: float = HEARTBEAT_SECONDS,
) -> Iterator[str]:
    """Pieces of the page. `finish` is told the whole reply, under `search_id`; if that does not come, or nobody reads on,
    `break_off` what had been found."""
    before, after = live_page(frame, question, found.retrieved.corrections)
    OPEN_ANSWERS.inc()
    is_done = False
    try:
        yield before
        with closing(write_live(found, chat_model, heartbeat=heartbeat)) as steps:
            for step in steps:
                if step is None:
                    yield _STILL_WRITING
                elif isinstance(step, Part):
                    views = [citation_view(cited, found.hits, public_url) for cited in step.citations]
                    yield live_sentence(step.text, views, str(search_id))
                else:
                    # Whatever happens now, what was asked is written down.
                    is_done = True
                    yield live_end(frame, finish(step)) + after
    except StateError as error:
        _log.warning("page ended early", error=error.error_code)
        yield live_failure(error.message) + after
    except Exception as error:  # noqa: BLE001 - logged; a page that only stops would look like an answer
        _log.exception("page failed", error=type(error).__name__)
        yield live_failure("Something went wrong on our side.") + after
    finally:
        OPEN_ANSWERS.dec()
        if not is_done:
            break_off(found)

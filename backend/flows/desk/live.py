"""A page that is sent while a language model writes its answer, sentence by sentence; no script, only a slow page."""

from uuid import UUID

from backend.flows.ask.flow import Found, Part
from backend.flows.ask.views import SearchAnswer, citation_view
from backend.flows.desk.page import Frame, live_end, live_failure, live_page, live_sentence


class LivePage:
    """How the page words an answer (`backend.flows.ask.stream.Wording`); its links say that they belong to `search_id`."""

    def __init__(
        self, frame: Frame, question: str, found: Found, *, public_url: str, search_id: UUID
    ) -> None:
        self._frame = frame
        self._found = found
        self._public_url = public_url
        self._search_id = str(search_id)
        self._before, self._after = live_page(frame, question, found.retrieved.corrections)

    def begin(self) -> str:
        return self._before

    def still_writing(self) -> str:
        return "<!-- -->"

    def sentence(self, part: Part) -> str:
        views = [citation_view(cited, self._found.hits, self._public_url) for cited in part.citations]
        return live_sentence(part.text, views, self._search_id)

    def end(self, answer: SearchAnswer) -> str:
        return live_end(self._frame, answer) + self._after

    def failure(self, message: str, _code: str) -> str:
        return live_failure(message) + self._after

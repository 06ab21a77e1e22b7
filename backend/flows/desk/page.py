"""How the desk's pages look. All text in them is escaped here; links lead to this server only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import shorten
from typing import Final
from urllib.parse import urlencode

from backend.documents.models import Upload
from backend.documents.uploads.repository import Reading
from backend.flows.ask.views import CitationView, SearchAnswer, SourceView
from backend.flows.desk.folder import megabytes
from backend.pages import page
from backend.search.plain import plain, visible
from backend.search.sentences import split_sentences

ASK: Final = "/api/desk/ask"
DESK: Final = "/api/desk"
FEEDBACK: Final = "/api/desk/feedback"
FILES: Final = "/api/desk/files"
OPEN: Final = "/api/desk/open"
SIGN_OUT: Final = "/api/desk/sign-out"

#: Sources that are shown under an answer.
_SOURCES: Final = 10
#: Characters of a passage that are shown there.
_PREVIEW: Final = 300
#: Characters of a question: it is part of an address, which proxies bound to 8 KB, and may need nine bytes each.
_QUESTION: Final = 800
#: Files of one page of the list.
FILES_SHOWN: Final = 100
_REFRESH_SECONDS: Final = 2
_MARKER = re.compile(r"\[Source (\d+)\]")
_ANSWER: Final = '<section aria-label="Answer">\n<p class="answer">'
_ANSWER_END: Final = "</p>\n</section>\n"
#: In no page.
_SLOT: Final = "\0"

#: (as typed, as searched for)
Corrections = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page of the desk has: whose it is, and the confirmation its forms carry."""

    workspace: str
    email: str
    confirmation: str


@dataclass(frozen=True, slots=True)
class Files:
    """A page of the list of files, the newest first; `most_bytes` may come at once, of files of `most_file_bytes` each."""

    shown: Sequence[Upload]
    offset: int
    has_more: bool
    reading: Reading
    most_bytes: int
    most_file_bytes: int
    is_adding: bool
    """Whether the form is wanted though files are being read: then the page does not fetch itself anew."""


def ask_page(frame: Frame, question: str, answer: SearchAnswer | None, *, message: str = "") -> str:
    """The form for a question and, if one was asked, its answer with the sources."""
    body = f"""<h1>Ask your documents</h1>
{_warning(message)}<form class="ask" method="get" action="{ASK}" role="search">
<label class="hidden" for="q">Question</label>
<input type="search" id="q" name="q" value="{escape(question)}" maxlength="{_QUESTION}" required autofocus>
<button type="submit">Ask</button>
</form>
"""
    if answer is not None:
        body += _answer(frame, answer)
    return page(question or "Ask", _navigation(frame, here=DESK) + body, is_wide=True)


def live_page(frame: Frame, question: str, corrections: Corrections) -> tuple[str, str]:
    """The page up to the answer's first sentence, and the end of it, behind what `live_end` gives."""
    whole = ask_page(frame, question, None).replace("</main>", f"{_SLOT}</main>")
    before, _, after = whole.partition(_SLOT)
    return f"{before}{_searched(corrections)}{_ANSWER}", after


def live_sentence(text: str, citations: Sequence[CitationView], search_id: str) -> str:
    """A sentence of the answer with its citations."""
    return _linked(text, citations, search_id)


def live_end(frame: Frame, answer: SearchAnswer) -> str:
    """What follows the answer."""
    cut = "" if answer.is_complete else _warning("The language model broke off here; ask again.")
    return f"{_ANSWER_END}{cut}{_below(frame, answer)}"


def live_failure(message: str) -> str:
    """What follows an answer that cannot be finished."""
    return f"{_ANSWER_END}{_warning(message)}"


def files_page(frame: Frame, files: Files, *, may_add: bool, message: str = "") -> str:
    """The form for files and folders, and what became of those handed in."""
    is_reading = files.reading.waiting > 0
    shows_form = may_add and (not is_reading or files.is_adding)
    body = f"<h1>Files</h1>\n{_warning(message)}"
    if is_reading:
        done = files.reading.total - files.reading.waiting
        body += (
            f'<p><label>{done} of {files.reading.total} processed <progress value="{done}"'
            f' max="{files.reading.total}"></progress></label></p>\n'
        )
    if shows_form and is_reading:
        body += f'<p><a href="{FILES}">Follow them</a></p>\n'
    if shows_form:
        body += _form(frame, files)
    elif may_add:
        body += f'<p><a href="{FILES}?add=1">Upload more</a></p>\n'
    body += _list(files)
    # What somebody has chosen in the form would be gone.
    is_followed = is_reading and not shows_form
    head = f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">' if is_followed else ""
    return page("Files", _navigation(frame, here=FILES) + body, head=head, is_wide=True)


def _navigation(frame: Frame, *, here: str) -> str:
    links = "".join(
        f'<a href="{address}"{" aria-current=page" if address == here else ""}>{words}</a>'
        for address, words in ((DESK, "Ask"), (FILES, "Files"))
    )
    who = f"<bdi>{escape(visible(frame.email))}</bdi>, <bdi>{escape(visible(frame.workspace))}</bdi>"
    return f"""<nav>{links}<span class="who">{who}</span>
<form method="post" action="{SIGN_OUT}"><input type="hidden" name="confirmation" value="{escape(frame.confirmation)}">
<button class="button no" type="submit">Sign out</button></form></nav>
"""


def _warning(message: str) -> str:
    return f'<p class="warning" role="alert">{escape(message)}</p>\n' if message else ""


# -- answers


def thanks_page(frame: Frame) -> str:
    """After somebody has said what an answer was worth."""
    body = f'<h1>Noted, thank you</h1>\n<p><a href="{DESK}">Ask something else</a></p>\n'
    return page("Noted", _navigation(frame, here="") + body, is_wide=True)


def _answer(frame: Frame, answer: SearchAnswer) -> str:
    said = _linked(answer.answer, answer.citations, answer.search_id)
    corrections = [(one["from"], one["to"]) for one in answer.corrections]
    return f"{_searched(corrections)}{_ANSWER}{said}{_ANSWER_END}{_below(frame, answer)}"


def _searched(corrections: Corrections) -> str:
    if not corrections:
        return ""
    meant = ", ".join(
        f"<em>{escape(to)}</em> instead of <em>{escape(typed)}</em>" for typed, to in corrections
    )
    return f'<p class="note">Searched for {meant}.</p>\n'


def _below(frame: Frame, answer: SearchAnswer) -> str:
    begin = f'<p><a href="{FILES}">Upload files</a></p>\n' if answer.is_empty_knowledge_base else ""
    return f"{begin}{_feedback(frame, answer)}{_sources(answer)}"


def _feedback(frame: Frame, answer: SearchAnswer) -> str:
    """What one thinks of the answer: questions that it did not answer are gaps."""
    fields = {
        "confirmation": frame.confirmation,
        "query": answer.query,
        "answer": answer.answer,
        "search_id": answer.search_id or "",
    }
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items()
    )
    return f"""<form class="feedback" method="post" action="{FEEDBACK}">{hidden}
<span class="note">Does this answer it?</span>
<button class="button no" type="submit" name="rating" value="up">Yes</button>
<button class="button no" type="submit" name="rating" value="down">No</button>
</form>
"""


def _linked(text: str, citations: Sequence[CitationView], search_id: str | None) -> str:
    """The answer's text, each marker a link that opens the document at the sentence."""
    pieces: list[str] = []
    done = 0
    # There is a citation for each marker, in their order.
    for marker, cited in zip(_MARKER.finditer(text), citations, strict=False):
        pieces.append(escape(text[done : marker.start()]).rstrip(" "))
        pieces.append(
            f' <a class="cite" href="{_address(search_id, cited)}" target="_blank" rel="noopener"'
            f' title="{escape(visible(cited.sentence))}">{cited.source}</a>'
        )
        done = marker.end()
    return "".join((*pieces, escape(text[done:])))


def _sources(answer: SearchAnswer) -> str:
    if not answer.citations:
        if not answer.sources:
            return ""
        heading, numbers = "Nearest passages", [*range(1, len(answer.sources) + 1)]
    else:
        heading = "Sources"
        cited = dict.fromkeys(one.source for one in answer.citations)
        numbers = [*cited, *(n for n in range(1, len(answer.sources) + 1) if n not in cited)]
    items = "\n".join(_source(n, answer, answer.sources[n - 1]) for n in numbers[:_SOURCES])
    return f'<h2>{heading}</h2>\n<ul class="sources">\n{items}\n</ul>\n'


def _source(number: int, answer: SearchAnswer, source: SourceView) -> str:
    headings = [escape(visible(heading)) for heading in source.heading_path if heading != source.title]
    place = [" › ".join(headings)] if headings else []
    if source.page is not None:
        place.append(f"page {source.page}")
    where = f' <span class="note">{" · ".join(place)}</span>' if place else ""
    title = escape(visible(source.title)) or "Untitled"
    return (
        f'<li><span class="number">{number}</span> <a href="{_address(answer.search_id, source)}" target="_blank" rel="noopener">'
        f"<bdi>{title}</bdi></a>{where}<blockquote>{escape(_beginning(source.content))}</blockquote></li>"
    )


def _beginning(passage: str) -> str:
    """How a passage begins, without its headings and marks."""
    words = " ".join(sentence.text for sentence in split_sentences(passage)) or plain(passage)
    return shorten(visible(words), _PREVIEW, placeholder=" …")


def _address(search_id: str | None, place: CitationView | SourceView) -> str:
    """Opens the document there; on its way it is noted which search led to it."""
    query = {"document": place.doc_id, "start": str(place.start_offset), "end": str(place.end_offset)}
    if search_id is not None:
        query["search"] = search_id
    return escape(f"{OPEN}?{urlencode(query)}")


# -- files


def _form(frame: Frame, files: Files) -> str:
    return f"""<form class="upload" method="post" action="{FILES}" enctype="multipart/form-data">
<input type="hidden" name="confirmation" value="{escape(frame.confirmation)}">
<label>Files<input type="file" name="files" multiple></label>
<label>or a whole folder<input type="file" name="files" multiple webkitdirectory></label>
<button type="submit">Upload</button>
<p class="note">Up to {megabytes(files.most_bytes)} at once, {megabytes(files.most_file_bytes)} a file. Drop files or a folder on the fields, or choose them.</p>
</form>
"""


def _list(files: Files) -> str:
    if not files.shown:
        return "<p>No files yet.</p>\n" if not files.offset else "<p>No more files.</p>\n"
    # What somebody may have to do something about comes first.
    ordered = sorted(files.shown, key=lambda upload: ("failed", "waiting", "stored").index(upload.state))
    rows = "\n".join(_row(upload) for upload in ordered)
    links = ""
    if files.offset:
        links += _page_link(max(0, files.offset - FILES_SHOWN), "Newer")
    if files.has_more:
        links += _page_link(files.offset + FILES_SHOWN, "Older")
    return f"""<table>
<thead><tr><th scope="col">File</th><th scope="col">Status</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
{f'<p class="pages">{links}</p>' if links else ""}"""


def _row(upload: Upload) -> str:
    name = f"<bdi>{escape(visible(upload.title or upload.file_name)) or 'Untitled'}</bdi>"
    if upload.state == "stored":
        name = f'<a href="/api/document/{upload.id}/view" target="_blank" rel="noopener">{name}</a>'
        became = "Ready"
    elif upload.state == "failed":
        became = f'<span class="failed">{escape(visible(upload.reason or "It could not be read."))}</span>'
    else:
        became = "Processing …"
    return f"<tr><td>{name}</td><td>{became}</td></tr>"


def _page_link(offset: int, words: str) -> str:
    return f'<a href="{FILES}?{urlencode({"offset": offset})}">{words}</a> '

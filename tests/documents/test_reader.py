"""Documents are read in processes of their own: none ends, stops or swells whoever asks, and each says why."""

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from math import inf, nan
from pathlib import Path

import psutil
import pytest

from backend.documents.parsing.document import ReadDocument
from backend.documents.parsing.failures import (
    EncryptedDocument,
    ExpandsTooMuch,
    ParseFailed,
    ParserCrashed,
    ParsingTookTooLong,
    ParsingTookTooMuchMemory,
    ReaderUnavailable,
)
from backend.documents.parsing.framing import Read, Span
from backend.documents.parsing.limits import MIB, Limits
from backend.documents.parsing.process import ReadingProcess
from backend.documents.parsing.reader import DocumentReader, _checked
from tests.documents import samples
from tests.processes import process_that_said

ENTITIES = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)


@pytest.fixture(scope="module")
def shared() -> Iterator[DocumentReader]:
    with DocumentReader(2) as made:
        yield made


@pytest.fixture
def reader(shared: DocumentReader) -> DocumentReader:
    """It has an idle process when the test begins."""
    read(shared, b"warm", "a.txt")
    return shared


def read(
    reader: DocumentReader, data: bytes, name: str = "a.txt", limits: Limits | None = None
) -> ReadDocument:
    return reader.read(
        data, file_name=name, mime_type=None, limits=limits or Limits(), max_characters=1200, overlap=0
    )


def numbers(*vector: float) -> bytes:
    """As a process sends them."""
    return array("f", vector).tobytes()


def still_works(reader: DocumentReader) -> bool:
    return read(reader, b"# Next\n\nThe next one.", "a.md").document.title == "Next"


def in_the_background(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """A thread that does it, and what it returns or raises."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(work())
        except ParseFailed as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def stopped(reader: DocumentReader) -> int:
    """Suspends its only process: whatever that is given next, it does not come to an end with it."""
    (pid,) = reader.pids
    os.kill(pid, signal.SIGSTOP)
    return pid


@pytest.fixture
def single() -> Iterator[DocumentReader]:
    """A reader of the test's own, with one idle process."""
    with DocumentReader() as made:
        read(made, b"warm")
        yield made


def test_document_comes_with_its_passages_and_its_process_is_kept(reader: DocumentReader) -> None:
    before = reader.pids
    found = read(reader, samples.make_pdf(["Bags may weigh 23 kg each."]), "bags.pdf")
    assert [passage.text for passage in found.passages] == ["Bags may weigh 23 kg each."]
    assert found.document.metadata["page_count"] == "1"
    assert reader.pids == before


@pytest.mark.parametrize(
    ("data", "name", "failure"),
    [
        (samples.make_zip({"word/document.xml": b" " * (60 * MIB)}), "bomb.docx", ExpandsTooMuch),
        (samples.make_zip({f"xl/{n}.xml": b"x" for n in range(10_001)}), "many.xlsx", ExpandsTooMuch),
        (
            samples.make_zip({f"{n}.zip": samples.make_zip({"a": b"\0" * (20 * MIB)}) for n in range(3)}),
            "nested.docx",
            ParseFailed,
        ),
        (
            samples.replace_member(
                samples.make_docx(paragraphs=["x"]), "word/document.xml", ENTITIES + b"]><x>&j;</x>"
            ),
            "entities.docx",
            ExpandsTooMuch,
        ),
        (
            samples.replace_member(
                samples.make_xlsx([["a"]]), "xl/worksheets/sheet1.xml", ENTITIES + b"]><x>&j;</x>"
            ),
            "entities.xlsx",
            ExpandsTooMuch,
        ),
        (samples.make_encrypted_pdf(), "secret.pdf", EncryptedDocument),
        (samples.make_pdf(["Some words"] * 50)[:700], "truncated.pdf", ParseFailed),
        (b"\0" * MIB, "nothing.pdf", ParseFailed),
        (b"%PDF-1.7\n1 0 obj\n" + b"[" * 200_000, "deep.pdf", ParseFailed),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_document_is_refused_with_a_reason(
    reader: DocumentReader, data: bytes, name: str, failure: type[ParseFailed]
) -> None:
    with pytest.raises(failure) as caught:
        read(reader, data, name)
    assert caught.value.message.endswith(".")
    assert still_works(reader)


def test_archive_that_lies_about_its_size_is_refused(reader: DocumentReader) -> None:
    bomb = samples.make_zip({"word/document.xml": b"<a/>" * (5 * MIB)})
    with zipfile.ZipFile(BytesIO(bomb)) as archive:
        size = archive.infolist()[0].file_size.to_bytes(4, "little")
    with pytest.raises(ParseFailed):
        read(reader, bomb.replace(size, (1000).to_bytes(4, "little")), "liar.docx")
    assert still_works(reader)


def test_html_nested_deeply_keeps_its_words(reader: DocumentReader) -> None:
    page = b"<html><body>" + b"<div>" * 20_000 + b"Deep words" + b"</div>" * 20_000
    assert read(reader, page, "deep.html").document.text == "Deep words"


@pytest.mark.parametrize("name", ["one line.txt", "one line.md", "rows.csv", "rows.xlsx"])
def test_long_document_is_cut_and_says_so(reader: DocumentReader, name: str) -> None:
    limits = Limits(max_characters=20_000)
    data = b"a few words, and more " * 5000
    if name == "rows.csv":
        data = b"item,cost\n" * 10_000
    elif name == "rows.xlsx":
        data = samples.make_xlsx([[f"item {n}", n] for n in range(5000)])
    found = read(reader, data, name, limits)
    assert 5000 < len(found.document.text) <= 20_000
    assert "20,000 characters" in found.document.metadata["truncated"]
    assert found.passages[-1].end <= len(found.document.text)


def test_document_that_hangs_is_given_up_and_the_next_is_read(single: DocumentReader) -> None:
    pid = stopped(single)
    with pytest.raises(ParsingTookTooLong, match="longer than 1 seconds"):
        # More than a pipe holds: not even handing it over may wait for ever.
        read(single, b"word " * 200_000, limits=Limits(timeout_seconds=1))
    assert still_works(single)
    assert not psutil.pid_exists(pid)


def test_process_killed_in_the_middle_is_replaced_and_the_document_read(single: DocumentReader) -> None:
    pid = stopped(single)
    thread, outcome = in_the_background(lambda: read(single, b"Words that are read in the end."))
    while single.pids:
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    thread.join(20)
    (found,) = outcome
    assert isinstance(found, ReadDocument)
    assert found.document.text == "Words that are read in the end."


def test_document_that_kills_each_process_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = ReadingProcess.ask

    def ask_one_that_dies(self: ReadingProcess, frame: bytes, **limits: float) -> bytearray:
        os.kill(self.pid, signal.SIGSEGV)
        return ask(self, frame, **limits)  # type: ignore[arg-type]

    with DocumentReader() as reader:
        monkeypatch.setattr(ReadingProcess, "ask", ask_one_that_dies)
        with pytest.raises(ParserCrashed):
            read(reader, b"x")
        monkeypatch.undo()
        assert still_works(reader)


def test_memory_is_bounded(reader: DocumentReader) -> None:
    page = b"<p>hello world how are you</p>" * 150_000
    with pytest.raises(ParsingTookTooMuchMemory, match="more than 64 MB"):
        read(reader, page, "a.html", Limits(max_memory_bytes=64 * MIB))
    assert still_works(reader)
    assert psutil.Process().memory_info().rss < 2048 * MIB


def test_two_threads_read_at_once(reader: DocumentReader) -> None:
    def read_from(first: int) -> list[str]:
        return [read(reader, b"Text %d" % number).document.text for number in range(first, first + 20)]

    threads = [in_the_background(partial(read_from, first)) for first in (0, 100, 200)]
    for thread, _ in threads:
        thread.join(60)
    assert [outcome for _, outcome in threads] == [
        [[f"Text {k}" for k in range(n, n + 20)]] for n in (0, 100, 200)
    ]
    assert 1 <= len(reader.pids) <= 2


def test_process_knows_nothing_of_its_parent(reader: DocumentReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    with DocumentReader() as fresh:
        read(fresh, b"x")
        (pid,) = fresh.pids
        process = psutil.Process(pid)
        assert not {"DATABASE_URL", "SECRET_KEYS", "HOME"} & set(process.environ())
        assert not [c for c in process.net_connections() if c.raddr]
        assert process.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert process.rlimit(psutil.RLIMIT_AS)[0] < 4096 * MIB
    assert not psutil.pid_exists(pid)


def test_process_ends_with_its_parent() -> None:
    with process_that_said("ready", "tests.documents.reader_process") as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 20
        while Path(f"/proc/{pid}").exists() and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize(
    "answer",
    [
        Read("words", "text/plain", None, False, None, {}, []),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 6, ())]),
        Read("words", "text/plain", None, False, None, {}, [Span(3, 2, ())]),
        Read("wo\0ds", "text/plain", None, False, None, {}, [Span(0, 5, ())]),
        Read("words", "text/plain", "a\0b", False, None, {}, [Span(0, 5, ())]),
        Read("x" * 200, "text/plain", None, False, None, {}, [Span(0, 5, ())]),
        Read("x" * 90, "text/plain", None, False, None, {}, [Span(0, 90, ())]),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (0, 3, 2)),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (0, 6)),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (), numbers(1.0)),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (), numbers(1.0, 0.0, 0.0)),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (), numbers(0.0, 0.0)),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (), numbers(3.0, 4.0)),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (), numbers(nan, 1.0)),
        Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (), numbers(inf, 0.0)),
    ],
)
def test_answer_of_a_process_that_was_taken_over_is_not_believed(answer: Read) -> None:
    with pytest.raises(ParserCrashed):
        _checked(answer, Limits(max_characters=100), 50, 2)


def test_vectors_that_nobody_asked_for_are_not_taken() -> None:
    answer = Read("words", "text/plain", None, False, None, {}, [Span(0, 5, ())], (), numbers(0.6, 0.8))
    found = _checked(answer, Limits(max_characters=100), 50, 2).vectors
    assert found is not None
    assert found.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]
    with pytest.raises(ParserCrashed):
        _checked(answer, Limits(max_characters=100), 50, 0)


def test_nothing_is_read_after_the_end() -> None:
    reader = DocumentReader()
    reader.close()
    with pytest.raises(ReaderUnavailable):
        read(reader, b"x")


def test_worker_does_not_carry_the_library() -> None:
    script = (
        "import sys, backend.work, backend.flows.import_folder.flow; "
        "sys.exit(any(m in sys.modules for m in ('kreuzberg', 'markdown_it', 'semantic_text_splitter')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

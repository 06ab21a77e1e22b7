"""Reads documents in processes of their own, so that none can end, hang or swell the process that asks.

    reader = DocumentReader(processes=2)
    read = reader.read(data, file_name="a.pdf", mime_type=None, limits=Limits(), max_characters=1200, overlap=0)

A process is started when it is needed, kept for the next documents, and replaced when it was killed, has read a
thousand or has grown. What it answers is checked: it may have been taken over by what it read.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter, Histogram

from backend.documents.parsing.document import Chunk, ParsedDocument, ReadDocument
from backend.documents.parsing.failures import (
    KINDS,
    DocumentTooLarge,
    ParseFailed,
    ParserCrashed,
    ParsingTookTooLong,
    ParsingTookTooMuchMemory,
    ReaderUnavailable,
)
from backend.documents.parsing.framing import (
    Asked,
    EmbeddingWanted,
    Failed,
    Read,
    decode_answer,
    framed,
)
from backend.documents.parsing.limits import MIB, Limits
from backend.documents.parsing.process import (
    Ended,
    NotStarted,
    ReadingProcess,
    TookTooLong,
    TookTooMuchMemory,
)

_log = structlog.get_logger(__name__)

PARSED = Counter("secondbrain_parsed_documents_total", "Documents this process has had read", ["outcome"])
PARSE_SECONDS = Histogram(
    "secondbrain_parse_seconds",
    "How long reading a document took, waiting for a process left out",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)

_DOCUMENTS_A_PROCESS: Final = 1000
_GROWTH_BYTES: Final = 192 * MIB
#: What an answer may have beside four bytes for each character: passages, headings, facts.
_ANSWER_ROOM: Final = 64 * MIB
_UNIT_TOLERANCE: Final = 1e-3


class DocumentReader:
    """At most `processes` reading processes, for any number of threads. A context manager; else close it.

    `program` is what they run, `model` the embedding model whose vectors it can make of passages, if any.
    """

    def __init__(
        self,
        processes: int = 1,
        *,
        program: str = "backend.documents.parsing.child",
        model: str | None = None,
    ) -> None:
        self.model = model
        self._program = program
        self._places = threading.BoundedSemaphore(processes)
        self._lock = threading.Lock()
        self._idle: list[ReadingProcess] = []
        self._is_closed = False
        # The kernel ends a process with the thread that started it: this one lives as long as the reader.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="reader")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of those that are idle and kept."""
        with self._lock:
            return frozenset(process.pid for process in self._idle)

    def read(
        self,
        data: bytes,
        *,
        file_name: str,
        mime_type: str | None,
        limits: Limits,
        max_characters: int,
        overlap: int,
        embedding: EmbeddingWanted | None = None,
    ) -> ReadDocument:
        """The document in `data` and its passages of at most `max_characters`, neighbours sharing `overlap`;
        with vectors of `model` if `embedding` asks for them, unless there are very many passages.

        Waits while all processes are busy. Raises ParseFailed, of the kind that says why, and ReaderUnavailable.
        """
        if len(data) > limits.max_bytes:
            PARSED.labels(DocumentTooLarge.__name__).inc()
            raise DocumentTooLarge(
                f"The document has {len(data)} bytes; at most {limits.max_bytes} are read."
            )
        frame = framed(
            Asked(
                data,
                # A name's end decides; nobody needs a megabyte of it.
                file_name[-255:],
                mime_type[:255] if mime_type else None,
                limits.max_bytes,
                limits.max_characters,
                limits.timeout_seconds,
                limits.max_memory_bytes,
                limits.max_expanded_bytes,
                limits.max_expansion_ratio,
                limits.max_archive_entries,
                max_characters,
                overlap,
                embedding,
            )
        )
        with self._places:
            started = time.monotonic()
            try:
                found = _checked(
                    self._ask(frame, limits),
                    limits,
                    max_characters,
                    embedding.dimensions if embedding is not None else 0,
                )
            except ParseFailed as error:
                PARSED.labels(type(error).__name__).inc()
                raise
            finally:
                PARSE_SECONDS.observe(time.monotonic() - started)
        PARSED.labels("read").inc()
        return found

    def close(self) -> None:
        """Ends the idle processes; those that are busy end with their document. Nothing can be read any more."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.kill()
        self._starter.shutdown(wait=False)

    def _ask(self, frame: bytes, limits: Limits) -> Read | Failed:
        """Asks a process, and a fresh one if that ended or was full of what it had read before."""
        for is_last in (False, True):
            with self._process(fresh=is_last) as process:
                was_used = process.asked > 0
                try:
                    body = process.ask(
                        frame,
                        seconds=limits.timeout_seconds,
                        memory=limits.max_memory_bytes,
                        most=4 * limits.max_characters + _ANSWER_ROOM,
                    )
                    return decode_answer(body)
                except TookTooLong as error:
                    raise ParsingTookTooLong(
                        f"Reading the document took longer than {limits.timeout_seconds} seconds."
                    ) from error
                except TookTooMuchMemory as error:
                    if is_last or not was_used:
                        raise _too_much_memory(limits) from error
                except (Ended, msgspec.DecodeError) as error:
                    _log.warning("reading process ended", why=str(error), tried_again=not is_last)
                    if is_last:
                        raise ParserCrashed from error
        raise ParserCrashed

    @contextmanager
    def _process(self, *, fresh: bool) -> Iterator[ReadingProcess]:
        """A process for one document; kept only when that has gone well."""
        process = self._take(fresh=fresh)
        is_good = False
        try:
            yield process
            is_good = True
        finally:
            # Before it is known by others: a thread that was ended here leaves nothing behind.
            if not (is_good and self._keep(process)):
                process.kill()

    def _take(self, *, fresh: bool) -> ReadingProcess:
        while not fresh:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                break
            if process.is_alive:
                return process
            process.kill()
        try:
            return self._starter.submit(ReadingProcess, self._program).result()
        except (NotStarted, RuntimeError) as error:
            _log.error("reading process not started", why=str(error))
            raise ReaderUnavailable from error

    def _keep(self, process: ReadingProcess) -> bool:
        if (
            process.asked >= _DOCUMENTS_A_PROCESS
            or process.has_grown_by > _GROWTH_BYTES
            or not process.is_alive
        ):
            return False
        with self._lock:
            if self._is_closed:
                return False
            self._idle.append(process)
        return True


def _checked(answer: Read | Failed, limits: Limits, max_characters: int, dimensions: int) -> ReadDocument:
    """What was answered, as it may be believed. Raises ParseFailed."""
    if isinstance(answer, Failed):
        if answer.kind == ParsingTookTooMuchMemory.__name__:
            raise _too_much_memory(limits)
        raise KINDS.get(answer.kind, ParserCrashed)(answer.message.replace("\0", "") or None)
    text = answer.text
    words = (text, answer.mime_type, answer.title or "", answer.language or "")
    texts = (
        *words,
        *answer.metadata,
        *answer.metadata.values(),
        *(h for s in answer.spans for h in s.heading_path),
    )
    if len(text) > limits.max_characters or not text.strip() or any("\0" in each for each in texts):
        raise ParserCrashed
    before = 0
    for span in answer.spans:
        if not before <= span.start < span.end <= len(text) or span.end - span.start > max_characters:
            raise ParserCrashed
        before = span.start
    bounds = answer.page_bounds
    if not answer.spans or (list(bounds) != sorted(bounds)) or any(bound > len(text) for bound in bounds):
        raise ParserCrashed
    return ReadDocument(
        ParsedDocument(
            text, answer.mime_type, answer.title, answer.is_markdown, answer.language, answer.metadata, bounds
        ),
        [
            Chunk(ordinal, text[span.start : span.end], span.start, span.end, span.heading_path)
            for ordinal, span in enumerate(answer.spans)
        ],
        _checked_vectors(answer.vectors, len(answer.spans), dimensions) if answer.vectors else None,
    )


def _checked_vectors(vectors: bytes, count: int, dimensions: int) -> NDArray[np.float32]:
    """`count` unit vectors. Raises ParserCrashed."""
    if len(vectors) != 4 * count * dimensions:
        raise ParserCrashed
    rows = np.frombuffer(vectors, dtype="<f4").reshape(count, dimensions)
    lengths = np.linalg.norm(rows, axis=1)
    # Also false of what is no number.
    if not bool(np.all(np.abs(lengths - 1) < _UNIT_TOLERANCE)):
        raise ParserCrashed
    return rows


def _too_much_memory(limits: Limits) -> ParsingTookTooMuchMemory:
    return ParsingTookTooMuchMemory(
        f"Reading the document took more than {limits.max_memory_bytes // MIB:,} MB of memory."
    )

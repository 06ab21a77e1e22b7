"""The process that reads documents for a worker: `python -m backend.documents.parsing.child PARENT`.

It holds no connection, no key and no setting, and is taken for lost to whatever it reads: the worker bounds it
from outside (`reader.py`), and what it does here for its own restraint is the second line. It ends with its
parent, when nothing has been asked of it for minutes, and when it is told to by a closed pipe.
"""

import ctypes
import gc
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO, Final, TypeAlias

import msgspec

from backend.documents.chunking import chunk
from backend.documents.parsing.confinement import confine
from backend.documents.parsing.document import Chunk
from backend.documents.parsing.engine import warm_up
from backend.documents.parsing.failures import ParseFailed, ParserCrashed, ParsingTookTooMuchMemory
from backend.documents.parsing.framing import (
    HEADER_BYTES,
    Asked,
    Failed,
    Read,
    Span,
    decode_asked,
    framed,
    header,
    length_in,
)
from backend.documents.parsing.limits import Limits
from backend.documents.parsing.parser import parse
from backend.lifeline import end_with_parent

_IDLE_SECONDS: Final = 300.0
_OPEN_FILES: Final = 64
#: After documents larger than this, what they left is given back to the system.
_LARGE_BYTES: Final = 1024 * 1024
#: A second's work, or two.
_MOST_EMBEDDED: Final = 2000


#: (title, passages) -> their unit vectors, as they go into a frame.
Embed: TypeAlias = Callable[[str, Sequence[Chunk]], bytes]


def main(open_model: Callable[[], Embed] | None = None) -> None:
    """Answers frames from standard input on standard output until there are no more.

    What `open_model` gives embeds passages where that is asked for. It is opened once, before any document is read, so
    that what it takes does not count as a document's.
    """
    end_with_parent(int(sys.argv[1]), signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Sent to the whole group; the worker still has its page to finish.
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    _unpack()
    # Before the parser starts threads, which would keep what they may.
    confine()
    warm_up()
    embed = open_model() if open_model is not None else None
    sys.dont_write_bytecode = True
    # From here on it can write to no file and open few.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    at_rest = _address_space()
    questions = os.fdopen(0, "rb", buffering=0)
    _send(answers, header(0))
    while select.select([questions], [], [], _IDLE_SECONDS)[0]:
        body = _receive(questions)
        if body is None:
            return
        asked = decode_asked(body)
        _bound(asked, at_rest)
        answer = framed(_answer(asked, embed))
        _send(answers, answer)
        if len(body) + len(answer) > _LARGE_BYTES:
            del body, asked, answer
            _give_back()


def _unpack() -> None:
    """Has a process that reads nothing of anybody's unpack the part of the parser that is loaded from a file. This one is
    to write nowhere: the next ones load that file, too."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        end_with_parent(parent, signal.SIGKILL)
        warm_up()
    finally:
        # Whatever has gone wrong, the one that reads will say it.
        os._exit(0)


def _answer(asked: Asked, embed: Embed | None) -> msgspec.Struct:
    limits = Limits(
        max_bytes=asked.max_bytes,
        max_characters=asked.max_characters,
        timeout_seconds=asked.timeout_seconds,
        max_memory_bytes=asked.max_memory_bytes,
        max_expanded_bytes=asked.max_expanded_bytes,
        max_expansion_ratio=asked.max_expansion_ratio,
        max_archive_entries=asked.max_archive_entries,
    )
    try:
        document = parse(asked.data, file_name=asked.file_name, mime_type=asked.mime_type, limits=limits)
        passages = chunk(
            document.text,
            is_markdown=document.is_markdown,
            max_characters=asked.chunk_characters,
            overlap=asked.chunk_overlap,
        )
        vectors = _vectors(asked, document.title, passages, embed)
    except ParseFailed as error:
        return Failed(type(error).__name__, error.message[:500])
    except MemoryError:
        return Failed(ParsingTookTooMuchMemory.__name__, "")
    except Exception as error:  # noqa: BLE001 - said to the worker, which logs it
        return Failed(
            ParserCrashed.__name__, f"Internal error ({type(error).__name__}) while reading the document."
        )
    return Read(
        document.text,
        document.mime_type,
        document.title,
        document.is_markdown,
        document.language,
        dict(document.metadata),
        [Span(passage.start, passage.end, passage.heading_path) for passage in passages],
        tuple(document.page_bounds),
        vectors,
    )


def _vectors(asked: Asked, own_title: str | None, passages: Sequence[Chunk], embed: Embed | None) -> bytes:
    """The passages' vectors; none where none are wanted, and none of long documents, whose time is for reading."""
    wanted = asked.embedding
    if wanted is None or embed is None or len(passages) > _MOST_EMBEDDED:
        return b""
    return embed(wanted.title or own_title or wanted.other_title, passages)


def _bound(asked: Asked, at_rest: int) -> None:
    """Lets this document take no more memory and processor time than it may."""
    if at_rest:
        _set_soft(resource.RLIMIT_AS, at_rest + asked.max_memory_bytes)
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Threads of the library count together; the worker's clock is stricter, unless the worker stands still.
    _set_soft(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 2 * asked.timeout_seconds + 5)


def _set_soft(what: int, limit: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _address_space() -> int:
    """Bytes of address space in use, or 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _give_back() -> None:
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _receive(pipe: BinaryIO) -> bytes | None:
    """The next frame's content, or None at the end."""
    before = _exactly(pipe, HEADER_BYTES)
    return None if before is None else _exactly(pipe, length_in(before))


def _exactly(pipe: BinaryIO, count: int) -> bytes | None:
    found = bytearray()
    while len(found) < count:
        piece = pipe.read(min(count - len(found), 1024 * 1024))
        if not piece:
            return None
        found += piece
    return bytes(found)


def _send(pipe: BinaryIO, frame: bytes) -> None:
    rest = memoryview(frame)
    while rest:
        rest = rest[pipe.write(rest) :]


if __name__ == "__main__":
    main()

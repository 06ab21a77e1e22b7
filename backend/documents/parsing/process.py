"""One reading process as its worker sees it: started, asked within limits, killed.

Nothing it does is trusted: it may hang, close its pipes, write without end or die. Each of that ends it.
"""

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, cast

import backend
from backend.documents.parsing.framing import HEADER_BYTES, length_in

_START_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.05
_PIECE: Final = 256 * 1024
_LAST_WORDS: Final = 4096
#: What is printed by a process that was refused memory: Rust's runtime, Python's, C++'s.
_OUT_OF_MEMORY: Final = (b"memory allocation of", b"MemoryError", b"bad_alloc", b"Out of memory", b"OOM")


class NotStarted(Exception):
    """It cannot be started, or was not ready in time."""


class TookTooLong(Exception):
    """It did not answer in time."""


class TookTooMuchMemory(Exception):
    """It has grown beyond what it may, or was refused memory and ended."""


class Ended(Exception):
    """It ended before it answered, or answered what is no answer."""


class ReadingProcess:
    """A process of `program`, which is `child.py` or runs its `main`. One thread at a time may ask it. Raises
    NotStarted."""

    def __init__(self, program: str) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", program, str(os.getpid())],
                # Nothing of ours: no address, no key. Few arenas: each reserves address space, which is bounded.
                env={
                    "PYTHONPATH": str(Path(backend.__file__).parents[1]),
                    "TMPDIR": tempfile.gettempdir(),
                    "LC_ALL": "C.UTF-8",
                    "MALLOC_ARENA_MAX": "2",
                },
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            raise NotStarted(str(error)) from error
        self._stdin, self._stdout, self._stderr = (
            cast(IO[bytes], pipe)
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe.fileno(), False)
        self._last_words = b""
        self.asked = 0
        """How many documents it was given."""
        try:
            self._exchange(b"", time.monotonic() + _START_SECONDS, None, 0)
        except (TookTooLong, TookTooMuchMemory, Ended) as error:
            self.kill()
            raise NotStarted(self._last_words.decode(errors="replace").strip()[-500:]) from error
        self._at_rest = self._resident() or 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def has_grown_by(self) -> int:
        """Bytes that it holds beyond its size at rest; 0 where the system does not say."""
        return max(0, (self._resident() or 0) - self._at_rest)

    def ask(self, frame: bytes, *, seconds: float, memory: int, most: int) -> bytearray:
        """The content of the frame that answers `frame`, of at most `most` bytes. After an error it is of no more
        use: kill it. Raises TookTooLong, TookTooMuchMemory, Ended.
        """
        self.asked += 1
        return self._exchange(frame, time.monotonic() + seconds, self._at_rest + memory, most)

    def kill(self) -> None:
        """Ends it and waits until it is gone."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()

    def _exchange(self, frame: bytes, deadline: float, memory: int | None, most: int) -> bytearray:
        rest, answer, wanted = memoryview(frame), bytearray(), HEADER_BYTES
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            if frame:
                selector.register(self._stdin, selectors.EVENT_WRITE)
            looked_at = time.monotonic()
            while True:
                for key, _ in selector.select(_LOOK_SECONDS):
                    if key.fileobj is self._stdin:
                        rest = self._write(rest)
                        if not rest:
                            selector.unregister(self._stdin)
                    elif key.fileobj is self._stderr:
                        if not self._listen():
                            selector.unregister(self._stderr)
                    else:
                        piece = self._read(min(_PIECE, wanted - len(answer)))
                        if not piece:
                            raise self._ended()
                        answer += piece
                        if len(answer) == HEADER_BYTES and wanted == HEADER_BYTES:
                            length = length_in(answer)
                            if length > most:
                                raise Ended(f"an answer of {length} bytes")
                            wanted += length
                        if len(answer) == wanted:
                            return answer[HEADER_BYTES:]
                now = time.monotonic()
                if now >= deadline:
                    raise TookTooLong
                if memory is not None and now - looked_at >= _LOOK_SECONDS:
                    looked_at = now
                    if (self._resident() or 0) > memory:
                        raise TookTooMuchMemory

    def _write(self, rest: memoryview) -> memoryview:
        try:
            return rest[self._stdin.write(rest[:_PIECE]) or 0 :]
        except BlockingIOError:
            return rest
        except BrokenPipeError:
            raise self._ended() from None

    def _read(self, count: int) -> bytes:
        # It says that it is readable: never None.
        return self._stdout.read(count) or b""

    def _listen(self) -> bool:
        said = self._stderr.read(_PIECE) or b""
        self._last_words = (self._last_words + said)[-_LAST_WORDS:]
        return bool(said)

    def _ended(self) -> Exception:
        """Why the pipe is closed."""
        # It may have closed it and live on.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        self._process.kill()
        code = self._process.wait()
        while self._listen():
            pass
        if any(words in self._last_words for words in _OUT_OF_MEMORY):
            return TookTooMuchMemory()
        return Ended(_end(code))

    def _resident(self) -> int | None:
        try:
            with open(f"/proc/{self._process.pid}/statm", "rb") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
        except (OSError, IndexError):
            return None


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"

"""Keeps a handful of programs running side by side, shows what they say, and leaves nothing behind.

This is what `scripts/up` uses in place of a process manager. Each child gets a session of its own, so that a
Ctrl-C at the terminal reaches the supervisor alone and the children end in order; one thread keeps each child
(starts it, waits for it, starts it again), one forwards what it says, and one writes all of it.
"""

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import IO, Any, Final, Self

from backend.errors import Unavailable
from backend.lifeline import Guard, die_with_parent, end_groups, heard_signals

_FIRST_DELAY_SECONDS: Final = 0.25
_LONGEST_DELAY_SECONDS: Final = 30.0
_STEADY_SECONDS: Final = 10.0
_TRIES: Final = 3
_COLOURS: Final = (36, 33, 32, 35, 34, 31)


class ChildNotStarted(Unavailable):
    """A process did not start."""


@dataclass(eq=False)
class _Child:
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None
    colour: int
    group: int | None = None
    """Process group while any process of it may be there; it is also the child's process id."""
    quick_deaths: int = 0
    last_end: str = ""
    first_pid: "Future[int]" = field(default_factory=Future)
    keeper: threading.Thread | None = None


class Supervisor:
    """Starts and restarts child processes until it is told to stop; a context manager for the main thread.

        with Supervisor() as up:
            up.start("web", [sys.executable, "-m", "…"], env)
            up.wait_until(lambda: answers("http://127.0.0.1:5003/health"), "the web server")
            up.run()

    Inside the block the first SIGINT, SIGTERM or SIGHUP raises KeyboardInterrupt (`run` just returns); a
    further one while `stop` waits kills at once. Leaving the block stops. `output` is a file descriptor;
    names are coloured when it is a terminal, unless `colour` says otherwise. `grace_seconds` is how long a
    child may take to end by itself. Should this process be killed outright, a guard ends its children.
    """

    def __init__(self, *, output: int = 1, colour: bool | None = None, grace_seconds: float = 8.0) -> None:
        self._output = output
        self._colour = os.isatty(output) if colour is None else colour
        self._grace_seconds = grace_seconds
        self._children: list[_Child] = []
        # Held while a child is being started, so that `stop` finds either its group or no child at all.
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stopped = False
        self._signal_count = 0
        self._handlers: dict[signal.Signals, Any] = {}
        self._heard = heard_signals()
        self._signals = -1
        # Bounded, so that a child that talks faster than the terminal reads is slowed down, as with a pipe.
        self._lines: queue.Queue[bytes | None] = queue.Queue(maxsize=2000)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._guard: Guard | None = None

    def __enter__(self) -> Self:
        self._signals = self._heard.__enter__()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup asks for a hang-up to be ignored; a shell's background job is still to hear SIGINT.
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._handlers[number] = signal.signal(number, self._on_signal)
        self._guard = Guard()
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        with suppress(queue.Full):
            self._lines.put(None, timeout=1.0)
            # Whoever reads our output may have stopped reading; that must not keep us.
            self._writer.join(timeout=1.0)
        if self._guard is not None:
            self._guard.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._heard.__exit__(None, None, None)

    def say(self, text: str, name: str = "up") -> None:
        """Shows a text of ours among the children's lines; dropped if nobody has read for a second."""
        for line in text.splitlines():
            with suppress(queue.Full):
                self._lines.put(self._labelled(name, 1, line.encode()), timeout=1.0)

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Starts a child and keeps it running; returns the process id of its first run.

        `env` is its whole environment (None: ours). Raises ChildNotStarted when the program cannot be run.
        """
        child = _Child(name, tuple(argv), env, _COLOURS[len(self._children) % len(_COLOURS)])
        self._children.append(child)
        child.keeper = threading.Thread(target=self._keep, args=(child,), daemon=True)
        child.keeper.start()
        try:
            return child.first_pid.result()
        except (OSError, CancelledError) as error:
            self._children.remove(child)
            raise ChildNotStarted(f"{name} cannot be started: {error}") from error

    def pids(self) -> dict[str, int]:
        """Process id by name of the children that run now."""
        return {child.name: child.group for child in self._children if child.group is not None}

    @property
    def hurried(self) -> bool:
        """Whether a second signal has asked to be quick about it."""
        return self._signal_count > 1

    def wait_until(self, is_ready: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Returns once `is_ready()` is true.

        Raises ChildNotStarted after `seconds`, or as soon as a child has ended three times in a row.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            for child in self._children:
                if child.quick_deaths >= _TRIES:
                    raise ChildNotStarted(f"{child.name} {child.last_end}, {_TRIES} times in a row.")
            if time.monotonic() >= deadline:
                raise ChildNotStarted(f"{what} was not ready after {seconds:g} s.")
            time.sleep(0.05)

    def run(self) -> None:
        """Returns when a signal asks to stop."""
        with suppress(KeyboardInterrupt):
            while True:
                os.read(self._signals, 1)

    def stop(self) -> frozenset[int]:
        """Ends every child with all processes of its group: SIGTERM, then SIGKILL after the time of grace.

        Returns the process groups that are still there after that: normally none. Can be called again.
        """
        self._signal_count = max(self._signal_count, 1)
        with self._lock:
            self._stopping.set()
            groups = {child.group: child for child in self._children if child.group is not None}
        left = end_groups(groups, self._grace_seconds, hurried=lambda: self.hurried)
        for group, child in groups.items():
            if group in left:
                self.say(f"{child.name} is still there: process group {group}")
            else:
                self._forget(child)
        for child in self._children:
            # Until its last words have been passed on.
            if child.keeper is not None:
                child.keeper.join(timeout=1.0)
        self._stopped = True
        return left

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signal_count += 1
        # Between the first signal and the end of `stop` nothing may be cut short, only hurried.
        if self._signal_count == 1 or self._stopped:
            raise KeyboardInterrupt

    def _keep(self, child: _Child) -> None:
        delay = _FIRST_DELAY_SECONDS
        while True:
            try:
                with self._lock:
                    if self._stopping.is_set():
                        break
                    process = self._spawn(child)
            except OSError as error:
                if not child.first_pid.done():
                    child.first_pid.set_exception(error)
                    return
                child.last_end = f"cannot be started ({error})"
                lived = 0.0
            else:
                lived = self._live(child, process)
            if self._stopping.is_set():
                break
            steady = lived >= _STEADY_SECONDS
            child.quick_deaths = 0 if steady else child.quick_deaths + 1
            delay = _FIRST_DELAY_SECONDS if steady else delay
            self.say(f"{child.name} {child.last_end}; starting it again in {delay:g} s")
            if self._stopping.wait(delay):
                break
            delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
        child.first_pid.cancel()

    def _spawn(self, child: _Child) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            child.argv,
            env=child.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        child.group = process.pid
        if self._guard is not None:
            self._guard.watch(process.pid)
        if not child.first_pid.done():
            child.first_pid.set_result(process.pid)
        return process

    def _live(self, child: _Child, process: "subprocess.Popen[bytes]") -> float:
        """Sees a child through to its end; returns how many seconds it lived."""
        began = time.monotonic()
        reader = threading.Thread(target=self._forward, args=(child, process.stdout), daemon=True)
        reader.start()
        code = process.wait()
        child.last_end = (
            f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        if not self._stopping.is_set():
            # What the child had started still holds its ports and its work.
            end_groups([process.pid], grace_seconds=0)
            self._forget(child)
        # A process that left the group may keep the pipe open for ever.
        reader.join(timeout=1.0)
        return time.monotonic() - began

    def _forget(self, child: _Child) -> None:
        group, child.group = child.group, None
        if group is not None and self._guard is not None:
            self._guard.release(group)

    def _forward(self, child: _Child, said: IO[bytes]) -> None:
        with said:
            while line := said.readline(65536):
                self._lines.put(self._labelled(child.name, child.colour, line.rstrip(b"\r\n")))

    def _labelled(self, name: str, colour: int, line: bytes) -> bytes:
        label = name.ljust(max((len(child.name) for child in self._children), default=0)).encode()
        if self._colour:
            label = b"\x1b[%dm%s\x1b[0m" % (colour, label)
        return b"%s | %s\n" % (label, line)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            # A closed terminal or pipe is no reason to stop serving.
            with suppress(OSError):
                while line:
                    line = line[os.write(self._output, line) :]

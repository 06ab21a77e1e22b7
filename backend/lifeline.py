"""Ties processes to the life of the one that started them, and ends whole process groups.

Two mechanisms, because neither is enough alone. The kernel's parent-death signal (Linux) is immediate, but a
stopped or deaf child does not act on it. A `Guard` is a small process of its own that notices by a closed
pipe that its owner is gone, however it went, and then ends what the owner left behind, by force if need be.

This file is also the guard's program, so it imports nothing but the standard library.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final, cast

_PR_SET_PDEATHSIG: Final = 1
_GUARD_GRACE_SECONDS: Final = 5.0
_KILL_SECONDS: Final = 3.0


def die_with_parent(sent: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that has the kernel send `sent` to the child once the *thread* that forked it is gone.

    So the child must be started by a thread that lives as long as it should. None outside Linux.
    Runs after a change of user, as it must: the kernel forgets the wish when credentials change.
    """
    if sys.platform != "linux":
        return None
    # Loaded here, before the fork: the child of a process with threads must not wait for the loader's lock.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
        # The parent may have died before the kernel knew the wish; then nobody would ever send it.
        if os.getppid() != parent:
            os._exit(1)

    return bind


def end_with_parent(parent: int, sent: signal.Signals) -> None:
    """Has the kernel send `sent` to this process once the thread that started it is gone; `parent` is the process id
    of the one that should have. For a process that cannot be given a `preexec_fn`. Does nothing outside Linux.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


@contextmanager
def heard_signals() -> Iterator[int]:
    """A file descriptor with a byte for each signal that this process handles from now on; for the main thread.

    Waiting for one by reading it misses none. `signal.pause` and events do when it comes a moment before them: its handler
    runs in Python only once they return.
    """
    heard, hears = os.pipe()
    os.set_blocking(hears, False)
    before = signal.set_wakeup_fd(hears, warn_on_full_buffer=False)
    try:
        yield heard
    finally:
        signal.set_wakeup_fd(before)
        os.close(heard)
        os.close(hears)


def signal_group(group: int, sent: signal.Signals) -> None:
    """Sends a signal to every process of a group; a group that is gone is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sent)


def is_alive(pid: int) -> bool:
    """Whether a process has this id, ours or not; a dead one that nobody has waited for is not alive."""
    try:
        return _state_and_group(pid)[0] not in "ZX"
    except OSError:
        # No /proc here (macOS), or it hides other users' processes.
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def group_is_gone(group: int) -> bool:
    """Whether no living process of the group is left."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        # macOS answers "not permitted" for a group of which only dead processes are left.
        return True
    # The dead count as members until somebody waits for them, and a container's first process may not do so.
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:
        return False
    return not any(_lives_in(pid, group) for pid in pids)


def _lives_in(pid: int, group: int) -> bool:
    try:
        state, its_group = _state_and_group(pid)
    except OSError:
        return False
    return its_group == group and state not in "ZX"


def _state_and_group(pid: int) -> tuple[str, int]:
    """State letter and process group, from Linux's /proc; OSError without such a process or without /proc."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        # The program's name stands in brackets and may itself contain brackets and spaces.
        state, _parent, group = stat.read().rpartition(b")")[2].split()[:3]
    return state.decode(), int(group)


def end_groups(
    groups: Collection[int], grace_seconds: float, hurried: Callable[[], bool] = lambda: False
) -> frozenset[int]:
    """Ends process groups: SIGTERM, and SIGKILL after `grace_seconds` or as soon as `hurried()` says so.

    Returns the groups of which a process is still there three seconds after SIGKILL; normally none.
    """
    for group in groups:
        signal_group(group, signal.SIGTERM)
        # A suspended process acts on SIGTERM only once it runs again.
        signal_group(group, signal.SIGCONT)
    left = _wait_until_gone(frozenset(groups), grace_seconds, hurried)
    for group in left:
        signal_group(group, signal.SIGKILL)
    return _wait_until_gone(left, _KILL_SECONDS, lambda: False)


def _wait_until_gone(groups: frozenset[int], seconds: float, given_up: Callable[[], bool]) -> frozenset[int]:
    deadline = time.monotonic() + seconds
    while left := frozenset(group for group in groups if not group_is_gone(group)):
        if given_up() or time.monotonic() >= deadline:
            return left
        groups = left
        time.sleep(0.02)
    return frozenset()


class Guard:
    """A process that outlives its owner just long enough to end the process groups the owner leaves behind.

    `watch` and `release` never fail: a guard that was itself killed only means one safety net less.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A session of its own: a Ctrl-C at the terminal must not reach it.
            start_new_session=True,
            cwd="/",
            bufsize=0,
        )
        self._pipe = cast(IO[bytes], self._process.stdin)

    def watch(self, group: int) -> None:
        """From now on, end this process group if the owner dies."""
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """The group is gone; its number may come to mean somebody else's processes."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Sends the guard home; it ends whatever has not been released."""
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError, ValueError):
            self._pipe.write(line.encode())


def _guard() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    end_groups(groups, _GUARD_GRACE_SECONDS)


if __name__ == "__main__":
    _guard()

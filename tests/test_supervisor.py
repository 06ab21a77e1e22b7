"""The supervisor as a user meets it: a process of its own, real children, real signals."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from backend.lifeline import heard_signals, is_alive
from backend.supervisor import ChildNotStarted, Supervisor

#: Starts the children given as JSON ({name: program}) and says so; ends as told by a signal.
SUPERVISOR = """
import json, sys
from backend.supervisor import Supervisor

children, grace = json.loads(sys.argv[1]), float(sys.argv[2])
with Supervisor(grace_seconds=grace) as up:
    for name, program in children.items():
        up.start(name, [sys.executable, "-u", "-c", program])
    up.say("running")
    up.run()
    up.say("stopping")
    left = up.stop()
    up.say(f"left {len(left)}")
"""
#: Ends on SIGTERM, and says so.
POLITE = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("goodbye"))
print("ready", os.getpid())
while True:
    signal.pause()
"""
#: Does not care about any signal that can be ignored.
DEAF = """
import os, signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
print("ready", os.getpid())
while True:
    signal.pause()
"""
#: Has a deaf child, and ends on SIGTERM without a thought for it.
PARENT = f"""
import subprocess, sys, signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit("goodbye"))
subprocess.Popen([sys.executable, "-u", "-c", {DEAF!r}])
{POLITE}
"""


class Session:
    """A running supervisor, what it says, and every process it has told about."""

    def __init__(self, children: dict[str, str], grace: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, json.dumps(children), str(grace)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.pids: list[int] = []

    def read_until(self, *patterns: str) -> None:
        """Reads on until every pattern has been seen, in whatever order."""
        assert self.process.stdout is not None
        missing = list(patterns)
        while missing:
            line = self.process.stdout.readline()
            assert line, f"it ended without a line like {missing}: {self.said}"
            self.said.append(line.rstrip("\n"))
            if told := re.search(r"ready (\d+)", line):
                self.pids.append(int(told[1]))
            for pattern in missing:
                if re.search(pattern, line):
                    missing.remove(pattern)
                    break

    def end(self, *signals: signal.Signals) -> float:
        """Sends signals, waits for the end; returns the seconds it took from the first one."""
        began = time.monotonic()
        for count, number in enumerate(signals):
            if count:
                # Two pending signals of one kind are one: the first must have arrived.
                self.read_until("stopping")
            self.process.send_signal(number)
        rest, _ = self.process.communicate()
        self.said += rest.splitlines()
        return time.monotonic() - began


Supervise = Callable[..., Session]


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """Starts supervisors; whatever they should have ended is killed after the test."""
    sessions: list[Session] = []

    def start(grace: float = 8.0, **children: str) -> Session:
        sessions.append(Session(children, grace))
        return sessions[-1]

    yield start
    for session in sessions:
        for pid in [session.process.pid, *session.pids]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        session.process.wait()
        if session.process.stdout is not None:
            session.process.stdout.close()


def survivors(pids: list[int], seconds: float = 0.0) -> list[int]:
    """Which of the processes are still alive, at the latest after so many seconds."""
    deadline = time.monotonic() + seconds
    while (alive := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_children_in_order(supervise: Supervise, number: signal.Signals) -> None:
    session = supervise(web=POLITE, worker=POLITE)
    session.read_until("web .*ready", "worker .*ready", "running")
    assert session.end(number) < 4
    assert session.process.returncode == 0
    assert session.said.count("web    | goodbye") == 1
    assert session.said.count("worker | goodbye") == 1
    assert session.said[-1] == "up     | left 0"
    assert survivors(session.pids) == []


def test_stop_kills_child_that_ignores_signals(supervise: Supervise) -> None:
    session = supervise(grace=0.5, web=DEAF)
    session.read_until("ready")
    assert 0.5 <= session.end(signal.SIGINT) < 4
    assert survivors(session.pids) == []


def test_stop_lets_suspended_child_end_by_itself(supervise: Supervise) -> None:
    session = supervise(web=POLITE)
    session.read_until("ready")
    os.kill(session.pids[0], signal.SIGSTOP)
    assert session.end(signal.SIGINT) < 4
    assert "web | goodbye" in session.said
    assert survivors(session.pids) == []


def test_stop_kills_suspended_deaf_child(supervise: Supervise) -> None:
    session = supervise(grace=0.5, web=DEAF)
    session.read_until("ready")
    os.kill(session.pids[0], signal.SIGSTOP)
    assert session.end(signal.SIGINT) < 4
    assert survivors(session.pids) == []


def test_stop_kills_grandchildren(supervise: Supervise) -> None:
    session = supervise(grace=0.5, web=PARENT)
    session.read_until("ready", "ready")
    assert session.end(signal.SIGTERM) < 4
    assert len(session.pids) == 2
    assert survivors(session.pids) == []


def test_second_signal_kills_at_once(supervise: Supervise) -> None:
    session = supervise(grace=100, web=DEAF)
    session.read_until("ready", "running")
    assert session.end(signal.SIGINT, signal.SIGINT) < 4
    assert survivors(session.pids) == []


def test_killed_child_is_started_again(supervise: Supervise) -> None:
    session = supervise(web=POLITE, worker=POLITE)
    session.read_until("web .*ready", "worker .*ready", "running")
    first = next(int(line.split()[-1]) for line in session.said if line.startswith("web"))
    os.kill(first, signal.SIGKILL)
    session.read_until(r"up .* web was killed by SIGKILL; starting it again in 0\.25 s", "web .*ready")
    assert len(survivors(session.pids)) == 2
    session.end(signal.SIGINT)
    assert survivors(session.pids) == []


def test_grandchildren_of_killed_child_are_gone_before_it_is_started_again(supervise: Supervise) -> None:
    session = supervise(web=PARENT)
    session.read_until("ready", "ready")
    family = list(session.pids)
    parent = next(pid for pid in family if os.getpgid(pid) == pid)
    os.kill(parent, signal.SIGKILL)
    session.read_until("starting it again")
    assert survivors(family) == []
    session.read_until("ready", "ready")


@pytest.mark.skipif(sys.platform != "linux", reason="the signal on a parent's death is Linux's")
def test_killed_supervisor_takes_children_with_it_at_once(supervise: Supervise) -> None:
    session = supervise(web=POLITE)
    session.read_until("ready", "running")
    family = psutil.Process(session.process.pid).children()
    guard = next(process for process in family if process.pid not in session.pids)
    # Without its guard, what is left is the kernel's own signal.
    guard.kill()
    session.end(signal.SIGKILL)
    assert survivors(session.pids, 2) == []


def test_killed_supervisor_leaves_nothing_even_if_stuck(supervise: Supervise) -> None:
    session = supervise(deaf=DEAF, parent=PARENT, suspended=DEAF)
    session.read_until("deaf .*ready", "parent .*ready", "parent .*ready", "suspended .*ready")
    assert len(session.pids) == 4
    suspended = next(line for line in session.said if line.startswith("suspended"))
    os.kill(int(suspended.split()[-1]), signal.SIGSTOP)
    session.process.kill()
    # Five seconds of grace, then the guard kills.
    assert survivors(session.pids, 10) == []


def test_stop_does_not_wait_for_whoever_reads(supervise: Supervise) -> None:
    session = supervise(grace=0.5, web="import itertools\nfor i in itertools.count(): print(i, 'x' * 100)")
    session.read_until("running")
    # Nobody reads on: the pipe is full and everything that talks is stuck.
    session.process.send_signal(signal.SIGINT)
    assert session.process.wait(timeout=15) == 0


def test_closed_output_does_not_stop_anything(supervise: Supervise, tmp_path: Path) -> None:
    done = tmp_path / "done"
    os.mkfifo(done)
    # More than any buffer on the way holds, and then a word by another way.
    chatter = "for _ in range(20000): print('x' * 100)"
    session = supervise(web=f"{chatter}\nopen({str(done)!r}, 'w').write('done')")
    assert session.process.stdout is not None
    session.process.stdout.close()
    assert done.read_text() == "done"
    session.process.send_signal(signal.SIGINT)
    assert session.process.wait(timeout=15) == 0


def test_signal_that_came_before_it_is_waited_for_is_heard() -> None:
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    try:
        with heard_signals() as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert os.read(signals, 1) == bytes([signal.SIGUSR1])
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_wait_until_gives_up_on_child_that_keeps_ending() -> None:
    reading, writing = os.pipe()
    with Supervisor(output=writing) as up:
        up.start("web", [sys.executable, "-c", "import sys; sys.exit(3)"])
        with pytest.raises(ChildNotStarted, match="web ended with code 3, 3 times in a row"):
            up.wait_until(lambda: False, "the web server")
    os.close(writing)
    with os.fdopen(reading) as said:
        again = [line for line in said if "starting it again" in line]
    assert [line.split()[-2] for line in again[:3]] == ["0.25", "0.5", "1"]


def test_wait_until_gives_up_when_time_is_up() -> None:
    with (
        open(os.devnull, "wb") as nowhere,
        Supervisor(output=nowhere.fileno()) as up,
        pytest.raises(ChildNotStarted, match=r"the web server was not ready after 0\.1 s"),
    ):
        up.wait_until(lambda: False, "the web server", seconds=0.1)


def test_start_tells_what_cannot_be_run() -> None:
    with (
        open(os.devnull, "wb") as nowhere,
        Supervisor(output=nowhere.fileno()) as up,
        pytest.raises(ChildNotStarted, match=r"web cannot be started: .*no/such/program"),
    ):
        up.start("web", ["/no/such/program"])


def test_start_gives_child_its_environment_and_name() -> None:
    reading, writing = os.pipe()
    with Supervisor(output=writing) as up, os.fdopen(reading) as said:
        pid = up.start("web", ["/bin/sh", "-c", 'echo "$GREETING"; exec sleep 100'], {"GREETING": "hello"})
        assert said.readline() == "web | hello\n"
        assert up.pids() == {"web": pid}
        up.stop()
        assert up.pids() == {}
        os.close(writing)


def test_names_are_coloured_on_a_terminal_only() -> None:
    terminal, output = pty.openpty()
    with Supervisor(output=output) as up:
        up.say("hello")
        assert os.read(terminal, 100) == b"\x1b[1mup\x1b[0m | hello\r\n"
    os.close(output)
    os.close(terminal)


def test_handlers_are_as_before_after_the_block() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with open(os.devnull, "wb") as nowhere, Supervisor(output=nowhere.fileno()):
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before

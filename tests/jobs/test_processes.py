"""Worker processes that die or freeze in the middle of a job."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import IO, cast

import pytest

from backend.lifeline import die_with_parent
from tests.jobs.handlers import MakeWorker, Steered, eventually
from tests.jobs.real_queue import Queue

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 2.5

StartProcess = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def start_process(queue: Queue) -> Iterator[StartProcess]:
    """Starts worker processes that do as they are told, and kills them in the end."""
    with ExitStack() as stack:

        def start() -> "subprocess.Popen[str]":
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.jobs.worker_process", queue.database.url, str(LEASE_SECONDS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def said(process: "subprocess.Popen[str]") -> str:
    """The next line the process prints."""
    return cast(IO[str], process.stdout).readline().strip()


def tell(process: "subprocess.Popen[str]") -> None:
    """Lets the process go on with its job."""
    stdin = cast(IO[str], process.stdin)
    stdin.write("go\n")
    stdin.flush()


def test_job_of_a_killed_process_is_finished_by_another(
    queue: Queue, start_process: StartProcess, make_worker: MakeWorker, handler: Steered
) -> None:
    job_id = queue.enqueue()
    victim = start_process()
    assert said(victim) == f"started {job_id}"
    make_worker(lease=timedelta(seconds=LEASE_SECONDS))
    victim.kill()
    claim, outcome = handler.next_ended()
    assert (claim.id, claim.lease, claim.attempt, outcome) == (job_id, 3, 2, "completed")


def test_job_of_a_killed_process_is_finished_by_its_successor_alone(
    queue: Queue, start_process: StartProcess
) -> None:
    job_id = queue.enqueue()
    victim = start_process()
    assert said(victim) == f"started {job_id}"
    victim.kill()
    successor = start_process()
    assert said(successor) == f"started {job_id}"
    tell(successor)
    assert said(successor) == "completed"
    assert queue.state(job_id) == "succeeded"


def test_late_completion_of_a_suspended_process_is_refused(
    queue: Queue, start_process: StartProcess, make_worker: MakeWorker, handler: Steered
) -> None:
    job_id = queue.enqueue()
    zombie = start_process()
    assert said(zombie) == f"started {job_id}"
    handler.go.clear()
    make_worker(lease=timedelta(seconds=LEASE_SECONDS))
    zombie.send_signal(signal.SIGSTOP)
    claim = handler.next_started()
    assert (claim.id, claim.lease) == (job_id, 3)
    tell(zombie)
    zombie.send_signal(signal.SIGCONT)
    assert said(zombie) == "refused"
    assert (queue.row(job_id)["state"], queue.row(job_id)["lease"]) == ("running", 3)
    handler.go.set()
    assert handler.next_ended() == (claim, "completed")
    # It is as good as new, and takes the next job when nobody else does.
    handler.go.clear()
    busy = queue.enqueue()
    following = queue.enqueue()
    assert said(zombie) == f"started {following if handler.next_started().id == busy else busy}"
    tell(zombie)
    assert said(zombie) == "completed"
    eventually(lambda: queue.states() == {"succeeded": 2, "running": 1})

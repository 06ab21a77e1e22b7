"""Processes that are killed in the middle of something."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.lifeline import die_with_parent

ROOT = Path(__file__).parents[1]


@contextmanager
def process_that_said(line: str, module: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A process of `module` that has just printed `line`; ended in any case."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=die_with_parent(signal.SIGKILL),
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == line
            yield process
        finally:
            process.kill()

"""What can be told of a Postgres server from outside, by its lock file and its socket."""

import socket
from pathlib import Path

from backend.lifeline import is_alive


def recorded_postmaster(directory: Path) -> tuple[int, str] | None:
    """Process id and status (`starting`, `ready`, `stopping`, or empty) in the server's own lock file.

    None when there is no lock file, it is not ours to read, or it is being written.
    """
    try:
        lines = (directory / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
    except (FileNotFoundError, PermissionError, ValueError, IndexError):
        return None


def living_postmaster(directory: Path) -> int | None:
    """The recorded process id if a process has it, which after a crash may be any program."""
    recorded = recorded_postmaster(directory)
    return recorded[0] if recorded is not None and is_alive(recorded[0]) else None


def someone_listens(socket_path: Path) -> bool:
    """Whether a process listens on a unix socket, even one that is suspended and never answers."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(socket_path))
        except TimeoutError:
            return True
        except OSError:
            return False
    return True

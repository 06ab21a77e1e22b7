"""Whose the bundled server's files are, and who may reach them."""

import os
import stat
from pathlib import Path

import pytest

from backend.db.server_files import ServerAccount, make_private_folder, one_line, open_log, open_the_way

SOMEBODY = ServerAccount(uid=54321, gid=54321)


def test_open_the_way_lets_pass_but_not_look(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    inner = tmp_path / "inner"
    inner.mkdir(mode=0o700)
    data = inner / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root runs the server as somebody else")
    open_the_way(data, SOMEBODY)
    assert stat.S_IMODE(inner.stat().st_mode) == 0o701
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o701
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_make_private_folder_accepts_its_own_again(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "sockets", None)
    make_private_folder(tmp_path / "sockets", None)
    assert stat.S_IMODE((tmp_path / "sockets").stat().st_mode) == 0o700


def test_open_log_puts_large_log_aside(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_bytes(b"x" * 11)
    with open_log(path, largest=10) as log:
        log.write(b"new")
    assert path.read_bytes() == b"new"
    assert (tmp_path / "server.log.1").read_bytes() == b"x" * 11
    with open_log(path, largest=10) as log:
        log.write(b"er")
    assert path.read_bytes() == b"newer"


def test_open_log_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    (tmp_path / "server.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        open_log(tmp_path / "server.log", largest=100)
    assert (tmp_path / "elsewhere").read_text() == "precious"


def test_one_line_begins_with_the_fatal_message() -> None:
    log = (
        "2026-01-01 00:00:00.000 UTC [1] LOG:  starting",
        "2026-01-01 00:00:00.000 UTC [1] FATAL:  no room",
        "2026-01-01 00:00:00.000 UTC [1] HINT:  make some",
    )
    assert one_line(log) == "FATAL:  no room | HINT:  make some"
    assert one_line([]) == "it said nothing"

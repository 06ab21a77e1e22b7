"""The bundled server, for real: every test starts its own."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from backend.db.embedded import EmbeddedPostgres
from backend.db.postmaster import recorded_postmaster
from backend.db.server_files import DatabaseNotStarted
from backend.lifeline import is_alive

STARTER = """
import sys
from pathlib import Path
from backend.db.embedded import EmbeddedPostgres

server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"})
print(server.start(bound_to_parent=sys.argv[2] == "bound"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server that has not been started yet; whatever runs on its data is stopped afterwards."""
    made = EmbeddedPostgres(tmp_path / "postgres", settings={"fsync": "off"})
    yield made
    made.stop("immediate")


def connect(server: EmbeddedPostgres) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(server.url("postgres", "postgres"), autocommit=True)


def ask(server: EmbeddedPostgres, query: str) -> object:
    with connect(server) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def postmaster_pid(server: EmbeddedPostgres) -> int:
    recorded = recorded_postmaster(server.directory)
    assert recorded is not None
    return recorded[0]


def start_elsewhere(server: EmbeddedPostgres, bound: str) -> "subprocess.Popen[str]":
    """Another process that starts the server, prints what `start` returned, and stays till its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(server.directory), bound],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_until_dead(pid: int, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_start_makes_utf8_database_with_checksums_and_pgvector(server: EmbeddedPostgres) -> None:
    assert server.start() is True
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert ask(server, "SHOW data_checksums") == "on"
    assert ask(server, "SELECT datlocale FROM pg_database WHERE datname = 'template1'") == "C.UTF-8"
    assert ask(server, "SELECT lower('ÉÑ')") == "éñ"
    assert ask(server, "SELECT default_version >= '0.8.4' FROM pg_available_extensions WHERE name = 'vector'")
    assert ask(server, "SHOW listen_addresses") == ""


def test_start_passes_settings_and_writes_none(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", settings={"fsync": "off", "work_mem": "7MB"})
    try:
        server.start()
        assert ask(server, "SHOW work_mem") == "7MB"
        assert ask(server, "SHOW fsync") == "off"
    finally:
        server.stop("immediate")
    assert "7MB" not in (server.directory / "postgresql.conf").read_text()


def test_start_again_finds_its_data(server: EmbeddedPostgres) -> None:
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.restart()
    assert ask(server, "SELECT answer FROM kept") == 42


def test_start_adopts_running_server(server: EmbeddedPostgres) -> None:
    server.start()
    pid = postmaster_pid(server)
    other = EmbeddedPostgres(server.directory)
    assert other.is_running()
    assert other.start() is False
    assert postmaster_pid(server) == pid
    other.stop()
    assert not is_alive(pid)
    assert not server.is_running()


def test_start_from_two_processes_starts_one_server(server: EmbeddedPostgres) -> None:
    both = [start_elsewhere(server, "unbound") for _ in range(2)]
    try:
        answers = sorted(starter.stdout.readline().strip() for starter in both if starter.stdout)
    finally:
        for starter in both:
            starter.communicate()
    assert answers == ["False", "True"]
    assert ask(server, "SELECT 1") == 1


def test_start_wakes_suspended_server(server: EmbeddedPostgres) -> None:
    server.start()
    os.kill(postmaster_pid(server), signal.SIGSTOP)
    assert EmbeddedPostgres(server.directory).start() is False
    assert ask(server, "SELECT 1") == 1


def test_start_after_kill_recovers_what_was_committed(server: EmbeddedPostgres) -> None:
    server.start()
    # The session stays open across the crash: its process may still be attached to the old shared memory.
    session = connect(server)
    session.execute("CREATE TABLE kept (i int)")
    session.execute("INSERT INTO kept SELECT generate_series(1, 50000)")
    server.kill()
    assert not server.is_running()
    server.start()
    session.close()
    assert ask(server, "SELECT count(*) FROM kept") == 50000
    assert "automatic recovery in progress" in server.log_path.read_text()


def test_start_after_kill_waits_for_sessions_of_the_old_server(server: EmbeddedPostgres) -> None:
    server.start()
    session = connect(server)
    # A session that does not notice the crash keeps the old server's shared memory.
    os.kill(session.info.backend_pid, signal.SIGSTOP)
    server.kill()
    starter = start_elsewhere(server, "unbound")
    try:
        while "is still in use" not in server.log_path.read_text():
            assert starter.poll() is None
            time.sleep(0.02)
    finally:
        os.kill(session.info.backend_pid, signal.SIGCONT)
        told, _ = starter.communicate()
        session.close()
    assert told == "True\n"
    assert ask(server, "SELECT 1") == 1


@pytest.mark.parametrize("state", ["alive", "dead but not waited for"])
def test_start_ignores_process_number_that_is_not_a_server(server: EmbeddedPostgres, state: str) -> None:
    server.start()
    server.kill()
    # As the server's own user: another user's process Postgres tells apart by itself.
    owner = server.directory.stat().st_uid if os.geteuid() == 0 else None
    other = subprocess.Popen(["sleep", "100"], user=owner)
    if state != "alive":
        other.kill()
    try:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            lines = (server.directory / name).read_text().splitlines(keepends=True)
            (server.directory / name).write_text("".join([f"{other.pid}\n", *lines[1:]]))
        assert not server.is_running()
        assert server.start() is True
        assert (other.poll() is None) == (state == "alive")
    finally:
        other.kill()
        other.wait()


def test_bound_server_ends_with_killed_parent(server: EmbeddedPostgres) -> None:
    starter = start_elsewhere(server, "bound")
    assert starter.stdout is not None
    assert starter.stdout.readline() == "True\n"
    pid = postmaster_pid(server)
    starter.kill()
    starter.communicate()
    wait_until_dead(pid)
    assert "received fast shutdown request" in server.log_path.read_text()


def test_unbound_server_outlives_its_starter(server: EmbeddedPostgres) -> None:
    starter = start_elsewhere(server, "unbound")
    starter.communicate()
    assert starter.returncode == 0
    assert ask(server, "SELECT 1") == 1


def test_stop_ends_open_sessions(server: EmbeddedPostgres) -> None:
    server.start()
    pid = postmaster_pid(server)
    session = connect(server)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 10
    assert not is_alive(pid)
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    session.close()
    server.stop()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_stop_ends_suspended_server(server: EmbeddedPostgres, mode: str) -> None:
    server.start()
    pid = postmaster_pid(server)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    server.stop("fast" if mode == "fast" else "immediate")
    assert time.monotonic() - began < 10
    assert not is_alive(pid)


def test_stop_goes_on_by_force_when_time_is_up(server: EmbeddedPostgres) -> None:
    server.start()
    pid = postmaster_pid(server)
    with connect(server) as session:
        backend = session.info.backend_pid
        # A fast shutdown waits for every session, and this one cannot hear that it should end.
        os.kill(backend, signal.SIGSTOP)
        server.stop(seconds=0.5)
    assert not is_alive(pid)
    wait_until_dead(backend)


def test_stop_hurries_on_ctrl_c(server: EmbeddedPostgres) -> None:
    server.start()
    pid = postmaster_pid(server)

    def press_ctrl_c() -> None:
        while recorded_postmaster(server.directory) != (pid, "stopping"):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    with connect(server) as session:
        backend = session.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        presser = threading.Thread(target=press_ctrl_c)
        presser.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            server.stop(seconds=60)
        presser.join()
    assert time.monotonic() - began < 20
    assert not is_alive(pid)
    wait_until_dead(backend)


def test_url_reaches_server_in_folder_with_spaces_and_accents(request: pytest.FixtureRequest) -> None:
    # Short enough for a socket, wherever the tests' own folders are.
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    request.addfinalizer(lambda: shutil.rmtree(folder))
    server = EmbeddedPostgres(folder / "Ma Doc + é%" / "pg", settings={"fsync": "off"})
    try:
        server.start()
        assert server.socket_dir == server.directory
        assert ask(server, "SELECT 1") == 1
        url = server.url("postgres", "postgres").replace("postgresql:", "postgresql+psycopg:", 1)
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        engine.dispose()
        command = [str(server.psql_path), "-Atc", "SELECT 1", server.url("postgres", "postgres")]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"
    finally:
        server.stop("immediate")


@pytest.mark.parametrize("name", ["x" * 120, "one,two"])
def test_socket_moves_to_private_folder_when_path_is_unfit(tmp_path: Path, name: str) -> None:
    server = EmbeddedPostgres(tmp_path / name, settings={"fsync": "off"})
    try:
        server.start()
        assert server.socket_dir != server.directory
        assert EmbeddedPostgres(tmp_path / name).socket_dir == server.socket_dir
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        assert ask(server, "SELECT 1") == 1
        assert EmbeddedPostgres(tmp_path / name).is_running()
    finally:
        server.stop("immediate")
    assert not server.socket_dir.exists()


def test_start_refuses_socket_folder_of_somebody_else(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("x" * 120), settings={"fsync": "off"})
    server.socket_dir.mkdir(mode=0o755)
    try:
        with pytest.raises(DatabaseNotStarted, match="is not a private folder of user"):
            server.start()
        assert not server.is_running()
    finally:
        server.socket_dir.rmdir()


def test_start_replaces_half_made_data(server: EmbeddedPostgres) -> None:
    half_made = server.directory.with_name("postgres.new")
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    server.start()
    assert ask(server, "SELECT 1") == 1
    assert not half_made.exists()


def test_start_refuses_data_of_another_version(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    (server.directory / "PG_VERSION").write_text("19\n")
    with pytest.raises(DatabaseNotStarted, match="was made by Postgres 19; the bundled one is Postgres 18"):
        server.start()


def test_start_refuses_folder_with_other_files(server: EmbeddedPostgres) -> None:
    server.directory.mkdir()
    (server.directory / "thesis.txt").write_text("precious")
    with pytest.raises(DatabaseNotStarted, match="holds files, but no Postgres data"):
        server.start()
    assert (server.directory / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("lost", ["global/pg_control", "postgresql.conf", "pg_wal"])
def test_start_tells_in_one_line_what_is_damaged(server: EmbeddedPostgres, lost: str) -> None:
    server.start()
    server.stop()
    (server.directory / lost).rename(server.directory.parent / "lost")
    with pytest.raises(DatabaseNotStarted) as refused:
        server.start()
    assert Path(lost).name in refused.value.message
    assert str(server.log_path) in refused.value.message
    assert "\n" not in refused.value.message
    assert not server.is_running()


def test_start_tells_in_one_line_which_setting_is_wrong(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", settings={"fsync": "off", "shared_buffers": "many"})
    with pytest.raises(DatabaseNotStarted, match='invalid value for parameter "shared_buffers": "many"'):
        server.start()


def test_start_gives_up_when_time_is_up(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    hasty = EmbeddedPostgres(server.directory, start_seconds=0.0)
    with pytest.raises(DatabaseNotStarted, match="was not ready after 0 s"):
        hasty.start()
    assert not server.is_running()

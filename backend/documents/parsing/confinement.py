"""What a reading process may still do once it reads: next to nothing.

What it reads may take it over. Then it is to find no file with a password, no way to the network, no program to run and
no process to end. Linux's Landlock does that without privileges (https://docs.kernel.org/userspace-api/landlock.html):
files from Linux 5.13 on, TCP from 6.7, signals from 6.12. On systems without it the limits of `child.py` are all there is.
"""

import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import backend

#: What the interpreter, its libraries and the C library read when they load a part of themselves or count processors.
_SYSTEM: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/mime.types",
    "/dev/null",
    "/dev/urandom",
)
_ABOUT_ITSELF: Final = ("/proc/self", "/sys/devices/system/cpu", "/sys/fs/cgroup")


def confine() -> bool:
    """Takes away from this process, and all threads it will start, whatever reading documents does not need: files but
    those of its libraries, all writing, programs, TCP, signals to others. It cannot be undone.

    What the parser unpacks into the temporary folder can be read there, and has to be there before. Call it before there
    are other threads: those keep what they may. False where the system cannot do it.
    """
    if sys.platform != "linux":
        return False
    from landlockpy import AccessFS, Ruleset, Scope

    read = AccessFS.READ_FILE | AccessFS.READ_DIR
    try:
        with Ruleset(scoped=Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET) as rules:
            for path in _readable():
                # A right to list is none of a file's.
                rules.allow_path(path, read if path.is_dir() else AccessFS.READ_FILE)
            rules.restrict()
    except OSError:
        # The kernel has none of it, or whoever runs the container forbids it.
        return False
    return True


def _readable() -> Iterator[Path]:
    beside = Path(backend.__file__).resolve().parents[1]
    installed = {Path(path).resolve() for path in sys.path if path}
    installed |= {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    paths = {
        # Where a checkout is, there are its settings as well.
        *(installed - {beside}),
        *(path for path in beside.glob("*") if _is_code(path)),
        *(target for folder in installed for target in _linked_from(folder)),
        *(Path(prefix) for prefix in (sys.prefix, sys.base_prefix)),
        *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")),
        *(Path(path) for path in (*_SYSTEM, *_ABOUT_ITSELF, tempfile.gettempdir())),
    }
    for path in sorted(paths):
        with suppress(OSError):
            if path.exists():
                yield path


def _is_code(path: Path) -> bool:
    """Whether it is a package or a module, or what an installer puts beside them."""
    if path.is_dir():
        return path.suffix in (".libs", ".dist-info") or path.joinpath("__init__.py").is_file()
    return path.suffix in (".py", ".so")


def _linked_from(folder: Path) -> Iterator[Path]:
    """Where packages really are that an installer has only linked into `folder`, whole or file by file. A folder counts if
    it is called as the package is; other links, such as one to a file of the system, open that file alone."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                target = Path(entry.path).resolve()
                if target.name == entry.name or target.is_file():
                    yield target
            elif entry.is_dir():
                yield from _linked_into(Path(entry.path))


def _linked_into(package: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(package) as files:
        for file in files:
            if file.is_symlink():
                target = Path(file.path).resolve()
                if target.parent.name == package.name:
                    # The others are there as well.
                    yield target.parent
                    return
                if target.is_file():
                    yield target

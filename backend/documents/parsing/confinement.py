"""What a reading process may still do once it reads: next to nothing.

What it reads may take it over. Then it is to find no file with a password, no way to the network, no program to run and
no process to end. Linux's Landlock does that without privileges (https://docs.kernel.org/userspace-api/landlock.html):
files from Linux 5.13 on, TCP from 6.7, signals from 6.12. On systems without it the limits of `child.py` are all there is.
"""

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
    those of its libraries and its temporary folder, programs, TCP, signals to others. It cannot be undone.

    Call it before there are other threads: those keep what they may. False where the system cannot do it.
    """
    if sys.platform != "linux":
        return False
    from landlockpy import AccessFS, Ruleset, Scope

    read = AccessFS.READ_FILE | AccessFS.READ_DIR
    # The parser unpacks a library there when it is loaded.
    unpack = read | AccessFS.WRITE_FILE | AccessFS.MAKE_REG | AccessFS.REMOVE_FILE | AccessFS.TRUNCATE
    try:
        with Ruleset(scoped=Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET) as rules:
            for path in _readable():
                # A right to list is none of a file's.
                rules.allow_path(path, read if path.is_dir() else AccessFS.READ_FILE)
            rules.allow_path(tempfile.gettempdir(), unpack | AccessFS.MAKE_DIR | AccessFS.REMOVE_DIR)
            rules.restrict()
    except OSError:
        # The kernel has none of it, or whoever runs the container forbids it.
        return False
    return True


def _readable() -> Iterator[Path]:
    paths = {
        Path(backend.__file__).parent,
        *(Path(prefix) for prefix in (sys.prefix, sys.base_prefix)),
        *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(Path(path) for path in (*_SYSTEM, *_ABOUT_ITSELF)),
    }
    for path in sorted(paths):
        with suppress(OSError):
            if path.exists():
                yield path

"""Starts a web instance or a worker, with nothing in memory that only people at a terminal use."""

import ctypes
import os
import sys
from typing import Final

from backend.settings import Settings

#: Of glibc's mallopt: blocks of as many bytes or more are given back to the system when they are freed.
_M_MMAP_THRESHOLD: Final = -3
_LARGE_BLOCK: Final = 4 * 1024 * 1024


def run_web() -> None:
    """Runs one web instance, as configured. Raises what `Settings` raises, and OSError when its port is taken."""
    _stay_small()
    from backend.serve import serve

    serve(configured())


def run_worker() -> None:
    """Runs one worker, as configured. Raises what `Settings` raises, and StateError on another schema."""
    _stay_small()
    from backend.db.schema import require_current
    from backend.scratch import use_private_folder
    from backend.work import work

    use_private_folder()
    settings = configured()
    require_current(settings.database_url.get_secret_value())
    work(settings)


def configured() -> Settings:
    """The settings; without a database in them, those of the bundled server and its keys."""
    settings = Settings()
    if settings.database_url.get_secret_value() and settings.secret_keys:
        return settings
    # Only here: a process that is told everything need not know the bundled server.
    from backend.bundled import locate

    return locate(settings)


def _stay_small() -> None:
    # Nothing here multiplies matrices; else numpy starts a thread with a buffer for every core of the machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # structlog takes it along when it is installed, for tracebacks in colour: 4 MB. None means "not there".
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        # Else it is raised by what is freed, and a process keeps room for the largest files it has seen.
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)

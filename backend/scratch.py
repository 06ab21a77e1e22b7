"""A temporary folder that is this account's alone.

The parser's library unpacks a shared object into the temporary folder and loads it from there, whoever put it
there. In a folder that everybody may write to, that would be a way into the process.
"""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def use_private_folder() -> Path:
    """Makes a private folder this process's TMPDIR, before anything is unpacked; returns it.

    The same one at every start, so that nothing is left behind by processes that are killed.
    """
    folder = Path(tempfile.gettempdir(), f"secondbrain-{os.getuid()}")
    if not _is_ours_alone(folder):
        # Somebody else has taken the name: a fresh one, which nobody could have guessed.
        folder = Path(tempfile.mkdtemp(prefix="secondbrain-"))
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    return folder


def _is_ours_alone(folder: Path) -> bool:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077

"""The private temporary folder: ours alone, or another one."""

import os
import subprocess
import sys
from pathlib import Path

SHOW = "from backend.scratch import use_private_folder; import tempfile; print(use_private_folder()); print(tempfile.gettempdir())"


def show(tmp_path: Path) -> Path:
    """What a fresh process, for which `tmp_path` is the machine's temporary folder, uses."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    returned, used = done.stdout.split()
    assert returned == used
    return Path(returned)


def test_uses_one_private_folder_at_every_start(tmp_path: Path) -> None:
    first = show(tmp_path)
    assert first.parent == tmp_path
    assert first.stat().st_mode & 0o077 == 0
    assert show(tmp_path) == first


def test_avoids_a_folder_that_others_can_write_to(tmp_path: Path) -> None:
    taken = show(tmp_path)
    taken.chmod(0o777)
    other = show(tmp_path)
    assert other != taken
    assert other.stat().st_mode & 0o077 == 0


def test_follows_no_link_somebody_has_laid(tmp_path: Path) -> None:
    (tmp_path / "trap").mkdir()
    (tmp_path / f"secondbrain-{os.getuid()}").symlink_to(tmp_path / "trap")
    assert show(tmp_path).parent == tmp_path
    assert show(tmp_path).resolve() != (tmp_path / "trap").resolve()

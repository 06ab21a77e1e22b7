"""Small habits: names that say something, files of a size one can read, nothing left for later."""

import re
from pathlib import Path
from types import MappingProxyType
from typing import Final

ROOT: Final = Path(__file__).parents[2]

#: Names under which anything could be put.
VAGUE: Final = re.compile(r"(^|_)(utils?|helpers?|commons?|managers?|misc|base_?classes)$")

LINES: Final = 300

#: Longer files, each with the reason why it is in one piece.
LONG: Final = MappingProxyType(
    {
        "backend/settings.py": "the one list of what can be set",
        "backend/tenants/repository.py": "two repositories whose rules hang together",
    }
)


def python_files(*folders: str) -> list[Path]:
    """Python files below `folders`, those of installed packages left out."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in found if "node_modules" not in path.parts]


def test_names_say_what_is_inside() -> None:
    paths = [p for folder in ("backend", "migrations", "tests") for p in (ROOT / folder).rglob("*")]
    vague = [
        str(path.relative_to(ROOT))
        for path in paths
        if "node_modules" not in path.parts
        and VAGUE.search(path.stem)
        and (path.is_dir() or path.suffix == ".py")
    ]
    assert not vague, vague


def test_files_are_short_enough_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in python_files("backend", "migrations")
        if (lines := len(path.read_text().splitlines())) > LINES
    }
    assert set(long) <= set(LONG), f"more than {LINES} lines: {long}"
    assert set(long) == set(LONG), "short again: take it off the list"


def test_nothing_is_left_for_later() -> None:
    # Put together here, so that this file does not find itself.
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
    paths = [*python_files("backend", "migrations", "tests"), *(ROOT / "scripts").iterdir()]
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        if path.is_file()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert not left, left

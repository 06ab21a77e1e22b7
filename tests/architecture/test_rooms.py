"""Every room is complete, and everything is on the map."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

import backend
from backend.rooms import ROOMS, ROUTES

ROOT: Final = Path(__file__).parents[2]
BACKEND: Final = ROOT / "backend"

#: Folders that are no rooms: they own no table.
NOT_ROOMS: Final = ("db", "flows", "outside", "search")


def tables_of(room: str) -> list[str]:
    """Names of the room's tables, as its models.py spells them."""
    return re.findall(r'__tablename__ = "(\w+)"', (BACKEND / room / "models.py").read_text())


@pytest.mark.parametrize("room", ROOMS)
def test_room_has_its_files(room: str) -> None:
    for name in ("__init__.py", "models.py", "repository.py"):
        assert (BACKEND / room / name).is_file(), f"backend/{room}/{name} is missing"


@pytest.mark.parametrize("room", ROOMS)
def test_room_says_what_it_is_and_how_to_look_at_it(room: str) -> None:
    said = ast.get_docstring(ast.parse((BACKEND / room / "__init__.py").read_text())) or ""
    query = re.search(r"^ *(SELECT\b.*?);", said, re.DOTALL | re.MULTILINE)
    assert query, f"backend/{room}/__init__.py shows no psql query"
    assert any(re.search(rf"\b{table}\b", query[1]) for table in tables_of(room)), (
        "it reads none of the room's tables"
    )


@pytest.mark.parametrize("room", ROOMS)
def test_room_has_tests(room: str) -> None:
    assert list((ROOT / "tests" / room).glob("test_*.py")), f"tests/{room}/ has no tests"


@pytest.mark.parametrize("room", ROOMS)
def test_tables_of_room_are_made_by_a_migration(room: str) -> None:
    migrations = "\n".join(path.read_text() for path in (ROOT / "migrations" / "versions").glob("*.py"))
    tables = tables_of(room)
    assert tables
    for table in tables:
        assert re.search(rf"CREATE (UNLOGGED )?TABLE {table} \(", migrations), f"no migration makes {table}"


def test_folder_with_tables_is_a_room() -> None:
    assert {path.parent.name for path in BACKEND.glob("*/models.py")} == set(ROOMS)


def test_every_folder_is_a_room_or_listed() -> None:
    assert {path.parent.name for path in BACKEND.glob("*/__init__.py")} == {*ROOMS, *NOT_ROOMS}


def test_routes_are_registered() -> None:
    found = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in BACKEND.rglob("routes.py")}
    assert found == set(ROUTES)


def test_map_shows_every_folder_and_module() -> None:
    shown = set(re.findall(r"\b(\w+(?:/|\.py))", backend.__doc__ or ""))
    there = {f"{path.parent.name}/" for path in BACKEND.glob("*/__init__.py")}
    there |= {path.name for path in BACKEND.glob("*.py") if path.name != "__init__.py"}
    assert there <= shown, f"backend/__init__.py does not show {sorted(there - shown)}"


def test_map_shows_nothing_that_is_gone() -> None:
    """Names at the beginning of a line of the map; further ones are inside the folder the line is about."""
    named = re.findall(r"^    (\w+/|\w+\.py)", backend.__doc__ or "", re.MULTILINE)
    assert named
    for name in named:
        assert (BACKEND / name).exists(), f"backend/__init__.py shows {name}, which is not there"

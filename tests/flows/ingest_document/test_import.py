"""A folder is imported in batches, in which no file keeps the others from being stored."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.configs.follower import ConfigFollower
from backend.db.listen import Listener
from backend.db.transaction import Database
from backend.embeddings.providers.local import LocalEmbedder
from backend.flows.import_folder.flow import Outcome, find_files, import_files
from tests.conftest import Account, TestDatabase
from tests.readers import shared_reader

Import = Callable[[], dict[str, Outcome]]


@pytest.fixture
def run(db: Database, database: TestDatabase, account: Account, tmp_path: Path) -> Import:
    """Imports the folder; what became of each file, by its name."""
    configs = ConfigFollower(db, Listener(database.url))

    def imported() -> dict[str, Outcome]:
        files = find_files(tmp_path)
        outcomes = import_files(
            db, configs, LocalEmbedder(), shared_reader(), account.tenant_id, tmp_path, files
        )
        return {os.fsencode(outcome.path.name).decode("latin-1"): outcome for outcome in outcomes}

    return imported


def states(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: outcome.state for name, outcome in outcomes.items()}


def test_file_that_cannot_be_read_keeps_none_of_its_batch_away(run: Import, tmp_path: Path) -> None:
    for number in range(24):
        (tmp_path / f"{number:02}.md").write_text(f"Berth {number} is free.")
    (tmp_path / "11.pdf").write_bytes(b"%PDF-1.4 cut")

    outcomes = run()

    failed = {name for name, state in states(outcomes).items() if state == "failed"}
    assert (failed, len(outcomes)) == ({"11.pdf"}, 25)
    assert outcomes["11.pdf"].reason
    assert {state for name, state in states(run()).items() if name != "11.pdf"} == {"unchanged"}


def test_name_that_is_no_text_is_stored_all_the_same(
    run: Import, db: Database, database: TestDatabase, account: Account, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("The quay is long.")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("The harbour has a café.")
    (tmp_path / "z.md").write_text("The mole is short.")

    assert states(run()) == dict.fromkeys(("a.md", "caf\xe9.md", "z.md"), "stored")
    assert set(states(run()).values()) == {"unchanged"}
    with database.admin() as connection:
        rows = connection.execute(
            "SELECT title, metadata ->> 'path' FROM documents WHERE tenant_id = %s ORDER BY title",
            (account.tenant_id,),
        ).fetchall()
    assert rows == [(name, name) for name in ("a.md", "caf\ufffd.md", "z.md")]


def test_file_that_changed_is_stored_again_and_the_rest_is_not(run: Import, tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("The quay is long.")
    run()
    (tmp_path / "b.md").write_text("The quay is longer.")
    assert states(run()) == {"a.md": "unchanged", "b.md": "stored"}
